"""A small search task with structure, and a maker of mask planes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from aeret.data.masks import MaskPlanes
from aeret.evaluation.evaluate import Evaluation, EvaluationOptions, LayoutCodes, PhotoSet, evaluate
from aeret.settings.sections import ClusterSettings

SIZE, CATEGORIES = 8, 7
SETTINGS = ClusterSettings(clusters=6, results=30, starts=1, resamples=5)


def planes_of(dense: np.ndarray) -> MaskPlanes:
    """Pack bool (n, size, size, c) into planes, the empty ones left out."""
    _, size, _, categories = dense.shape
    present = dense.any(axis=(1, 2))
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)
    rows, category = np.nonzero(present)
    bits = np.packbits(dense[rows, :, :, category].reshape(len(rows), -1), axis=1)
    return MaskPlanes(size, categories, offsets, category.astype(np.int16), bits)


def random_masks(photos: int, seed: int, size: int = SIZE, categories: int = CATEGORIES) -> np.ndarray:
    """Return bool (n, size, size, c): random rectangles of about a fourth of the categories."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((photos, size, size, categories), bool)
    for i, c in zip(*np.nonzero(rng.random((photos, categories)) < 0.27), strict=True):
        y, x = rng.integers(0, size - 1, 2)
        dense[i, y : y + rng.integers(1, size), x : x + rng.integers(1, size), c] = True
    return dense


@dataclass
class Task:
    """Photos of one gallery, with what makes their embeddings."""

    photos: PhotoSet
    dense: np.ndarray
    codes: LayoutCodes
    names: tuple[str, ...] = tuple("abcdefg")
    settings: ClusterSettings = SETTINGS

    def run(self, **changes: object) -> Evaluation:
        names = ("settings", "seed", "leave_one_out", "threads")
        options = {"settings": self.settings, "seed": 3, "leave_one_out": True}
        options |= {name: changes.pop(name) for name in names if name in changes}
        parts = {"queries": self.photos, "gallery": self.photos, "categories": self.names, "codes": self.codes}
        return evaluate(**parts | changes, options=EvaluationOptions(**options))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def task() -> Task:
    rng = np.random.default_rng(11)
    dense = random_masks(120, 5)
    labels = dense.any(axis=(1, 2))
    content = dense.reshape(120, -1) @ rng.standard_normal((dense[0].size, 12))
    vectors = (content + 4 * rng.standard_normal(content.shape)).astype(np.float32)
    own = content.astype(np.float32)
    predicted = (own + 4 * rng.standard_normal(own.shape)).astype(np.float32)
    flags = {"real": rng.random(120) < 0.5}
    ids = rng.permutation(10_000)[:120].astype(np.int64)
    photos = PhotoSet(ids, vectors, labels, planes_of(dense), flags)
    return Task(photos, dense, LayoutCodes(own, predicted))


@pytest.fixture(scope="session")
def evaluation(task: Task) -> Evaluation:
    return task.run()


@pytest.fixture(scope="session")
def pack() -> Callable[[np.ndarray], MaskPlanes]:
    return planes_of


@pytest.fixture(scope="session")
def masks() -> Callable[..., np.ndarray]:
    return random_masks
