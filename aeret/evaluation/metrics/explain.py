"""Explain measures in words, with an example worked by hand and computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aeret.evaluation.metrics.naming import Measure
from aeret.evaluation.metrics.ranked import EVERYTHING, Ranked
from aeret.evaluation.metrics.registry import ALIASES, METRICS

EXAMPLE_HITS = (0, 1, 1, 0, 1, 0, 0, 1, 0, 0)
"""The example: a gallery of ten photos in order, four of them relevant."""
EXAMPLE_CUTOFF = 5


def example(measure: Measure) -> float:
    """Return a measure's value on the example: no graded gains, no ties; of a curve the mean of its points."""
    hits = np.array([EXAMPLE_HITS], np.uint8)
    relevant = np.array([hits.sum()], np.int64)
    gains = hits.astype(np.float64)
    ranked = Ranked(relevant, np.array([hits.shape[1]]), hits, gains, -np.sort(-gains, axis=1))
    options = dict(measure.options) | {"average": "query"}
    values = measure.definition.values(ranked, np.array([measure.cutoff or EVERYTHING]), options)
    return float(values.mean())


def plain(name: str) -> Measure:
    """Return a measure with its defaults, at the example's cut-off if it needs one."""
    return Measure(name, cutoff=EXAMPLE_CUTOFF if METRICS[name].cutoff == "needed" else None)


def rows() -> list[tuple[str, str, str, str]]:
    """Return a row for each measure: how it is written, its title, its parameters and its other names."""
    found = []
    for name, definition in METRICS.items():
        cutoff = {"needed": "@k", "optional": "[@k]", "none": ""}[definition.cutoff]
        names = ", ".join(alias for alias, own in ALIASES.items() if own == name)
        found.append((f"{name}{cutoff}", definition.title, ", ".join(definition.parameters), names))
    return found


def explanation(measure: Measure) -> str:
    """Return definition, formula, conventions, bounds and a worked example, as lines of text."""
    definition, options, said = measure.definition, measure.options, measure.definition.explanation
    lines = [f"{measure}: {definition.title}", "", said["Text"], "", f"Formula      {said['Formula']}"]
    lines += [f"Bounded by   {said['Bounds']}", f"Source       {said['Source']}", "", "Conventions"]
    for name, parameter in definition.parameters.items():
        others = ", ".join(choice for choice in parameter.choices if choice != options[name])
        written = f"{name}={options[name] or '(none)'}"
        lines.append(f"  {written:<21}{parameter.text}{f' Else: {others}.' if others else ''}")
    if measure.cutoff is not None:
        lines.append(f"  {f'@{measure.cutoff}':<21}Only the first {measure.cutoff} results count.")
    order = " ".join("+" if hit else "-" for hit in EXAMPLE_HITS)
    shown = plain(measure.name)
    lines += ["", f"Example      ten photos in order, + is relevant: {order}", f"  {shown}: {definition.worked}"]
    if replace(measure, changed=()) != shown or measure.changed:
        lines.append(f"  {measure} of the same: {example(measure):.4g}{_same(measure)}")
    return "\n".join(lines)


def _same(measure: Measure) -> str:
    if measure.rel != "any" or "ties" in dict(measure.changed):
        return " (this example has neither grades nor ties)"
    return ""


def guide() -> str:
    """Return the registry as a page of the guide, Markdown."""
    parts = ["| written | measure | also read |", "|---|---|---|"]
    parts += [
        f"| `{written}` | {title} | {', '.join(f'`{a}`' for a in names.split(', ') if a)} |"
        for written, title, _, names in rows()
    ]
    for name, definition in METRICS.items():
        said = definition.explanation
        parts += ["", f"## {name}: {definition.title}", "", said["Text"], "", f"    {said['Formula']}", ""]
        parts += [f"Bounded by {said['Bounds'][0].lower()}{said['Bounds'][1:]}", ""]
        parts += [f"Example: {said['Worked']}. Source: {said['Source']}.", ""]
        parts += ["| parameter | default | others | what it decides |", "|---|---|---|---|"]
        for key, parameter in definition.parameters.items():
            others = ", ".join(f"`{choice}`" for choice in parameter.choices if choice != parameter.default)
            default = f"`{parameter.default}`" if parameter.default else ""
            parts.append(f"| `{key}` | {default} | {others or 'any name'} | {parameter.text} |")
    return "\n".join(parts) + "\n"
