"""Define the entries of the registry of measures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np

from aeret.evaluation.metrics.ranked import Counts, Ranked, Values

Options = Mapping[str, str]
"""Value of every parameter, by name."""
Compute = Callable[[Ranked, Counts, Options], Values]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a measure."""

    default: str
    choices: tuple[str, ...]
    """Allowed values; if empty, every word is allowed."""
    text: str
    """Effect of the parameter, a plain sentence."""

    @property
    def flag(self) -> bool:
        """Whether it is written by its name alone."""
        return self.choices == ("no", "yes")


REL = Parameter("any", ("any", "jaccard", "layout"), "What counts as relevant; graded rules count from above 0.")
TIES = Parameter(
    "id",
    ("id", "expected"),
    "Results that are equally far: in the order of their ids, or the exact expectation over all their orders.",
)
EMPTY = Parameter("skip", ("skip", "zero"), "A query without a relevant photo: left out and counted, or a 0.")
SELF = Parameter("excluded", ("excluded", "included"), "Whether a query that is in the gallery may find itself.")
GALLERY = Parameter("", (), "The subset of the gallery that was searched; a label, the search is the caller's.")
SEARCH = Parameter("", (), "The search that made the ranking, if not the leading one; a label.")
BY_QUERY = ("query", "class")
"""Averages of a measure of one query's hits."""
POOLED = (*BY_QUERY, "micro")
"""Averages of a measure that is a ratio of counts."""
_AVERAGES = {
    "query": "over queries",
    "class": "per class over the queries that have it, results that have it being relevant, then over classes",
    "micro": "counts of all queries pooled (a query's value is its share: the plain mean is the pooled ratio)",
}


def parameters(average: tuple[str, ...] = (), ties: bool = True, **own: Parameter) -> Mapping[str, Parameter]:
    """Return the parameters of a measure, in the order they are printed."""
    found = {"rel": REL, **own}
    if average:
        texts = "; ".join(f"{each}, {_AVERAGES[each]}" for each in average)
        found["average"] = Parameter("query", average, f"The mean: {texts}.")
    if ties:
        found["ties"] = TIES
    return MappingProxyType(found | {"self": SELF, "empty": EMPTY, "gallery": GALLERY, "search": SEARCH})


@dataclass(frozen=True)
class Definition:
    """One measure: a function, its explanation, and how the function is to be called."""

    title: str
    compute: Compute
    """Values float64 (p, m) of rising cut-offs int64 (m,); of a curve (p, 1, levels).

    Its docstring explains the measure in plain words, then under ``Formula:`` (``rel(i)`` is 1 if the result at rank i
    is relevant, ``R`` the number of relevant photos), ``Bounds:``, ``Source:`` and ``Worked:`` (by hand on the example
    of :mod:`aeret.evaluation.metrics.explain`, ending with ``= value``).
    """
    cutoff: Literal["needed", "optional", "none"] = "needed"
    depth: Literal["all", "relevant"] = "all"
    """Results that a measure without a cut-off looks at."""
    parameters: Mapping[str, Parameter] = field(default_factory=parameters)
    graded: bool = False
    """Whether it needs gains; for all other measures a gain above 0 is a hit."""
    weight: Compute | None = None
    """The denominator, float64 (p, m), of a measure that can be pooled."""
    known: Callable[[Ranked], Values] | None = None
    """1 if the measure is defined, float64 (p,); by default it is if any photo is relevant."""
    levels: int = 0
    """Points of a curve; 0 for a number."""

    @cached_property
    def explanation(self) -> Mapping[str, str]:
        """Parts of the docstring by label, each in one line; the plain words are ``Text``."""
        parts = re.split(r"\n(Formula|Bounds|Source|Worked): ", inspect.getdoc(self.compute) or "")
        labels = ("Text", *parts[1::2])
        return {label: " ".join(part.split()) for label, part in zip(labels, parts[::2], strict=True)}

    @property
    def worked(self) -> str:
        """The example worked by hand."""
        return self.explanation["Worked"]

    def values(self, ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
        """Return the measure at each cut-off, float64 (p, m) (a curve: (p, 1, levels)), by its rule of empty queries.

        Args:
            ranked: the results.
            cutoffs: rising, int64 (m,).
            options: all parameters.
        """
        values = self.compute(ranked, cutoffs, options)
        known = ranked.relevant > 0 if self.known is None else self.known(ranked) > 0
        values[~known] = np.nan if options["empty"] == "skip" else 0.0
        return values
