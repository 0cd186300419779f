"""Masks on threads: the same bytes for any number of them, and after any break."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aeret.data import mask_store
from aeret.data.collection import read_collection
from aeret.data.mask_store import MaskJob, write_masks
from aeret.data.masks import MaskPlanes, rasterise
from aeret.errors import DataError
from aeret.progress import Step, silent
from aeret.rng import generator

PHOTOS, CELLS = 23, 8


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MaskJob:
    """Photos in an order that is not the file's, categories that the store has the other way round; six parts."""
    monkeypatch.setattr(mask_store, "_PART", 4)
    rng = generator(0, "boxes")
    annotations: list[dict[str, Any]] = []
    for number in range(60):
        x, y, width, height = (8 * rng.integers(1, 5, 4)).tolist()
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        photo = int(rng.integers(PHOTOS - 1))  # the last has none
        annotations.append(
            {"id": number, "image_id": photo, "category_id": int(rng.integers(3)), "segmentation": [corners]}
        )
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 64} for i in range(PHOTOS)],
        "annotations": annotations,
        "categories": [{"id": i, "name": f"c{i}"} for i in range(3)],
    }
    (tmp_path / "all.json").write_text(json.dumps(content))
    rows = rng.permutation(PHOTOS)
    return MaskJob(read_collection(tmp_path / "all.json"), rows, np.array([3, 1, 0], np.int16), 4, CELLS, 0.5, "skip")


def written(folder: Path, job: MaskJob, threads: int = 1, progress: Any = silent) -> dict[str, bytes]:
    planes = write_masks(folder / "masks", folder / "parts", job, threads, progress, "masks")
    assert planes.size == job.size and planes.categories == job.categories
    return {path.name: path.read_bytes() for path in (folder / "masks").iterdir()}


def saved_at_once(folder: Path, job: MaskJob) -> dict[str, bytes]:
    """What ``np.save`` writes of all photos in one piece."""
    planes = rasterise(job.collection, job.rows, job.size, job.threshold, job.crowd)
    dense = np.zeros((len(job.rows), job.size, job.size, job.categories), np.uint8)
    dense[..., job.columns] = planes.dense(np.arange(len(job.rows)))
    counts, category, bits = [0], [], []
    for mask in dense:
        found = np.flatnonzero(mask.any(axis=(0, 1)))
        counts.append(len(found))
        category += found.tolist()
        bits += [np.packbits(mask[:, :, channel]) for channel in found]
    folder.mkdir()
    np.save(folder / "offsets.npy", np.cumsum(counts))
    np.save(folder / "category.npy", np.array(category, np.int16))
    np.save(folder / "bits.npy", np.array(bits))
    facts = {"size": CELLS, "categories": 4, "photos": PHOTOS, "planes": len(bits)}
    (folder / "planes.json").write_text(json.dumps(facts) + "\n")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


Seen = list[tuple[int, ...]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """The photos of every part that is rasterised."""
    found: Seen = []

    def recording(collection: Any, rows: NDArray[np.int64], *rest: Any) -> MaskPlanes:
        found.append(tuple(rows.tolist()))
        return rasterise(collection, rows, *rest)

    monkeypatch.setattr(mask_store, "rasterise", recording)
    yield found


@contextmanager
def killed_at_the_third(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Step]:
    calls = []

    def step(count: int) -> None:
        calls.append(count)
        if len(calls) == 3:
            raise KeyboardInterrupt

    yield step


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_bytes_are_those_of_one_piece_for_any_number_of_threads(job: MaskJob, tmp_path: Path, threads: int) -> None:
    assert written(tmp_path / "store", job, threads) == saved_at_once(tmp_path / "whole", job)


@pytest.mark.parametrize("threads", [1, 2])
def test_parts_that_are_done_outlive_a_break(job: MaskJob, tmp_path: Path, seen: Seen, threads: int) -> None:
    store = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        written(store, job, threads, killed_at_the_third)
    done = {tuple(job.rows[4 * int(path.stem) :][:4].tolist()) for path in (store / "parts").glob("*.npz")}
    assert len(done) == 3
    seen.clear()
    bars: list[tuple[int, int]] = []

    @contextmanager
    def watching(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Step]:
        bars.append((done, total))
        yield lambda count: None

    assert written(store, job, threads, watching) == saved_at_once(tmp_path / "whole", job)
    assert bars == [(sum(map(len, done)), PHOTOS)]
    assert not done & set(seen)
    assert len(done) + len(seen) == 6


def test_a_break_while_joining_and_after_it(
    job: MaskJob, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    store = tmp_path / "store"
    with monkeypatch.context() as patch:
        patch.setattr("aeret.data.masks._complete", broken)
        with pytest.raises(KeyboardInterrupt):
            written(store, job)
    with pytest.raises(DataError):
        MaskPlanes.open(store / "masks")
    seen.clear()
    whole = saved_at_once(tmp_path / "whole", job)
    assert written(store, job) == whole
    assert written(store, job) == whole  # another source was not complete
    assert seen == []


@pytest.mark.parametrize("name", ["bits.npy", "category.npy", "offsets.npy", "planes.json"])
def test_a_joined_file_that_was_lost_is_written_again(job: MaskJob, tmp_path: Path, name: str) -> None:
    whole = written(tmp_path / "store", job)
    (tmp_path / "store/masks" / name).unlink()
    assert written(tmp_path / "store", job) == whole


@pytest.mark.parametrize(
    "other",
    [
        lambda job: replace(job, threshold=0.6),
        lambda job: replace(job, size=16),
        lambda job: replace(job, categories=5),
        lambda job: replace(job, crowd="include"),
        lambda job: replace(job, rows=job.rows[::-1]),
        lambda job: replace(job, columns=np.array([2, 1, 0], np.int16)),
        lambda job: replace(job, collection=replace(job.collection, points=job.collection.points + 8)),
    ],
)
def test_parts_of_another_job_are_not_taken(job: MaskJob, tmp_path: Path, other: Callable[[MaskJob], MaskJob]) -> None:
    written(tmp_path / "store", job)
    assert written(tmp_path / "store", other(job)) == written(tmp_path / "fresh", other(job))


def test_no_photo_has_a_mask(job: MaskJob, tmp_path: Path) -> None:
    bare = replace(job, collection=replace(job.collection, kind=np.zeros_like(job.collection.kind)))
    written(tmp_path / "store", bare, 2)
    assert MaskPlanes.open(tmp_path / "store" / "masks").offsets.tolist() == [0] * (PHOTOS + 1)
    written(tmp_path / "empty", replace(job, rows=job.rows[:0]))
    assert len(MaskPlanes.open(tmp_path / "empty" / "masks")) == 0
