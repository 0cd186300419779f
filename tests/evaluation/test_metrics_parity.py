"""Measures against ir-measures and scikit-learn; where definitions differ, the difference is named and tested."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, IPrec, P, R, Rprec, Success, nDCG
from sklearn.metrics import (
    average_precision_score,
    ndcg_score,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
)

from aeret.evaluation.metrics import WholeGallery, average, measure, parse
from aeret.evaluation.relevance import Truth, relevance

QUERIES, GALLERY = 15, 60


@pytest.fixture(scope="module")
def truth() -> Truth:
    rng = np.random.default_rng(5)
    labels = rng.random((QUERIES, 8)) < 0.25, rng.random((GALLERY, 8)) < 0.25
    labels[0][np.arange(QUERIES), np.arange(QUERIES) % 8] = True
    labels[0][0] = False
    return Truth(*labels, np.full(QUERIES, -1))


def lines(tied: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    if tied:
        return rng.integers(0, 4, (QUERIES, 2)).astype(np.float32), rng.integers(0, 4, (GALLERY, 2)).astype(np.float32)
    return rng.standard_normal((QUERIES, 9)).astype(np.float32), rng.standard_normal((GALLERY, 9)).astype(np.float32)


def ours(names: list[str], truth: Truth, tied: bool = False) -> list[np.ndarray]:
    values = measure(names, WholeGallery(*lines(tied)), truth)
    return [values[parse(name)] for name in names]


def theirs(measures: list[object], truth: Truth) -> list[np.ndarray]:
    queries, gallery = lines(False)
    far = ((queries[:, None] - gallery[None]) ** 2).sum(axis=2)
    relevant = (truth.query_labels.astype(int) @ truth.gallery_labels.T.astype(int)) > 0
    qrels = {str(q): {str(d): int(hit) for d, hit in enumerate(row)} for q, row in enumerate(relevant)}
    run = {str(q): {str(d): -float(x) for d, x in enumerate(row)} for q, row in enumerate(far)}
    found = {str(m): np.full(QUERIES, np.nan) for m in measures}
    for metric in ir_measures.iter_calc(measures, qrels, run):
        found[str(metric.measure)][int(metric.query_id)] = metric.value
    return [found[str(m)] for m in measures]


PAIRS = {
    "P@5": P @ 5,
    "R@5": R @ 5,
    "Hit@3": Success @ 3,
    "CMC@1": Success @ 1,
    "AP": AP,
    "AP(denominator=relevant)@10": AP @ 10,
    "RPrec": Rprec,
    "RR": RR,
    "nDCG@10": nDCG @ 10,
}


@pytest.mark.parametrize("name", PAIRS)
def test_agreement_with_ir_measures(name: str, truth: Truth) -> None:
    (mine,), (peer,) = ours([name], truth), theirs([PAIRS[name]], truth)
    assert np.isnan(mine[0])  # skipped, where the peer says 0
    np.testing.assert_allclose(mine[1:], peer[1:], rtol=1e-6)
    (zero,) = ours([name.replace("(", "(empty=zero,") if "(" in name else _with(name, "empty=zero")], truth)
    assert zero[0] == 0


def _with(name: str, parameter: str) -> str:
    head, _, cutoff = name.partition("@")
    return f"{head}({parameter})" + (f"@{cutoff}" if cutoff else "")


def test_the_denominators_of_average_precision(truth: Truth) -> None:
    """The peer's AP@10 divides by all relevant; ours, by default, by those that fit; hashing, by those found."""
    capped, hits, relevant, found, everything = ours(
        ["AP@10", "AP(denominator=hits)@10", "AP(denominator=relevant)@10", "P@10", "R@60"], truth
    )
    (peer,) = theirs([AP @ 10], truth)
    (counts,) = theirs([P @ 60], truth)
    total = counts[1:] * 60
    np.testing.assert_allclose(relevant[1:], peer[1:], rtol=1e-6)
    np.testing.assert_allclose(capped[1:] * np.minimum(10, total), peer[1:] * total, rtol=1e-6)
    np.testing.assert_allclose(hits[1:] * np.maximum(found[1:] * 10, 1), peer[1:] * total, rtol=1e-6, atol=1e-12)
    assert (everything[1:] == 1).all()
    assert (capped[1:] > peer[1:]).any()


def test_the_curve_is_interpolated_precision(truth: Truth) -> None:
    (curve,) = ours(["PR"], truth)
    for level in (0, 10, 50, 100):
        (peer,) = theirs([IPrec @ (level / 100)], truth)
        np.testing.assert_allclose(curve[1:, level], peer[1:], rtol=1e-6)


def scores(truth: Truth, tied: bool) -> tuple[np.ndarray, np.ndarray]:
    queries, gallery = lines(tied)
    relevant = (truth.query_labels.astype(int) @ truth.gallery_labels.T.astype(int)) > 0
    return relevant[1:], -((queries[:, None] - gallery[None]) ** 2).sum(axis=2)[1:]


@pytest.mark.parametrize("tied", [False, True])
def test_agreement_with_scikit_learn(truth: Truth, tied: bool) -> None:
    relevant, near = scores(truth, tied)
    auc, ndcg = ours(["AUC(ties=expected)", "nDCG(ties=expected)@10"], truth, tied)
    np.testing.assert_allclose(auc[1:], [roc_auc_score(a, b) for a, b in zip(relevant, near, strict=True)])
    each = [ndcg_score(a[None], b[None], k=10) for a, b in zip(relevant, near, strict=True)]
    np.testing.assert_allclose(ndcg[1:], each)


@pytest.mark.parametrize("gain", ["linear", "exponential"])
def test_graded_gains_agree_with_scikit_learn(truth: Truth, gain: str) -> None:
    """Its ndcg_score knows linear gains alone: the exponential ones are given to it."""
    _, near = scores(truth, True)
    gains = relevance("jaccard", truth).gains(np.arange(QUERIES)).astype(np.float64)[1:]
    gains = 2**gains - 1 if gain == "exponential" else gains
    (mine,) = ours([f"nDCG(rel=jaccard,gain={gain},ties=expected)@10"], truth, tied=True)
    np.testing.assert_allclose(mine[1:], [ndcg_score(a[None], b[None], k=10) for a, b in zip(gains, near, strict=True)])


def test_pooled_precision_recall_and_f_agree_with_scikit_learn(truth: Truth) -> None:
    relevant, near = scores(truth, False)
    found = np.zeros_like(relevant)
    np.put_along_axis(found, np.argsort(-near, axis=1)[:, :10], True, axis=1)
    names = [f"{name}(average=micro)@10" for name in ("P", "R", "F")]
    mine = [average(parse(name), values) for name, values in zip(names, ours(names, truth), strict=True)]
    peer = precision_recall_fscore_support(relevant.ravel(), found.ravel(), average="binary")[:3]
    np.testing.assert_allclose(mine, peer)


def test_ties_of_average_precision_in_scikit_learn_are_no_expectation(truth: Truth) -> None:
    """It takes a tie as one step of the curve; equal without ties, and not with them."""
    for tied in (False, True):
        relevant, near = scores(truth, tied)
        peer = np.array([average_precision_score(a, b) for a, b in zip(relevant, near, strict=True)])
        (mine,) = ours(["AP(ties=expected)"], truth, tied)
        assert np.allclose(mine[1:], peer) != tied


def test_the_curve_of_scikit_learn_is_not_interpolated(truth: Truth) -> None:
    relevant, near = scores(truth, False)
    (curve,) = ours(["PR"], truth)
    for row, (a, b) in enumerate(zip(relevant, near, strict=True), start=1):
        precision, recall, _ = precision_recall_curve(a, b)
        best = [precision[:-1][recall[:-1] >= level / 100 - 1e-12].max() for level in range(101)]
        np.testing.assert_allclose(curve[row], best)
