"""Squared distances by products of tiles, for orders of a whole gallery: faster than summing differences.

``|a|^2 + |b|^2 - 2 a.b``, each product summed from the first dimension to the last by a kernel that has one shape:
eight vectors by a panel of queries, a lane for each query, what is missing filled up with zeros. So a distance depends
on its two vectors alone, never on the batch, the threads or the place in the gallery, and copies of a photo are exactly
equally far, as a library's matrix product does not promise; one thread is as fast as such a product. It is less exact
than :func:`aeret.embeddings.distances.squared_distances` where vectors are long and near.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils, errors
from numba.extending import intrinsic

from aeret.embeddings.distances import Vectors

_WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
# As many sums as fit into the registers: 16 lanes twice where there are 32 wide ones, else 8 lanes once.
_LANES, _PARTS = (16, 2) if _WIDE else (8, 1)
_PANEL = _LANES * _PARTS
_SIDE = 8
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
    out = np.empty((len(queries), len(vectors)), np.float32)
    panels, own = _panels(queries), squared_norms(queries)
    filled = len(vectors) // _SIDE * _SIDE
    _distances(panels, vectors[:filled], own, norms[:filled], out[:, :filled])
    if filled < len(vectors):
        rest, last = np.empty((len(queries), _SIDE), np.float32), np.zeros(_SIDE, np.float32)
        last[: len(vectors) - filled] = norms[filled:]
        _distances(panels, _filled_up(vectors[filled:]), own, last, rest)
        out[:, filled:] = rest[:, : len(vectors) - filled]
    return out


def _filled_up(vectors: Vectors) -> Vectors:
    whole = np.zeros((_SIDE, vectors.shape[1]), np.float32)
    whole[: len(vectors)] = vectors
    return whole


def _panels(queries: Vectors) -> Vectors:
    """Return queries with a lane for each, float32 (panels, d, lanes)."""
    count = -(-len(queries) // _PANEL)
    panels = np.zeros((count, queries.shape[1], _PANEL), np.float32)
    for p in range(count):
        some = queries[p * _PANEL : (p + 1) * _PANEL]
        panels[p, :, : len(some)] = some.T
    return panels


def _eight_products(typing_context, panel, vectors, start, out, column):  # type: ignore[no-untyped-def]
    if any(each.layout != "C" for each in (panel, vectors, out)):
        raise errors.TypingError("products of rows that are not contiguous")
    real, whole = ir.FloatType(), ir.IntType(64)
    lane = ir.VectorType(real, _LANES)

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        def parts(place: int) -> Any:
            array = context.make_array(signature.args[place])(context, builder, arguments[place])
            return array.data, builder.extract_value(array.shape, 0), builder.extract_value(array.shape, 1)

        def const(value: int) -> Any:
            return ir.Constant(whole, value)

        def load(pointer: Any) -> Any:
            return builder.load(builder.bitcast(pointer, lane.as_pointer()), align=4)

        (asked, width, _), (found, _, _), (kept, _, columns) = parts(0), parts(1), parts(3)
        add = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, ir.FunctionType(lane, [lane, lane, lane]), f"llvm.fmuladd.v{_LANES}f32"
        )
        zeros = ir.Constant(lane, [0.0] * _LANES)
        new = cgutils.alloca_once_value
        sums = [[new(builder, zeros) for _ in range(_PARTS)] for _ in range(_SIDE)]  # type: ignore[no-untyped-call]
        rows = [builder.gep(found, [builder.mul(builder.add(arguments[2], const(r)), width)]) for r in range(_SIDE)]
        with cgutils.for_range(builder, width) as loop:
            first = builder.gep(asked, [builder.mul(loop.index, const(_PANEL))])
            lanes = [load(builder.gep(first, [const(v * _LANES)])) for v in range(_PARTS)]
            for r in range(_SIDE):
                number = builder.load(builder.gep(rows[r], [loop.index]))
                one = builder.insert_element(ir.Constant(lane, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
                same = _shuffled(builder, one, one, [0] * _LANES)
                for v in range(_PARTS):
                    total = builder.load(sums[r][v])
                    builder.store(builder.call(add, [same, lanes[v], total]), sums[r][v])
        for v in range(_PARTS):
            # Three perfect shuffles turn eight vectors by lanes into lanes by eight vectors.
            turned = [builder.load(sums[r][v]) for r in range(_SIDE)]
            for _ in range(3):
                pairs = [(turned[r], turned[r + _SIDE // 2]) for r in range(_SIDE // 2)]
                turned = [_shuffled(builder, a, b, _interleaved(half)) for a, b in pairs for half in (0, 1)]
            for place in range(0, _LANES * _SIDE, _SIDE):
                both, at = turned[place // _LANES], place % _LANES
                eight = _shuffled(builder, both, both, list(range(at, at + _SIDE)))
                row = builder.mul(const(v * _LANES + place // _SIDE), columns)
                where = builder.gep(kept, [builder.add(row, arguments[4])])
                builder.store(eight, builder.bitcast(where, eight.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(panel, vectors, types.intp, out, types.intp), build


_products: Any = intrinsic(_eight_products)
"""``_products(panel, vectors, start, out, column)`` in compiled code writes the products of eight vectors (n, d), from
``start`` on, and a panel (d, lanes) to ``out[:, column : column + 8]``; all contiguous float32. Vector instructions by
name: the compiler turns no loop into a product that keeps its sums in registers."""


def _interleaved(half: int) -> list[int]:
    return [each + side for each in range(half * _LANES // 2, (half + 1) * _LANES // 2) for side in (0, _LANES)]


def _shuffled(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


@numba.njit(nogil=True, cache=True)
def _norms(vectors, norms):  # type: ignore[no-untyped-def]
    panel = np.zeros((vectors.shape[1], _PANEL), np.float32)
    out = np.empty((_PANEL, _SIDE), np.float32)
    for j in range(0, vectors.shape[0], _SIDE):
        for r in range(_SIDE):
            for t in range(vectors.shape[1]):
                panel[t, r] = vectors[j + r, t]
        _products(panel, vectors, j, out, 0)
        for r in range(_SIDE):
            norms[j + r] = out[r, r]


@numba.njit(nogil=True, cache=True)
def _distances(panels, vectors, own, norms, out):  # type: ignore[no-untyped-def]
    two, zero = np.float32(2), np.float32(0)
    products = np.empty((_PANEL, _TILE), np.float32)
    # A few vectors stay in the cache while all queries of the block pass over them.
    for first in range(0, vectors.shape[0], _TILE):
        length = norms[first : first + _TILE]
        for p in range(panels.shape[0]):
            for j in range(0, length.shape[0], _SIDE):
                _products(panels[p], vectors, first + j, products, j)
            for i in range(p * _PANEL, min((p + 1) * _PANEL, own.shape[0])):
                row, near = out[i, first : first + _TILE], products[i - p * _PANEL]
                for j in range(length.shape[0]):
                    row[j] = max(zero, (own[i] + length[j]) - two * near[j])
