from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aeret.embeddings.normalise import NORMALISATIONS, l2_normalise
from aeret.embeddings.store import EmbeddingSet
from aeret.errors import DataError, UsageError


def small(count: int = 5) -> EmbeddingSet:
    rng = np.random.default_rng(0)
    return EmbeddingSet(
        rng.standard_normal((count, 3), dtype=np.float32),
        np.arange(count, dtype=np.int64) * 10**12,
        {"file_name": np.array([f"{i}.jpg" for i in range(count)]), "flag": np.arange(count) % 2 == 0},
        {"codes": rng.standard_normal((count, 2), dtype=np.float32)},
    )


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("count", [0, 5])
def test_what_is_saved_comes_back(tmp_path: Path, mmap: bool, count: int) -> None:
    saved = small(count)
    saved.save(tmp_path / "set")
    opened = EmbeddingSet.open(tmp_path / "set", mmap)
    assert len(opened) == count
    assert opened.vectors.dtype == np.float32
    np.testing.assert_array_equal(opened.vectors, saved.vectors)
    np.testing.assert_array_equal(opened.ids, saved.ids)
    np.testing.assert_array_equal(opened.matrices["codes"], saved.matrices["codes"])
    assert list(opened.columns["file_name"]) == list(saved.columns["file_name"])
    np.testing.assert_array_equal(opened.columns["flag"], saved.columns["flag"])


def test_an_opened_set_is_memory_mapped_and_read_only(tmp_path: Path) -> None:
    small().save(tmp_path)
    opened = EmbeddingSet.open(tmp_path)
    assert isinstance(opened.vectors, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened.vectors[0] = 0


def test_a_folder_without_or_with_damaged_embeddings_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no embeddings"):
        EmbeddingSet.open(tmp_path)
    small().save(tmp_path)
    (tmp_path / "vectors.npy").write_bytes((tmp_path / "vectors.npy").read_bytes()[:-8])
    with pytest.raises(DataError, match="damaged"):
        EmbeddingSet.open(tmp_path)


def test_parts_of_different_lengths_are_refused() -> None:
    ids = np.arange(3)
    with pytest.raises(UsageError, match="3 ids cannot have 2 rows of 'vectors'"):
        EmbeddingSet(np.zeros((2, 4), np.float32), ids)
    with pytest.raises(UsageError, match="float32"):
        EmbeddingSet(np.zeros((3, 4)), ids)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="photo_id"):
        EmbeddingSet(np.zeros((3, 4), np.float32), ids, {"photo_id": ids})
    with pytest.raises(UsageError, match="vectors"):
        EmbeddingSet(np.zeros((3, 4), np.float32), ids, {}, {"vectors": np.zeros((3, 1))})


def test_l2_gives_unit_length_and_leaves_zero_and_its_input_alone() -> None:
    rows = np.array([[3, 4], [0, 0], [1e-20, 0]], np.float32)
    unit = l2_normalise(rows)
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0, 0], [1, 0]], rtol=1e-6)
    assert rows[0, 0] == 3
    np.testing.assert_array_equal(NORMALISATIONS["none"](rows), rows)
