"""Name the similarities that commands offer and settings accept."""

from __future__ import annotations

CODES = ("cosine", "euclidean", "dot", "hamming")
"""Similarities of vectors and codes."""
NAMES = (*CODES, "layout")
"""Similarities of photos: the keys of :data:`aeret.retrieval.similarities.SIMILARITIES`."""
TEXT_LAYOUTS = ("relations", "cosine", "euclidean", "layout")
"""Similarities of a photo's layout and a text query."""
