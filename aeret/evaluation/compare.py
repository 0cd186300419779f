"""Compare two arms, each one or several evaluations (seeds), query by query."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.evaluation.result import Evaluation
from aeret.evaluation.significance import (
    Values,
    bootstrap_interval,
    holm,
    randomisation_test,
    share_positive,
    wilcoxon_test,
)
from aeret.rng import generator

Arm = Evaluation | Sequence[Evaluation]
LOWER_IS_BETTER = ("layout rank",)
_LAYOUT_HITS = "layout R@"
_SUBSET = "subset:"
_BASELINE, _CANDIDATE = "baseline", "candidate"


def compare(
    baseline: Arm,
    candidate: Arm,
    measures: Sequence[str] | None = None,
    subset: str = "",
    resamples: int = 10_000,
    seed: int = 0,
    interval: str = "percentile",
) -> pd.DataFrame:
    """Compare two arms of one experiment on the same queries and gallery.

    Each query's value is its mean over the evaluations (training seeds) of an arm. The test is a two-sided paired
    randomisation test over queries, corrected by Holm over the table; Wilcoxon's stands beside it, uncorrected.
    An arm without a latent head stands at chance in layout hits, ``R@k = k / n``; such a row has a ``note`` and no p.

    Args:
        baseline, candidate: the arm compared against, and the one that should be better.
        measures: names of per-query columns; all that both arms have by default.
        subset: of the queries; all by default.
        resamples: of the test and of the bootstrap.
        seed: of their draws.
        interval: ``percentile`` or ``bca``, see :func:`~aeret.evaluation.significance.bootstrap_interval`.

    Returns:
        One row per measure: means of the arms, sd over seeds of these means (NaN with one seed), difference (candidate
        - baseline) with its 95 % bootstrap interval, p values, shares of queries that got better and worse, note.

    Raises:
        UsageError: the arms were evaluated on different queries or galleries, or a measure is in neither.
        UnknownNameError: the interval does not exist.

    Example:
        >>> compare(labels_only, joint, ["P@10"])  # doctest: +SKIP
    """
    arms = _Arms(baseline, candidate, subset)
    names = arms.shared if measures is None else list(measures)
    values = {name: arms.values(name) for name in names}
    first = np.stack([own.mean(axis=0) for own, _, _ in values.values()], axis=1)
    second = np.stack([other.mean(axis=0) for _, other, _ in values.values()], axis=1)
    differences, known = second - first, np.isfinite(second - first)
    low, high = bootstrap_interval(differences, generator(seed, "compare", "bootstrap"), resamples, method=interval)
    tested = np.array([not note for _, _, note in values.values()], bool)
    gains = differences * [-1.0 if name in LOWER_IS_BETTER else 1.0 for name in names]
    return pd.DataFrame(
        {
            "measure": names,
            "queries": known.sum(axis=0),
            "baseline": _means(np.where(known, first, np.nan)),
            "candidate": _means(np.where(known, second, np.nan)),
            "sd_baseline": [_seed_sd(own) for own, _, _ in values.values()],
            "sd_candidate": [_seed_sd(other) for _, other, _ in values.values()],
            "difference": _means(differences),
            "low": low,
            "high": high,
            **_p_values(differences, tested, resamples, seed),
            "p_better": share_positive(gains),
            "p_worse": share_positive(-gains),
            "note": [note for _, _, note in values.values()],
        }
    )


def _p_values(differences: Values, tested: NDArray[np.bool_], resamples: int, seed: int) -> dict[str, Values]:
    """Return p, p_holm and p_wilcoxon of each column, float64 (m,); NaN for columns that are not tested."""
    kept = differences[:, tested]
    p = randomisation_test(kept, generator(seed, "compare", "randomisation"), resamples)
    found = {"p": p, "p_holm": holm(p), "p_wilcoxon": wilcoxon_test(kept)}
    whole = {name: np.full(differences.shape[1], np.nan) for name in found}
    for name, values in found.items():
        whole[name][tested] = values
    return whole


def query_changes(baseline: Arm, candidate: Arm, measure: str) -> pd.DataFrame:
    """Return how one measure changed from query to query, the largest gain first.

    Args:
        baseline: the arm compared against.
        candidate: the other arm; a query's value is its mean over the seeds of an arm.
        measure: name of a per-query column that all evaluations have.

    Returns:
        photo_id, baseline, candidate and difference of every query that both arms measured; ties by photo id.

    Raises:
        UsageError: the arms were evaluated on different queries or galleries, or the measure is not in both.
    """
    arms = _Arms(baseline, candidate)
    first, second, _ = arms.values(measure)
    frame = pd.DataFrame({"photo_id": arms.photo_ids, "baseline": first.mean(axis=0), "candidate": second.mean(axis=0)})
    frame["difference"] = frame["candidate"] - frame["baseline"]
    known = frame[np.isfinite(frame["difference"])]
    lower = measure in LOWER_IS_BETTER
    ordered: pd.DataFrame = known.sort_values("difference", ascending=lower, kind="stable", ignore_index=True)
    return ordered


def class_changes(baseline: Arm, candidate: Arm) -> pd.DataFrame:
    """Return how every category changed, means over the seeds of each arm; the largest gain in P@10 first.

    Returns:
        category, queries, and of P@10 and AP each ``baseline``, ``candidate`` and ``difference``, as
        ``P@10 difference``; categories that every evaluation has.
    """
    frames = [[each.per_class.set_index("category") for each in _as_list(arm)] for arm in (baseline, candidate)]
    every = [frame for arm in frames for frame in arm]
    kept = [name for name in every[0].index if all(name in frame.index for frame in every)]
    result = pd.DataFrame({"category": kept, "queries": every[0].loc[kept, "queries"].to_numpy(int)})
    for name in ("P@10", "AP"):
        first, second = (
            np.mean([frame.loc[kept, name].to_numpy(np.float64) for frame in arm], axis=0) for arm in frames
        )
        result[f"{name} baseline"], result[f"{name} candidate"] = first, second
        result[f"{name} difference"] = second - first
    return result.sort_values("P@10 difference", ascending=False, kind="stable", ignore_index=True)


class _Arms:
    """The per-query values of two arms, checked to be of the same queries and gallery."""

    def __init__(self, baseline: Arm, candidate: Arm, subset: str = "") -> None:
        arms = {_BASELINE: _as_list(baseline), _CANDIDATE: _as_list(candidate)}
        self._frames = {name: [_per_query(each, subset) for each in arm] for name, arm in arms.items()}
        self._candidates = len(arms[_BASELINE][0].per_query)
        every = [evaluation for arm in arms.values() for evaluation in arm]
        self.photo_ids = self._every[0]["photo_id"].to_numpy()
        for evaluation, frame in zip(every, self._every, strict=True):
            if not np.array_equal(frame["photo_id"], self.photo_ids):
                raise UsageError(
                    f"The evaluations were made on different queries ({len(self.photo_ids)} and {len(frame)} photos, "
                    "or other ids); evaluate both arms on the same split."
                )
            if not np.array_equal(np.sort(evaluation.gallery_ids), np.sort(every[0].gallery_ids)):
                raise UsageError("The evaluations searched different galleries; evaluate both arms on the same split.")

    @cached_property
    def _every(self) -> list[pd.DataFrame]:
        return [frame for arm in self._frames.values() for frame in arm]

    @property
    def shared(self) -> list[str]:
        """Measures of both arms, and layout hits that any arm has."""
        longest = max(self._every, key=lambda frame: frame.shape[1])
        names = [str(name) for name in longest if name != "photo_id" and not str(name).startswith(_SUBSET)]
        return [name for name in names if name.startswith(_LAYOUT_HITS) or all(name in each for each in self._every)]

    def values(self, name: str) -> tuple[Values, Values, str]:
        """Return the values of both arms, float64 (seeds, queries), and a note."""
        have = {arm: all(name in frame for frame in frames) for arm, frames in self._frames.items()}
        if not any(have.values()) or not (all(have.values()) or name.startswith(_LAYOUT_HITS)):
            known = ", ".join(self.shared)
            raise UsageError(f"The measure {name!r} is not in both arms. Measures they share: {known}.")
        found, note = [], ""
        for arm, frames in self._frames.items():
            if have[arm]:
                found.append(np.stack([frame[name].to_numpy(np.float64) for frame in frames]))
            else:
                chance = min(1.0, int(name.removeprefix(_LAYOUT_HITS)) / self._candidates)
                found.append(np.full((1, len(self.photo_ids)), chance))
                note = f"the {arm} has no latent head: chance, {chance:.4g}, a constant that needs no test"
        return found[0], found[1], note


def _as_list(arm: Arm) -> list[Evaluation]:
    each = [arm] if isinstance(arm, Evaluation) else list(arm)
    if not each:
        raise UsageError("An arm of a comparison needs at least one evaluation; got none.")
    return each


def _per_query(evaluation: Evaluation, subset: str) -> pd.DataFrame:
    frame = evaluation.per_query.sort_values("photo_id", kind="stable", ignore_index=True)
    if not subset:
        return frame
    column = f"{_SUBSET}{subset}"
    if column not in frame:
        known = ", ".join(str(c).removeprefix(_SUBSET) for c in frame if str(c).startswith(_SUBSET)) or "none"
        raise UsageError(f"This evaluation has no subset {subset!r}. Known: {known}.")
    return frame[frame[column].to_numpy(bool)].reset_index(drop=True)


def _means(values: Values) -> Values:
    """Return the mean of each column without its NaN, float64 (m,); NaN for a column of NaN alone."""
    return pd.DataFrame(values).mean().to_numpy(np.float64)


def _seed_sd(values: Values) -> float:
    """Return the sd over seeds of the means of values (seeds, queries); NaN with one seed."""
    return float(pd.DataFrame(values).mean(axis=1).std(ddof=1))
