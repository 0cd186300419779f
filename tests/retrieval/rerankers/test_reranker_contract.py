"""What holds for every re-ranker of the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UnknownNameError, UsageError
from aeret.retrieval import exhaustive
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers import RERANKERS, find_neighbours

QUERIES, PHOTOS, WIDTH, RESULTS, TOP = 23, 120, 8, 40, 25


def vectors(count: int, seed: int) -> np.ndarray:
    # Small whole numbers before scaling: equal vectors, and so ties, do occur.
    return l2_normalise(np.random.default_rng(seed).integers(-1, 3, (count, WIDTH)))


GALLERY = vectors(PHOTOS, 1)
GALLERY[50:55] = GALLERY[3]
ASKED = vectors(QUERIES, 2)
FOUND = exhaustive.search(ASKED, GALLERY, RESULTS)


class Network:
    """An untrained network: a random projection of the affinities, compared by cosine."""

    anchors = 16
    _kernel = np.random.default_rng(0).normal(size=(16, 12))

    def __call__(self, affinities: np.ndarray) -> np.ndarray:
        hidden = l2_normalise(np.tanh(affinities @ self._kernel))
        return hidden[1:] @ hidden[0]


def options(name: str, chosen: slice = slice(None)) -> dict[str, Any]:
    """Return what a re-ranker cannot do without."""
    if name == "contextual":
        return {"network": Network()}
    if name == "rocchio":
        judged = np.random.default_rng(3).integers(0, PHOTOS, (QUERIES, 3)).tolist()
        return {"relevant": judged[chosen], "non_relevant": [each[:1] for each in judged[::-1]][chosen]}
    return {}


def reranked(name: str, **given: Any) -> Ranking:
    return RERANKERS[name].rerank(ASKED, FOUND, GALLERY, **{"top": TOP, **options(name), **given})


every = pytest.mark.parametrize("name", RERANKERS)


@every
def test_permutes_the_first_results_and_leaves_the_rest(name: str) -> None:
    before = (FOUND.rows.copy(), FOUND.distances.copy())
    done = reranked(name)
    assert np.array_equal(np.sort(done.rows[:, :TOP]), np.sort(FOUND.rows[:, :TOP]))
    assert np.array_equal(done.rows[:, TOP:], FOUND.rows[:, TOP:])
    assert np.array_equal(done.distances[:, TOP:], FOUND.distances[:, TOP:])
    # Distances go with their rows; those that `exact` measures anew are the same here.
    order = np.argsort(FOUND.rows[:, :TOP], axis=1)
    own = np.take_along_axis(FOUND.distances, order, axis=1)
    kept = np.take_along_axis(done.distances, np.argsort(done.rows[:, :TOP], axis=1), axis=1)
    np.testing.assert_allclose(kept, own, atol=1e-6 if name == "exact" else 0)
    assert np.array_equal(done.scanned, FOUND.scanned)
    assert np.array_equal(done.probes, FOUND.probes)
    assert np.array_equal(before[0], FOUND.rows)
    assert np.array_equal(before[1], FOUND.distances)


@every
def test_changes_the_order_unless_it_measures_what_the_search_measured(name: str) -> None:
    done = reranked(name)
    if name == "exact":  # but for ties
        np.testing.assert_allclose(done.distances, FOUND.distances, atol=1e-6)
    else:
        assert not np.array_equal(done.rows, FOUND.rows)


@every
def test_the_same_for_any_batch(name: str) -> None:
    whole = reranked(name)
    for chosen in (slice(0, 1), slice(7, 12)):
        part = Ranking(FOUND.rows[chosen], FOUND.distances[chosen], FOUND.scanned[chosen], FOUND.probes[chosen])
        done = RERANKERS[name].rerank(ASKED[chosen], part, GALLERY, top=TOP, **options(name, chosen))
        assert np.array_equal(done.rows, whole.rows[chosen])


@every
def test_only_the_block_is_read(name: str) -> None:
    strangers = GALLERY.copy()
    seen = np.unique(FOUND.rows[:, :TOP])
    if name == "rocchio":  # the photos that were judged
        seen = np.union1d(seen, [row for each in options(name)["relevant"] for row in each])
    if name == "dba":  # the neighbours of results
        seen = np.union1d(seen, find_neighbours(GALLERY, 10, seen).rows)
    strangers[np.setdiff1d(np.arange(PHOTOS), seen)] = -GALLERY[:1].sum(axis=0) - 7.0
    done = RERANKERS[name].rerank(ASKED, FOUND, strangers, top=TOP, **options(name))
    assert np.array_equal(done.rows, reranked(name).rows)


@every
def test_equal_photos_keep_their_order(name: str) -> None:
    gallery = np.ones((9, WIDTH), np.float32)
    found = exhaustive.search(gallery[:2], gallery, 9)
    given = {"relevant": [[0], [1]]} if name == "rocchio" else options(name)
    assert np.array_equal(RERANKERS[name].rerank(gallery[:2], found, gallery, **given).rows, found.rows)


@every
@pytest.mark.parametrize("results", [1, 2, 3])
def test_short_lists(name: str, results: int) -> None:
    done = RERANKERS[name].rerank(ASKED, FOUND.top(results), GALLERY, **options(name))
    assert np.array_equal(np.sort(done.rows), np.sort(FOUND.rows[:, :results]))


@every
def test_zero_vectors_are_ranked_too(name: str) -> None:
    gallery = GALLERY.copy()
    gallery[::2] = 0
    queries = ASKED.copy()
    queries[::3] = 0
    found = exhaustive.search(queries, gallery, RESULTS)
    done = RERANKERS[name].rerank(queries, found, gallery, top=TOP, **options(name))
    assert np.array_equal(np.sort(done.rows[:, :TOP]), np.sort(found.rows[:, :TOP]))


@every
def test_no_queries(name: str) -> None:
    none = Ranking(FOUND.rows[:0], FOUND.distances[:0], FOUND.scanned[:0], FOUND.probes[:0])
    assert len(RERANKERS[name].rerank(ASKED[:0], none, GALLERY, **options(name, slice(0, 0)))) == 0


@every
def test_a_memory_mapped_gallery(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "gallery.npy", GALLERY)
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    done = RERANKERS[name].rerank(ASKED, FOUND, mapped, top=TOP, **options(name))
    assert np.array_equal(done.rows, reranked(name).rows)


@every
def test_what_cannot_be_is_refused(name: str) -> None:
    rerank, given = RERANKERS[name].rerank, options(name)
    with pytest.raises(UsageError, match="top is how many results"):
        rerank(ASKED, FOUND, GALLERY, top=0, **given)
    with pytest.raises(UsageError, match="does not fit 22 query"):
        rerank(ASKED[:-1], FOUND, GALLERY, **given)
    with pytest.raises(UsageError, match="rows must be rows of the gallery"):
        rerank(ASKED, FOUND, GALLERY[:30], **given)
    with pytest.raises(UsageError, match="dimensions"):
        rerank(ASKED[:, :-1], FOUND, GALLERY, **given)
    spoilt = GALLERY.copy()
    spoilt[FOUND.rows[4, 2]] = np.nan
    with pytest.raises(UsageError, match=f"row {FOUND.rows[4, 2]}"):
        rerank(ASKED[4:5], Ranking(*(part[4:5] for part in parts(FOUND))), spoilt, **options(name, slice(4, 5)))
    with pytest.raises(UnknownNameError, match="no option of the re-ranker"):
        rerank(ASKED, FOUND, GALLERY, **given, speed=3)


def parts(ranking: Ranking) -> tuple[np.ndarray, ...]:
    return ranking.rows, ranking.distances, ranking.scanned, ranking.probes


@every
def test_every_option_is_checked_and_says_its_meaning(name: str) -> None:
    for option, meant in RERANKERS[name].options.items():
        for wrong in (-1, "many", True, float("nan"), float("inf"), object()):
            with pytest.raises(UsageError, match=f"option {option!r}.*expected"):
                RERANKERS[name].rerank(ASKED, FOUND, GALLERY, **{**options(name), option: wrong})
        assert meant.meaning


@every
def test_a_block_that_would_need_too_much_memory_is_refused(name: str) -> None:
    gallery = np.tile(ASKED[:1], (4100, 1))
    found = exhaustive.search(ASKED[:1], gallery, 4100)
    if RERANKERS[name].pairwise:
        with pytest.raises(UsageError, match="lower top"):
            RERANKERS[name].rerank(ASKED[:1], found, gallery, top=4100, **options(name, slice(0, 1)))
    else:
        RERANKERS[name].rerank(ASKED[:1], found, gallery, top=4100, **options(name, slice(0, 1)))
