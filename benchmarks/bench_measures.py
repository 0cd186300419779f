"""All measures at every k against torchmetrics, ranx and pytorch-metric-learning; mAP of whole galleries against numpy.

``every k``: P, R, F, Hit, CMC, AP and nDCG at every k of 1 to 100 and RR, 701 measures of 5,000 queries with 100 given
neighbours among 20,000 photos of 80 classes; relevance and the counts of relevant photos are part of aeret's time. The
peers are asked for one k alone, 100: torchmetrics for precision, hit rate, reciprocal rank, AP and nDCG; ranx for these
and recall and F, building its Qrels and Run included. ``numbers`` says how many each side gives; ``difference`` is the
largest between the means of those whose definitions agree (torchmetrics' AP divides by the hits found; its nDCG knows
only the neighbours given, and is left out; ranx's names are ours, its AP divides by all relevant). pytorch-metric-
learning searches by itself: its R-precision and MAP@R of 2,000 queries are ``RPrec`` and ``AP(depth=relevant)`` here,
of whole-gallery orders of the same vectors.

``mAP, vectors``: 117,218 gallery vectors of 256 dimensions, labelled as COCO is; the peer, by query: a product with the
gallery, ``argsort``, the cumulated hits (as DeepHash-pytorch and its copies do). ``mAP, codes``: 48 bits; the peer is
DeepHash-pytorch's CalcTopMap, whose number depends on the order of ties; aeret's is the exact expectation. Times are
per 1,000 queries, measured on fewer: 2,500 (vectors) and 5,000 (codes) here, 32 by the peers. ``peak MiB``: of a fresh
process that makes the data and measures all 5,000 queries; ``estimate MiB``: what ``measure`` says it adds to them.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable

import numba
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aeret.evaluation.metrics import WholeCodes, WholeGallery, average, measure, parse, peak_bytes
from aeret.evaluation.relevance import Truth
from aeret.retrieval.bits import words_of_bools
from aeret.retrieval.ranking import Ranking
from aeret.rng import generator
from benchmarks.measure import Row, compare, peak_memory, report, skipped

QUERIES, GALLERY, CLASSES, RESULTS = 5000, 20_000, 80, 100
WHOLE, WIDTH, BITS = 117_218, 256, 48
THREADS = (1, 2)
EVERY = [f"{name}@{k}" for name in ("P", "R", "F", "Hit", "CMC", "AP", "nDCG") for k in range(1, RESULTS + 1)]
EVERY.append(f"RR@{RESULTS}")


def installed(*names: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in names)


def neighbours() -> tuple[Ranking, Truth, NDArray[np.int64], NDArray[np.int64]]:
    """Return rankings where about half of the first results share the query's class."""
    rng = generator(0, "bench measures")
    asked, found = rng.integers(0, CLASSES, QUERIES), rng.integers(0, CLASSES, GALLERY)
    rows = np.empty((QUERIES, RESULTS), np.int64)
    by_class = [np.flatnonzero(found == c) for c in range(CLASSES)]
    for q in range(QUERIES):
        near = rng.choice(by_class[asked[q]], RESULTS // 2, replace=False)
        some = np.concatenate([near, rng.integers(0, GALLERY, 4 * RESULTS)])
        first = np.sort(np.unique(some, return_index=True)[1])[:RESULTS]
        rows[q] = rng.permutation(some[first])
    distances = np.tile(np.arange(RESULTS, dtype=np.float32), (QUERIES, 1))
    none = np.zeros(QUERIES, np.int64)
    classes = np.arange(CLASSES)
    truth = Truth(asked[:, None] == classes, found[:, None] == classes, np.full(QUERIES, -1))
    return Ranking(rows, distances, none, none), truth, asked, found


def torchmetrics_numbers(ranking: Ranking, hits: NDArray[np.bool_], threads: int) -> dict[str, float]:
    import torch
    from torchmetrics import retrieval

    torch.set_num_threads(threads)
    queries, results = ranking.rows.shape
    indexes = torch.arange(queries).repeat_interleave(results)
    near, target = torch.from_numpy(results - ranking.distances.ravel()), torch.from_numpy(hits.ravel())
    made = {
        f"P@{RESULTS}": retrieval.RetrievalPrecision(top_k=results),
        f"Hit@{RESULTS}": retrieval.RetrievalHitRate(top_k=results),
        f"RR@{RESULTS}": retrieval.RetrievalMRR(),
        f"AP(denominator=hits)@{RESULTS}": retrieval.RetrievalMAP(top_k=results),
        "": retrieval.RetrievalNormalizedDCG(top_k=results),
    }
    return {name: float(each(near, target, indexes=indexes)) for name, each in made.items()}


RANX = {"P": "precision", "R": "recall", "F": "f1", "Hit": "hit_rate", "RR": "mrr", "nDCG": "ndcg"}


def ranx_numbers(
    ranking: Ranking, asked: NDArray[np.int64], found: NDArray[np.int64], threads: int
) -> dict[str, float]:
    from ranx import Qrels, Run, evaluate

    numba.set_num_threads(threads)
    by_class = [{str(d): 1 for d in np.flatnonzero(found == c)} for c in range(CLASSES)]
    qrels = Qrels({str(q): by_class[c] for q, c in enumerate(asked)})
    near = (-ranking.distances + RESULTS).tolist()
    rows = ranking.rows.astype(str).tolist()
    run = Run({str(q): dict(zip(rows[q], near[q], strict=True)) for q in range(len(rows))})
    names = {f"{ours}@{RESULTS}": f"{theirs}@{RESULTS}" for ours, theirs in RANX.items()}
    names[f"AP(denominator=relevant)@{RESULTS}"] = f"map@{RESULTS}"
    values = evaluate(qrels, run, list(names.values()))
    return {ours: float(values[theirs]) for ours, theirs in names.items()}


def everything(threads: int) -> list[Row]:
    ranking, truth, asked, found = neighbours()
    hits = asked[:, None] == found[ranking.rows]
    peers: dict[str, Callable[[], dict[str, float]]] = {}
    rows: list[Row] = []
    for name, modules, run in (
        ("torchmetrics", ("torch", "torchmetrics"), lambda: torchmetrics_numbers(ranking, hits, threads)),
        ("ranx", ("ranx",), lambda: ranx_numbers(ranking, asked, found, threads)),
    ):
        if installed(*modules):
            peers[name] = run
        else:
            rows.append(skipped(f"every k, {threads} threads", f"{name} is not installed"))
    if len(peers) == 2:
        peers["torchmetrics + ranx"] = lambda: peers["torchmetrics"]() | peers["ranx"]()
    for name, run in peers.items():
        given: dict[str, float] = {}
        timed = compare(
            lambda: measure(EVERY, ranking, truth, threads=threads),
            lambda: given.update(run()),  # noqa: B023
            rounds=2,
        )
        mine = measure([each for each in given if each], ranking, truth)
        off = max(abs(average(each, values) - given[_asked(given, str(each))]) for each, values in mine.items())
        rows.append(_row("every k", name, threads, timed.ours, timed.peer, timed.ratio, timed.low,
                         f"{len(EVERY)} : {len(given)}", off))  # fmt: skip
    return rows


def _asked(given: Iterable[str], name: str) -> str:
    return next(each for each in given if each and str(parse(each)) == name)


def metric_learning(threads: int) -> Row:
    if not installed("torch", "pytorch_metric_learning"):
        return skipped(f"MAP@R, {threads} threads", "pytorch-metric-learning is not installed")
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    torch.set_num_threads(threads)
    rng = generator(0, "bench metric learning")
    asked, found = rng.integers(0, CLASSES, 2000), rng.integers(0, CLASSES, GALLERY)
    centres = rng.standard_normal((CLASSES, 128), dtype=np.float32)
    queries, gallery = (centres[c] + 3 * rng.standard_normal((len(c), 128), dtype=np.float32) for c in (asked, found))
    names = {"RPrec": "r_precision", "AP(depth=relevant)": "mean_average_precision_at_r"}
    truth = Truth(asked[:, None] == np.arange(CLASSES), found[:, None] == np.arange(CLASSES), np.full(len(asked), -1))
    calculator = AccuracyCalculator(include=tuple(names.values()), k="max_bin_count", device=torch.device("cpu"))

    def ours() -> dict[str, float]:
        values = measure(names, WholeGallery(queries, gallery), truth, threads=threads)
        return {name: average(parse(name), values[parse(name)]) for name in names}

    def theirs() -> dict[str, float]:
        parts = (torch.from_numpy(part) for part in (queries, asked, gallery, found))
        return dict(calculator.get_accuracy(*parts))

    timed = compare(ours, theirs, rounds=2)
    mine, other = ours(), theirs()
    off = max(abs(mine[name] - other[theirs_name]) for name, theirs_name in names.items())
    return _row("MAP@R, RPrec", "pytorch-metric-learning", threads, timed.ours, timed.peer, timed.ratio, timed.low,
                "2 : 2", off)  # fmt: skip


def whole(count: int, queries: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Truth]:
    """Return vectors that say something of their labels, which are as in COCO: about three of 80, the first in half of
    the photos, and two of five pairs share one."""
    rng = generator(0, "bench whole")
    chance = np.minimum(0.54, 0.6 / np.arange(1, CLASSES + 1))
    labels = rng.random((count + queries, CLASSES)) < chance
    labels[:, 0] |= ~labels.any(axis=1)
    directions = rng.standard_normal((CLASSES, WIDTH), dtype=np.float32)
    vectors = labels.astype(np.float32) @ directions + 3 * rng.standard_normal((len(labels), WIDTH), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[:queries], vectors[queries:], Truth(labels[:queries], labels[queries:], np.full(queries, -1))


def ap(hits: NDArray[np.bool_]) -> float:
    places = np.flatnonzero(hits) + 1.0
    return float(np.mean(np.arange(1, len(places) + 1) / places)) if len(places) else float("nan")


def numpy_vectors(queries: NDArray[np.float32], gallery: NDArray[np.float32], truth: Truth) -> list[float]:
    asked, found = truth.query_labels.astype(np.float32), truth.gallery_labels.astype(np.float32)
    values = []
    for query, labels in zip(queries, asked, strict=True):
        order = np.argsort(-(gallery @ query))
        values.append(ap((found @ labels > 0)[order]))
    return values


def numpy_codes(queries: NDArray[np.float32], gallery: NDArray[np.float32], truth: Truth) -> list[float]:
    asked, found = truth.query_labels.astype(np.float32), truth.gallery_labels.astype(np.float32)
    values = []
    for query, labels in zip(queries, asked, strict=True):
        hamming = 0.5 * (BITS - gallery @ query)
        values.append(ap((found @ labels > 0)[np.argsort(hamming)]))
    return values


def whole_galleries(count: int, threads: int, queries: int = QUERIES, few: int = 32) -> list[Row]:
    vectors, gallery, truth = whole(count, queries)
    some = queries // 2  # of vectors, which take longer
    asked, found = vectors[:, :BITS] > 0, gallery[:, :BITS] > 0
    signs = np.where(asked[:few], 1, -1).astype(np.float32), np.where(found, 1, -1).astype(np.float32)
    codes = WholeCodes(words_of_bools(asked), words_of_bools(found))
    part = _first(truth, few)
    rows = []
    for what, peer, source, name, theirs in (
        ("mAP, vectors", "numpy by query", WholeGallery(vectors[:some], gallery), "AP",
         lambda: numpy_vectors(vectors[:few], gallery, part)),
        ("mAP, codes", "CalcTopMap", codes, "AP(ties=expected)", lambda: numpy_codes(signs[0], signs[1], part)),
    ):  # fmt: skip
        true = _first(truth, source.queries)
        with threadpool_limits(threads):
            timed = compare(lambda: measure([name], source, true, threads=threads), theirs, rounds=3)  # noqa: B023
            mine, other = measure([name], source, true)[parse(name)][:few], np.array(theirs())
        scale = source.queries / few
        seconds = timed.ours * 1000 / source.queries, timed.peer * 1000 / few
        off = float(np.abs(mine - other).max())
        rows.append(_row(what, peer, threads, *seconds, timed.ratio * scale, timed.low * scale, "1 : 1", off))
    return rows


def _first(truth: Truth, queries: int) -> Truth:
    return Truth(truth.query_labels[:queries], truth.gallery_labels, truth.exclude[:queries])


IMPORTS = """
import numpy as np
from aeret.evaluation.metrics import WholeCodes, WholeGallery, measure
from aeret.retrieval.bits import words_of_bools
from benchmarks.bench_measures import BITS, whole
"""
CODE = """
queries, gallery, truth = whole(int(arguments[1]), int(arguments[2]))
if arguments[0] == "vectors":
    measure(["AP"], WholeGallery(queries, gallery), truth, threads=2)
else:
    words = words_of_bools(queries[:, :BITS] > 0), words_of_bools(gallery[:, :BITS] > 0)
    del queries, gallery
    measure(["AP(ties=expected)"], WholeCodes(*words), truth, threads=2)
"""


def peaks(count: int, queries: int) -> list[Row]:
    asked, found, truth = whole(count, queries)
    codes = WholeCodes(words_of_bools(asked[:, :BITS] > 0), words_of_bools(found[:, :BITS] > 0))
    sources = {"vectors": ("AP", WholeGallery(asked, found)), "codes": ("AP(ties=expected)", codes)}
    rows = []
    for kind, (name, source) in sources.items():
        start = time.perf_counter()
        _, peak = peak_memory(IMPORTS, CODE, [kind, str(count), str(queries)])
        what, seconds = f"mAP, {kind}: {queries:,} queries, all in all", time.perf_counter() - start
        said = peak_bytes([name], source, truth, threads=2) / 2**20
        rows.append(
            {"what": what, "peer": "2 GiB", "threads": 2, "aeret s": seconds, "peak MiB": peak, "estimate MiB": said}
        )
    return rows


def _row(what: str, peer: str, threads: int, ours: float, theirs: float, ratio: float, low: float, numbers: str,
         off: float) -> Row:  # fmt: skip
    names = ("what", "peer", "threads", "aeret s", "peer s", "ratio", "lowest", "numbers", "difference")
    return dict(zip(names, (what, peer, threads, ours, theirs, ratio, low, numbers, off), strict=True))


def main(count: int = WHOLE, queries: int = QUERIES) -> list[Row]:
    rows: list[Row] = []
    for threads in THREADS:
        rows += [*everything(threads), metric_learning(threads), *whole_galleries(count, threads)]
    return rows + peaks(count, queries)


if __name__ == "__main__":
    report(__file__, main())
