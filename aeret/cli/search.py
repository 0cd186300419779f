"""``aeret search``: find photos of a run by text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aeret.cli.options import runs_option
from aeret.retrieval.similarity_names import TEXT_LAYOUTS

if TYPE_CHECKING:
    from aeret.search.text import TextSearcher


@click.command("search")
@click.argument("text", required=False)
@click.option("--run", "name", default="latest", show_default=True, help="Which run: an id or a unique prefix.")
@runs_option
@click.option("--results", default=10, show_default=True, type=click.IntRange(min=1), help="Photos to print.")
@click.option(
    "--layout-weight", type=click.FloatRange(min=0), help="Weight of the layout beside the labels' 1; 0: labels alone."
)
@click.option(
    "--similarity",
    type=click.Choice(TEXT_LAYOUTS),
    default="relations",
    show_default=True,
    help="How layouts are compared: relations in the decoded masks, codes (cosine, euclidean), or overlap (layout).",
)
@click.option("--explain", is_flag=True, help="Say how the query was read, and draw the boxes it was compiled to.")
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False), help="Also write an HTML page with the photos."
)
@click.option(
    "--evaluate", is_flag=True, help="Instead of searching, measure P@10 of queries that are true in the masks."
)
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
    """Find the photos of a run that show what TEXT says: categories and simple relations between them.

    Prints rank, distance, its two parts (labels, layout) and the file of each photo; smaller is better.

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
            raise click.UsageError("--evaluate needs a run of prepared photos with masks, not of a folder of photos.")
        _evaluate(searcher, weights)
        return
    scene = parse(text, searcher.vocabulary)  # what is wrong with the text is said before anything is loaded
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
        click.echo("The query photos hold nothing that a text query could ask for.")
        return
    click.echo(f"P@10 of {len(queries)} text queries against masks; weights {_words(weights)}")
    click.echo(frame_text(summary))


def _words(weights: dict[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
