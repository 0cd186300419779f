"""The vectors that the search benchmarks share."""

from __future__ import annotations

import numpy as np

from aeret.embeddings.distances import Vectors
from aeret.embeddings.normalise import l2_normalise
from aeret.rng import generator

VECTORS, WIDTH = 120_000, 256


def mixture(count: int = VECTORS, width: int = WIDTH) -> Vectors:
    """Return a mixture of 300 overlapping Gaussians, scaled to length 1, float32 (count, width)."""
    rng = generator(0, "bench search")
    centres = rng.standard_normal((300, width), dtype=np.float32)
    vectors = centres[rng.integers(0, 300, count)] + 2 * rng.standard_normal((count, width), dtype=np.float32)
    return l2_normalise(vectors)
