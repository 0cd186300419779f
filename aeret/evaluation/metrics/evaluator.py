"""Compute measures per query from one pass over the results, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from aeret.errors import UsageError
from aeret.evaluation.memory import block_bytes, demand_memory
from aeret.evaluation.metrics.averages import mean
from aeret.evaluation.metrics.block import JudgedBlock
from aeret.evaluation.metrics.judge import Judge
from aeret.evaluation.metrics.naming import Measure, parse
from aeret.evaluation.metrics.orders import Listed, Orders
from aeret.evaluation.metrics.ranked import EVERYTHING, Counts, Values
from aeret.evaluation.relevance import Truth
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking

_BLOCK_BYTES = 128 * 2**20
_LARGEST_BLOCK = 512
_ORDER_BYTES, _HIT_BYTES, _TIE_BYTES, _GAIN_BYTES = 40, 40, 80, 32
"""Bytes for each query and result of a block: its order, hits and sums of them, groups of ties, and graded gains."""
_REMEDY = "Search for more results, or measure whole-gallery orders (WholeGallery, WholeCodes)."


@dataclass(frozen=True)
class _Group:
    """Measures that differ in nothing but their cut-off."""

    measures: tuple[Measure, ...]
    """Rising cut-offs."""

    @property
    def first(self) -> Measure:
        return self.measures[0]

    @property
    def cutoffs(self) -> Counts:
        return np.array([each.cutoff or EVERYTHING for each in self.measures], np.int64)

    @property
    def average(self) -> str:
        return self.first.options.get("average", "")

    @property
    def tied(self) -> bool:
        return self.first.options.get("ties") == "expected"

    @property
    def with_self(self) -> bool:
        return self.first.options["self"] == "included"

    @property
    def shared(self) -> tuple[bool, str, bool]:
        return self.with_self, self.first.rel, self.tied


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
    asked = _parsed(measures)
    groups, orders, judge = _bound(asked, results, truth)
    if orders.queries != len(judge):
        raise UsageError(f"There are results of {orders.queries} queries and the labels of {len(judge)}.")
    for group in groups:
        _check(group, orders, judge)
    needed = _peak(groups, orders, judge)
    demand_memory(needed)
    values, weights = ({group: _empty(group, judge) for group in groups} for _ in range(2))
    size = _block_size(groups, orders, judge)
    with progress(f"measures, about {-(-needed // 2**20)} MiB of memory", orders.queries, unit="query") as step:
        for start in range(0, orders.queries, size):
            stop = min(start + size, orders.queries)
            for with_self, alike in groupby(groups, lambda group: group.with_self):
                # One order is in memory at a time.
                block = JudgedBlock(orders, judge.with_self if with_self else judge, start, stop)
                for group in alike:
                    _fill(group, block, values[group], weights[group])
            step(stop - start)
    found: dict[Measure, Values] = {}
    for group in groups:
        for each, own, weight in zip(group.measures, values[group], weights[group], strict=True):
            scale = mean(weight) if group.average == "micro" else 0.0
            found[each] = own * weight / scale if scale > 0 else own
    return {each: found[each] for each in asked}


def peak_bytes(measures: Iterable[Measure | str], results: Ranking | Orders, truth: Truth | Judge) -> int:
    """Estimate the peak of memory, bytes, that :func:`measure` adds to the same arguments."""
    return _peak(*_bound(_parsed(measures), results, truth))


def _parsed(measures: Iterable[Measure | str]) -> tuple[Measure, ...]:
    return tuple(dict.fromkeys(parse(each) if isinstance(each, str) else each for each in measures))


def _bound(
    asked: Sequence[Measure], results: Ranking | Orders, truth: Truth | Judge
) -> tuple[list[_Group], Orders, Judge]:
    alike: dict[tuple[object, ...], list[Measure]] = {}
    for each in sorted(asked, key=lambda each: each.cutoff or EVERYTHING):
        alike.setdefault((each.name, each.rel, each.changed), []).append(each)
    # Groups that share an order, and its judgements, stand together.
    groups = sorted((_Group(tuple(some)) for some in alike.values()), key=lambda group: group.shared)
    orders = Listed(results) if isinstance(results, Ranking) else results
    return groups, orders, truth if isinstance(truth, Judge) else Judge(truth)


def _empty(group: _Group, judge: Judge) -> Values:
    width = judge.truth.query_labels.shape[1] if group.average == "class" else group.first.definition.levels
    return np.full((len(group.measures), len(judge), *([width] if width else [])), np.nan)


def _fill(group: _Group, block: JudgedBlock, values: Values, weights: Values) -> None:
    """Write a block's part of the values, and of the weights if they are pooled."""
    definition, options, cutoffs = group.first.definition, group.first.options, group.cutoffs
    if group.average == "class":
        ranked, queries, classes = block.class_hits(group.tied)
        values[:, queries, classes] = definition.values(ranked, cutoffs, options).T
        return
    if definition.graded:
        ranked = block.gains(group.first.rel, group.tied, int(cutoffs[-1]), options["gain"] == "exponential")
    else:
        ranked = block.hits(group.first.rel, group.tied)
    found = definition.values(ranked, cutoffs, options)
    values[:, block.queries] = found.swapaxes(0, 1)
    if group.average == "micro" and definition.weight is not None:
        weight = definition.weight(ranked, cutoffs, options)
        weights[:, block.queries] = np.where(np.isfinite(found), weight, np.nan).T


def _check(group: _Group, orders: Orders, judge: Judge) -> None:
    """Raise if the results are too few for a measure."""
    last, own = group.measures[-1], judge.truth.exclude
    if group.with_self and (own >= 0).any() and not _holds(orders, own):
        raise UsageError(f"{last}: the query found itself in none of the results. Search without leaving it out.")
    if group.tied and not orders.has_distances:
        raise UsageError(f"{last} looks at ties, and one fixed order has no distances.")
    judge = judge.with_self if group.with_self else judge
    if orders.results >= int(judge.candidates.max(initial=0)):
        return
    found = orders.results - int(isinstance(orders, Listed) and _holds(orders, judge.truth.exclude))
    wanted, why = int(group.cutoffs[-1]), "all of the gallery"
    if "relevant" in (last.definition.depth, last.options.get("depth")):
        wanted = min(wanted, int(_relevant(group, judge).max(initial=0)))
        why = f"as many results as there are relevant photos ({wanted})"
    elif last.cutoff is not None:
        why = f"{wanted} results"
    if wanted > found:
        raise UsageError(
            f"{last} needs {why}; the ranking holds {found} of {int(judge.candidates.max())} photos. {_REMEDY}"
        )
    if group.tied and isinstance(orders, Listed):
        distances = orders.ranking.distances
        open_end = distances[:, min(wanted, found) - 1] == distances[:, -1]
        if open_end.any():
            raise UsageError(
                f"{last}: what ties with result {min(wanted, found)} may go on beyond the {found} results of "
                f"{int(open_end.sum())} queries, the first of them number {int(open_end.argmax())}. {_REMEDY}"
            )


def _holds(orders: Orders, own: Counts) -> bool:
    """Return whether any query is among its own results."""
    if (own < 0).all():
        return False
    return not isinstance(orders, Listed) or bool((orders.ranking.rows == own[:, None]).any())


def _relevant(group: _Group, judge: Judge) -> Counts:
    by_class = group.average == "class"
    return judge.held[judge.truth.query_labels] if by_class else judge.totals(group.first.rel).relevant


def _query_bytes(groups: Sequence[_Group], orders: Orders, judge: Judge) -> int:
    """Return the bytes of one query of a block: its order, and the largest of the judgements of it."""
    largest = 0.0
    for group in groups:
        rows = 1.0
        if group.average == "class" and len(judge):
            rows = max(rows, float(judge.truth.query_labels.sum(axis=1).mean()))
        each = _HIT_BYTES + _TIE_BYTES * group.tied + _GAIN_BYTES * group.first.definition.graded
        columns = len(group.measures) * max(1, group.first.definition.levels) * 24
        largest = max(largest, rows * (orders.results * each + columns))
    return int(orders.results * _ORDER_BYTES + largest)


def _block_size(groups: Sequence[_Group], orders: Orders, judge: Judge) -> int:
    """Return the number of queries in a block."""
    return int(np.clip(_BLOCK_BYTES // max(1, _query_bytes(groups, orders, judge)), 1, _LARGEST_BLOCK))


def _peak(groups: Sequence[_Group], orders: Orders, judge: Judge) -> int:
    (queries, classes), gallery = judge.truth.query_labels.shape, len(judge.truth.gallery_labels)
    widths = [classes if group.average == "class" else max(1, group.first.definition.levels) for group in groups]
    numbers = sum(len(group.measures) * width for group, width in zip(groups, widths, strict=True))
    labels = 4 * classes * (queries + gallery)
    ideal = queries * 4 * max((int(group.cutoffs[-1]) for group in groups if group.first.definition.graded), default=0)
    block = min(queries, _block_size(groups, orders, judge)) * _query_bytes(groups, orders, judge)
    return int(2 * queries * numbers * 8 + labels + ideal + block + block_bytes(gallery) + 2**23)
