"""Squared distances by products of tiles, for orders of a whole gallery: about twice as fast as summing differences.

``|a|^2 + |b|^2 - 2 a.b``, each product summed in one fixed order by a kernel that has one shape: four queries by four
vectors, the last tile filled up with zeros. So a distance depends on its two vectors alone, never on the batch, the
threads or the place in the gallery, and copies of a photo are exactly equally far, as a library's matrix product does
not promise. It is less exact than :func:`aeret.embeddings.distances.squared_distances` where vectors are long and near.
"""

from __future__ import annotations

import numba
import numpy as np

from aeret.embeddings.distances import Vectors

_SIDE = 4
_TILE = 96


def squared_norms(vectors: Vectors) -> Vectors:
    """Return the squared length of each vector, float32 (n,), summed as the products are."""
    norms, filled = np.empty(len(vectors), np.float32), len(vectors) // _SIDE * _SIDE
    _norms(vectors[:filled], norms[:filled])
    rest = np.empty(_SIDE, np.float32)
    _norms(_filled_up(vectors[filled:]), rest)
    norms[filled:] = rest[: len(vectors) - filled]
    return norms


def squared_by_products(queries: Vectors, vectors: Vectors, norms: Vectors) -> Vectors:
    """Return squared distances, float32 (q, n), on the calling thread alone.

    Args:
        queries: checked, float32 (q, d).
        vectors: checked, float32 (n, d).
        norms: :func:`squared_norms` of ``vectors``.
    """
    whole = _filled_up(queries)
    own = squared_norms(whole)
    out = np.empty((len(whole), len(vectors)), np.float32)
    filled = len(vectors) // _SIDE * _SIDE
    _distances(whole, vectors[:filled], own, norms[:filled], out[:, :filled])
    if filled < len(vectors):
        rest, last = np.empty((len(whole), _SIDE), np.float32), np.zeros(_SIDE, np.float32)
        last[: len(vectors) - filled] = norms[filled:]
        _distances(whole, _filled_up(vectors[filled:]), own, last, rest)
        out[:, filled:] = rest[:, : len(vectors) - filled]
    return out[: len(queries)]


def _filled_up(vectors: Vectors) -> Vectors:
    count = max(_SIDE, -(-len(vectors) // _SIDE) * _SIDE)
    if count == len(vectors):
        return vectors
    whole = np.zeros((count, vectors.shape[1]), np.float32)
    whole[: len(vectors)] = vectors
    return whole


# reassoc lets the compiler sum in vector lanes, alike for all sixteen products of a tile.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def _products(queries, vectors, out):  # type: ignore[no-untyped-def]
    z = np.float32(0)
    for i in range(0, queries.shape[0], 4):
        q0, q1, q2, q3 = queries[i], queries[i + 1], queries[i + 2], queries[i + 3]
        for j in range(0, vectors.shape[0], 4):
            v0, v1, v2, v3 = vectors[j], vectors[j + 1], vectors[j + 2], vectors[j + 3]
            a00, a01, a02, a03 = z, z, z, z
            a10, a11, a12, a13 = z, z, z, z
            a20, a21, a22, a23 = z, z, z, z
            a30, a31, a32, a33 = z, z, z, z
            for t in range(queries.shape[1]):
                w0, w1, w2, w3 = v0[t], v1[t], v2[t], v3[t]
                x = q0[t]
                a00 += x * w0
                a01 += x * w1
                a02 += x * w2
                a03 += x * w3
                x = q1[t]
                a10 += x * w0
                a11 += x * w1
                a12 += x * w2
                a13 += x * w3
                x = q2[t]
                a20 += x * w0
                a21 += x * w1
                a22 += x * w2
                a23 += x * w3
                x = q3[t]
                a30 += x * w0
                a31 += x * w1
                a32 += x * w2
                a33 += x * w3
            out[i, j], out[i, j + 1], out[i, j + 2], out[i, j + 3] = a00, a01, a02, a03
            out[i + 1, j], out[i + 1, j + 1], out[i + 1, j + 2], out[i + 1, j + 3] = a10, a11, a12, a13
            out[i + 2, j], out[i + 2, j + 1], out[i + 2, j + 2], out[i + 2, j + 3] = a20, a21, a22, a23
            out[i + 3, j], out[i + 3, j + 1], out[i + 3, j + 2], out[i + 3, j + 3] = a30, a31, a32, a33


@numba.njit(nogil=True, cache=True)
def _norms(vectors, norms):  # type: ignore[no-untyped-def]
    out = np.empty((4, 4), np.float32)
    for j in range(0, vectors.shape[0], 4):
        _products(vectors[j : j + 4], vectors[j : j + 4], out)
        for r in range(4):
            norms[j + r] = out[r, r]


@numba.njit(nogil=True, cache=True)
def _distances(queries, vectors, own, norms, out):  # type: ignore[no-untyped-def]
    two, zero = np.float32(2), np.float32(0)
    # A few vectors stay in the cache while all queries of the block pass over them.
    for first in range(0, vectors.shape[0], _TILE):
        tile = out[:, first : first + _TILE]
        _products(queries, vectors[first : first + _TILE], tile)
        length = norms[first : first + _TILE]
        for i in range(tile.shape[0]):
            row = tile[i]
            for j in range(length.shape[0]):
                row[j] = max(zero, (own[i] + length[j]) - two * row[j])
