"""``cluster-eval``: from embeddings to clusters, rankings, measures and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aeret.progress import Progress
from aeret.settings import Settings
from aeret.stages.embedded import Embedded

NAME = "cluster-eval"
SUMMARY = "Cluster the gallery, search it cluster-first, measure what is found, and write the report."
INPUTS = ("prepare", "train-ae", "encode-masks", "train-cnn", "embed")
SECTIONS = ("seed", "evaluation")
HEADLINE = True


def inputs(settings: Settings) -> tuple[str, ...]:
    """Return the stages read; a classic feature has no training of its own."""
    return INPUTS if settings.embed.features == "cnn" else tuple(each for each in INPUTS if each != "train-cnn")


def demand_fit(settings: Settings, inputs: Mapping[str, Path]) -> None:
    """Check that the prepared gallery holds enough photos for the clusters.

    Raises:
        UsageError: it holds fewer.
    """
    from aeret.artifacts import read_record
    from aeret.data.manifest import load_manifest
    from aeret.data.selection import demand_gallery

    if "prepare" in inputs:
        photos = read_record(inputs["prepare"]).metrics["photos"]["gallery"]
        demand_gallery(load_manifest(settings.data.manifest), photos, settings.evaluation.clusters)


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Write the evaluation (``metrics.json``, ``per_query.parquet``, ``rankings.npz``), ``clusters/`` and the report.

    A run that was killed after the clusters or after the evaluation starts from them.

    Returns:
        ``headline``: the numbers that matter with the highest floor of each, as the command line prints them;
        ``measures``: every measure of the lead method; ``memory_estimate_bytes``; ``ms_per_query``: search to
        milliseconds of one query where all are asked in one batch, on this machine, the one value no seed decides.

    Raises:
        UsageError: embeddings of a folder of photos, which have no labels to measure against.
    """
    from datetime import datetime

    from aeret.evaluation.evaluate import Evaluation
    from aeret.evaluation.result import METRICS
    from aeret.reporting import write
    from aeret.reporting.evaluation_report import build_report
    from aeret.reporting.sections.headlines import headline_metrics

    started = datetime.now().astimezone().isoformat(timespec="seconds")
    task = _Task(settings, inputs)
    if (out / METRICS).is_file():
        evaluation = Evaluation.load(out)
    else:
        evaluation = _evaluate(task, out, progress)
        evaluation.save(out)
    with progress("report", 2, unit="step") as step:
        report = build_report(evaluation, _material(task, started))
        step(1)
        write(report, out)
        step(1)
    lead = evaluation.measures[evaluation.measures["method"] == evaluation.lead]
    finite = lead[lead["value"].notna()]
    return {
        "headline": headline_metrics(report),
        "measures": dict(zip(finite["measure"], finite["value"].astype(float).tolist(), strict=True)),
        "memory_estimate_bytes": evaluation.facts["memory_estimate_bytes"],
        "ms_per_query": {name: round(value, 5) for name, value in evaluation.timings.items()},
    }


class _Task(Embedded):
    """The inputs, opened: photos and embeddings, and the mask encoding where the run has a latent head."""

    def __init__(self, settings: Settings, inputs: Mapping[str, Path]) -> None:

        from aeret.data.encodings import mask_encoding
        from aeret.errors import UsageError
        from aeret.stages.encode_masks import MaskCodes

        if settings.embed.photos:
            raise UsageError(
                f"embed.photos={settings.embed.photos}: a folder of photos has no labels to measure against; leave it "
                "empty to evaluate the query and gallery splits."
            )
        super().__init__(inputs)
        self.settings = settings
        self.encoding = mask_encoding(settings.autoencoder.mask_encoding, self.prepared.categories)
        self.own_codes = MaskCodes.open(inputs["encode-masks"]).of("query")

    @property
    def legend(self) -> tuple[str, ...]:
        """Names of the maps that :meth:`shown` returns."""
        names: tuple[str, ...] = self.encoding.legend
        return names[:-1] if self.encoding.name == "supercategory+binary" else names

    def shown(self, channels: Any) -> Any:
        """Return channels as maps of the legend: probabilities, or 0 and 1 where a channel is no probability."""
        import numpy as np

        if self.encoding.name == "supercategory+binary":
            return likeliest(channels)
        if self.encoding.name != "index":
            return channels
        return self.encoding.presence(channels).astype(np.float32)


def likeliest(channels: Any) -> Any:
    """Give the last channel, "anything", to the likeliest of the others, cell by cell, to be looked at.

    A network is often sure that something is there before it is sure what; a map of "anything" would hide its guess.
    Masks that are 0 or 1 stay as they are.

    Args:
        channels: float32 (b, h, w, c + 1).

    Returns:
        float32 (b, h, w, c).
    """
    import numpy as np

    kinds, anything = channels[..., :-1], channels[..., -1:]
    return np.where(kinds == kinds.max(axis=-1, keepdims=True), np.maximum(kinds, anything), kinds)


def _evaluate(task: _Task, out: Path, progress: Progress) -> Any:
    from aeret.evaluation.evaluate import EvaluationTask, LayoutCodes, evaluate

    queries, gallery = task.photo_sets()
    asked = EvaluationTask(
        queries,
        gallery,
        task.categories,
        task.settings.evaluation,
        task.settings.seed,
        leave_one_out=task.leave_one_out,
        codes=LayoutCodes(task.own_codes, task.query_set.matrices["codes"]),
    )
    return evaluate(asked, progress, keep=out / "clusters")


def _material(task: _Task, started: str) -> Any:
    from aeret.artifacts import read_record
    from aeret.reporting.inputs import Layouts, ReportInputs

    settings = task.settings
    records = {stage: read_record(folder) for stage, folder in task.inputs.items()}
    layouts = Layouts(
        task.legend,
        lambda masks: task.shown(task.encoding.encode(masks)),
        task.query_set.matrices["codes"],
        task.own_codes,
        _decoder(task),
        length_is_learnt=_length_is_learnt(settings),
    )
    return ReportInputs(
        categories=task.categories,
        queries=task.queries,
        gallery=task.gallery,
        layouts=layouts,
        autoencoder=_autoencoder(task, records["train-ae"].metrics),
        trainings=_trainings(task.inputs),
        records=records,
        settings=_shown(settings),
        title=f"{Path(settings.data.manifest).stem}: {_made_with(settings)}",
        date=started,
        examples=settings.evaluation.examples,
        warnings=tuple(task.warnings()),
    )


def _made_with(settings: Settings) -> str:
    if settings.embed.features != "cnn":
        return f"{settings.embed.features}, no network"
    return f"{settings.cnn.arm}, {settings.cnn.backbone}"


def _shown(settings: Settings) -> dict[str, Any]:
    """Return the settings that decided anything: those of a network are no part of a run without one."""
    return settings.model_dump(mode="json", exclude=None if settings.embed.features == "cnn" else {"cnn"})


def _length_is_learnt(settings: Settings) -> bool:
    """Whether codes have a length: a read-out, of labels-only or of a classic feature, is a regression."""
    read_out = settings.embed.features != "cnn" or settings.cnn.arm == "labels-only"
    return read_out or settings.cnn.latent_loss in ("mse", "huber")


def _decoder(task: _Task) -> Any:
    """Return the way from a predicted code to a map; Keras is loaded when the first map is asked for."""
    loaded: list[Any] = []

    def decode(codes: Any) -> Any:
        if not loaded:
            from aeret.models.saved import SavedEncoder

            loaded.append(SavedEncoder.load(task.inputs["encode-masks"]))
        return task.shown(loaded[0].decode(codes))

    return decode


def _autoencoder(task: _Task, metrics: Mapping[str, Any]) -> Any:
    import numpy as np

    from aeret.reporting.inputs import Autoencoder

    path = task.inputs["train-ae"] / "examples.npz"
    if not path.is_file():
        return Autoencoder(metrics)
    with np.load(path, allow_pickle=False) as examples:
        maps = {name: task.shown(examples[name].astype(np.float32)) for name in ("true", "reconstructed", "pca")}
    return Autoencoder(metrics, **maps, names=task.legend)


def _trainings(inputs: Mapping[str, Path]) -> Any:
    import pandas as pd

    from aeret.reporting.inputs import Training

    trained = [stage for stage in ("train-ae", "train-cnn") if stage in inputs]
    paths = {stage: inputs[stage] / "training" / "history.csv" for stage in trained}
    histories = {stage: pd.read_csv(path) for stage, path in paths.items() if path.is_file()}
    # Without validation photos the training loss chooses the epoch.
    return tuple(
        Training(stage, history, "val_loss" if "val_loss" in history else "loss")
        for stage, history in histories.items()
    )
