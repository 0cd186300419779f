"""``aeret runs``: list, show and compare past runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeret.cli.groups import SuggestingGroup
from aeret.cli.options import runs_option

if TYPE_CHECKING:
    from aeret.pipeline.history import Run

_LONG = 160
"""Bytes of a folder's name, at most, before its digest; file systems take 255."""
_INTERVAL = "percentile"


@click.group(cls=SuggestingGroup)
def command() -> None:
    """List, show and compare past runs.

    \b
    Example:
      aeret runs list
      aeret runs show latest
      aeret runs compare 20261120-101500-joint 20261120-113000-labels
    """


@command.command("list")
@runs_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_command(root: Path, as_json: bool) -> None:
    """List all runs, oldest first.

    \b
    Example:
      aeret runs list
    """
    from dataclasses import asdict

    from aeret.pipeline.history import list_runs

    runs = list_runs(root)
    for run in runs:
        if as_json:
            click.echo(json.dumps(asdict(run)))
        else:
            first = next((f"{n['name']} {n['value']:.3f}" for n in run.headline.get("headline", [])), "")
            click.echo(f"{run.id:<48} {run.status:<12} {run.started:<26} {first}")
    if not runs and not as_json:
        click.echo(f"No runs in {root}; `aeret run pipelines/demo.yaml` makes one.")


@command.command("show")
@click.argument("name")
@runs_option
def show_command(name: str, root: Path) -> None:
    """Show one run (an id, a unique prefix, or `latest`): settings that differ from the defaults, stages, numbers.

    \b
    Example:
      aeret runs show latest
    """
    from aeret.cli.report_lines import headline_lines
    from aeret.pipeline.history import find_runs, folder_of
    from aeret.settings import Settings

    for run in find_runs(root, name):
        click.echo(f"{run.id}: {run.status}, {run.started} to {run.finished or '-'}")
        for key, value in _differences(run.settings, Settings().model_dump(mode="json")):
            click.echo(f"  {key} = {value}")
        for entry in run.stages:
            click.echo(f"  {entry['stage']:<13} {entry['how']:<11} {entry['seconds']:>8.1f} s  {entry['key']}")
        for line in headline_lines(run, folder_of(root, run)):
            click.echo(line)


@command.command("compare")
@click.argument("names", nargs=-1, required=True)
@click.option("--by", help="A matrix setting, to compare its values within one group (e.g. cnn.arm).")
@click.option("--baseline", default="", help="The value or run the others are tested against; the first when absent.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the report; when absent, one in `comparisons` named after the runs.",
)
@click.option(
    "--interval",
    default=_INTERVAL,
    show_default=True,
    help="Bootstrap interval of a difference: percentile, or bca (corrected for bias and skew).",
)
@runs_option
def compare_command(
    names: tuple[str, ...], by: str | None, baseline: str, out: Path | None, interval: str, root: Path
) -> None:
    """Compare runs query by query: differences with intervals, Holm-adjusted p of a randomisation test, Wilcoxon's p.

    \b
    Example:
      aeret runs compare RUN_A RUN_B
      aeret runs compare 20261120-101500-coco_mix --by cnn.arm --baseline labels-only --interval bca
    """
    from aeret.pipeline.history import find_runs

    runs = [run for name in names for run in find_runs(root, name)]
    compare_group(root, runs, by, baseline, out, interval)


def compare_group(
    root: Path,
    runs: Sequence[Run],
    by: str | None,
    baseline: str,
    out: Path | None = None,
    interval: str = _INTERVAL,
) -> None:
    """Compare runs by the value of a setting (their seeds pooled), or one by one; print the table and write the report.

    Raises:
        UsageError: fewer than two things to compare, an unfinished run, a baseline that is none of them, or no such
            interval.
    """
    from aeret.errors import UsageError
    from aeret.pipeline.history import artifact_of
    from aeret.reporting.comparison_report import compare_and_write
    from aeret.reporting.sections.changes import ComparedRuns

    names = _names(runs)
    settings: dict[str, list[Mapping[str, Any]]] = {}
    arms: dict[str, list[Path]] = {}
    for run in runs:
        folder = artifact_of(root, run, "cluster-eval")
        if folder is None:
            raise UsageError(f"run {run.id} is {run.status} and has no evaluation yet; finish it first.")
        if not (folder / "artifact.json").is_file():
            raise UsageError(f"run {run.id}: its evaluation {folder} is gone; run the pipeline again.")
        name = _value(run, by) if by else names[run.id]
        arms.setdefault(name, []).append(folder)
        settings.setdefault(name, []).append(run.settings)
    if len(arms) < 2:
        raise UsageError(
            f"nothing to compare: all given runs are {next(iter(arms), 'none')!r}; give two runs, or --by."
        )
    baseline = names.get(baseline, baseline)
    if baseline and baseline not in arms:
        raise UsageError(f"--baseline {baseline!r} is none of {', '.join(arms)}.")
    baseline = baseline or next(iter(arms))
    target = out or root / "comparisons" / _folder_name(runs, by, [*arms], baseline, interval)
    compared = ComparedRuns(settings, _photos(root, runs))
    text = compare_and_write(arms, baseline, target, interval, compared)
    click.echo("")
    click.echo(text)
    click.echo(f"Report: {(target / 'report.html').resolve()}")


def _names(runs: Sequence[Run]) -> dict[str, str]:
    """Return the name of each run in a comparison: its id, without the group where all have one."""
    group = f"{runs[0].group}." if len({run.group for run in runs}) == 1 else ""
    return {run.id: run.id.removeprefix(group) for run in runs}


def _value(run: Run, by: str) -> str:
    return str(run.values[by] if by in run.values else _setting(run.settings, by))


def _folder_name(runs: Sequence[Run], by: str | None, arms: Sequence[str], baseline: str, interval: str) -> str:
    """Return a name that says what is compared: never that of a group alone, whose report `aeret run` wrote."""
    from aeret.artifacts import digest
    from aeret.pipeline.pipelines import slug

    groups = [*dict.fromkeys(run.group for run in runs)]
    others = [arm for arm in arms if arm != baseline]
    if by:
        # A value may be any text.
        parts, others, against = [*groups, slug(by)], [slug(arm) for arm in others], slug(baseline)
    else:
        parts, against = groups if len(groups) == 1 else [], baseline
    name = ".".join([*parts, f"{'-and-'.join(others)}-against-{against}"])
    if interval != _INTERVAL:
        name += f"-{slug(interval)}"
    if not by and len(name.encode()) <= _LONG:
        return name
    # A value does not say which of a group's runs were taken; nor does a name that is cut.
    cut = name.encode()[:_LONG].decode(errors="ignore")
    return f"{cut}-{digest([sorted(run.id for run in runs), by, baseline, interval])[:8]}"


def _photos(root: Path, runs: Sequence[Run]) -> Any:
    """Return the photos of the first run whose prepared data is still there, or None."""
    from aeret.data.prepared import Prepared
    from aeret.errors import DataError
    from aeret.pipeline.history import artifact_of
    from aeret.reporting.inputs import ReportInputs

    for run in runs:
        folder = artifact_of(root, run, "prepare")
        try:
            prepared = Prepared.open(folder) if folder else None
            if prepared is not None:
                gallery = prepared.split("gallery")
                queries = gallery if prepared.leave_one_out else prepared.split("query")
                return ReportInputs(tuple(each.name for each in prepared.categories), queries, gallery)
        except DataError:
            continue
    return None


def _setting(settings: object, dotted: str) -> object:
    from aeret.errors import UsageError

    node = settings
    for key in dotted.split("."):
        if not isinstance(node, dict) or key not in node:
            raise UsageError(f"--by {dotted!r}: there is no such setting.")
        node = node[key]
    return node


def _differences(given: object, default: object, prefix: str = "") -> list[tuple[str, object]]:
    if isinstance(given, dict) and isinstance(default, dict):
        found = []
        for key, value in given.items():
            found += _differences(value, default.get(key), f"{prefix}.{key}" if prefix else str(key))
        return found
    return [] if given == default else [(prefix, given)]
