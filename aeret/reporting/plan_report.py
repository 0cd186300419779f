"""Build the report of an index plan: the choice, the Pareto front, every trial, and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aeret.evaluation.planning import Budget, Trial, plan_table
from aeret.reporting.formats import show
from aeret.reporting.plots.plan import plan_points
from aeret.reporting.report import Column, Fact, Facts, Figure, Notice, Report, Section, Table, estimates
from aeret.reporting.write import write

_COLUMNS = (
    Column("index", "index"),
    Column("options", "options"),
    Column("knobs", "knobs"),
    Column("value", "measure", "measure", "Mean over the run's queries, with its 95 % bootstrap interval."),
    Column("recall", "exact results kept", "percent", "Share of the exact results; not what is chosen by."),
    Column("ms", "ms a query", "number", "Median of queries asked one by one on one thread."),
    Column("bytes_per_photo", "per photo", "bytes"),
    Column("megabytes", "MB", "number", "Of the whole gallery, 10^6 bytes."),
    Column("build_seconds", "built in", "seconds"),
    Column("fits", "within the budget"),
)


def write_plan(trials: Sequence[Trial], measure: str, budget: Budget, notes: Sequence[str], folder: Path) -> str:
    """Write the report of a plan into a folder, and return the Pareto table as text for a terminal."""
    write(build_plan_report(trials, measure, budget, notes), folder)
    return plan_text(trials, measure)


def build_plan_report(trials: Sequence[Trial], measure: str, budget: Budget, notes: Sequence[str] = ()) -> Report:
    """Build the report of a plan's trials, best first."""
    asked = (
        Fact("measure", measure),
        Fact("memory", budget.megabytes, "number", "MB for the gallery"),
        Fact("latency", budget.milliseconds, "number", "ms a query"),
    )
    caption = (
        "Each point is one index with one setting; the larger, the more memory. The line joins the settings that none "
        "beats in time, measure and memory at once; the ring is the choice, the broken line the latency asked for."
    )
    svg = plan_points(plan_table(trials), "plan", measure, budget.milliseconds)
    title = f"All {len(trials)} trials, best measure first"
    blocks = (
        Facts("plan-budget", "What was asked", asked),
        Figure("plan-points", "What a millisecond buys", svg, caption),
        _table("plan-front", "Pareto front", [trial for trial in trials if trial.pareto]),
        _table("plan-all", title, trials, folded=True),
    )
    return Report(
        f"Index plan by {measure}",
        f"{len(trials)} trials",
        (Section("plan", "Which index", blocks),),
        notices=[Notice(text, "note") for text in (verdict(trials, measure), *notes)],
    )


def verdict(trials: Sequence[Trial], measure: str) -> str:
    """Return one sentence: what to take, or that nothing fits and what comes nearest."""
    chosen = next((trial for trial in trials if trial.chosen), None)
    if chosen is None:
        least = min(trials, key=lambda trial: trial.megabytes)
        quickest = min(trials, key=lambda trial: trial.ms)
        return (
            f"Nothing fits the budget. The smallest trial is {_name(least)} with {least.megabytes:.3g} MB, the fastest "
            f"{_name(quickest)} with {quickest.ms:.3g} ms a query."
        )
    return (
        f"Take {_name(chosen)}: {measure} {show(chosen.value, 'measure')} at {chosen.ms:.3g} ms a query and "
        f"{chosen.megabytes:.3g} MB. It is the smallest of those within the budget that are as good as the best of "
        "them: the 95 % interval of the difference does not lie below zero."
    )


def plan_text(trials: Sequence[Trial], measure: str) -> str:
    """Return the Pareto front and the verdict as aligned text."""
    lines = [("", "index", "settings", measure, "kept", "ms", "B/photo", "MB", "fits")]
    for trial in trials:
        if trial.pareto or trial.chosen:
            mark, words = "*" if trial.chosen else "", " ".join(_words(trial))
            numbers = (f"{trial.value:.4f}", f"{trial.recall:.3f}", f"{trial.ms:.3g}", f"{trial.bytes_per_photo:.0f}")
            lines.append((mark, trial.index, words, *numbers, f"{trial.megabytes:.3g}", "yes" if trial.fits else "no"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    form = "  ".join(f"{{:{'<' if place < 3 else '>'}{width}}}" for place, width in enumerate(widths))
    return "\n".join([*(form.format(*line).rstrip() for line in lines), "", verdict(trials, measure)])


def _table(name: str, title: str, trials: Sequence[Trial], folded: bool = False) -> Table:
    frame = plan_table(trials)
    frame = frame.assign(value=estimates(frame, "value", "low", "high"))
    kinds = ["lead" if trial.chosen else "" for trial in trials]
    return Table(name, title, _COLUMNS, frame, kinds, folded=folded)


def _name(trial: Trial) -> str:
    return " ".join([trial.index, *_words(trial)])


def _words(trial: Trial) -> list[str]:
    row = plan_table([trial]).iloc[0]
    return [text for text in (str(row["options"]), str(row["knobs"])) if text]
