"""Photos of a finished run like one of its own; no stage of its own: it reads the artifacts its stages left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_AT_ONCE = 512


def needed(similarity: str) -> tuple[str, ...]:
    """Return the stages whose artifacts are read.

    Raises:
        UnknownNameError: no such similarity.
    """
    from aeret.registry import lookup
    from aeret.retrieval.similarities import SIMILARITIES

    lookup(SIMILARITIES, similarity, "similarity")
    return ("embed", "encode-masks") if similarity == "layout" else ("embed",)


def similar_photos(inputs: Mapping[str, Path], photo: int, similarity: str, n: int) -> list[tuple[float, int, str]]:
    """Return distance, id and file name of the photos most similar to one of the run, nearest first.

    Args:
        inputs: the artifacts of :func:`needed`.
        photo: id of a photo of the gallery, or of the folder that was embedded.
        similarity: a key of :data:`aeret.retrieval.similarities.SIMILARITIES`; ``hamming`` is of the embeddings' signs,
            ``layout`` of the masks decoded from the predicted codes.
        n: results.

    Raises:
        UsageError: the run has no such photo.
    """
    import numpy as np

    from aeret.embeddings.store import EmbeddingSet
    from aeret.errors import UsageError
    from aeret.retrieval.similarities import decoded_planes, search

    folder = inputs["embed"]
    photos = EmbeddingSet.open(folder / ("photos" if (folder / "photos").is_dir() else "gallery"))
    own = np.flatnonzero(photos.ids == photo)
    if not len(own):
        raise UsageError(f"The run has embedded no photo {photo}; its ids are from {photos.ids[0]} on.")
    if similarity == "layout":
        from aeret.models.saved import SavedEncoder

        encoder, codes = SavedEncoder.load(inputs["encode-masks"]), photos.matrices["codes"]
        starts = range(0, len(codes), _AT_ONCE)
        gallery = decoded_planes(encoder.decode(np.asarray(codes[start : start + _AT_ONCE])) for start in starts)
        found = search(similarity, decoded_planes([encoder.decode(np.asarray(codes[own]))]), gallery, n, own)
    else:
        vectors = np.asarray(photos.vectors) > 0 if similarity == "hamming" else np.asarray(photos.vectors)
        found = search(similarity, vectors[own], vectors, n, own)
    files = photos.columns["file_name"]
    pairs = zip(found.distances[0], found.rows[0], strict=True)
    return [(float(distance), int(photos.ids[row]), str(files[row])) for distance, row in pairs]
