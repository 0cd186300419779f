"""Train the contextual re-ranker by ``aeret index train-reranker``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aeret.cli.options import runs_option


@click.command("train-reranker")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--run", "name", default="latest", show_default=True, help="Which run: an id or a prefix.")
@click.option("--photos", default=2000, show_default=True, type=click.IntRange(min=2), help="Most train photos used.")
@click.option("--epochs", default=30, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@runs_option
def train_reranker_command(file: Path, name: str, photos: int, epochs: int, seed: int, root: Path) -> None:
    """Train the re-ranker `contextual` on the run's train photos, and write it to FILE.

    \b
    Example:
      aeret index train-reranker contextual.npz
      aeret index search gallery.index --photo 139 --rerank contextual --rerank-option network=contextual.npz
    """
    from aeret.pipeline.history import artifacts_of, find_run
    from aeret.stages.contextual_reranker import NEEDED, train_reranker

    used = train_reranker(artifacts_of(root, find_run(root, name), NEEDED), file, seed, photos, epochs=epochs)
    click.echo(f"Trained on the result lists of {used} train photos: {file.resolve()}")


def with_network(reranker: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a re-ranker, the file of a contextual network replaced by the network."""
    if reranker != "contextual" or "network" not in options:
        return options
    from aeret.training.contextual import ContextualNetwork

    return options | {"network": ContextualNetwork.open(Path(str(options["network"])))}
