"""Open the query and gallery photos of a run with their embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aeret.evaluation.evaluate import PhotoSet


class Embedded:
    """Query and gallery photos of a run, opened: mapped arrays, checked to belong together.

    Args:
        inputs: the artifact of each stage, ``prepare`` and ``embed`` at least.

    Raises:
        DataError: an artifact is damaged, or the embeddings are of other photos.
    """

    def __init__(self, inputs: Mapping[str, Path]) -> None:
        from aeret.data.prepared import Prepared
        from aeret.embeddings.store import EmbeddedPhotos
        from aeret.errors import UsageError

        embedded = EmbeddedPhotos(inputs["embed"])
        if not embedded.has_splits:
            raise UsageError(
                f"{inputs['embed']}: holds embeddings of a folder of photos (embed.photos), which have no splits; run "
                "the pipeline without embed.photos to ask its query and gallery photos."
            )
        self.inputs = inputs
        self.prepared = Prepared.open(inputs["prepare"])
        self.leave_one_out: bool = self.prepared.leave_one_out
        """Whether the queries are the gallery; a query then never finds itself."""
        self.gallery = self.prepared.split("gallery")
        self.queries = self.gallery if self.leave_one_out else self.prepared.split("query")
        self.gallery_set = embedded.open(embedded.GALLERY)
        self.query_set = self.gallery_set
        if not self.leave_one_out:
            self.query_set = embedded.open(embedded.QUERY)
        self.categories: tuple[str, ...] = tuple(category.name for category in self.prepared.categories)

    def photo_sets(self) -> tuple[PhotoSet, PhotoSet]:
        """Return the query and gallery photo sets of an evaluation."""
        gallery = _photo_set(self.gallery, self.gallery_set)
        return gallery if self.leave_one_out else _photo_set(self.queries, self.query_set), gallery

    def warnings(self) -> Iterator[str]:
        """Yield what a reader must know before believing a number."""
        for name, split in {"query": self.queries, "gallery": self.gallery}.items():
            real = split.flags.get("true_masks")
            if real is not None and not real.all():
                count = f"{(~real).sum():,}".replace(",", "\u202f")
                yield (
                    f"{count} of {len(real)} {name} photos hold masks that are not real ones (flag true_masks is "
                    "false). Layout figures over all photos are against such masks too; trust those of a subset with "
                    "real masks."
                )
                break

    def exclude(self) -> Any:
        """Return the gallery row that is the query itself, or -1; int64 (q,)."""
        import numpy as np

        count = len(self.queries)
        return np.arange(count) if self.leave_one_out else np.full(count, -1)


def _photo_set(split: Any, embedded: Any) -> PhotoSet:
    import numpy as np

    from aeret.errors import DataError
    from aeret.evaluation.evaluate import PhotoSet

    if not np.array_equal(embedded.ids, split.photo_ids):
        raise DataError(
            f"The embeddings of split {split.name!r} are of other photos than the prepared data; run "
            "`aeret stage embed` again with the same settings."
        )
    return PhotoSet(split.photo_ids, embedded.vectors, split.labels, split.masks, split.subsets)
