"""The contract of the registry: every measure is its definition, on every path, whatever the order of the gallery."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_measures import expected, value

from aeret.errors import RunError, UnknownNameError, UsageError
from aeret.evaluation.metrics import (
    METRICS,
    FixedOrder,
    Judge,
    Measure,
    WholeCodes,
    WholeGallery,
    average,
    evaluator,
    measure,
    parse,
    peak_bytes,
)
from aeret.evaluation.relevance import Truth, relevance
from aeret.retrieval import exhaustive
from aeret.retrieval.ranking import Ranking


def variants(name: str, cutoff: int, **fixed: str) -> list[Measure]:
    """Every choice of every parameter of a measure, one at a time, with and without a cut-off."""
    definition = METRICS[name]
    options: list[dict[str, str]] = [{}]
    for key, parameter in definition.parameters.items():
        if key not in ("rel", "gallery", "search", "self", "empty", "average", *fixed):
            options += [{key: choice} for choice in parameter.choices if choice != parameter.default]
    rels = ("any", "jaccard") if definition.graded else ("any",)
    ends = {"needed": [f"@{cutoff}"], "none": [""], "optional": ["", f"@{cutoff}"]}[definition.cutoff]
    known = {key: choice for key, choice in fixed.items() if key in definition.parameters}
    return [
        parse(f"{name}({','.join(f'{k}={v}' for k, v in ({'rel': rel} | known | each).items())}){end}")
        for each in options
        for rel in rels
        for end in ends
    ]


def task(seed: int, queries: int, gallery: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray, Truth]:
    """Vectors on a line, so that distances tie a lot, and labels; the first query has none."""
    rng = np.random.default_rng(seed)
    asked = rng.integers(0, 3, (queries, 1)).astype(np.float32)
    found = rng.integers(0, 4, (gallery, 1)).astype(np.float32)
    labels = [rng.random((n, classes)) < 0.4 for n in (queries, gallery)]
    labels[0][0] = False
    return asked, found, Truth(labels[0], labels[1], np.full(queries, -1, np.int64))


def gains_of(truth: Truth, rel: str) -> np.ndarray:
    return relevance(rel, truth).gains(np.arange(len(truth.query_labels))).astype(np.float64)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), gallery=st.integers(2, 7), cutoff=st.integers(1, 8))
@pytest.mark.parametrize("name", METRICS)
def test_every_measure_is_its_definition(name: str, seed: int, gallery: int, cutoff: int) -> None:
    asked, found, truth = task(seed, 4, gallery)
    squared = (asked - found.T) ** 2
    ranking = exhaustive.search(asked, found, gallery)
    measures = [*variants(name, cutoff), *variants(name, cutoff, ties="expected")]
    values = measure(measures, ranking, truth)
    whole = measure(measures, WholeGallery(asked, found), truth)
    for each in measures:
        np.testing.assert_array_equal(values[each], whole[each])
        gains = gains_of(truth, each.rel)
        for q in range(len(asked)):
            order = np.argsort(squared[q], kind="stable")
            ordered = gains[q, order].tolist()
            if each.options.get("ties") == "expected":
                sizes = np.unique(squared[q], return_counts=True)[1].tolist()
                right = expected(each, ordered, sizes)
            else:
                right = value(each, ordered, sorted(ordered, reverse=True))
            np.testing.assert_allclose(values[each][q], right, rtol=1e-9, atol=1e-12, err_msg=str(each))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_binary_codes_are_measured_as_their_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    asked, found = rng.random((3, 70)) < 0.1, rng.random((40, 70)) < 0.1
    truth = task(seed, 3, 40)[2]
    truth = replace(truth, exclude=np.array([4, -1, 39]))
    distances = (asked[:, None] != found[None]).sum(axis=2).astype(np.float32)
    rows = np.argsort(distances, axis=1, kind="stable")
    ranking = Ranking(rows, np.take_along_axis(distances, rows, axis=1), np.zeros(3, int), np.zeros(3, int))
    names = [m for name in METRICS for m in (*variants(name, 9), *variants(name, 9, ties="expected"))]
    names += [parse("AP(average=class,ties=expected)"), parse("P(average=class)@3")]
    codes = WholeCodes(asked, found)
    listed, whole = measure(names, ranking, truth), measure(names, codes, truth)
    for each in names:
        np.testing.assert_allclose(whole[each], listed[each], rtol=1e-12, err_msg=str(each))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_permuting_the_gallery_never_changes_a_measure(seed: int) -> None:
    rng = np.random.default_rng(seed)
    asked, found, truth = task(seed, 5, 30)
    apart = rng.standard_normal((30, 6)).astype(np.float32), rng.standard_normal((5, 6)).astype(np.float32)
    order = rng.permutation(30)
    moved = replace(truth, gallery_labels=truth.gallery_labels[order])
    # Ties by their expectation; without ties, by id as well.
    for queries, gallery, ties in ((asked, found, "expected"), (apart[1], apart[0], "id")):
        names = [each for name in METRICS for each in variants(name, 7, ties=ties)]
        first = measure(names, WholeGallery(queries, gallery), truth)
        second = measure(names, WholeGallery(queries, np.ascontiguousarray(gallery[order])), moved)
        for each in names:
            if ties == "id" or each.name != "PR":  # the curve knows no expectation
                np.testing.assert_allclose(first[each], second[each], rtol=1e-12, err_msg=str(each))


def test_random_orders_of_ties_average_to_the_expectation() -> None:
    rng = np.random.default_rng(0)
    asked, found, truth = task(3, 4, 40)
    names = [each for name in METRICS if name != "PR" for each in variants(name, 10)]
    totals = {each: np.zeros(4) for each in names}
    for _ in range(400):
        order = rng.permutation(40)
        moved = replace(truth, gallery_labels=truth.gallery_labels[order])
        for each, values in measure(names, WholeGallery(asked, found[order]), moved).items():
            totals[each] += values / 400
    for each in names:
        if "ties" not in dict(each.changed):
            text = str(each).replace(f"rel={each.rel}", f"rel={each.rel},ties=expected")
            right = measure([text], WholeGallery(asked, found), truth)[parse(text)]
            np.testing.assert_allclose(totals[each], right, atol=0.06, err_msg=str(each))


def test_results_do_not_depend_on_batches_or_company(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((700, 37)).astype(np.float32)
    labels = rng.random((700, 5)) < 0.3
    truth = Truth(labels, labels, np.arange(700))
    names = ["AP", "AP(average=class)", "nDCG(rel=jaccard)@7", "AUC(ties=expected)", "R(average=micro)@20", "PR"]
    whole = measure(names, WholeGallery(vectors, vectors), truth)
    monkeypatch.setattr(evaluator, "_LARGEST_BLOCK", 31)
    again = measure(names, WholeGallery(vectors, vectors), truth)
    part = replace(truth, query_labels=labels[600:603], exclude=np.arange(600, 603))
    few = measure(names, WholeGallery(vectors[600:603], vectors), part)
    for each in whole:
        np.testing.assert_allclose(whole[each], again[each], rtol=1e-5)
        if each.options.get("average") != "micro":
            np.testing.assert_allclose(whole[each][600:603], few[each], rtol=1e-5)


def test_measures_asked_for_together_do_not_disturb_each_other() -> None:
    rng = np.random.default_rng(4)
    vectors, labels = rng.standard_normal((333, 5)).astype(np.float32), rng.random((333, 6)) < 0.2
    truth, source = Truth(labels, labels, np.arange(333)), WholeGallery(vectors, vectors)
    names = ["AP", "AP(self=included)", "AUC(ties=expected)", "nDCG(rel=jaccard)@20", "AP(average=class)"]
    together = measure(names, source, truth)
    for name in names:
        np.testing.assert_array_equal(together[parse(name)], measure([name], source, truth)[parse(name)])


def test_the_query_itself_may_count_or_not() -> None:
    vectors = np.array([[0], [1], [3], [7]], np.float32)
    labels = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], bool)
    truth = Truth(labels, labels, np.arange(4))
    with_self = exhaustive.search(vectors, vectors, 4)
    without = exhaustive.search(vectors, vectors, 3, np.arange(4))
    names = ["P@1", "P(self=included)@1", "R(self=included)@2"]
    found = measure(names, with_self, truth)
    assert found[parse(names[0])].tolist() == measure(["P@1"], without, truth)[parse("P@1")].tolist() == [0, 0, 0, 0]
    assert found[parse(names[1])].tolist() == [1, 1, 1, 1]
    assert found[parse(names[2])].tolist() == [0.5, 0.5, 0.5, 0.5]
    whole = measure(names, WholeGallery(vectors, vectors), truth)
    for each in whole:
        np.testing.assert_array_equal(whole[each], found[each])
    with pytest.raises(UsageError, match="found itself in none"):
        measure(["P(self=included)@1"], without, truth)


def test_a_query_without_relevant_photos_is_skipped_or_nought() -> None:
    asked, found, truth = task(1, 3, 6)
    for name in METRICS:
        for each in variants(name, 3):
            zero = parse(str(each).replace(f"rel={each.rel}", f"rel={each.rel},empty=zero"))
            values = measure([each, zero], WholeGallery(asked, found), truth)
            assert np.isnan(values[each][0]).all(), each
            assert (values[zero][0] == 0).all(), each


def test_pooled_and_class_averages_by_hand() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 1]], bool)
    gallery = np.array([[1, 0], [1, 0], [0, 1], [1, 1]], bool)
    truth = Truth(labels, gallery, np.full(3, -1))
    rows = np.array([[2, 0, 1, 3], [0, 1, 2, 3], [3, 0, 1, 2]])
    ranking = Ranking(rows, np.zeros((3, 4), np.float32), np.zeros(3, int), np.zeros(3, int))
    names = ["R@2", "R(average=micro)@2", "P(average=class)@2"]
    found = measure(names, ranking, truth)
    plain, pooled, classes = (found[parse(name)] for name in names)
    np.testing.assert_allclose(plain, [1 / 3, 2 / 4, 1 / 2])
    assert average(parse(names[1]), pooled) == pytest.approx((1 + 2 + 1) / (3 + 4 + 2))
    np.testing.assert_array_equal(classes, [[0.5, np.nan], [1, 0], [np.nan, 0.5]])
    assert average(parse(names[2]), classes) == pytest.approx((0.75 + 0.25) / 2)


@pytest.mark.parametrize("name", METRICS)
def test_measures_print_and_parse(name: str) -> None:
    for each in (*variants(name, 5), *variants(name, 5, ties="expected", gallery="real", search="exhaustive")):
        assert parse(str(each)) == each


def test_names_of_reports_stay() -> None:
    for name in (
        "P(rel=any)@10", "R(rel=any,capped)@5", "Hit(rel=any)@10", "AP(rel=any)", "AP(rel=any)@30",
        "P(rel=any,average=class)@10", "AP(rel=any,average=class)", "nDCG(rel=layout,gallery=real)@10",
        "nDCG(rel=jaccard,search=exhaustive)@10",
    ):  # fmt: skip
        assert str(parse(name)) == name
    assert str(parse("mAP(denominator=hits)@5000")) == "AP(rel=any,denominator=hits)@5000"
    assert parse("P(average=query,rel=any)@3") == parse("P@3")


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("nDGC@10", 0, "Did you mean 'nDCG'"),
        ("ndcg@10", 0, "Did you mean 'nDCG'"),
        ("", 0, "begins with its name"),
        ("P", 1, "needs a number of results"),
        ("P(rel=ani)@3", 6, "Did you mean 'any'"),
        ("P(rell=any)@3", 2, "Did you mean 'rel'"),
        ("P(rel)@3", 5, "needs a value"),
        ("P(rel=any,rel=any)@3", 10, "given twice"),
        ("P(rel=any@3", 9, "closing bracket"),
        ("P(rel=)@3", 6, "A value of rel"),
        ("P()@3", 2, "parameter of P was expected"),
        ("AUC@3", 3, "no cut-off"),
        ("AP@0", 3, "at least 1"),
        ("P@1_0", 2, "at least 1"),
        ("P)3", 1, "expected"),
        ("AP(average=class,rel=layout)", 3, "goes with rel=any"),
        ("PR(ties=expected)", 3, "no parameter of PR"),
    ],
)
def test_mistakes_are_shown_where_they_are(text: str, place: int, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse(text)
    assert str(caught.value).splitlines()[-2:] == [f"  {text}", f"  {' ' * place}^"]
    assert isinstance(caught.value, UnknownNameError) == ("There is no" in str(caught.value))


def test_too_few_results_are_refused() -> None:
    asked, found, truth = task(1, 4, 20)
    ranking = exhaustive.search(asked, found, 6)
    for name, said in {
        "P@7": "needs 7 results; the ranking holds 6 of 20",
        "AP": "needs all of the gallery",
        "RPrec": "as many results as there are relevant photos",
        "P(ties=expected)@6": "may go on beyond the 6 results",
    }.items():
        with pytest.raises(UsageError, match=said):
            measure([name], ranking, truth)
    with pytest.raises(UsageError, match="has no distances"):
        measure(["AP(ties=expected)"], FixedOrder(np.arange(20, dtype=np.int32), 4), truth)
    with pytest.raises(UsageError, match="results of 4 queries and the labels of 3"):
        measure(["P@1"], ranking, replace(truth, query_labels=truth.query_labels[:3], exclude=truth.exclude[:3]))


def test_relevant_photos_are_those_that_share_a_label_but_the_query_itself() -> None:
    rng = np.random.default_rng(0)
    labels, found = rng.random((90, 70)) < 0.03, rng.random((300, 70)) < 0.03
    own = np.where(np.arange(90) % 3, rng.permutation(300)[:90], -1)
    shared = labels.astype(int) @ found.T.astype(int) > 0
    shared[own >= 0, own[own >= 0]] = False
    np.testing.assert_array_equal(Judge(Truth(labels, found, own)).totals("any").relevant, shared.sum(axis=1))


def test_other_cut_offs_never_change_a_value() -> None:
    _, _, truth = task(5, 4, 60)
    rng = np.random.default_rng(0)
    whole = WholeGallery(rng.standard_normal((4, 5), np.float32), rng.standard_normal((60, 5), np.float32))
    together = measure(["AP", *(f"AP@{k}" for k in range(1, 61))], whole, truth)
    for each in together:
        np.testing.assert_array_equal(together[each], measure([each], whole, truth)[each])


def test_a_fixed_order_is_a_ranking_of_it() -> None:
    _, _, truth = task(2, 4, 25)
    truth = replace(truth, exclude=np.array([3, -1, 24, 0]))
    order = np.random.default_rng(0).permutation(25).astype(np.int32)
    ranking = Ranking(np.tile(order.astype(np.int64), (4, 1)), np.zeros((4, 25), np.float32), *np.zeros((2, 4), int))
    names = ["AP", "P@5", "PR", "nDCG(rel=jaccard)@5", "AUC"]
    fixed, listed = measure(names, FixedOrder(order, 4), truth), measure(names, ranking, truth)
    for each in fixed:
        np.testing.assert_array_equal(fixed[each], listed[each])


_EVERY = [f"{name}(rel=any)@{k}" for name in ("P", "AP", "nDCG") for k in (1, 10, 100)] + ["AP(average=class)@50"]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("vectors", [*_EVERY, "AP", "AUC(ties=expected)"]),
        ("vectors", ["AP"]),
        ("vectors", ["AP", "AP(self=included)"]),
        ("vectors", ["AP(rel=jaccard)"]),
        ("vectors", ["AP", "AP(self=included)", "AP(rel=jaccard)", "AP(rel=jaccard,self=included)"]),
        ("vectors", ["AP(ties=expected)", "AP(ties=expected,self=included)", "AUC(ties=expected)"]),
        ("codes", [*_EVERY, "AP(ties=expected)", "PR"]),
        ("codes", ["AP(ties=expected)"]),
        ("ranking", _EVERY),
    ],
)
def test_the_peak_is_estimated_and_kept(source: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    gallery, queries = 20_000, 300
    labels = rng.random((gallery, 20)) < 0.1
    truth = Truth(labels[:queries], labels, np.arange(queries))
    vectors = rng.standard_normal((gallery, 8)).astype(np.float32)
    results: Ranking | WholeGallery | WholeCodes
    if source == "vectors":
        results = WholeGallery(vectors[:queries], vectors)
    elif source == "codes":
        results = WholeCodes(vectors[:queries] > 0, vectors > 0)
    else:
        results = exhaustive.search(vectors[:queries], vectors, 100, np.arange(queries))
    estimate = peak_bytes(names, results, truth)
    tracemalloc.start()
    measure(names, results, truth)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < estimate < 5 * peak + 2**25
    assert estimate < queries * gallery * 64  # what whole matrices would take
    monkeypatch.setattr("aeret.evaluation.memory.available_bytes", lambda: 1000)
    with pytest.raises(RunError, match="GiB are free"):
        measure(names, results, truth)
