"""Compute squared distances by matrix products, for orders of a whole gallery."""

from __future__ import annotations

import numpy as np

from aeret.embeddings.distances import Vectors


class Scratch:
    """Keep memory for distances that is used again and again: clearing fresh memory takes the system a while."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.float32)

    def lines(self, rows: int, columns: int) -> Vectors:
        """Return float32 (rows, columns); what it returned before is lost."""
        if self._memory.size < rows * columns:
            self._memory = np.empty(rows * columns, np.float32)
        return self._memory[: rows * columns].reshape(rows, columns)


def squared_norms(vectors: Vectors) -> Vectors:
    """Return the squared length of each vector, float32 (n,)."""
    return np.asarray(np.einsum("nd,nd->n", vectors, vectors), np.float32)


def squared_by_products(queries: Vectors, vectors: Vectors, norms: Vectors, scratch: Scratch) -> Vectors:
    """Return squared distances, float32 (q, n): ``|a|^2 + |b|^2 - 2 a.b``.

    Args:
        queries: checked, float32 (q, d).
        vectors: checked, float32 (n, d).
        norms: :func:`squared_norms` of ``vectors``.
        scratch: holds the distances; they are lost when it is used again.
    """
    out = scratch.lines(len(queries), len(vectors))
    np.matmul(queries, vectors.T, out=out)
    out *= -2
    out += norms
    out += squared_norms(queries)[:, None]
    return np.maximum(out, 0, out=out)
