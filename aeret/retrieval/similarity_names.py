"""The names of similarities: the one list that commands offer and settings repeat; needs nothing imported."""

from __future__ import annotations

CODES = ("cosine", "euclidean", "dot", "hamming")
"""Of vectors and codes."""
NAMES = (*CODES, "layout")
"""Of photos: the keys of :data:`aeret.retrieval.similarities.SIMILARITIES`."""
TEXT_LAYOUTS = ("relations", "cosine", "euclidean", "layout")
"""Of a photo's layout and a text query."""
