"""Train the joint CNN on prepared photos and mask codes (stage ``train-cnn``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aeret.progress import Progress
from aeret.settings import CnnSettings, Settings, TrainingSettings

NAME = "train-cnn"
SUMMARY = "Train the joint CNN: labels and layout code from the photo alone."
INPUTS = ("prepare", "encode-masks")
SECTIONS = ("seed", "cnn")
FILE_SETTINGS = ("cnn.weights",)
_JOINT = ("joint.json", "weights.npz")
"""The files of a :class:`aeret.models.saved_joint.SavedJoint`, which imports Keras."""


def sources(settings: Settings) -> dict[str, str]:
    """Return the digest of the file of weights that the backbone starts from, where there is one."""
    from aeret.artifacts import digest
    from aeret.stages.outside_files import artifact_key, file_digests, one_digest

    weights = settings.cnn.weights
    if weights in ("", "imagenet"):
        return {}
    path = Path(weights).expanduser().absolute()
    if path.name in _JOINT:
        path = path.parent
    if key := artifact_key(path):
        return {"weights": key}
    # A folder that lacks them is refused by who reads it, with the words for it.
    return {"weights": digest(file_digests(path, _JOINT)) if path.is_dir() else one_digest(path)}


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Train one arm into ``out``: a :class:`aeret.models.saved_joint.SavedJoint`, and ``training/`` with its history.

    The metrics, all on the validation part of *train*:

    - ``val_loss``, ``val_label_loss``, ``val_latent_loss``: of the epoch that was kept;
    - ``val_label_map``: mean over the categories that occur of the average precision of the label scores (not for
      ``latent-only``);
    - ``val_code_r2``: 1 - squared error of the predicted code over that of the mean code of the training photos, both
      summed over photos and dimensions; against each photo's own mask in every arm.

    The latent head of ``labels-only`` is fitted after the training, on embeddings that no longer change: see
    :mod:`aeret.models.read_out`. So are both heads of a ``frozen`` backbone, which has no epochs and no history.

    The backbone starts from ``cnn.weights`` or from ``cnn.pretraining``, whose histories lie in ``pretraining/``; the
    metrics then have what :mod:`aeret.training.pretraining` reports. ``fine-tuned`` trains twice: ``training-head/``
    has the history of the first phase, ``training/`` that of the second. The best epoch of both is kept, and
    ``kept_phase`` says whose it is (``head``, ``last-block`` or ``all``); without validation photos it is the second's.
    """
    from aeret.data.prepared import Prepared
    from aeret.models.joint import JointModel, code_target
    from aeret.models.saved import SavedEncoder
    from aeret.models.saved_joint import SavedJoint
    from aeret.training import clear, precision

    cnn = settings.cnn
    prepared = Prepared.open(inputs["prepare"])
    encoder = SavedEncoder.load(inputs["encode-masks"])
    train, validation = prepared.split("train"), prepared.split("validation")
    with precision(cnn.training.mixed_precision):
        model = JointModel(
            cnn,
            len(prepared.categories),
            encoder.latent_size,
            settings.seed,
            code_target(encoder.keras_encoder, encoder.normaliser),
        )
    started = _start(model, train, validation, settings, out, progress)
    feeds = (
        _feed(train, cnn, encoder.encoding, settings.seed, training=True),
        _feed(validation, cnn, encoder.encoding, settings.seed, training=False) if len(validation) else None,
    )
    histories, kept = _fit_phases(model, *feeds, out, settings, progress)
    names = [category.name for category in prepared.categories]
    SavedJoint.save(out, model, names, encoder.latent_size)
    if not model.learns_latents or not histories:
        joint = SavedJoint.load(out)
        _read_out(joint, train, validation, inputs["encode-masks"], progress)
        SavedJoint.save(out, joint.model, names, encoder.latent_size)
    metrics: dict[str, Any] = dict(started)
    if histories:
        row = histories[kept].rows[histories[kept].best_epoch - 1]
        metrics |= {name: value for name, value in row.items() if "loss" in name}
    metrics |= _measure(SavedJoint.load(out), validation, inputs["encode-masks"], progress)
    metrics |= {
        "arm": cnn.arm,
        "backbone": cnn.backbone,
        "parameters": int(model.count_params()),
        "train_photos": len(train),
        "validation_photos": len(validation),
        "transfer": cnn.transfer,
        **_summary(histories, kept),
    }
    if len(histories) > 1:
        metrics["kept_phase"] = _phases(cnn)[kept].part
    # Last of all, for they must not lie in the artifact. A run that is killed between here and the renaming of its
    # folder, which follows at once, is still no artifact: it trains anew, from the same seed to the same weights.
    for folder in ("training", "training-head", "pretraining"):
        clear(out / folder)
    return metrics


@dataclass(frozen=True)
class _Phase:
    """One stretch of training: what of the backbone learns in it, and how."""

    folder: str
    part: Literal["head", "last-block", "all"]
    training: TrainingSettings
    seen: int = 0
    """Epochs that came before it."""


def _phases(cnn: CnnSettings) -> list[_Phase]:
    if cnn.transfer == "none":
        return [_Phase("training", "all", cnn.training)]
    if cnn.transfer == "frozen":
        return []
    if cnn.transfer == "head-only":
        return [_Phase("training", "head", cnn.training)]
    epochs = cnn.training.epochs
    first = min(max(round(cnn.transfer_head_share * epochs), 1), epochs - 1)
    head = cnn.training.model_copy(update={"epochs": first})
    rate = cnn.training.learning_rate * cnn.transfer_rate
    tuned = cnn.training.model_copy(update={"epochs": epochs - first, "learning_rate": rate})
    return [_Phase("training-head", "head", head), _Phase("training", cnn.transfer_unfreeze, tuned, seen=first)]


def _fit_phases(
    model: Any, train: Any, validation: Any, out: Path, settings: Settings, progress: Progress
) -> tuple[list[Any], int]:
    """Train phase after phase; return the histories and the number of the phase whose best weights the model has."""
    from aeret.training import FitOptions, fit

    histories: list[Any] = []
    kept, weights = 0, None
    for number, phase in enumerate(_phases(settings.cnn)):
        model.learn(phase.part)
        title = f"train-cnn {settings.cnn.arm}" + ("" if phase.part == "all" else f" ({phase.part})")
        place = out / phase.folder
        options = FitOptions(progress, title, seen=phase.seen)
        history = fit(model, train, validation, phase.training, place, settings.seed, options)
        # A training loss alone says nothing here: more layers learn in the later phase.
        if weights is not None and validation is not None and history.best >= histories[kept].best:
            model.set_weights(weights)
        else:
            kept, weights = number, model.get_weights()
        histories.append(history)
    return histories, kept


def _summary(histories: list[Any], kept: int) -> dict[str, Any]:
    epochs = sum(len(history.rows) for history in histories)
    seconds = sum(history.seconds for history in histories)
    if not histories:
        return {"epochs": 0, "train_seconds": 0.0}
    last = histories[-1]
    return {
        "epochs": epochs,
        "best_epoch": sum(len(history.rows) for history in histories[:kept]) + histories[kept].best_epoch,
        "stopped_early": last.stopped_early,
        "train_seconds": round(seconds, 1),
        "photos_per_second": round(last.examples_per_second, 1),
    }


def _start(
    model: Any, train: Any, validation: Any, settings: Settings, out: Path, progress: Progress
) -> Mapping[str, Any]:
    """Bring the backbone to where it starts from, and return the metrics of that."""
    from aeret.models.weights import assign_layers, load_backbone
    from aeret.registry import lookup
    from aeret.training.pretraining import PRETRAININGS

    cnn = settings.cnn
    if cnn.weights:
        load_backbone(model, model.backbone_layers, cnn.weights, cnn.backbone)
    if cnn.pretraining == "none":
        return {}
    pretrain = lookup(PRETRAININGS, cnn.pretraining, "pretraining")
    feeds = (
        _feed(train, cnn, None, settings.seed, training=True),
        _feed(validation, cnn, None, settings.seed, training=False) if len(validation) else None,
    )
    found = pretrain(cnn, *feeds, out / "pretraining", settings.seed, progress)
    assign_layers(model, model.backbone_layers, found.layers, f"pretraining {cnn.pretraining}")
    return found.metrics


def _feed(split: Any, cnn: CnnSettings, encoding: Any, seed: int, training: bool) -> Any:
    from aeret.training import JointFeed

    return JointFeed(
        split,
        cnn.input_size,
        cnn.training.batch_size,
        seed,
        training,
        encoding=None if cnn.arm == "labels-only" else encoding,
        flip=cnn.flip,
        crop=cnn.crop,
        colour=cnn.colour,
        shuffled=cnn.arm == "shuffled-latents",
    )


def _measure(joint: Any, validation: Any, encoded: Path, progress: Progress) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import average_precision_score

    from aeret.stages.encode_masks import MaskCodes

    if not len(validation):
        return {}
    predicted = _predict(joint, validation, "measure on validation", progress)
    metrics: dict[str, float] = {}
    labels = np.asarray(validation.labels)
    occurs = labels.any(axis=0)
    if joint.model.learns_labels and occurs.any():
        score = average_precision_score(labels[:, occurs], predicted["label_scores"][:, occurs], average="macro")
        metrics["val_label_map"] = float(score)
    codes = MaskCodes.open(encoded)
    mean = codes.of("train").mean(axis=0, dtype=np.float64)
    true = codes.of("validation").astype(np.float64)
    spread = ((true - mean) ** 2).sum()
    if spread > 0:
        metrics["val_code_r2"] = float(1 - ((predicted["code"] - true) ** 2).sum() / spread)
    return metrics


def _read_out(joint: Any, train: Any, validation: Any, encoded: Path, progress: Progress) -> None:
    import numpy as np

    from aeret.models.read_out import fit_read_out
    from aeret.stages.encode_masks import MaskCodes

    splits = [split for split in (train, validation) if len(split)]
    embeddings = [_predict(joint, split, f"embed {split.name}", progress)["embedding"] for split in splits]

    def fit_head(targets: list[Any]) -> Any:
        return fit_read_out(*(each for pair in zip(embeddings, targets, strict=True) for each in pair))

    found = fit_head([np.array(MaskCodes.open(encoded).of(split.name)) for split in splits])
    joint.model.get_layer("code").set_weights([found.kernel, found.bias])
    if joint.settings.transfer == "frozen":
        found = fit_head([np.asarray(split.labels, np.float32) for split in splits])
        # Regression gives about the chance p of a label; where p is near a half its logit is 4 p - 2.
        joint.model.get_layer("label_logits").set_weights([4 * found.kernel, 4 * found.bias - 2])


def _predict(joint: Any, split: Any, title: str, progress: Progress) -> dict[str, Any]:
    import numpy as np

    count, block = len(split), 256
    found: dict[str, list[Any]] = {}
    with progress(title, count, unit="photo") as advance:
        for start in range(0, count, block):
            stop = min(start + block, count)
            for name, values in joint.predict(split.photos(slice(start, stop))).items():
                found.setdefault(name, []).append(values)
            advance(stop - start)
    return {name: np.concatenate(values) for name, values in found.items()}
