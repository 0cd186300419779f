"""Find the photos of a run most similar to one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def needed(similarity: str) -> tuple[str, ...]:
    """Return the stages whose artifacts a similarity reads.

    Raises:
        UnknownNameError: the similarity does not exist.
    """
    from aeret.registry import lookup
    from aeret.retrieval.similarities import SIMILARITIES

    lookup(SIMILARITIES, similarity, "similarity")
    return ("embed", "encode-masks") if similarity == "layout" else ("embed",)


def similar_photos(inputs: Mapping[str, Path], photo: int, similarity: str, n: int) -> list[tuple[float, int, str]]:
    """Return distance, id and file name of the most similar photos, nearest first.

    Args:
        inputs: the artifacts of :func:`needed`.
        photo: id of a photo of the gallery, or of the folder of photos that was embedded.
        similarity: a key of :data:`aeret.retrieval.similarities.SIMILARITIES`; ``hamming`` compares the signs of the
            embeddings, ``layout`` the masks decoded from the predicted codes.
        n: number of results.

    Raises:
        UsageError: the run has no such photo.
    """
    import numpy as np

    from aeret.embeddings.store import EmbeddedPhotos
    from aeret.errors import UsageError
    from aeret.retrieval.similarities import search

    photos = EmbeddedPhotos(inputs["embed"]).searched
    own = np.flatnonzero(photos.ids == photo)
    if not len(own):
        raise UsageError(
            f"The run holds no photo with id {photo}; its {len(photos.ids)} ids run from {photos.ids.min()} to "
            f"{photos.ids.max()}."
        )
    if similarity == "layout":
        from aeret.models.saved import SavedEncoder
        from aeret.search.decoded_masks import DecodedMasks

        gallery = DecodedMasks(SavedEncoder.load(inputs["encode-masks"]), photos.matrices["codes"]).planes
        found = search(similarity, gallery.take(own), gallery, n, own)
    else:
        vectors = np.asarray(photos.vectors) > 0 if similarity == "hamming" else np.asarray(photos.vectors)
        found = search(similarity, vectors[own], vectors, n, own)
    files = photos.columns["file_name"]
    pairs = zip(found.distances[0], found.rows[0], strict=True)
    return [(float(distance), int(photos.ids[row]), str(files[row])) for distance, row in pairs]
