"""Compute measures per query from one pass over the results, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.evaluation.memory import demand_memory
from aeret.evaluation.metrics.averages import mean
from aeret.evaluation.metrics.judge import BLOCK_BYTES, Judge
from aeret.evaluation.metrics.naming import Measure, parse
from aeret.evaluation.metrics.orders import Listed, Orders
from aeret.evaluation.metrics.ranked import EVERYTHING, Counts, Ranked, Ties, Values
from aeret.evaluation.relevance import Truth
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking

_BLOCK_BYTES = 128 * 2**20
_LARGEST_BLOCK = 512
_ORDER_BYTES, _HIT_BYTES, _TIE_BYTES, _GAIN_BYTES = 40, 40, 80, 32
"""Bytes for each query and result of a block: its order, hits and sums of them, groups of ties, and graded gains."""


@dataclass(frozen=True)
class _Group:
    """Measures that differ in nothing but their cut-off."""

    measures: tuple[Measure, ...]
    cutoffs: Counts
    """int64 (m,), rising; EVERYTHING for a measure without one."""

    @property
    def first(self) -> Measure:
        return self.measures[0]

    @property
    def graded(self) -> bool:
        return self.first.definition.graded

    @property
    def by_class(self) -> bool:
        return self.first.options.get("average") == "class"

    @property
    def pooled(self) -> bool:
        return self.first.options.get("average") == "micro"

    @property
    def tied(self) -> bool:
        return self.first.options.get("ties") == "expected"

    @property
    def with_self(self) -> bool:
        return self.first.options["self"] == "included"


@dataclass(frozen=True)
class _Block:
    """Ordered results of consecutive queries."""

    queries: Counts
    rows: NDArray[np.int64]
    tied: NDArray[np.bool_] | None


def measure(
    measures: Iterable[Measure | str], results: Ranking | Orders, truth: Truth | Judge, *, progress: Progress = silent
) -> dict[Measure, Values]:
    """Compute each measure for every query, in the order asked for.

    Args:
        measures: measures or their names.
        results: the ranking of a search, or whole-gallery orders, which are made block by block.
        truth: labels, masks and the gallery row of each query; or a :class:`Judge` that knows totals already.
        progress: shows queries done and how much memory is needed.

    Returns:
        float64 (q,); with ``average=class`` (q, c), NaN if the query does not have the class; for a curve (q, levels).
        NaN marks a skipped query. :func:`average` turns the values into the measure's average.

    Raises:
        UsageError: a name is wrong, or the results are too few for a measure, or do not fit the truth.
        RunError: the machine has less memory than this needs.

    Example:
        >>> values = measure(["P@10", "nDCG(rel=jaccard)@10"], ranking, truth)  # doctest: +SKIP
    """
    groups, orders, judge = _asked(measures, results, truth)
    if orders.queries != len(judge):
        raise UsageError(f"There are results of {orders.queries} queries and the labels of {len(judge)}.")
    for group in groups:
        _check(group, orders, judge.with_self if group.with_self else judge, judge.truth.exclude)
    needed = _peak(groups, orders, judge)
    demand_memory(needed)
    out, weights = [_empty(group, judge) for group in groups], [_empty(group, judge) for group in groups]
    size = _block_size(groups, orders, judge)
    with progress(f"measures, about {-(-needed // 2**20)} MiB of memory", orders.queries, unit="query") as step:
        for start in range(0, orders.queries, size):
            stop = min(start + size, orders.queries)
            _measure_block(groups, orders, judge, (start, stop), out, weights)
            step(stop - start)
    found: dict[Measure, Values] = {}
    for group, values, weight in zip(groups, out, weights, strict=True):
        for row, each in enumerate(group.measures):
            scale = mean(weight[row]) if group.pooled else 0.0
            found[each] = values[row] * weight[row] / scale if scale > 0 else values[row]
    return {each: found[each] for each in _parsed(measures)}


def peak_bytes(measures: Iterable[Measure | str], results: Ranking | Orders, truth: Truth | Judge) -> int:
    """Estimate the peak of memory, bytes, that :func:`measure` adds to the same arguments."""
    return _peak(*_asked(measures, results, truth))


def _parsed(measures: Iterable[Measure | str]) -> tuple[Measure, ...]:
    return tuple(dict.fromkeys(parse(each) if isinstance(each, str) else each for each in measures))


def _asked(
    measures: Iterable[Measure | str], results: Ranking | Orders, truth: Truth | Judge
) -> tuple[list[_Group], Orders, Judge]:
    alike: dict[tuple[object, ...], list[Measure]] = {}
    for each in _parsed(measures):
        alike.setdefault((each.name, each.rel, each.changed), []).append(each)
    groups = []
    for some in alike.values():
        some.sort(key=lambda each: each.cutoff or EVERYTHING)
        groups.append(_Group(tuple(some), np.array([each.cutoff or EVERYTHING for each in some], np.int64)))
    orders: Orders = Listed(results) if isinstance(results, Ranking) else results
    return groups, orders, truth if isinstance(truth, Judge) else Judge(truth)


# --- what the results must hold ---------------------------------------------------------------------------------------


def _check(group: _Group, orders: Orders, judge: Judge, own: Counts) -> None:
    """Raise if the results are too few for a measure; ``own`` is each query's gallery row, or -1."""
    last = group.measures[-1]
    if group.with_self and (own >= 0).any() and not _holds(orders, own):
        raise UsageError(f"{last}: the query found itself in none of the results. Search without leaving it out.")
    if group.tied and not orders.has_distances:
        raise UsageError(f"{last} looks at ties, and one fixed order has no distances.")
    if orders.results >= int(judge.candidates.max(initial=0)):
        return
    found = orders.results - int(not orders.whole and _holds(orders, judge.truth.exclude))
    wanted, why = int(group.cutoffs[-1]), "all of the gallery"
    if "relevant" in (group.first.definition.depth, group.first.options.get("depth")):
        wanted = min(wanted, int(_relevant(group, judge).max(initial=0)))
        why = f"as many results as there are relevant photos ({wanted})"
    elif last.cutoff is not None:
        why = f"{wanted} results"
    remedy = "Search for more results, or measure whole-gallery orders (WholeGallery, WholeCodes)."
    if wanted > found:
        raise UsageError(
            f"{last} needs {why}; the ranking holds {found} of {int(judge.candidates.max())} photos. {remedy}"
        )
    if group.tied and isinstance(orders, Listed):
        distances = orders.ranking.distances
        open_end = distances[:, min(wanted, found) - 1] == distances[:, -1]
        if open_end.any():
            raise UsageError(
                f"{last}: what ties with result {min(wanted, found)} may go on beyond the {found} results of "
                f"{int(open_end.sum())} queries, the first of them number {int(open_end.argmax())}. {remedy}"
            )


def _holds(orders: Orders, own: Counts) -> bool:
    """Return whether any query is among its own results."""
    if (own < 0).all():
        return False
    return not isinstance(orders, Listed) or bool((orders.ranking.rows == own[:, None]).any())


def _relevant(group: _Group, judge: Judge) -> Counts:
    return judge.held[judge.truth.query_labels] if group.by_class else judge.totals(group.first.rel).relevant


# --- memory -----------------------------------------------------------------------------------------------------------


def _query_bytes(groups: Sequence[_Group], orders: Orders, judge: Judge) -> int:
    """Return the bytes of one query of a block: its order, and the largest of the judgements of it."""
    largest = 0.0
    for group in groups:
        rows = max(1.0, float(judge.truth.query_labels.sum(axis=1).mean())) if group.by_class and len(judge) else 1.0
        each = _HIT_BYTES + _TIE_BYTES * group.tied + _GAIN_BYTES * group.graded
        columns = len(group.measures) * max(1, group.first.definition.levels) * 24
        largest = max(largest, rows * (orders.results * each + columns))
    # Relevance of a whole gallery is judged in its own order first.
    return int(orders.results * _ORDER_BYTES + largest)


def _block_size(groups: Sequence[_Group], orders: Orders, judge: Judge) -> int:
    """Return the number of queries in a block; no number depends on it."""
    return int(np.clip(_BLOCK_BYTES // max(1, _query_bytes(groups, orders, judge)), 1, _LARGEST_BLOCK))


def _peak(groups: Sequence[_Group], orders: Orders, judge: Judge) -> int:
    queries, classes = judge.truth.query_labels.shape
    numbers = sum(len(g.measures) * (classes if g.by_class else max(1, g.first.definition.levels)) for g in groups)
    labels = 4 * classes * (queries + len(judge.truth.gallery_labels))
    ideal = queries * 4 * max((int(g.cutoffs[-1]) for g in groups if g.graded), default=0)
    block = min(queries, _block_size(groups, orders, judge)) * _query_bytes(groups, orders, judge)
    return int(2 * queries * numbers * 8 + labels + ideal + block + BLOCK_BYTES + 2**23)


# --- one block --------------------------------------------------------------------------------------------------------


def _empty(group: _Group, judge: Judge) -> Values:
    width: tuple[int, ...] = ()
    if group.by_class:
        width = (judge.truth.query_labels.shape[1],)
    elif group.first.definition.levels:
        width = (group.first.definition.levels,)
    return np.full((len(group.measures), len(judge), *width), np.nan)


def _measure_block(
    groups: Sequence[_Group],
    orders: Orders,
    judge: Judge,
    span: tuple[int, int],
    out: Sequence[Values],
    weights: Sequence[Values],
) -> None:
    """Fill in the values of the queries ``span[0]`` to ``span[1]``."""
    blocks: dict[bool, _Block] = {}
    for group, values, weight in zip(groups, out, weights, strict=True):
        judging = judge.with_self if group.with_self else judge
        if group.with_self not in blocks:
            blocks.clear()  # one order is in memory at a time
            queries = np.arange(*span)
            blocks[group.with_self] = _Block(queries, *orders.block(*span, judging.truth.exclude[queries]))
        block = blocks[group.with_self]
        definition, options = group.first.definition, group.first.options
        if group.by_class:
            owners, classes = np.nonzero(judging.truth.query_labels[block.queries])
            ranked = _class_ranked(block, judging, owners, classes, group.tied)
            values[:, block.queries[owners], classes] = definition.values(ranked, group.cutoffs, options).T
            continue
        ranked = _graded(group, block, judging) if group.graded else _judged(group, block, judging)
        found = definition.values(ranked, group.cutoffs, options)
        if definition.levels:
            values[0, block.queries] = found[:, 0]
            continue
        values[:, block.queries] = found.T
        if group.pooled and definition.weight is not None:
            share = definition.weight(ranked, group.cutoffs, options)
            weight[:, block.queries] = np.where(np.isfinite(found), share, np.nan).T


def _judged(group: _Group, block: _Block, judge: Judge) -> Ranked:
    hits = judge.rule(group.first.rel).at(block.queries, block.rows) > 0
    relevant = judge.totals(group.first.rel).relevant[block.queries]
    return _ranked(hits, relevant, judge.candidates[block.queries], block.tied if group.tied else None)


def _class_ranked(block: _Block, judge: Judge, owners: Counts, classes: Counts, tied: bool) -> Ranked:
    """Return one row for each pair of a query and one of its classes."""
    queries = block.queries[owners]
    hits = judge.class_hits(queries, classes, block.rows[owners])
    groups = block.tied[owners] if tied and block.tied is not None else None
    return _ranked(hits, judge.held[queries, classes], judge.candidates[queries], groups)


def _ranked(hits: NDArray[np.bool_], relevant: Counts, candidates: Counts, tied: NDArray[np.bool_] | None) -> Ranked:
    none = np.empty((len(hits), 0))
    plain = Ranked(relevant, candidates, hits.view(np.uint8), none, none)
    if tied is None:
        return plain
    ties = Ties.of(plain.hits, tied)
    return replace(plain, hits=ties.hits / ties.size, ties=ties)


def _graded(group: _Group, block: _Block, judge: Judge) -> Ranked:
    top = min(int(group.cutoffs[-1]), len(judge.truth.gallery_labels))
    totals = judge.totals(group.first.rel, top)
    ideal = _gained(totals.ideal[block.queries, :top].astype(np.float64), group)
    width = block.rows.shape[1] if group.tied else top  # a tie may go on beyond the cut-off
    gains = _gained(judge.rule(group.first.rel).at(block.queries, block.rows[:, :width]).astype(np.float64), group)
    if group.tied and block.tied is not None:
        ties = Ties.of(np.zeros(gains.shape, np.int64), block.tied)
        sums = np.cumsum(gains, axis=1)
        last = ties.before + ties.size - 1
        first = np.take_along_axis(sums, ties.before, axis=1) - np.take_along_axis(gains, ties.before, axis=1)
        gains = (np.take_along_axis(sums, last, axis=1) - first) / ties.size
    none = np.empty((len(gains), 0))
    return Ranked(totals.relevant[block.queries], judge.candidates[block.queries], none, gains, ideal)


def _gained(gains: Values, group: _Group) -> Values:
    return np.exp2(gains) - 1 if group.first.options["gain"] == "exponential" else gains
