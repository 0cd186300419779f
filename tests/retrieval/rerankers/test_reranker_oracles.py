"""Each re-ranker against what can be said of it beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aeret.clustering.kmeans import fit_kmeans
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError
from aeret.retrieval import cluster_first, exhaustive
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers import RERANKERS, augment, find_neighbours
from aeret.retrieval.rerankers.diffusion import graph

TOP = 30


def mixture(count: int, seed: int, width: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(6, width))
    return l2_normalise(centres[rng.integers(0, 6, count)] + 0.8 * rng.normal(size=(count, width)))


GALLERY, QUERIES = mixture(200, 0), mixture(11, 1)
FOUND = exhaustive.search(QUERIES, GALLERY, 60)


def rows(name: str, found: Ranking = FOUND, **given: Any) -> np.ndarray:
    return RERANKERS[name].rerank(QUERIES, found, GALLERY, **{"top": TOP, **given}).rows


def by_score(scores: Any) -> np.ndarray:
    """Return the ranking's rows with each block sorted by a plain function of (query, block vectors)."""
    expected = FOUND.rows.copy()
    for i, query in enumerate(QUERIES.astype(np.float64)):
        block = FOUND.rows[i, :TOP]
        expected[i, :TOP] = block[np.argsort(scores(query, GALLERY[block].astype(np.float64)), kind="stable")]
    return expected


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


# Query expansion.


@pytest.mark.parametrize(("n", "alpha"), [(5, 0.0), (5, 3.0), (100, 1.0)])
def test_alpha_query_expansion_is_its_formula(n: int, alpha: float) -> None:
    def scores(query: np.ndarray, block: np.ndarray) -> np.ndarray:
        weights = np.maximum(block[:n] @ query, 0) ** alpha
        return -(block @ unit(query + weights @ block[:n]))

    assert np.array_equal(rows("alpha-qe", n=n, alpha=alpha), by_score(scores))


def test_alpha_zero_is_average_query_expansion() -> None:
    assert np.array_equal(rows("alpha-qe", n=7, alpha=0), rows("aqe", n=7))
    assert not np.array_equal(rows("alpha-qe", n=7), rows("aqe", n=7))


@pytest.mark.parametrize("name", ["aqe", "alpha-qe"])
def test_a_query_that_nothing_joins_changes_nothing(name: str) -> None:
    assert np.array_equal(rows(name, n=0), FOUND.rows)
    sequential = cluster_first.ClusterFirst(GALLERY, fit_kmeans(GALLERY, 8, 0, 1)).search(QUERIES, 60)
    assert np.array_equal(rows(name, sequential, n=0), sequential.rows)


def test_worked_expansion() -> None:
    # At 0, 30 and -32 degrees; the first joins the query, which then looks to 15 degrees.
    def at(degrees: float) -> list[float]:
        return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]

    gallery = np.array([at(30), at(-32), at(-33), at(45)], np.float32)
    queries = np.array([at(0)], np.float32)
    found = exhaustive.search(queries, gallery, 4)
    assert found.rows.tolist() == [[0, 1, 2, 3]]
    assert RERANKERS["aqe"].rerank(queries, found, gallery, n=1).rows.tolist() == [[0, 3, 1, 2]]


# Database-side augmentation.


def reference_dba(k: int, alpha: float, exclude: list[int]) -> np.ndarray:
    """Return rows by the cosine of the query to each result averaged with its nearest, the query left out."""
    gallery, done = GALLERY.astype(np.float64), FOUND.rows.copy()
    for i, query in enumerate(QUERIES.astype(np.float64)):
        scores = []
        for row in FOUND.rows[i, :TOP]:
            others = sorted(set(range(len(gallery))) - {row, exclude[i]}, key=lambda j: -gallery[row] @ gallery[j])
            joined = gallery[row] + sum(max(gallery[row] @ gallery[j], 0) ** alpha * gallery[j] for j in others[:k])
            scores.append(-unit(joined) @ query)
        done[i, :TOP] = FOUND.rows[i, np.argsort(scores, kind="stable")]
    return done


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_augmentation_is_its_formula(alpha: float) -> None:
    nobody = [-1] * len(QUERIES)
    assert np.array_equal(rows("dba", k=4, alpha=alpha), reference_dba(4, alpha, nobody))
    found = find_neighbours(GALLERY, 9)
    assert np.array_equal(rows("dba", k=4, alpha=alpha, neighbours=found), reference_dba(4, alpha, nobody))


def test_a_query_in_the_gallery_is_not_averaged_into_its_results() -> None:
    themselves = FOUND.rows[:, 40].tolist()
    themselves[:6] = FOUND.rows[:6, 0].tolist()  # a near neighbour of results
    done = rows("dba", k=4, exclude=themselves)
    assert np.array_equal(done, reference_dba(4, 0.0, themselves))
    assert not np.array_equal(done, rows("dba", k=4))


def test_augmentation_in_a_gallery_with_too_few_neighbours() -> None:
    gallery = GALLERY[:3]
    found = exhaustive.search(gallery[:1], gallery, 2, exclude=np.array([0]))
    done = RERANKERS["dba"].rerank(gallery[:1], found, gallery, k=10, exclude=[0])
    assert np.array_equal(np.sort(done.rows), np.sort(found.rows))
    # Averaged with each other alone, both are the same.
    assert np.array_equal(done.rows, found.rows)


def test_neighbours_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"4 neighbours .* needs 5"):
        rows("dba", k=4, exclude=[3] * len(QUERIES), neighbours=find_neighbours(GALLERY, 4))
    with pytest.raises(UsageError, match="not those of this gallery"):
        rows("dba", k=4, neighbours=find_neighbours(GALLERY, 4, FOUND.rows[0]))
    with pytest.raises(UsageError, match="per query, 11"):
        rows("dba", exclude=[3])
    with pytest.raises(UsageError, match="k >= 1"):
        find_neighbours(GALLERY, 0)


def test_augmentation_with_no_neighbours_changes_nothing() -> None:
    assert np.array_equal(rows("dba", k=0), FOUND.rows)
    assert np.array_equal(augment(GALLERY, k=0), GALLERY)


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_augmentation_of_a_gallery_is_its_formula(alpha: float) -> None:
    cosines = GALLERY.astype(np.float64) @ GALLERY.T
    np.fill_diagonal(cosines, -2)
    nearest = np.argsort(-cosines, axis=1)[:, :5]
    joined = [x + sum(max(cosines[i, j], 0) ** alpha * GALLERY[j] for j in nearest[i]) for i, x in enumerate(GALLERY)]
    np.testing.assert_allclose(augment(GALLERY, k=5, alpha=alpha), unit(np.array(joined)), atol=1e-6)


def test_augmentation_of_equal_vectors_leaves_them_equal() -> None:
    gallery = np.concatenate([np.tile(GALLERY[:1], (9, 1)), GALLERY[:5]])
    done = augment(gallery, k=3)
    np.testing.assert_allclose(done[:9], gallery[:9], atol=1e-6)
    assert len(augment(GALLERY[:2], k=10)) == 2
    with pytest.raises(UsageError, match="option 'k'"):
        augment(GALLERY, k=-1)


# k-reciprocal encoding.


def reference_k_reciprocal(query: np.ndarray, block: np.ndarray, k1: int, k2: int, weight: float) -> np.ndarray:
    """Return distances as the paper defines them, with sets."""
    everyone = np.concatenate([query[None], block])
    count = len(everyone)
    distance = np.array([[((a - b) ** 2).sum() for b in everyone] for a in everyone])
    distance = distance / distance.max(axis=1, keepdims=True)

    def nearest(p: int, k: int) -> list[int]:
        return sorted(range(count), key=lambda g: (distance[p, g], g))[:k]

    def reciprocal(p: int, k: int) -> set[int]:
        return {g for g in nearest(p, k + 1) if p in nearest(g, k + 1)}

    encoded = np.zeros((count, count))
    for p in range(count):
        strict = reciprocal(p, k1)
        expanded = set(strict)
        for g in strict:
            wider = reciprocal(g, round(k1 / 2))
            if len(wider & strict) >= 2 / 3 * len(wider):
                expanded |= wider
        for g in expanded:
            encoded[p, g] = np.exp(-distance[p, g])
        encoded[p] /= encoded[p].sum()
    averaged = np.array([np.mean([encoded[g] for g in nearest(p, k2)], axis=0) for p in range(count)])
    jaccard = [1 - np.minimum(averaged[0], v).sum() / np.maximum(averaged[0], v).sum() for v in averaged[1:]]
    return (1 - weight) * np.array(jaccard) + weight * distance[0, 1:]


@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (6, 3, 0.3), (5, 1, 0.0), (9, 40, 0.7), (1, 1, 0.5)])
def test_k_reciprocal_is_the_papers_definition(k1: int, k2: int, weight: float) -> None:
    found = rows("k-reciprocal", k1=k1, k2=k2, weight=weight)
    for i, query in enumerate(QUERIES.astype(np.float64)):
        block = GALLERY[found[i, :TOP]].astype(np.float64)
        nearest_first = np.argsort(((block - query) ** 2).sum(axis=1))  # the order that settles ties of neighbours
        scores = np.empty(TOP)
        scores[nearest_first] = reference_k_reciprocal(query, block[nearest_first], k1, k2, weight)
        # Rising, but for the last bits of results that the encoding cannot tell apart.
        assert np.diff(scores).min() > -1e-6


def test_k_reciprocal_with_the_distance_alone_returns_the_order_of_the_search() -> None:
    assert np.array_equal(rows("k-reciprocal", weight=1), FOUND.rows)
    assert not np.array_equal(rows("k-reciprocal", weight=0.9), FOUND.rows)


# Diffusion.


def test_diffusion_is_the_solution_of_its_system() -> None:
    def scores(query: np.ndarray, block: np.ndarray) -> np.ndarray:
        cosines = block @ block.T
        near = np.zeros(cosines.shape, bool)
        for i in range(TOP):
            others = [j for j in np.argsort(-cosines[i], kind="stable") if j != i]
            near[i, others[:6]] = True
        affinity = np.where(near & near.T, np.maximum(cosines, 0) ** 3, 0)
        degree = np.maximum(affinity.sum(axis=1), 1e-300)
        flow = affinity / np.sqrt(degree)[:, None] / np.sqrt(degree)
        start = np.zeros(TOP)
        direct = np.maximum(block @ query, 0)
        first = np.argsort(-direct, kind="stable")[:5]
        start[first] = direct[first] ** 3
        return -np.linalg.solve(np.eye(TOP) - 0.9 * flow, start).round(9)

    found = rows("diffusion", a=0.9, k=6, k_query=5, iterations=500)
    assert np.array_equal(found, by_score(scores))


def test_diffusion_that_does_not_flow_gives_the_order_of_the_nearest() -> None:
    assert np.array_equal(rows("diffusion", a=0.0), FOUND.rows)
    assert np.array_equal(rows("diffusion", a=1e-9, k_query=TOP), FOUND.rows)
    assert not np.array_equal(rows("diffusion"), FOUND.rows)


def test_the_system_of_diffusion_is_symmetric_and_positive_definite() -> None:
    flow = graph(GALLERY[:80], 10, 3.0)
    assert np.array_equal(flow, flow.T)
    assert np.linalg.eigvalsh(np.eye(80) - 0.99 * flow).min() > 0
    assert not flow.diagonal().any()


def test_diffusion_follows_a_chain() -> None:
    # A bow of photos leads away from the query; a stranger is nearer to the query than the bow's end.
    angles = np.radians([5, 15, 25, 35, 45])
    bow = np.stack([np.cos(angles), np.sin(angles), np.zeros(5)], axis=1)
    gallery = np.concatenate([bow, [[np.cos(np.radians(40)), 0, np.sin(np.radians(40))]]]).astype(np.float32)
    queries = np.array([[1, 0, 0]], np.float32)
    found = exhaustive.search(queries, gallery, 6)
    assert found.rows.tolist() == [[0, 1, 2, 3, 5, 4]]
    done = RERANKERS["diffusion"].rerank(queries, found, gallery, k=2, k_query=2)
    assert done.rows[0, -1] == 5


# Exact re-score.


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "dot"])
def test_exact_puts_a_shuffled_block_in_order(metric: str) -> None:
    gallery, queries = GALLERY * np.linspace(0.5, 2, len(GALLERY), dtype=np.float32)[:, None], QUERIES * 3
    inner = queries.astype(np.float64) @ gallery.T
    lengths = np.linalg.norm(gallery.astype(np.float64), axis=1)
    truth = {
        "dot": -inner,
        "cosine": 1 - inner / lengths / 3,
        "euclidean": np.sqrt(((queries[:, None].astype(np.float64) - gallery) ** 2).sum(axis=2)),
    }[metric]
    order = np.argsort(truth, axis=1)[:, :40]
    mixed = np.random.default_rng(0).permuted(order, axis=1)
    estimates = np.random.default_rng(1).random(mixed.shape, np.float32)
    counts = np.zeros(len(queries), np.int64)
    found = Ranking(mixed, estimates, counts, counts)
    done = RERANKERS["exact"].rerank(queries, found, gallery, metric=metric)
    assert np.array_equal(done.rows, order)
    np.testing.assert_allclose(done.distances, np.take_along_axis(truth, order, axis=1), atol=1e-5)


def test_exact_is_exhaustive_search_with_ties_by_row() -> None:
    gallery = np.random.default_rng(0).integers(0, 3, (90, 4)).astype(np.float32)
    whole = exhaustive.search(gallery[:9], gallery, 90)
    mixed = np.random.default_rng(0).permuted(whole.rows, axis=1)
    found = Ranking(mixed, np.zeros_like(whole.distances), whole.scanned, whole.probes)
    done = RERANKERS["exact"].rerank(gallery[:9], found, gallery, top=90)
    assert np.array_equal(done.rows, whole.rows)
    np.testing.assert_allclose(done.distances, whole.distances, rtol=1e-5)


# Relevance feedback.


def test_feedback_is_its_formula() -> None:
    liked, disliked = FOUND.rows[:, [3, 8]], FOUND.rows[:, [0]]
    expected = FOUND.rows.copy()
    for i, query in enumerate(QUERIES.astype(np.float64)):
        moved = unit(query + 0.5 * GALLERY[liked[i]].mean(axis=0) - 0.25 * GALLERY[disliked[i]].mean(axis=0))
        block = FOUND.rows[i, :TOP]
        expected[i, :TOP] = block[np.argsort(-(GALLERY[block] @ moved))]
    given = {"relevant": liked, "non_relevant": disliked, "beta": 0.5, "gamma": 0.25}
    assert np.array_equal(rows("rocchio", **given), expected)


def test_queries_without_judgements_keep_their_order() -> None:
    assert np.array_equal(rows("rocchio"), FOUND.rows)
    judged = [[] for _ in QUERIES]
    judged[4] = [int(FOUND.rows[4, 9])]
    done = rows("rocchio", relevant=judged)
    changed = [i for i in range(len(QUERIES)) if not np.array_equal(done[i], FOUND.rows[i])]
    assert changed == [4]
    assert np.array_equal(done, rows("rocchio", relevant=[each * 2 for each in judged]))  # told twice


@pytest.mark.parametrize(
    ("judged", "says"),
    [
        ([[1]], "one list of gallery rows per query, 11; got 1"),
        ([[1.5]] * 11, "query 0 must be a list of gallery rows"),
        ([[200]] * 11, "between 0 and 199"),
        ([[-1]] * 11, "between 0 and 199"),
        ([3] * 11, "query 0 must be a list"),
    ],
)
def test_judgements_that_cannot_be_are_refused(judged: Any, says: str) -> None:
    for name in ("relevant", "non_relevant"):
        with pytest.raises(UsageError, match=says):
            rows("rocchio", **{name: judged})
