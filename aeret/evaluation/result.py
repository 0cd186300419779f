"""Hold the results of one evaluation, and save and open them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.artifacts import write_json
from aeret.errors import DataError
from aeret.retrieval.ranking import Ranking

_METRICS, _PER_QUERY, _ARRAYS, _TIMINGS = "metrics.json", "per_query.parquet", "rankings.npz", "timings.json"
FRAMES = (
    "measures", "cutoffs", "pairs", "search", "pr_curve", "per_class", "query_by_layout", "layout_subsets",
    "waterfall", "class_losses", "spill",
)  # fmt: skip
_RANKING = ("rows", "distances", "scanned", "probes")
_VERSION = 1


@dataclass(frozen=True)
class Evaluation:
    """Results of one run; shares and measures are fractions in [0, 1], never per cent."""

    facts: dict[str, Any]
    """Facts of the run: n_queries, n_gallery, leave_one_out, clusters, categories, embedding_size, lead, seed, ..."""
    conventions: dict[str, str]
    """Name to one plain sentence: how the numbers were defined."""
    measures: pd.DataFrame
    """A row per (method, measure): value, low, high (95 % bootstrap over queries), queries, skipped, floor_random,
    floor_query_free. Names follow ``nDCG(rel=jaccard)@10``."""
    cutoffs: pd.DataFrame
    """A row per (method, n, measure in P, R, "R capped", F): mean, sd, low, high over query resamples, floor_random,
    floor_query_free."""
    pairs: pd.DataFrame
    """Pairwise counts of this run's clusters and of three reference partitions: name, clusters, tp, fp, fn, tn,
    precision, recall, f, kappa."""
    clusters: dict[str, Any]
    """k, inertia, inertia_per_start, iterations_per_start, converged, sizes, empties, imbalance, silhouette (of
    silhouette_photos), davies_bouldin, nmi and ari (of single_label_photos), and ``examples``: per cluster, the gallery
    rows nearest its centroid."""
    search: pd.DataFrame
    """A row per method: share_scanned, probes, agreement_10, agreement_n (with the exhaustive ranking)."""
    pr_curve: pd.DataFrame
    """101 recall levels: recall, precision (mean interpolated, rel=any, exhaustive), floor (base rate), query_free."""
    per_class: pd.DataFrame
    """A row per category with a query: category, queries, prevalence, P@10, AP, floor (of P@10), floor_ap."""
    per_query: pd.DataFrame
    """photo_id, one column per measure of the lead method (NaN if skipped), the layout-query columns, and one bool
    column ``subset:<name>`` per subset."""
    query_by_layout: pd.DataFrame
    """subset, gallery ("all" or the subset), queries, candidates, R@1, R@5 and R@10, each with its low and high (95 %
    bootstrap over queries), median_rank, the floors of these four by chance, code_r2; no rows if the run has no
    latent head."""
    layout_subsets: pd.DataFrame
    """subset, gallery ("all" or the subset), method, measure, queries, value, low, high, floor_random,
    floor_query_free."""
    waterfall: pd.DataFrame
    """A row per (search, measure), exact search first: value, low, high, from_exact with its interval, bytes_per_photo;
    see :mod:`aeret.evaluation.waterfall`."""
    class_losses: pd.DataFrame
    """A row per category with a query: category, queries, and P@10 of each search of ``waterfall``."""
    spill: pd.DataFrame
    """Strict cluster-first search: clusters visited, queries, share."""
    rankings: dict[str, Ranking]
    """Method to its ranking of N results."""
    layout_ranks: NDArray[np.int32]
    """Rank, from 1, of the own photo for its own layout, int32 (q,); 0 if skipped; empty without a latent head."""
    assignment: NDArray[np.int32]
    """Cluster of each gallery photo, int32 (g,)."""
    gallery_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Photo id of each gallery row, int64 (g,): what ``rankings`` rows point at."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Search to milliseconds of one query, on the machine of the run: kept apart, because no seed decides it."""

    @property
    def lead(self) -> str:
        """Name of the method whose per-query values are kept and compared."""
        return str(self.facts["lead"])

    def value(self, measure: str, method: str | None = None) -> float:
        """Return one number of ``measures``, of the lead method unless another is named.

        Raises:
            DataError: this evaluation has no such row.
        """
        row = self.row(measure, method)
        if row is None:
            known = ", ".join(sorted(set(self.measures["measure"])))
            raise DataError(f"This evaluation has no {measure!r} of {method or self.lead!r}. Measures: {known}.")
        return float(row["value"])

    def row(self, measure: str, method: str | None = None) -> pd.Series | None:
        """Return one row of ``measures``, of the lead method unless another is named; None if there is none."""
        chosen = self.measures[
            (self.measures["method"] == (method or self.lead)) & (self.measures["measure"] == measure)
        ]
        return None if chosen.empty else chosen.iloc[0]

    def to_dict(self) -> dict[str, Any]:
        """Return all but the per-query arrays as JSON-able values; NaN becomes null."""
        frames = {name: _records(getattr(self, name)) for name in FRAMES}
        return {
            "facts": _plain(self.facts),
            "conventions": dict(self.conventions),
            "clusters": _plain(self.clusters),
            **frames,
        }

    def save(self, folder: Path) -> None:
        """Write ``metrics.json``, ``per_query.parquet`` and ``rankings.npz`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        schema = {name: {str(k): str(v) for k, v in getattr(self, name).dtypes.items()} for name in FRAMES}
        arrays: dict[str, NDArray[Any]] = {
            "layout_ranks": self.layout_ranks,
            "assignment": self.assignment,
            "gallery_ids": self.gallery_ids,
        }
        for method, ranking in self.rankings.items():
            arrays |= {f"{method}/{part}": getattr(ranking, part) for part in _RANKING}
        with (folder / _ARRAYS).open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        write_json(folder / _TIMINGS, dict(self.timings))
        self.per_query.to_parquet(folder / _PER_QUERY, index=False)
        # Last: this file tells that the folder is complete.
        write_json(folder / _METRICS, {"version": _VERSION, **self.to_dict(), "schema": schema})

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        """Return whether a folder holds a complete evaluation."""
        return (folder / _METRICS).is_file()

    @classmethod
    def open(cls, folder: Path) -> Evaluation:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the folder holds no evaluation, or a damaged one.
        """
        path = folder / _METRICS
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            # An evaluation of an earlier version lacks the frames that came later.
            loose: dict[str, Any] = {
                name: _frame(content.get(name, []), content["schema"].get(name, {})) for name in FRAMES
            }
            with np.load(folder / _ARRAYS) as arrays:
                methods = [name.removesuffix("/rows") for name in arrays.files if name.endswith("/rows")]
                rankings = {m: Ranking(*(arrays[f"{m}/{part}"] for part in _RANKING)) for m in methods}
                loose |= {name: arrays[name] for name in ("layout_ranks", "assignment", "gallery_ids")}
            per_query = pd.read_parquet(folder / _PER_QUERY)
            if (folder / _TIMINGS).is_file():
                loose["timings"] = json.loads((folder / _TIMINGS).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"{folder}: holds no evaluation ({error.filename} is missing); run cluster-eval.") from None
        except (ValueError, KeyError, OSError) as error:
            raise DataError(f"{folder}: holds a damaged evaluation ({error}); run cluster-eval again.") from None
        return cls(
            facts=content["facts"],
            conventions=content["conventions"],
            clusters=content["clusters"],
            per_query=per_query,
            rankings=rankings,
            **loose,
        )


def _plain(value: Any) -> Any:
    """Turn NumPy values into Python ones and NaN into None, through containers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [_plain(record) for record in frame.to_dict(orient="records")]


def _frame(records: list[dict[str, Any]], schema: Mapping[str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(records, columns=pd.Index(list(schema)))
    return frame.astype(dict(schema))
