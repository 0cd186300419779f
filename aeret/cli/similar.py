"""Print the photos of a run most similar to one of its own."""

from __future__ import annotations

from pathlib import Path

import click

from aeret.cli.options import run_option, runs_option
from aeret.retrieval.similarity_names import NAMES


@click.command("similar")
@click.option("--photo", required=True, type=int, help="Id of a gallery photo, excluded from its own results.")
@run_option
@runs_option
@click.option(
    "--similarity",
    type=click.Choice(NAMES),
    default="cosine",
    show_default=True,
    help="cosine, euclidean, dot: embeddings; hamming: their signs; layout: overlap of predicted masks.",
)
@click.option("--results", default=10, show_default=True, type=click.IntRange(min=1), help="Number of photos to print.")
def command(photo: int, name: str, root: Path, similarity: str, results: int) -> None:
    """Print the photos most similar to one of the run: rank, distance, id, file.

    \b
    Example:
      aeret similar --photo 139 --run latest --similarity layout --results 10
    """
    from aeret.pipeline.history import artifacts_of, find_run
    from aeret.search.similar import needed, similar_photos

    inputs = artifacts_of(root, find_run(root, name), needed(similarity))
    for place, (distance, each, file) in enumerate(similar_photos(inputs, photo, similarity, results), 1):
        click.echo(f"{place:>4}  {distance:8.4f}  {each}  {file}")
