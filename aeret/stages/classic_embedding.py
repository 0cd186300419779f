"""A classic feature with all that is fitted to it on *train*: principal axes, and read-outs of layout codes and labels.

A feature that was never trained predicts neither layouts nor labels. What it knows of both is read out by the ridge
regression that reads codes out of a network which saw labels alone (:mod:`aeret.models.read_out`), so that the
evaluation measures both in the same way. The read-outs see the vectors before they are normalised, as a network's does.

No stage of its own: ``embed`` runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.artifacts import replacing_file
from aeret.progress import Progress
from aeret.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aeret.embeddings.classic import ClassicFeature
    from aeret.models.read_out import ReadOut

FITTED = "classic.npz"
_MOST = 20_000
"""Train photos that anything is fitted to, evenly spaced; their vectors have to fit into memory."""


@dataclass(frozen=True)
class ClassicEmbedding:
    """From photos to vectors, codes and label scores."""

    feature: ClassicFeature
    arrays: Mapping[str, NDArray[np.float32]]
    """What the feature learnt from *train*."""
    codes: ReadOut
    labels: ReadOut
    workers: int
    """Processes that describe photos; 0 means one per core."""

    def predict(self, batches: Iterable[Any], count: int) -> Iterator[dict[str, Any]]:
        """Yield what :class:`aeret.models.saved_joint.SavedJoint` predicts, for batches of ``count`` photos in all.

        ``label_scores`` are cut to 0..1, as a regression to 0 and 1 may leave it.
        """
        from aeret.embeddings.classic import describe_batches

        for described in describe_batches(self.feature, batches, count, self.workers):
            vectors = self.feature.project(described, self.arrays)
            yield {
                "embedding": vectors,
                "code": vectors @ self.codes.kernel + self.codes.bias,
                "label_scores": (vectors @ self.labels.kernel + self.labels.bias).clip(0, 1),
            }


def fitted(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> ClassicEmbedding:
    """Fit the feature that the settings name on *train*, or open what a killed run fitted.

    Args:
        settings: of the run.
        inputs: the artifacts of ``prepare`` and ``encode-masks``.
        out: of the stage; ``classic.npz`` is written there.
        progress: shows photos described.
    """
    import shutil

    from aeret.embeddings.classic import CLASSIC_FEATURES
    from aeret.models.read_out import ReadOut
    from aeret.registry import lookup

    name = settings.embed.features
    feature = lookup(CLASSIC_FEATURES, name, "classic feature")
    arrays = _opened(out / FITTED)
    if arrays is None:
        arrays = _fit(settings, feature, inputs, out, progress)
    shutil.rmtree(out / "fit", ignore_errors=True)
    codes, labels = (
        ReadOut(arrays[f"{part}_kernel"], arrays[f"{part}_bias"], float(arrays[f"{part}_penalty"]))
        for part in ("codes", "labels")
    )
    return ClassicEmbedding(feature, arrays, codes, labels, settings.data.workers)


def _opened(path: Path) -> dict[str, Any] | None:
    import numpy as np

    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def _fit(
    settings: Settings, feature: ClassicFeature, inputs: Mapping[str, Path], out: Path, progress: Progress
) -> dict[str, Any]:
    """Describe train and validation photos, fit, and write the result; the described photos are needed no more then."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    from aeret.data.prepared import Prepared
    from aeret.models.read_out import fit_read_out
    from aeret.stages.encode_masks import MaskCodes

    prepared = Prepared.open(inputs["prepare"])
    vectors: dict[str, NDArray[np.float32]] = {}
    targets: dict[str, dict[str, NDArray[np.float32]]] = {"codes": {}, "labels": {}}
    for name in ("train", "validation"):
        split = prepared.split(name)
        if len(split):
            chosen = np.unique(np.linspace(0, len(split) - 1, min(_MOST, len(split))).round().astype(np.int64))
            vectors[name] = _described(settings, feature, split, chosen, out / "fit" / name, progress)
            targets["codes"][name] = MaskCodes.open(inputs["encode-masks"]).of(name)[chosen]
            targets["labels"][name] = split.labels[chosen].astype(np.float32)
    arrays: dict[str, Any] = {}
    # Threads of BLAS that wait for cores which are busy elsewhere have made an eigenproblem a thousand times slower.
    with threadpool_limits(1, user_api="blas"):
        if feature.fit is not None:
            arrays |= feature.fit(vectors["train"])
            vectors = {name: feature.project(each, arrays) for name, each in vectors.items()}
        for part, target in targets.items():
            pairs = [each for name in vectors for each in (vectors[name], target[name])]
            found = fit_read_out(*pairs)
            arrays |= {f"{part}_kernel": found.kernel, f"{part}_bias": found.bias, f"{part}_penalty": found.penalty}
    with replacing_file(out / FITTED, out / f".{FITTED}") as file:
        np.savez(file, **arrays)
    return arrays


def _described(
    settings: Settings, feature: ClassicFeature, split: Any, chosen: Any, folder: Path, progress: Progress
) -> NDArray[np.float32]:
    import numpy as np

    from aeret.embeddings.classic import describe_batches
    from aeret.embeddings.encode import write_parts

    batch = settings.embed.batch_size

    def encode(rows: Any) -> dict[str, Any]:
        blocks = [chosen[rows[start : start + batch]] for start in range(0, len(rows), batch)]
        found = describe_batches(feature, map(split.photos, blocks), len(rows), settings.data.workers)
        return {"vectors": np.concatenate(list(found))}

    described = partial(write_parts, part_size=settings.embed.part_size, progress=progress)
    made = described(folder, split.photo_ids[chosen], encode, title=f"describe {split.name}")
    return np.asarray(made.vectors)
