"""Measures against torchmetrics, ranx and pytorch-metric-learning, where they are installed.

They are heavy: ``benchmarks/requirements.txt`` has them; elsewhere these tests are skipped.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from aeret.evaluation.metrics import WholeGallery, average, measure, parse
from aeret.evaluation.metrics.ndcg import discounts
from aeret.evaluation.relevance import Truth
from aeret.retrieval import exhaustive
from aeret.retrieval.ranking import Ranking

QUERIES, GALLERY, CLASSES, N = 40, 300, 6, 30


@pytest.fixture(scope="module")
def task() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Truth]:
    """Classes of queries and gallery, their vectors and the truth; every class is there."""
    rng = np.random.default_rng(0)
    asked, found = np.arange(QUERIES) % CLASSES, rng.permutation(np.arange(GALLERY) % (2 * CLASSES))
    centres = rng.standard_normal((2 * CLASSES, 8))
    vectors = [(centres[c] + 1.5 * rng.standard_normal((len(c), 8))).astype(np.float32) for c in (asked, found)]
    classes = np.arange(2 * CLASSES)
    truth = Truth(asked[:, None] == classes, found[:, None] == classes, np.full(QUERIES, -1))
    return asked, found, vectors[0], vectors[1], truth


@pytest.fixture(scope="module")
def ranking(task: tuple[np.ndarray, ...]) -> Ranking:
    return exhaustive.search(task[2], task[3], N)


def means(names: list[str], results: Ranking | WholeGallery, truth: Truth) -> list[float]:
    values = measure(names, results, truth)
    return [average(parse(name), values[parse(name)]) for name in names]


def test_torchmetrics(task: tuple[np.ndarray, ...], ranking: Ranking) -> None:
    """Its MAP divides by the hits found; its nDCG knows the results given alone, so that its ideal is theirs."""
    torch = pytest.importorskip("torch")
    retrieval = pytest.importorskip("torchmetrics.retrieval")
    asked, found, *_, truth = task
    hits = asked[:, None] == found[ranking.rows]
    indexes = torch.arange(QUERIES).repeat_interleave(N)
    # Scores above 0: it puts what it fills up with among those below.
    near, target = torch.arange(N, 0, -1.0).repeat(QUERIES), torch.from_numpy(hits.ravel())

    def peer(each: object) -> float:
        return float(each(near, target, indexes=indexes))  # type: ignore[operator]

    names = [f"P@{N}", f"Hit@{N}", f"RR@{N}", f"AP(denominator=hits)@{N}"]
    made = [
        retrieval.RetrievalPrecision(top_k=N),
        retrieval.RetrievalHitRate(top_k=N),
        retrieval.RetrievalMRR(),
        retrieval.RetrievalMAP(top_k=N),
    ]
    np.testing.assert_allclose(means(names, ranking, truth), [peer(each) for each in made], rtol=1e-5)
    ndcg = measure([f"nDCG@{N}"], ranking, truth)[parse(f"nDCG@{N}")]
    ideal = np.concatenate([[0.0], np.cumsum(discounts(N))])
    ours = ndcg * ideal[min(N, GALLERY // (2 * CLASSES))] / ideal[hits.sum(axis=1)]
    theirs = peer(retrieval.RetrievalNormalizedDCG(top_k=N))
    assert np.mean(ours) == pytest.approx(theirs, rel=1e-5)
    assert np.mean(ndcg) < theirs


def test_ranx(task: tuple[np.ndarray, ...], ranking: Ranking) -> None:
    """Its names are ours; its MAP divides by all relevant photos."""
    ranx = pytest.importorskip("ranx")
    asked, found, *_, truth = task
    qrels = ranx.Qrels({str(q): {str(d): 1 for d in np.flatnonzero(found == c)} for q, c in enumerate(asked)})
    rows = ranking.rows.astype(str).tolist()
    run = ranx.Run({str(q): dict(zip(rows[q], range(N, 0, -1), strict=True)) for q in range(QUERIES)})
    names = {
        f"P@{N}": f"precision@{N}",
        f"R@{N}": f"recall@{N}",
        f"F@{N}": f"f1@{N}",
        "Hit@1": "hit_rate@1",
        f"RR@{N}": f"mrr@{N}",
        f"nDCG@{N}": f"ndcg@{N}",
        f"AP(denominator=relevant)@{N}": f"map@{N}",
        "RPrec": "r-precision",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its compiler
        theirs = ranx.evaluate(qrels, run, list(names.values()))
    peer = [theirs[each] for each in names.values()]
    np.testing.assert_allclose(means(list(names), ranking, truth), peer, rtol=1e-6)


def test_pytorch_metric_learning(task: tuple[np.ndarray, ...]) -> None:
    """What it calls MAP@R is AP(depth=relevant); its precision_at_1 is P@1."""
    torch = pytest.importorskip("torch")
    calculator = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator").AccuracyCalculator
    asked, found, queries, gallery, truth = task
    names = {"P@1": "precision_at_1", "RPrec": "r_precision", "AP(depth=relevant)": "mean_average_precision_at_r"}
    each = calculator(include=tuple(names.values()), k="max_bin_count", device=torch.device("cpu"))
    theirs = each.get_accuracy(*(torch.from_numpy(part) for part in (queries, asked, gallery, found)))
    ours = means(list(names), WholeGallery(queries, gallery), truth)
    np.testing.assert_allclose(ours, [theirs[name] for name in names.values()], rtol=1e-6)
