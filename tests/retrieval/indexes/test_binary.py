"""Indexes of binary codes: bits as they come, distances in bits, ids through changes, the disk and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeret.errors import UnknownNameError, UsageError
from aeret.retrieval.indexes import open_index
from aeret.retrieval.indexes.binary import BinaryFlat, BinaryMulti

KINDS = pytest.mark.parametrize("kind", [BinaryFlat, BinaryMulti])


@KINDS
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 200), width=st.sampled_from([1, 3, 8, 10]))
def test_results_are_sorted_bits_then_ids_also_after_changes(
    tmp_path_factory: pytest.TempPathFactory, kind: type[BinaryFlat], seed: int, count: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    bits = rng.random((count + 30, 8 * width)) < 0.2
    ids = rng.permutation(10_000)[: count + 30]
    index = kind.build(bits[:count], ids=ids[:count])
    index.add(np.packbits(bits[count:], axis=1), ids=ids[count:])
    index.remove(ids[1:3])
    folder = tmp_path_factory.mktemp("index") / "saved"
    index.save(folder)
    kept = np.delete(np.arange(count + 30), [1, 2])
    far = (bits[:, None] != bits[kept][None]).sum(axis=2)
    order = np.stack([np.lexsort((ids[kept], row)) for row in far])[:, :12]
    for each in (index, open_index(folder)):
        found = each.search(bits, 12)
        np.testing.assert_array_equal(found.rows, ids[kept][order])
        np.testing.assert_array_equal(found.distances, np.take_along_axis(far, order, axis=1))
        assert found.distances.dtype == np.float32
    np.testing.assert_array_equal(index.decoded(ids[:1]), np.packbits(bits[:1], axis=1))


@KINDS
def test_memory_is_counted(kind: type[BinaryFlat]) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (50_000, 8), dtype=np.uint8)
    # Tables: the codes again, 4 row numbers, and their share of 4 tables of up to 65,536 buckets.
    tables = (0, 0) if kind is BinaryFlat else (8 + 4 * 8, 8 + 4 * 8 + 4 * 48 * 65_536 / 50_000)
    assert 16 + tables[0] <= kind.build(codes).bytes_per_vector <= 16 + tables[1]


@KINDS
def test_codes_know_only_hamming(kind: type[BinaryFlat]) -> None:
    with pytest.raises(UnknownNameError, match="Known: hamming"):
        kind.build(np.zeros((2, 8), np.uint8), metric="cosine")
    with pytest.raises(UsageError, match="Queries have 16 bits where 64 were expected"):
        kind.build(np.zeros((2, 8), np.uint8)).search(np.zeros((1, 2), np.uint8), 1)


def test_substrings_have_8_or_16_bits() -> None:
    with pytest.raises(UsageError, match=r"\(0, 8, 16\), got 12"):
        BinaryMulti.build(np.zeros((2, 8), np.uint8), substring=12)


def test_a_small_radius_opens_fewer_buckets() -> None:
    rng = np.random.default_rng(1)
    codes = np.packbits(rng.random((300, 64)) < 0.5, axis=1)[rng.integers(0, 300, 60_000)]
    codes ^= np.packbits(rng.random((60_000, 64)) < 0.06, axis=1)
    index = BinaryMulti.build(codes)
    exact = BinaryFlat.build(codes).search(codes[:50], 100)
    found = [index.search(codes[:50], 100, radius=r) for r in (0, 1, 2)]
    recalls = [each.agreement(exact, 100).mean() for each in found]
    assert recalls == sorted(recalls) and recalls[0] < 1
    assert found[0].probes.mean() < found[1].probes.mean() and found[0].scanned.mean() < 3000


def test_tables_look_at_few_codes_if_near_ones_exist() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (20_000, 8), dtype=np.uint8)
    queries = codes[:30].copy()
    queries[:, 0] ^= 1
    codes[100:400] = np.repeat(queries, 10, axis=0)
    found = BinaryMulti.build(codes).search(queries, 10)
    np.testing.assert_array_equal(found.rows, 100 + np.arange(300).reshape(30, 10))
    assert not found.distances.any() and (found.scanned < 200).all()
