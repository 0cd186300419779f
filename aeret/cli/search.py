"""Search the photos of a run by text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aeret.cli.options import run_option, runs_option
from aeret.retrieval.similarity_names import TEXT_LAYOUTS

if TYPE_CHECKING:
    from aeret.search.text import TextSearcher


@click.command("search")
@click.argument("text", required=False)
@run_option
@runs_option
@click.option("--results", default=10, show_default=True, type=click.IntRange(min=1), help="Number of photos to print.")
@click.option("--layout-weight", type=click.FloatRange(min=0), help="Weight of the layout; labels have weight 1.")
@click.option(
    "--similarity",
    type=click.Choice(TEXT_LAYOUTS),
    default="relations",
    show_default=True,
    help="Compare layouts by relations in decoded masks, by codes (cosine, euclidean) or by overlap (layout).",
)
@click.option("--explain", is_flag=True, help="Print how the query was read and draw its compiled boxes.")
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False), help="Also write an HTML page with the photos."
)
@click.option("--evaluate", is_flag=True, help="Measure P@10 on generated queries instead of searching.")
def command(
    text: str | None,
    name: str,
    root: Path,
    results: int,
    layout_weight: float | None,
    similarity: str,
    explain: bool,
    page: Path | None,
    evaluate: bool,
) -> None:
    """Find the photos of a run that match TEXT: categories, places and relations.

    Prints the rank, distance, its two parts (labels, layout) and the file of each photo, nearest first.

    \b
    Example:
      aeret search "person left of dog"
      aeret search "two cars below a traffic light and no person" --run latest --explain
      aeret search "dog on couch" --page found.html
      aeret search --evaluate
    """
    from aeret.pipeline.history import artifacts_of, find_run
    from aeret.retrieval.text.grammar import parse
    from aeret.retrieval.text.search import WEIGHTS
    from aeret.search.text import NEEDED, TextSearcher

    if evaluate == (text is not None):
        raise click.UsageError('Give a query, for example `aeret search "person left of dog"`, or --evaluate.')
    searcher = TextSearcher(artifacts_of(root, find_run(root, name), NEEDED), similarity)
    weights = {**WEIGHTS} if layout_weight is None else {**WEIGHTS, "layout": layout_weight}
    if text is None:
        if searcher.photos() is None:
            raise click.UsageError("--evaluate needs a run with masks; this one embedded a folder of photos.")
        _evaluate(searcher, weights)
        return
    scene = parse(text, searcher.vocabulary)  # before anything large is loaded
    found = searcher.search(scene, results, weights)
    if explain:
        from aeret.reporting.text_search import ascii_layout

        click.echo(f"Read as: {scene.reading(searcher.names)}")
        click.echo("Weights: " + ", ".join(f"{part} {weight:g}" for part, weight in found.weights.items()))
        click.echo(ascii_layout(searcher.compiled(scene), searcher.names))
    files = searcher.gallery.columns["file_name"]
    for place, (row, distance) in enumerate(
        zip(found.ranking.rows[0], found.ranking.distances[0], strict=True), start=1
    ):
        parts = "  ".join(f"{part} {values[row]:7.3f}" for part, values in found.parts.items())
        click.echo(f"{place:>4}  {distance:7.3f}  ({parts})  {files[row]}")
    if page is not None:
        from aeret.reporting.text_search import text_search_page, write_text_search

        names = [str(files[row]) for row in found.ranking.rows[0]]
        photos = searcher.photos()
        report = text_search_page(text, scene, searcher.compiled(scene), searcher.names, found, names, photos)
        write_text_search(page, report)
        click.echo(f"Page: {page.resolve()}")


def _evaluate(searcher: TextSearcher, weights: dict[str, float]) -> None:
    from aeret.cli.report_lines import frame_text
    from aeret.evaluation.text_queries import precision_table, text_queries
    from aeret.retrieval.text.things import things_of

    queries = text_queries(
        things_of(searcher.prepared.split("query").masks), searcher.vocabulary, searcher.typical, seed=0
    )
    things = things_of(searcher.prepared.split("gallery").masks)
    scenes = [query.scene for query in queries]
    summary, _ = precision_table(queries, searcher.parts(scenes), things, searcher.typical, 0, weights)
    if summary.empty:
        click.echo("The query photos hold no objects, so there is no text query to evaluate.")
        return
    click.echo(f"P@10 of {len(queries)} text queries against masks; weights {_words(weights)}")
    click.echo(frame_text(summary))


def _words(weights: dict[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
