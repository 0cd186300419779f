"""``aeret similar``: the photos of a run most similar to one of its own, by a similarity of choice."""

from __future__ import annotations

from pathlib import Path

import click

from aeret.cli.options import runs_option
from aeret.retrieval.similarity_names import NAMES


@click.command("similar")
@click.option("--photo", required=True, type=int, help="Id of a gallery photo; it is left out of its own results.")
@click.option("--run", "name", default="latest", show_default=True, help="Which run: an id or a unique prefix.")
@runs_option
@click.option(
    "--similarity",
    type=click.Choice(NAMES),
    default="cosine",
    show_default=True,
    help="cosine, euclidean, dot: of embeddings; hamming: of their signs; layout: overlap of the masks predicted.",
)
@click.option("--results", default=10, show_default=True, type=click.IntRange(min=1), help="Photos to print.")
def command(photo: int, name: str, root: Path, similarity: str, results: int) -> None:
    """Print the photos of a run that are most similar to one of its own: rank, distance, id and file.

    \b
    Example:
      aeret similar --photo 139 --run latest --similarity layout --results 10
    """
    from aeret.pipeline.history import artifacts_of, find_run
    from aeret.search.similar import needed, similar_photos

    inputs = artifacts_of(root, find_run(root, name), needed(similarity))
    for place, (distance, each, file) in enumerate(similar_photos(inputs, photo, similarity, results), 1):
        click.echo(f"{place:>4}  {distance:8.4f}  {each}  {file}")
