"""Fit a classic feature on *train*, with read-outs of layout codes and labels; ``embed`` runs it.

A feature that was never trained predicts neither layouts nor labels. Both are read out by the ridge regression that
reads codes out of a network which saw labels alone (:mod:`aeret.models.read_out`), before vectors are normalised.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aeret.data.prepared import Prepared
from aeret.embeddings.classic import CLASSIC_FEATURES, ClassicFeature, describe_batches
from aeret.embeddings.encode import write_parts
from aeret.models.read_out import ReadOut, fit_read_out
from aeret.parts import load_arrays, save_arrays
from aeret.progress import Progress
from aeret.registry import lookup
from aeret.settings import Settings
from aeret.stages.encode_masks import MaskCodes

FITTED = "classic.npz"
_MOST = 20_000
"""Train photos that anything is fitted to, evenly spaced; their vectors have to fit into memory."""
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class ClassicEmbedding:
    """Turn photos into vectors, codes and label scores."""

    feature: ClassicFeature
    arrays: Mapping[str, Vectors]
    """What the feature learnt from *train*."""
    codes: ReadOut
    labels: ReadOut
    workers: int
    """Processes that describe photos; 0 means one per core."""

    def predict(self, batches: Iterable[Any], count: int) -> Iterator[dict[str, Any]]:
        """Yield what :class:`aeret.models.saved_joint.SavedJoint` predicts, for batches of ``count`` photos in all.

        ``label_scores`` are cut to 0..1, as a regression to 0 and 1 may leave it.
        """
        for described in describe_batches(self.feature, batches, count, self.workers):
            vectors = self.feature.project(described, self.arrays)
            yield {
                "embedding": vectors,
                "code": vectors @ self.codes.kernel + self.codes.bias,
                "label_scores": (vectors @ self.labels.kernel + self.labels.bias).clip(0, 1),
            }


def fitted(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> ClassicEmbedding:
    """Fit the feature that the settings name, or open what a killed run fitted in ``out``.

    ``inputs`` are the artifacts of ``prepare`` and ``encode-masks``.
    """
    feature = lookup(CLASSIC_FEATURES, settings.embed.features, "classic feature")
    arrays = load_arrays(out / FITTED)
    if arrays is None:
        arrays = _fit(settings, feature, inputs, out, progress)
        save_arrays(out / FITTED, arrays)
    shutil.rmtree(out / "fit", ignore_errors=True)
    codes, labels = (
        ReadOut(arrays[f"{part}_kernel"], arrays[f"{part}_bias"], float(arrays[f"{part}_penalty"]))
        for part in ("codes", "labels")
    )
    return ClassicEmbedding(feature, arrays, codes, labels, settings.data.workers)


def _fit(
    settings: Settings, feature: ClassicFeature, inputs: Mapping[str, Path], out: Path, progress: Progress
) -> dict[str, Any]:
    """Describe train and validation photos in ``out/fit``, and fit."""
    prepared = Prepared.open(inputs["prepare"])
    vectors: dict[str, Vectors] = {}
    targets: dict[str, dict[str, Vectors]] = {"codes": {}, "labels": {}}
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
            found = fit_read_out(*(each for name in vectors for each in (vectors[name], target[name])))
            arrays |= {f"{part}_{name}": value for name, value in vars(found).items()}
    return arrays


def _described(
    settings: Settings, feature: ClassicFeature, split: Any, chosen: Any, folder: Path, progress: Progress
) -> Vectors:
    batch = settings.embed.batch_size

    def encode(rows: Any) -> dict[str, Any]:
        blocks = [chosen[rows[start : start + batch]] for start in range(0, len(rows), batch)]
        found = describe_batches(feature, map(split.photos, blocks), len(rows), settings.data.workers)
        return {"vectors": np.concatenate(list(found))}

    title, size = f"describe {split.name}", settings.embed.part_size
    made = write_parts(folder, split.photo_ids[chosen], encode, part_size=size, progress=progress, title=title)
    return np.asarray(made.vectors)
