"""All measures of one set of results from one pass over it: per query, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from aeret.cores import cores
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.products import Scratch
from aeret.errors import UsageError
from aeret.evaluation.memory import available_bytes, refuse_beyond
from aeret.evaluation.metrics.averages import mean
from aeret.evaluation.metrics.judge import BLOCK_BYTES, Judge, Judged
from aeret.evaluation.metrics.naming import Measure, parse
from aeret.evaluation.metrics.ranked import EVERYTHING, Counts, Ranked, Values, all_hits
from aeret.evaluation.metrics.sources import Block, Listed, Source, sums_of_ties
from aeret.evaluation.relevance import Truth
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking

_BLOCK_BYTES, _ALL_BYTES = 192 * 2**20, 2**30
"""Of one block, and of the blocks of all threads."""
_LARGEST_BLOCK = 512
_PANEL = 32
"""Queries that distances of whole galleries are made for at once: a part of it costs as much as the whole."""


@dataclass(frozen=True)
class _Group:
    """Measures that differ in their cut-off alone."""

    first: Measure
    measures: tuple[Measure, ...]
    cutoffs: Counts
    """int64 (m,), rising; EVERYTHING where there is none."""

    @property
    def by_class(self) -> bool:
        return self.first.options.get("average") == "class"

    @property
    def tied(self) -> bool:
        return self.first.options.get("ties") == "expected"

    @property
    def with_self(self) -> bool:
        return self.first.options["self"] == "included"

    @property
    def input(self) -> tuple[bool, str, bool, bool, str]:
        """What the results must be judged by: groups that share it share the work."""
        gain = self.first.options["gain"] if self.first.definition.graded else ""
        return self.with_self, self.first.rel, self.by_class, self.tied, gain


_Job = tuple[_Group, Values, Values | None]
"""Measures, where their values go, and their queries' weights where they are pooled."""


def measure(
    measures: Iterable[Measure | str],
    ranking: Ranking | Source,
    truth: Truth | Judge,
    *,
    threads: int = 0,
    progress: Progress = silent,
) -> dict[Measure, Values]:
    """Return each measure of every query, in the order asked for.

    Args:
        measures: values or their names.
        ranking: the results of a search; or whole-gallery orders, which are made block by block.
        truth: labels, masks and which gallery row each query is; or a :class:`Judge` that knows totals already.
        threads: 0 means one per core; never changes a number.
        progress: shows queries done, and says how much memory is needed.

    Returns:
        float64 (q,); with ``average=class`` (q, c), NaN where the query has not the class; of a curve (q, levels). NaN
        where a query is skipped. Every plain mean is the measure's average (:func:`average`).

    Raises:
        UsageError: a name is wrong, or the results are too few for a measure, or do not fit the truth.
        RunError: the machine has less memory than this needs.
    """
    asked = tuple(dict.fromkeys(parse(each) if isinstance(each, str) else each for each in measures))
    judge = truth if isinstance(truth, Judge) else Judge(truth, threads=threads)
    source = Listed(ranking) if isinstance(ranking, Ranking) else ranking
    if source.queries != len(judge):
        raise UsageError(f"There are results of {source.queries} queries and the labels of {len(judge)}.")
    groups = _grouped(asked)
    for group in groups:
        _check(group, source, judge.with_self if group.with_self else judge, judge.truth.exclude)
    needed = _peak(groups, source, judge, threads)
    refuse_beyond(needed, available_bytes())
    return _measure(asked, groups, source, judge, needed, threads, progress)


def peak_bytes(
    measures: Iterable[Measure | str], ranking: Ranking | Source, truth: Truth | Judge, threads: int = 0
) -> int:
    """Return the estimated peak of memory, bytes, that :func:`measure` of the same arguments adds to its inputs."""
    asked = tuple(dict.fromkeys(parse(each) if isinstance(each, str) else each for each in measures))
    judge = truth if isinstance(truth, Judge) else Judge(truth, threads=threads)
    source = Listed(ranking) if isinstance(ranking, Ranking) else ranking
    return _peak(_grouped(asked), source, judge, threads)


def _peak(groups: list[_Group], source: Source, judge: Judge, threads: int) -> int:
    queries, gallery = judge.truth.query_labels.shape[0], judge.truth.gallery_labels.shape[0]
    classes = judge.truth.gallery_labels.shape[1]
    numbers = sum(len(g.measures) * (classes if g.by_class else max(1, g.first.definition.levels)) for g in groups)
    # Labels as words and as bits of each class; with averages by class, as bytes too.
    words = (queries + 4 * gallery) * 8 * -(-classes // 64) + classes * gallery // 8
    words += classes * gallery if any(g.by_class for g in groups) else 0
    summed = [g for g in groups if g.first.rel == "layout" or (g.first.definition.graded and g.first.rel != "any")]
    totals = queries * 4 * max((int(g.cutoffs[-1]) for g in summed if g.first.definition.graded), default=0)
    totals += (threads or cores()) * BLOCK_BYTES if summed else 0
    at_once = min(queries, (threads or cores()) * _block_size(groups, source, judge, threads))
    blocks = at_once * _query_bytes(groups, source, judge)
    working = (threads or cores()) * 2 * 8 * source.results
    return int(queries * numbers * 8 + words + totals + 5 * blocks // 4 + working + 2**23)


def _grouped(measures: tuple[Measure, ...]) -> list[_Group]:
    alike: dict[tuple[object, ...], list[Measure]] = {}
    for each in measures:
        alike.setdefault((each.name, each.rel, each.changed), []).append(each)
    groups = []
    for some in alike.values():
        some.sort(key=lambda each: each.cutoff or EVERYTHING)
        groups.append(_Group(some[0], tuple(some), np.array([each.cutoff or EVERYTHING for each in some], np.int64)))
    return groups


def _check(group: _Group, source: Source, judge: Judge, whose: Counts) -> None:
    """Refuse what the results are too few for; ``whose`` are the gallery rows of the queries."""
    last, one = group.measures[-1], group.first
    if group.with_self and (whose >= 0).any() and not _holds(source, whose):
        raise UsageError(f"{last}: the query found itself in none of the results. Search without leaving it out.")
    if group.tied and not source.has_distances:
        raise UsageError(f"{last} looks at ties, and one fixed order has no distances.")
    if _complete(source, judge):
        return
    found = source.results
    if isinstance(source, Listed):
        found -= int(_holds(source, judge.truth.exclude))
    wanted, why = int(group.cutoffs[-1]), "all of the gallery"
    if "relevant" in (one.definition.depth, one.options.get("depth")):
        most = int(_relevant(group, judge).max(initial=0))
        wanted, why = min(wanted, most), f"as many results as there are relevant photos ({min(wanted, most)})"
    elif last.cutoff is not None:
        why = f"{wanted} results"
    if wanted > found:
        raise UsageError(
            f"{last} needs {why}; the ranking holds {found} of {int(judge.candidates.max())} photos. Search for more "
            "results, or measure whole-gallery orders (WholeGallery, WholeCodes)."
        )
    if group.tied and isinstance(source, Listed):
        distances = source.ranking.distances
        open_end = distances[:, min(wanted, found) - 1] == distances[:, -1]
        if open_end.any():
            raise UsageError(
                f"{last}: what ties with result {min(wanted, found)} may go on beyond the {found} results of "
                f"{int(open_end.sum())} queries, the first of them number {int(open_end.argmax())}. Search for more "
                "results, or measure whole-gallery orders (WholeGallery, WholeCodes)."
            )


def _complete(source: Source, judge: Judge) -> bool:
    return source.results >= int(judge.candidates.max(initial=0))


def _counted(group: _Group, source: Source, judge: Judge) -> bool:
    """Whether relevant photos are counted among the hits, as all of the gallery is judged anyway."""
    whole = _complete(source, judge) and not isinstance(source, Listed)
    return whole and not (group.by_class or group.first.definition.graded or judge.knows(group.first.rel))


def _holds(source: Source, own: Counts) -> bool:
    """Whether any query is among its results."""
    if (own < 0).all():
        return False
    return not isinstance(source, Listed) or bool((source.ranking.rows == own[:, None]).any())


def _relevant(group: _Group, judge: Judge) -> Counts:
    return judge.held[judge.truth.query_labels] if group.by_class else judge.totals(group.first.rel).relevant


def _rows_per_query(group: _Group, judge: Judge) -> float:
    if not group.by_class or not len(judge):
        return 1.0
    return max(1.0, float(judge.truth.query_labels.sum(axis=1).mean()) * 2)


def _query_bytes(groups: list[_Group], source: Source, judge: Judge) -> int:
    """Bytes of one query of a block at the most: its results, and the dearest of the judgements made of them."""
    dearest = 64.0
    for group in groups:
        rows = _rows_per_query(group, judge)
        results = min(source.results, len(judge.truth.gallery_labels))
        # Hits by labels are bytes at once, by other rules gains before.
        hit = source.tie_bytes if group.tied else 3 if group.first.rel == "any" else 5
        judged = results * (hit * rows + (16 if group.first.definition.graded else 0))
        columns = len(group.measures) * max(1, group.first.definition.levels)
        dearest = max(dearest, judged + rows * columns * 8 * 3)
    graded, tied = any(group.first.definition.graded for group in groups), all(group.tied for group in groups)
    return int(source.results * source.pair_bytes(rows=graded, hits=not tied) + dearest)


def _block_size(groups: list[_Group], source: Source, judge: Judge, threads: int) -> int:
    """Queries of a block, no more than leave work for every thread. No number depends on it."""
    threads = threads or cores()
    room = min(_BLOCK_BYTES, _ALL_BYTES // threads) // max(1, _query_bytes(groups, source, judge))
    queries = int(np.clip(room, 1, _LARGEST_BLOCK))
    panels = min(queries // _PANEL, -(-source.queries // (threads * _PANEL)))
    return max(panels * _PANEL, min(queries, _PANEL - 1))


def _measure(
    asked: tuple[Measure, ...],
    groups: list[_Group],
    source: Source,
    judge: Judge,
    needed: int,
    threads: int,
    progress: Progress,
) -> dict[Measure, Values]:
    out = [_empty(group, judge) for group in groups]
    weights = [
        np.full(values.shape, np.nan) if _pooled(group) else None for group, values in zip(groups, out, strict=True)
    ]
    _prepare(groups, source, judge)
    # One block and one judgement of it are in memory at a time: what shares them stands together.
    jobs = sorted(zip(groups, out, weights, strict=True), key=lambda job: job[0].input)
    spare: SimpleQueue[Scratch] = SimpleQueue()
    for _ in range(threads or cores()):
        spare.put(Scratch())

    def work(start: int, stop: int) -> None:
        scratch = spare.get()
        try:
            for with_self, some in groupby(jobs, lambda job: job[0].with_self):
                judging = judge.with_self if with_self else judge
                block = source.block(judging, start, stop, scratch)
                for _, alike in groupby(some, lambda job: job[0].input):
                    put(block, judging, list(alike), start, stop)
                del block  # before the next is made
        finally:
            spare.put(scratch)

    def put(block: Block, judging: Judge, alike: list[_Job], start: int, stop: int) -> None:
        judged, ranked = _input(alike[0][0], groups, source, block, judging, start, stop)
        for group, values, weight in alike:
            definition, options = group.first.definition, group.first.options
            found = definition.values(ranked, group.cutoffs, options)
            if judged.classes is not None:
                values[:, judged.queries, judged.classes] = found.T
            elif definition.levels:
                values[0, start:stop] = found[:, 0]
            else:
                values[:, start:stop] = found.T
                if weight is not None and definition.weight is not None:
                    weight[:, start:stop] = np.where(
                        np.isfinite(found), definition.weight(ranked, group.cutoffs, options), np.nan
                    ).T

    with progress(f"measures, about {-(-needed // 2**20)} MiB of memory", source.queries, unit="query") as step:
        for _ in over_blocks(source.queries, _block_size(groups, source, judge, threads), work, threads, step):
            pass
    results: dict[Measure, Values] = {}
    for group, values, weight in zip(groups, out, weights, strict=True):
        for row, each in enumerate(group.measures):
            results[each] = values[row]
            if weight is not None:
                scale = mean(weight[row])
                results[each] = values[row] * weight[row] / scale if scale > 0 else values[row]
    return {each: results[each] for each in asked}


def _pooled(group: _Group) -> bool:
    return group.first.options.get("average") == "micro"


def _empty(group: _Group, judge: Judge) -> Values:
    width: tuple[int, ...] = ()
    if group.by_class:
        width = (judge.truth.query_labels.shape[1],)
    elif group.first.definition.levels:
        width = (group.first.definition.levels,)
    shape = (len(group.measures), len(judge), *width)
    return np.full(shape, np.nan) if group.by_class else np.empty(shape)


def _prepare(groups: list[_Group], source: Source, judge: Judge) -> None:
    """Sum what the gallery gives before the threads start, so that none does it twice."""
    for group in groups:
        judging = judge.with_self if group.with_self else judge
        if group.first.definition.graded and group.first.rel != "any":
            judging.totals(group.first.rel, int(group.cutoffs[-1]))
        elif group.by_class:
            _ = judging.by_class, judging.held
        else:
            if group.first.rel != "any" or group.first.definition.graded:
                judging.rule(group.first.rel)
            _ = judging.words if isinstance(source, Listed) else judging.members
            if not _counted(group, source, judging):
                judging.totals(group.first.rel)


def _input(
    group: _Group, groups: list[_Group], source: Source, block: Block, judge: Judge, start: int, stop: int
) -> tuple[Judged, Ranked]:
    judged = Judged(judge, group.first.rel, group.by_class, start, stop)
    candidates = judge.candidates[judged.queries]
    none, nothing = np.empty((len(candidates), 0), np.int32), np.empty((len(candidates), 0))
    if not group.first.definition.graded:
        sizes, hits = block.tied_hits(judged) if group.tied else (none, block.hits(judged))
        relevant = all_hits(hits) if _counted(group, source, judge) else judged.relevant
        return judged, Ranked(relevant, candidates, hits, sizes, nothing, nothing)
    relevant = judged.relevant
    top = max(int(each.cutoffs[-1]) for each in groups if each.input == group.input)
    top = min(top, len(judge.truth.gallery_labels))
    rule, queries = judge.rule(group.first.rel), np.arange(start, stop)
    if group.first.rel == "any":
        ideal = (np.arange(top) < relevant[:, None]).astype(np.float64)
    else:
        ideal = judge.totals(group.first.rel, top).ideal[start:stop].astype(np.float64)
    ideal = _gained(ideal, group)
    hits = np.empty((len(relevant), 0), np.uint8)
    if not group.tied:
        gains = _gained(rule.at(queries, block.rows(top)).astype(np.float64), group)
        return judged, Ranked(relevant, candidates, hits, none, gains, ideal)
    rows, tied = block.tied_rows(top)
    sizes, gains = sums_of_ties(_gained(rule.at(queries, rows).astype(np.float64), group), tied)
    return judged, Ranked(relevant, candidates, hits, sizes, gains, ideal)


def _gained(gains: NDArray[np.float64], group: _Group) -> Values:
    return np.exp2(gains) - 1 if group.first.options["gain"] == "exponential" else gains
