"""Embeddings of a real run, where there is one: of its gallery, and of its train photos, which no search finds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeret.data.prepared import Prepared, PreparedSplit
from aeret.embeddings.normalise import l2_normalise
from benchmarks.measure import HERE

MANIFEST = "coco_mix"


@dataclass(frozen=True)
class Photos:
    """Embedded photos."""

    vectors: NDArray[np.float32]
    """float32 (n, d), of unit length."""
    ids: NDArray[np.int64]
    labels: NDArray[np.bool_]
    """bool (n, c)."""


@dataclass(frozen=True)
class Run:
    """One trained network and the photos it has embedded."""

    name: str
    train: Photos
    gallery: Photos
    """Also the queries: each is searched among the others."""


def newest_runs(arms: tuple[str, ...] = ("joint", "labels-only")) -> list[Run]:
    """Return the newest run of each arm on coco_mix below AERET_RUNS (default: ``runs`` beside the benchmarks).

    `aeret run pipelines/coco_mix.yaml` makes them.
    """
    artifacts = Path(os.environ.get("AERET_RUNS", HERE.parent / "runs")) / "artifacts"
    found: dict[str, tuple[Path, Path]] = {}
    for arm, prepared, network in _trained(artifacts):
        if arm in arms:
            found[arm] = (prepared, network)
    return [_embedded(arm, *found[arm]) for arm in arms if arm in found]


def _trained(artifacts: Path) -> Iterator[tuple[str, Path, Path]]:
    records = []
    for path in artifacts.glob("train-cnn/*/artifact.json"):
        record = json.loads(path.read_text())
        prepared = artifacts / "prepare" / str(record["inputs"]["prepare"])
        if record["settings"]["data"]["manifest"] == MANIFEST and prepared.is_dir():
            records.append((record["finished"], record["metrics"]["arm"], prepared, path.parent))
    for _, arm, prepared, network in sorted(records):
        yield arm, prepared, network


def _embedded(arm: str, prepared: Path, network: Path) -> Run:
    from aeret.models.saved_joint import SavedJoint

    model = SavedJoint.load(network)

    def photos(split: PreparedSplit) -> Photos:
        parts = [
            model.predict(split.photos(slice(start, start + 256)))["embedding"] for start in range(0, len(split), 256)
        ]
        return Photos(l2_normalise(np.concatenate(parts)), split.photo_ids, split.labels)

    opened = Prepared.open(prepared)
    return Run(f"{MANIFEST}, {arm}", photos(opened.split("train")), photos(opened.split("gallery")))
