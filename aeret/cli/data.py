"""``aeret data``: look at a collection before anything is trained on it."""

from __future__ import annotations

from pathlib import Path

import click

from aeret.cli.groups import SuggestingGroup
from aeret.cli.options import settings_options


@click.group(cls=SuggestingGroup)
def command() -> None:
    """List, fetch, check, count and look at collections.

    MANIFEST is the path of a manifest (YAML) or the name of one that ships with aeret. Without it the collection is
    that of the settings: ``data.manifest`` of --config or --set.

    \b
    Example:
      aeret data check my.yaml
      aeret data show scenes --out sheet.png
    """


@command.command("list")
def list_command() -> None:
    """List the manifests that ship with aeret.

    \b
    Example:
      aeret data list
    """
    from aeret.data.manifest import built_in_manifests, load_manifest

    for name, path in built_in_manifests().items():
        click.echo(f"{name:<12} {load_manifest(path).description}")


@command.command("fetch")
@click.argument("manifest", required=False)
@settings_options
@click.option(
    "--root", type=click.Path(path_type=Path, file_okay=False), help="Folder to fetch into, not the manifest's."
)
def fetch_command(manifest: str | None, config: Path | None, overrides: tuple[str, ...], root: Path | None) -> None:
    """Download a manifest's files; resumes, checks sizes and sha256, unpacks.

    \b
    Example:
      aeret data fetch coco2017 --root ~/coco2017
    """
    from aeret.data.fetch import fetch
    from aeret.data.manifest import load_manifest
    from aeret.progress import terminal

    loaded = load_manifest(_chosen(manifest, config, overrides), root)
    fetch(loaded, progress=terminal)
    click.echo(f"{loaded.name}: all files are in {loaded.root}")


@command.command("check")
@click.argument("manifest", required=False)
@settings_options
@click.option("--photos/--no-photos", default=True, help="Also decode every photo (the slow part).")
@click.option("--limit", default=20, show_default=True, help="Findings printed per rule; all are counted.")
def check_command(
    manifest: str | None, config: Path | None, overrides: tuple[str, ...], photos: bool, limit: int
) -> None:
    """Report every problem of a collection with file, id and fix.

    \b
    Example:
      aeret data check my.yaml
      aeret data check --config pipelines/coco.yaml
    """
    from collections import Counter

    from aeret.data.check_collection import check_manifest
    from aeret.data.manifest import load_manifest
    from aeret.errors import DataError
    from aeret.progress import terminal

    loaded = load_manifest(_chosen(manifest, config, overrides))
    findings = check_manifest(loaded, photos, terminal)
    shown: Counter[str] = Counter()
    for finding in findings:
        shown[finding.rule] += 1
        if shown[finding.rule] <= limit:
            click.echo(f"{finding.severity}: {finding.file}: {finding.where}: {finding.problem}; {finding.mend}")
    for rule, count in shown.items():
        if count > limit:
            click.echo(f"... and {count - limit} more of {rule} (--limit shows them)")
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    click.echo(f"{loaded.name}: {errors} errors, {warnings} warnings")
    if errors:
        raise DataError(f"{loaded.name} has {errors} errors; nothing is trained on it until they are fixed.")


@command.command("stats")
@click.argument("manifest", required=False)
@settings_options
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def stats_command(manifest: str | None, config: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Count photos, annotations, labels and masks of every split.

    \b
    Example:
      aeret data stats coco_mix
    """
    import json
    from dataclasses import asdict

    from aeret.data.manifest import load_manifest, provide
    from aeret.data.stats import format_statistics, statistics
    from aeret.progress import terminal

    loaded = load_manifest(_chosen(manifest, config, overrides))
    provide(loaded, progress=terminal)
    found = statistics(loaded, progress=terminal)
    click.echo(json.dumps(asdict(found), indent=2) if as_json else format_statistics(found))


@command.command("show")
@click.argument("manifest", required=False)
@settings_options
@click.option("--split", default="gallery", show_default=True, help="train, query or gallery.")
@click.option("--photos", "count", default=24, show_default=True, help="How many photos.")
@click.option("--seed", default=0, show_default=True, help="Which photos.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("sheet.png"), show_default=True)
def show_command(
    manifest: str | None,
    config: Path | None,
    overrides: tuple[str, ...],
    split: str,
    count: int,
    seed: int,
    out: Path,
) -> None:
    """Draw a contact sheet of photos with their masks and names.

    \b
    Example:
      aeret data show scenes --photos 30 --out sheet.png
    """
    from aeret.data.collection import read_collection
    from aeret.data.manifest import load_manifest, provide
    from aeret.data.selection import select_photos
    from aeret.data.show import contact_sheet
    from aeret.progress import terminal

    loaded = load_manifest(_chosen(manifest, config, overrides))
    provide(loaded, progress=terminal)
    contact_sheet(loaded, split, count, seed, out)
    collections = {name: read_collection(loaded.sources[name].annotations) for name in loaded.used_sources}
    there = len(select_photos(loaded, collections)[split])
    click.echo(f"{out}: {min(count, there)} of the {there} photos of {loaded.name} ({split})")


def _chosen(manifest: str | None, config: Path | None, overrides: tuple[str, ...]) -> str:
    """Return the manifest to read: the argument, or that of the settings."""
    from aeret.pipeline.pipelines import settings_of_file

    if manifest is None:
        return settings_of_file(config, overrides).data.manifest
    if config or overrides:
        raise click.UsageError(f"{manifest} is given, and settings that name a manifest too; give one of them.")
    return manifest
