"""Plan, build and search indexes over the embeddings of a run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from aeret.cli.groups import SuggestingGroup
from aeret.cli.options import progress_of, run_option, runs_option
from aeret.cli.train_reranker import train_reranker_command, with_network


class Quantity(click.ParamType):  # type: ignore[type-arg]
    """Number with a unit, converted to the base unit."""

    def __init__(self, name: str, units: dict[str, float]) -> None:
        self.name, self._units = name, units

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the quantity in the unit whose factor is 1."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]+)\s*", str(value))
        if found is None or found[2].lower() not in self._units:
            units = ", ".join(self._units)
            self.fail(f"{value!r} is not a {self.name}; give a number and a unit ({units}).", param, ctx)
        amount = float(found[1]) * self._units[found[2].lower()]
        if amount <= 0:
            self.fail(f"{value!r} must be more than 0.", param, ctx)
        return amount


MEMORY = Quantity("memory", {"mb": 1.0, "kb": 1e-3, "gb": 1e3, "mib": 2**20 / 1e6, "gib": 2**30 / 1e6})
LATENCY = Quantity("latency", {"ms": 1.0, "us": 1e-3, "s": 1e3})


@click.group(cls=SuggestingGroup)
def command() -> None:
    """Plan, build and search indexes over the embeddings of a finished run.

    \b
    Example:
      aeret index plan --memory 512MB --latency 2ms
      aeret index build ivf-flat gallery.index --option lists=500
      aeret index search gallery.index --photo 139 --knob nprobe=8
    """


command.add_command(train_reranker_command)


@command.command("plan")
@click.option("--memory", type=MEMORY, default="512MB", show_default=True, help="Largest size of the gallery's index.")
@click.option("--latency", type=LATENCY, default="2ms", show_default=True, help="Longest query time on one thread.")
@click.option(
    "--measure",
    default="nDCG(rel=jaccard)@10",
    show_default=True,
    help="Measure to maximise (`aeret metrics list`).",
)
@click.option("--index", "kinds", multiple=True, help="Try only this index. Repeatable; default: all.")
@click.option("--queries", default=1000, show_default=True, type=click.IntRange(min=2), help="Most queries to ask.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write the report into.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@run_option
@runs_option
def plan_command(
    memory: float,
    latency: float,
    measure: str,
    kinds: tuple[str, ...],
    queries: int,
    out: Path | None,
    quiet: bool,
    name: str,
    root: Path,
) -> None:
    """Measure indexes on the run's own queries and choose the best within a budget.

    Prints the Pareto front of measure, time and memory, and writes a report of all trials. Times hold for this
    machine only.

    \b
    Example:
      aeret index plan --memory 512MB --latency 2ms
      aeret index plan --measure "F(rel=any)@10" --index flat --index ivf-pq --run latest
    """
    from aeret.pipeline.history import artifacts_of, find_run, settings_of
    from aeret.search.index_plan import NEEDED, plan_index

    run = find_run(root, name)
    inputs = artifacts_of(root, run, NEEDED)
    target = out or root / "plans" / run.id
    text = plan_index(
        inputs,
        settings_of(run),
        measure,
        memory,
        latency,
        kinds,
        queries,
        target,
        progress_of(quiet),
        lambda line: click.echo(f"Note: {line}", err=True),
    )
    click.echo(text)
    click.echo(f"Report: {(target / 'report.html').resolve()}")


@command.command("build")
@click.argument("kind")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the index. Repeatable.")
@click.option("--metric", default=None, help="cosine (default), euclidean or dot.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--quiet", is_flag=True, help="No progress bars.")
@run_option
@runs_option
def build_command(
    kind: str,
    folder: Path,
    options: tuple[str, ...],
    metric: str | None,
    seed: int,
    quiet: bool,
    name: str,
    root: Path,
) -> None:
    """Build an index of the run's gallery, by photo id, and save it into FOLDER.

    \b
    Example:
      aeret index build flat gallery.index
      aeret index build ivf-pq gallery.index --option lists=500 --option parts=32
    """
    from aeret.errors import UsageError
    from aeret.pipeline.history import artifacts_of, find_run
    from aeret.registry import lookup
    from aeret.retrieval.indexes import INDEXES
    from aeret.search.index_plan import NEEDED, gallery_vectors

    index_type = lookup(INDEXES, kind, "index")
    if "hamming" in index_type.METRICS:
        raise UsageError(f"The index {kind} holds binary codes, but a run has float embeddings; choose another index.")
    vectors, ids = gallery_vectors(artifacts_of(root, find_run(root, name), NEEDED))
    index = index_type.build(
        vectors, ids=ids, metric=metric, seed=seed, progress=progress_of(quiet), **_pairs(options, "--option")
    )
    index.save(folder)
    click.echo(f"{kind}: {len(index)} photos, {index.bytes_per_vector:.0f} bytes a photo: {folder.resolve()}")


@command.command("search")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--photo", required=True, type=int, help="Id of a photo in the index, excluded from its own results.")
@click.option("--results", default=10, show_default=True, type=click.IntRange(min=1))
@click.option("--knob", "knobs", multiple=True, metavar="KEY=VALUE", help="A knob of the search. Repeatable.")
@click.option("--rerank", default="", metavar="NAME", help="Re-rank the first results, e.g. with alpha-qe.")
@click.option(
    "--rerank-option", "options", multiple=True, metavar="KEY=VALUE", help="A re-ranker's option. Repeatable."
)
@click.option("--top", default=100, show_default=True, type=click.IntRange(min=1), help="Number of results to re-rank.")
def search_command(
    folder: Path,
    photo: int,
    results: int,
    knobs: tuple[str, ...],
    rerank: str,
    options: tuple[str, ...],
    top: int,
) -> None:
    """Print the nearest photos in an index to one of its own: rank, distance, id.

    \b
    Example:
      aeret index search gallery.index --photo 139 --results 5
      aeret index search gallery.index --photo 139 --rerank alpha-qe --rerank-option alpha=3
    """
    import numpy as np

    from aeret.registry import lookup
    from aeret.retrieval.indexes import open_index
    from aeret.retrieval.rerankers import RERANKERS

    reranker = lookup(RERANKERS, rerank, "re-ranker") if rerank else None
    index = open_index(folder)
    query = index.decoded(np.array([photo]))
    wanted = results if reranker is None else max(results, top)
    found = index.search(query, wanted, exclude=np.array([photo]), **_pairs(knobs, "--knob"))
    ids, distances = found.rows, found.distances
    if reranker is not None:
        # Re-rankers address vectors by row, indexes by id.
        by_row = replace(found, rows=index.rows(ids))
        given = with_network(rerank, _pairs(options, "--rerank-option"))
        again = reranker.rerank(query, by_row, index.decoded(), top=top, **given)
        ids, distances = index.ids[again.rows], again.distances
    for place, (each, distance) in enumerate(zip(ids[0, :results], distances[0, :results], strict=True), 1):
        click.echo(f"{place:>4}  {distance:.4f}  {each}")
    click.echo(f"Compared with {found.scanned[0]} of {len(index)} photos.")


def _pairs(texts: tuple[str, ...], option: str) -> dict[str, Any]:
    """Parse KEY=VALUE pairs; values become bool, int or float if they look like one."""
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise click.UsageError(f"{option} {text!r}: expected KEY=VALUE, e.g. lists=500.")
        values[key] = _value(value)
    return values


def _value(text: str) -> bool | float | int | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return float("inf") if text == "all" else text
