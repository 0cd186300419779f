"""Compare two arms, each one or several evaluations (seeds), query by query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aeret.errors import UsageError
from aeret.evaluation.metrics.ranked import Values
from aeret.evaluation.result import Evaluation
from aeret.evaluation.significance import (
    bootstrap_interval,
    holm,
    randomisation_test,
    share_positive,
    wilcoxon_test,
)
from aeret.rng import generator

LOWER_IS_BETTER = ("layout rank",)
_LAYOUT_HITS = "layout R@"
COLUMNS = (
    "measure",
    "queries",
    "baseline",
    "candidate",
    "sd_baseline",
    "sd_candidate",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "p_wilcoxon",
    "p_better",
    "p_worse",
    "note",
)


def compare(
    baseline: Evaluation | Sequence[Evaluation],
    candidate: Evaluation | Sequence[Evaluation],
    measures: Sequence[str] | None = None,
    subset: str = "",
    resamples: int = 10_000,
    seed: int = 0,
    interval: str = "percentile",
) -> pd.DataFrame:
    """Compare two arms of one experiment on the same queries and gallery.

    The unit is the query. With several evaluations per arm (one per training seed), each query's value is its mean over
    the seeds; what is tested is then the mean over queries of these means, by a two-sided paired randomisation test.
    The family of Holm's correction is the table returned.

    An arm without a latent head cannot be asked by layout. It then stands at chance, the expected ``R@k = k / n``
    for every query, and the row's ``note`` says so. To flip signs against a constant is no test of two systems: such a
    row has no p and is no part of Holm's family; read its interval.

    The p of Wilcoxon's signed-rank test stands beside, uncorrected: a second opinion, of whether differences lie
    symmetrically about 0.

    Args:
        baseline: the arm compared against.
        candidate: the arm that should be better.
        measures: names of per-query columns; all that both arms have unless given.
        subset: compare on the queries of this subset alone.
        resamples: of the test and of the bootstrap.
        seed: of their draws.
        interval: ``percentile`` or ``bca``, see :func:`~aeret.evaluation.significance.bootstrap_interval`.

    Returns:
        One row per measure: queries, mean of each arm, sd over the seeds of each arm's mean (NaN with one seed),
        difference (candidate - baseline) with its 95 % bootstrap interval over queries, p, p_holm, p_wilcoxon (all
        NaN beside chance), ``p_better`` and ``p_worse``: the shares of queries where the candidate is better and worse
        (a lower ``layout rank`` is better).

    Raises:
        UsageError: the arms were evaluated on different queries or galleries, or a measure is in neither.
        UnknownNameError: there is no such interval.
    """
    arms = {name: _as_list(arm) for name, arm in (("baseline", baseline), ("candidate", candidate))}
    frames = {name: [_rows(evaluation, subset) for evaluation in arm] for name, arm in arms.items()}
    _same_task(arms, frames)
    names = list(measures) if measures is not None else _common(frames)
    columns = [_pair(name, frames, len(arms["baseline"][0].per_query)) for name in names]
    means = {arm: np.stack([_mean(part[place]) for part in columns], axis=1) for place, arm in enumerate(arms)}
    differences = means["candidate"] - means["baseline"]
    low, high = bootstrap_interval(differences, generator(seed, "compare", "bootstrap"), resamples, method=interval)
    notes = [part[2] for part in columns]
    tested = np.array([not note for note in notes], bool)
    p, adjusted, signed_rank = (np.full(len(names), np.nan) for _ in range(3))
    p[tested] = randomisation_test(differences[:, tested], generator(seed, "compare", "randomisation"), resamples)
    adjusted[tested] = holm(p[tested])
    signed_rank[tested] = wilcoxon_test(differences[:, tested])
    sign = np.array([-1.0 if name in LOWER_IS_BETTER else 1.0 for name in names])
    known = np.isfinite(differences)
    counts = known.sum(axis=0)
    spread = {arm: [_seed_sd(part[place]) for part in columns] for place, arm in enumerate(arms)}
    frame = pd.DataFrame(
        {
            "measure": names,
            "queries": counts,
            "baseline": _column_means(np.where(known, means["baseline"], np.nan)),
            "candidate": _column_means(np.where(known, means["candidate"], np.nan)),
            "sd_baseline": spread["baseline"],
            "sd_candidate": spread["candidate"],
            "difference": _column_means(differences),
            "low": low,
            "high": high,
            "p": p,
            "p_holm": adjusted,
            "p_wilcoxon": signed_rank,
            "p_better": share_positive(differences * sign),
            "p_worse": share_positive(-differences * sign),
            "note": notes,
        }
    )
    return frame[list(COLUMNS)]


def query_changes(
    baseline: Evaluation | Sequence[Evaluation], candidate: Evaluation | Sequence[Evaluation], measure: str
) -> pd.DataFrame:
    """Return how one measure changed from query to query: who gained most first, who lost most last.

    Args:
        baseline: the arm compared against.
        candidate: the other arm; a query's value is its mean over the seeds of an arm.
        measure: name of a per-query column that all evaluations have.

    Returns:
        photo_id, baseline, candidate and difference of every query that both arms measured; ties by photo id.

    Raises:
        UsageError: the arms were evaluated on different queries or galleries, or the measure is not in both.
    """
    arms = {name: _as_list(arm) for name, arm in (("baseline", baseline), ("candidate", candidate))}
    frames = {name: [_rows(evaluation, "") for evaluation in arm] for name, arm in arms.items()}
    _same_task(arms, frames)
    first, second, _ = _pair(measure, frames, len(arms["baseline"][0].per_query))
    frame = pd.DataFrame({"photo_id": frames["baseline"][0]["photo_id"]})
    frame["baseline"], frame["candidate"] = _mean(first), _mean(second)
    frame["difference"] = frame["candidate"] - frame["baseline"]
    sign = -1.0 if measure in LOWER_IS_BETTER else 1.0
    known = frame[np.isfinite(frame["difference"])]
    order = np.argsort(-sign * known["difference"].to_numpy(np.float64), kind="stable")
    ordered: pd.DataFrame = known.take(order).reset_index(drop=True)
    return ordered


def class_changes(
    baseline: Evaluation | Sequence[Evaluation], candidate: Evaluation | Sequence[Evaluation]
) -> pd.DataFrame:
    """Return how every category changed, means over the seeds of each arm; the largest gain in P@10 first.

    Returns:
        category, queries, and of P@10 and AP each ``baseline``, ``candidate`` and ``difference``, as
        ``P@10 difference``; categories that every evaluation has.
    """
    names = ("P@10", "AP")
    means = []
    for arm in (_as_list(baseline), _as_list(candidate)):
        frames = [evaluation.per_class.set_index("category") for evaluation in arm]
        shared = [name for name in frames[0].index if all(name in frame.index for frame in frames)]
        stacked = np.stack([frame.loc[shared, list(names)].to_numpy(np.float64) for frame in frames])
        means.append(pd.DataFrame(stacked.mean(axis=0), index=pd.Index(shared), columns=pd.Index(names)))
    first, second = means
    counts = _as_list(baseline)[0].per_class.set_index("category")["queries"]
    kept = [name for name in first.index if name in second.index]
    frame = pd.DataFrame({"category": kept, "queries": [int(counts.loc[name]) for name in kept]})
    for name in names:
        frame[f"{name} baseline"] = first.loc[kept, name].to_numpy()
        frame[f"{name} candidate"] = second.loc[kept, name].to_numpy()
        frame[f"{name} difference"] = frame[f"{name} candidate"] - frame[f"{name} baseline"]
    order = np.argsort(-frame["P@10 difference"].to_numpy(np.float64), kind="stable")
    return frame.take(order).reset_index(drop=True)


_Frames = dict[str, list[pd.DataFrame]]


def _as_list(arm: Evaluation | Sequence[Evaluation]) -> list[Evaluation]:
    each = [arm] if isinstance(arm, Evaluation) else list(arm)
    if not each:
        raise UsageError("An arm of a comparison needs at least one evaluation; got none.")
    return each


def _rows(evaluation: Evaluation, subset: str) -> pd.DataFrame:
    frame = evaluation.per_query.sort_values("photo_id", kind="stable", ignore_index=True)
    if not subset:
        return frame
    column = f"subset:{subset}"
    if column not in frame:
        known = ", ".join(str(c).removeprefix("subset:") for c in frame if str(c).startswith("subset:")) or "none"
        raise UsageError(f"This evaluation has no subset {subset!r}. Known: {known}.")
    return frame[frame[column].to_numpy(bool)].reset_index(drop=True)


def _same_task(arms: dict[str, list[Evaluation]], frames: _Frames) -> None:
    every = [evaluation for arm in arms.values() for evaluation in arm]
    ids = [frame["photo_id"].to_numpy() for arm in frames.values() for frame in arm]
    for evaluation, own in zip(every, ids, strict=True):
        if not np.array_equal(own, ids[0]):
            raise UsageError(
                f"The evaluations were made on different queries ({len(ids[0])} and {len(own)} photos, or other ids); "
                "evaluate both arms on the same split."
            )
        if not np.array_equal(np.sort(evaluation.gallery_ids), np.sort(every[0].gallery_ids)):
            raise UsageError("The evaluations searched different galleries; evaluate both arms on the same split.")


def _common(frames: _Frames) -> list[str]:
    """Measures of both arms, and layout hits that any arm has."""
    each = [[str(column) for column in frame] for arm in frames.values() for frame in arm]
    longest = max(each, key=len)
    chosen = [name for name in longest if name != "photo_id" and not name.startswith("subset:")]
    return [name for name in chosen if name.startswith(_LAYOUT_HITS) or all(name in part for part in each)]


def _pair(name: str, frames: _Frames, candidates: int) -> tuple[Values, Values, str]:
    """Return the values of both arms, float64 (seeds, queries), and a note."""
    have = {arm: all(name in frame for frame in each) for arm, each in frames.items()}
    if not any(have.values()) or not (all(have.values()) or name.startswith(_LAYOUT_HITS)):
        known = ", ".join(_common(frames))
        raise UsageError(f"The measure {name!r} is not in both arms. Measures they share: {known}.")
    values, note = [], ""
    for arm, each in frames.items():
        if have[arm]:
            values.append(np.stack([frame[name].to_numpy(np.float64) for frame in each]))
        else:
            chance = min(1.0, int(name.removeprefix(_LAYOUT_HITS)) / candidates)
            values.append(np.full((1, len(each[0])), chance))
            note = f"the {arm} has no latent head: chance, {chance:.4g}, a constant that needs no test"
    return values[0], values[1], note


def _mean(values: Values | str) -> Values:
    """Mean over seeds per query; NaN where any seed skipped it."""
    return np.asarray(np.asarray(values, np.float64).mean(axis=0), np.float64)


def _seed_sd(values: Values | str) -> float:
    means = [float(_column_means(row[:, None])[0]) for row in np.asarray(values, np.float64)]
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def _column_means(values: Values) -> Values:
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)
