"""What every index of the registry promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from index_material import assert_alike, assert_exact, assert_same, everything, material

from aeret.errors import UnknownNameError, UsageError
from aeret.retrieval.indexes import INDEXES, Index, open_index
from aeret.retrieval.ranking import Ranking

every_kind = pytest.mark.parametrize("kind", list(INDEXES))
every_metric = pytest.mark.parametrize(
    ("kind", "metric"), [(kind, metric) for kind, index in INDEXES.items() for metric in index.METRICS]
)
COUNT = 150
COUNTED_TOGETHER = ("hnsw", "binary-multi")
"""Kinds whose ``scanned`` is the mean of a block."""


def built(kind: str, ties: bool = True, count: int = COUNT) -> tuple[Index, np.ndarray, np.ndarray]:
    """An index, its vectors, and their ids, which are in no order."""
    vectors = material(kind, 0, count, ties=ties)
    ids = np.random.default_rng(1).permutation(count) * 7 + 5
    return INDEXES[kind].build(vectors, ids=ids), vectors, ids


@st.composite
def tasks(draw: st.DrawFn) -> tuple[int, int, int, bool, str]:
    return (
        draw(st.integers(0, 10**6)),
        draw(st.integers(1, 60)),
        draw(st.integers(1, 70)),
        draw(st.booleans()),
        draw(st.sampled_from(["cosine", "euclidean", "dot"])),
    )


@every_kind
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(task=tasks())
def test_at_full_probe_an_index_is_exact_search(kind: str, task: tuple[int, int, int, bool, str]) -> None:
    seed, count, n, ties, metric = task
    metrics = INDEXES[kind].METRICS
    vectors = material(kind, seed, count, width=4, ties=ties)
    index = INDEXES[kind].build(vectors, metric=metric if metric in metrics else metrics[0], seed=seed)
    queries = material(kind, seed + 1, 7, width=4, ties=ties)
    exclude = np.random.default_rng(seed).integers(-1, count, 7) if count > 1 else None
    found = index.search(queries, n, exclude=exclude, **everything(kind))
    assert_exact(index, queries, found, min(n, count - int(exclude is not None and (exclude >= 0).any())), exclude)


@every_metric
def test_distances_are_smaller_where_nearer_and_those_of_the_metric(kind: str, metric: str) -> None:
    vectors, queries = material(kind, 0, COUNT), material(kind, 1, 5)
    index = INDEXES[kind].build(vectors, metric=metric)
    found = index.search(queries, 20)
    held = np.stack([index.decoded(row) for row in found.rows])
    if metric == "hamming":
        expected = np.unpackbits(held ^ queries[:, None], axis=2).sum(axis=2).astype(float)
    else:
        asked, held = index.prepared(queries).astype(np.float64)[:, None], held.astype(np.float64)
        expected = ((asked - held) ** 2).sum(axis=2)
        if metric == "dot":
            expected = -(asked * held).sum(axis=2)
        else:
            expected = expected / 2 if metric == "cosine" else np.sqrt(expected)
    np.testing.assert_allclose(found.distances, expected, rtol=1e-4, atol=1e-5)
    assert (np.diff(found.distances, axis=1) >= 0).all()


@every_metric
def test_the_array_that_was_given_may_be_written_to_afterwards(kind: str, metric: str) -> None:
    original, more = material(kind, 0, COUNT), material(kind, 1, 5)
    vectors, ids, added = original.copy(), np.arange(COUNT), more.copy()
    index = INDEXES[kind].build(vectors, ids=ids, metric=metric)
    expected = INDEXES[kind].build(original, metric=metric)
    vectors[:], ids[:] = 1, 1
    # An index that has grown holds another array.
    for _ in range(2):
        assert_same(index.search(original, 9), expected.search(original, 9))
        np.testing.assert_array_equal(index.decoded(), expected.decoded())
        index.add(added)
        expected.add(more)
        added[:] = 1
        added = more.copy()


def test_a_read_only_memory_map_is_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", material("flat", 0, COUNT))
    for mode, shared in (("r", True), ("c", False), ("r+", False)):
        mapped = np.load(tmp_path / "vectors.npy", mmap_mode=mode)
        index = INDEXES["flat"].build(mapped[3:], metric="dot")
        assert np.shares_memory(index._state()["vectors"], mapped) == shared


@every_kind
def test_results_are_exactly_n_ids_of_the_users_own(kind: str) -> None:
    index, vectors, ids = built(kind)
    assert len(index) == COUNT
    assert index.ids.tolist() == sorted(ids.tolist())
    for n in (1, 30, COUNT, 2 * COUNT):
        found = index.search(vectors[:9], n, exclude=ids[:9])
        assert found.rows.shape == found.distances.shape == (9, min(n, COUNT - 1))
        assert all(len(set(row)) == len(row) for row in found.rows.tolist())
        assert np.isin(found.rows, ids).all()
        assert not (found.rows == ids[:9, None]).any()
        assert (found.scanned >= found.rows.shape[1]).all()
        assert (found.scanned < COUNT).all()
    for knob, values in INDEXES[kind].KNOBS.items():
        for value in values:
            assert index.search(vectors[:3], 40, **{knob: value}).rows.shape == (3, 40)


@every_kind
def test_ids_turn_into_rows_and_back(kind: str) -> None:
    index, vectors, _ = built(kind)
    found = index.search(vectors[:3], 10).rows
    rows = index.rows(found)
    assert (rows.shape, rows.dtype) == (found.shape, np.int64)
    np.testing.assert_array_equal(index.ids[rows], found)
    np.testing.assert_array_equal(index.decoded()[rows[1]], index.decoded(found[1]))
    with pytest.raises(UsageError, match="Id 1 cannot be turned into a row"):
        index.rows(np.array([[found[0, 0], 1]]))


@every_kind
@pytest.mark.parametrize("ties", [True, False])
def test_results_do_not_depend_on_batch_or_threads(kind: str, ties: bool) -> None:
    index, vectors, ids = built(kind, ties, 400)
    queries, exclude = vectors[:30], np.where(np.arange(30) % 2, ids[:30], -1)
    whole = index.search(queries, 12, exclude=exclude, threads=3)
    alone = [index.search(queries[i : i + 1], 12, exclude=exclude[i : i + 1], threads=1) for i in range(30)]
    fields = ("rows", "distances", "scanned", "probes")
    one_by_one = Ranking(*(np.concatenate([getattr(each, name) for each in alone]) for name in fields))
    assert_alike(whole, one_by_one)
    if kind not in COUNTED_TOGETHER:
        np.testing.assert_array_equal(whole.scanned, one_by_one.scanned)
        np.testing.assert_array_equal(whole.probes, one_by_one.probes)


@every_kind
def test_the_order_in_which_vectors_are_given_does_not_matter_to_ties(kind: str) -> None:
    index, vectors, _ = built(kind)
    found = index.search(vectors[:20], 60, **everything(kind))
    assert (np.diff(found.distances, axis=1) == 0).any()
    assert_exact(index, vectors[:20], found, 60)


@every_kind
def test_vectors_come_and_go(kind: str) -> None:
    index, vectors, ids = built(kind)
    queries, exact = vectors[:10], everything(kind)
    index.remove(ids[:40])
    assert len(index) == COUNT - 40
    assert not np.isin(index.search(queries, COUNT).rows, ids[:40]).any()
    # Between those that are there, and beyond.
    index.add(vectors[:30], ids[:30])
    index.add(vectors[30:40])
    assert len(index) == COUNT
    assert index.ids[-10:].tolist() == list(range(index.ids[-11] + 1, index.ids[-11] + 11))
    assert len(index.decoded()) == COUNT
    assert_exact(index, queries, index.search(queries, 25, exclude=ids[:10], **exact), 25, ids[:10])


@every_kind
def test_of_many_equal_vectors_the_lowest_ids_come_first(kind: str) -> None:
    vectors = np.repeat(material(kind, 0, 1), COUNT, axis=0)
    index = INDEXES[kind].build(vectors)
    # They come back at the end of whatever holds them.
    index.remove(np.arange(4))
    index.add(vectors[:4], np.arange(4))
    found = index.search(vectors[:2], 3, exclude=np.array([1, -1]))
    np.testing.assert_allclose(found.distances, found.distances[:1, :1].repeat(2, 0).repeat(3, 1), atol=1e-5)
    if kind != "opq":  # rotated in batches, copies may differ in the last bit
        assert found.rows.tolist() == [[0, 2, 3], [0, 1, 2]]


@every_kind
@pytest.mark.parametrize("mmap", [True, False])
def test_saved_and_opened_it_is_the_same(kind: str, mmap: bool, tmp_path: Path) -> None:
    index, vectors, ids = built(kind)
    index.save(tmp_path / "index")
    opened = open_index(tmp_path / "index", mmap)
    assert type(opened) is type(index)
    assert (opened.metric, opened.width, opened.options) == (index.metric, index.width, index.options)
    assert opened.bytes_per_vector == pytest.approx(index.bytes_per_vector)
    assert_same(opened.search(vectors[:20], 30, exclude=ids[:20]), index.search(vectors[:20], 30, exclude=ids[:20]))
    for each in (index, opened):
        each.remove(ids[3:6])
        each.add(vectors[3:5], ids[3:5])
    # Over the files that it is mapped to.
    opened.save(tmp_path / "index")
    again = INDEXES[kind].load(tmp_path / "index", mmap)
    fields = ("rows", "distances", "probes") if kind in COUNTED_TOGETHER else ("rows", "distances", "scanned", "probes")
    for each in (opened, again):
        assert_same(each.search(vectors[:20], 30), index.search(vectors[:20], 30), fields)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index"]


@every_kind
def test_the_seed_decides(kind: str) -> None:
    vectors = material(kind, 0, 300)
    one, same = (INDEXES[kind].build(vectors, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.decoded(), same.decoded())
    assert_same(one.search(vectors[:20], 10), same.search(vectors[:20], 10))


@every_kind
def test_one_vector_is_enough(kind: str) -> None:
    vectors = material(kind, 0, 1)
    index = INDEXES[kind].build(vectors, ids=np.array([9]))
    assert index.search(vectors, 5).rows.tolist() == [[9]]
    assert index.search(vectors, 5, exclude=np.array([9])).rows.shape == (1, 0)
    assert index.search(vectors[:0], 5).rows.shape == (0, 1)
    index.add(np.repeat(vectors, 3, axis=0))
    assert index.search(vectors, 5).rows.tolist() == [[9, 10, 11, 12]]
    assert index.bytes_per_vector > 0


@every_kind
def test_what_does_not_fit_is_named(kind: str) -> None:
    index, vectors, ids = built(kind)
    build = INDEXES[kind].build
    for message, call in (
        ("at least one", lambda: build(vectors[:0])),
        ("unique; 3", lambda: build(vectors[:2], ids=np.array([3, 3]))),
        ("not be negative", lambda: build(vectors[:2], ids=np.array([3, -2]))),
        ("ids must be 2 integers", lambda: build(vectors[:2], ids=np.array([3]))),
        ("ids must be 2 integers", lambda: build(vectors[:2], ids=np.array([3.0, 4.0]))),
        (f"Id {ids[0]} is in the index", lambda: index.add(vectors[:1], ids[:1])),
        ("Id 1 cannot be removed", lambda: index.remove(np.array([ids[0], 1]))),
        ("unique", lambda: index.remove(ids[[0, 0]])),
        ("at least one", lambda: index.remove(ids)),
        ("at least one result", lambda: index.search(vectors[:1], 0)),
        ("Id 1 cannot be excluded", lambda: index.search(vectors[:1], 1, exclude=np.array([1]))),
        ("one id", lambda: index.search(vectors[:1], 1, exclude=ids[:2])),
        ("Id 1 cannot be decoded", lambda: index.decoded(np.array([1]))),
    ):
        with pytest.raises(UsageError, match=message):
            call()
    for wrong in (vectors[:, :-1], vectors[0]):
        for call in (lambda wrong=wrong: index.search(wrong, 1), lambda wrong=wrong: index.add(wrong)):
            with pytest.raises(UsageError):
                call()
    for unknown in (
        lambda: build(vectors, metric="manhattan"),
        lambda: build(vectors, colour=1),
        lambda: index.search(vectors[:1], 1, colour=1),
    ):
        with pytest.raises(UnknownNameError):
            unknown()
    for option, usual in INDEXES[kind].OPTIONS.items():
        if not isinstance(usual, str):
            with pytest.raises(UsageError, match=option):
                build(vectors, **{option: -1})
    # None of it changed anything.
    assert len(index) == COUNT
    assert_exact(index, vectors[:10], index.search(vectors[:10], 9, **everything(kind)), 9)


@pytest.mark.parametrize("kind", [kind for kind, index in INDEXES.items() if "hamming" not in index.METRICS])
def test_vectors_that_are_no_numbers_are_refused(kind: str) -> None:
    vectors = material(kind, 0, COUNT)
    vectors[3, 2] = np.nan
    with pytest.raises(UsageError, match="row 3"):
        INDEXES[kind].build(vectors)


@pytest.mark.parametrize("kind", ["flat", "ivf-flat"])
def test_longer_vectors_that_come_later_are_found_by_their_products(kind: str, tmp_path: Path) -> None:
    vectors = material(kind, 0, COUNT)
    index = INDEXES[kind].build(vectors, metric="dot")
    index.search(vectors[:1], 3)
    index.remove(np.arange(20))
    index.add(100 * vectors[:5])
    index.save(tmp_path / "index")
    for each in (index, open_index(tmp_path / "index")):
        assert_exact(each, vectors[:30], each.search(vectors[:30], 9, **everything(kind)), 9)
