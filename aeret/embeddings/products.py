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
_LANE = ir.VectorType(ir.FloatType(), _LANES)
_SIDE = 8
_TILE, _LEAST = 288, 32
"""Vectors of a tile at most and at least; whole cache lines of distances."""
_TILE_NUMBERS = 256 * _TILE
"""Numbers of a tile, where it has more vectors than the least: it stays in the second-level cache."""
_LINE = 64
"""Bytes of a cache line: rows of distances begin at one. No less than a vector of lanes, or :func:`_finish` may not
write there."""


def squared_norms(vectors: Vectors) -> Vectors:
    """Return the squared length of each vector, float32 (n,), summed as the products are."""
    norms = np.empty(len(vectors), np.float32)
    _norms(vectors, norms)
    return norms


class Scratch:
    """Memory for distances that is used again and again: to clear fresh memory takes the system a while."""

    def __init__(self) -> None:
        """Start with none."""
        self._memory = np.empty(0, np.float32)

    def lines(self, rows: int, columns: int) -> Vectors:
        """Return float32 (rows, columns or a few more), every row at a cache line; what it gave before is lost."""
        step = _LINE // self._memory.itemsize
        columns = -(-columns // step) * step
        if self._memory.size < rows * columns + step:
            self._memory = np.empty(0, np.float32)  # given back before there is more
            self._memory = np.empty(rows * columns + step, np.float32)
        first = -self._memory.ctypes.data % _LINE // self._memory.itemsize
        return self._memory[first : first + rows * columns].reshape(rows, columns)


def squared_by_products(queries: Vectors, vectors: Vectors, norms: Vectors, scratch: Scratch) -> Vectors:
    """Return squared distances, float32 (q, n or a few more), on the calling thread alone.

    What stands in the columns after the n-th means nothing.

    Args:
        queries: checked, float32 (q, d).
        vectors: checked, float32 (n, d).
        norms: :func:`squared_norms` of ``vectors``.
        scratch: where the distances are; they are lost when it is used again.
    """
    out = scratch.lines(len(queries), len(vectors))
    _distances(_panels(queries), vectors, squared_norms(queries), norms, out)
    return out


def _panels(queries: Vectors) -> Vectors:
    """Return queries with a lane for each, float32 (panels, d, lanes)."""
    count = -(-len(queries) // _PANEL)
    panels = np.zeros((count, queries.shape[1], _PANEL), np.float32)
    for p in range(count):
        some = queries[p * _PANEL : (p + 1) * _PANEL]
        panels[p, :, : len(some)] = some.T
    return panels


def _check_contiguous(*arrays: Any) -> None:
    if any(each.layout != "C" for each in arrays):
        raise errors.TypingError("products of rows that are not contiguous")


def _array(context: Any, builder: Any, signature: Any, arguments: Any, place: int) -> tuple[Any, ...]:
    """Return where the numbers of an argument are, and its shape."""
    kind = signature.args[place]
    array = context.make_array(kind)(context, builder, arguments[place])
    return array.data, *(builder.extract_value(array.shape, axis) for axis in range(kind.ndim))


def _whole(value: int) -> Any:
    return ir.Constant(ir.IntType(64), value)


def _same(value: float) -> Any:
    return ir.Constant(_LANE, [value] * _LANES)


def _load(builder: Any, pointer: Any) -> Any:
    return builder.load(builder.bitcast(pointer, _LANE.as_pointer()), align=4)


def _spread(builder: Any, number: Any) -> Any:
    one = builder.insert_element(ir.Constant(_LANE, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return _shuffled(builder, one, one, [0] * _LANES)


def _interleaved(half: int) -> list[int]:
    return [each + side for each in range(half * _LANES // 2, (half + 1) * _LANES // 2) for side in (0, _LANES)]


def _shuffled(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _eight_products(typing_context, panel, eight, out, column):  # type: ignore[no-untyped-def]
    _check_contiguous(panel, eight, out)

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (asked, width, _), (found, _, _), (kept, _, columns) = (
            _array(context, builder, signature, arguments, place) for place in range(3)
        )
        add = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, ir.FunctionType(_LANE, [_LANE] * 3), f"llvm.fmuladd.v{_LANES}f32"
        )
        new = cgutils.alloca_once_value
        sums = [[new(builder, _same(0.0)) for _ in range(_PARTS)] for _ in range(_SIDE)]  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, width) as loop:
            first = builder.gep(asked, [builder.mul(loop.index, _whole(_PANEL))])
            lanes = [_load(builder, builder.gep(first, [_whole(v * _LANES)])) for v in range(_PARTS)]
            numbers = builder.gep(found, [builder.mul(loop.index, _whole(_SIDE))])
            for r in range(_SIDE):
                same = _spread(builder, builder.load(builder.gep(numbers, [_whole(r)])))
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
                row = builder.mul(_whole(v * _LANES + place // _SIDE), columns)
                where = builder.gep(kept, [builder.add(row, arguments[3])])
                builder.store(eight, builder.bitcast(where, eight.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(panel, eight, out, types.intp), build


_products: Any = intrinsic(_eight_products)
"""``_products(panel, eight, out, column)`` in compiled code writes the products of eight vectors (d, 8) and a panel
(d, lanes) to ``out[:, column : column + 8]``; all contiguous float32. Vector instructions by name: the compiler turns
no loop into a product that keeps its sums in registers."""


def _distances_of_one(typing_context, near, lengths, own, out):  # type: ignore[no-untyped-def]
    _check_contiguous(near, lengths, out)

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (products, _), (squares, _), (kept, count) = (
            _array(context, builder, signature, arguments, place) for place in (0, 1, 3)
        )
        mine = _spread(builder, arguments[2])
        with cgutils.for_range(builder, builder.udiv(count, _whole(_LANES))) as loop:
            at = [builder.mul(loop.index, _whole(_LANES))]
            both = builder.fadd(mine, _load(builder, builder.gep(squares, at)))
            product = _load(builder, builder.gep(products, at))
            squared = builder.fsub(both, builder.fmul(_same(2.0), product))
            squared = builder.select(builder.fcmp_ordered(">", squared, _same(0.0)), squared, _same(0.0))
            where = builder.bitcast(builder.gep(kept, at), _LANE.as_pointer())
            past = builder.store(squared, where, align=4 * _LANES)
            past.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(near, lengths, own, out), build


_finish: Any = intrinsic(_distances_of_one)
"""``_finish(products, lengths, own, out)`` writes the squared distances of one query to some vectors: float32 (m,), m a
multiple of the lanes, ``out`` at an address that the bytes of all lanes divide. It writes past the cache: a row is as
large as the cache, and would be read from memory before it is overwritten."""


@numba.njit(nogil=True, cache=True)
def _by_eight(vectors, first, last, eights):  # type: ignore[no-untyped-def]
    """Write vectors ``first`` to ``last`` by eights, a lane for each, what is missing zeros: (tile / 8, d, 8)."""
    width = vectors.shape[1]
    for e in range(-(-(last - first) // _SIDE)):
        for r in range(_SIDE):
            row = first + e * _SIDE + r
            for t in range(width):
                eights[e, t, r] = vectors[row, t] if row < last else np.float32(0)


@numba.njit(nogil=True, cache=True)
def _norms(vectors, norms):  # type: ignore[no-untyped-def]
    panel = np.zeros((vectors.shape[1], _PANEL), np.float32)
    eights = np.empty((1, vectors.shape[1], _SIDE), np.float32)
    out = np.empty((_PANEL, _SIDE), np.float32)
    for first in range(0, vectors.shape[0], _SIDE):
        last = min(first + _SIDE, vectors.shape[0])
        _by_eight(vectors, first, last, eights)
        panel[:, :_SIDE] = eights[0]
        _products(panel, eights[0], out, 0)
        for r in range(last - first):
            norms[first + r] = out[r, r]


@numba.njit(nogil=True, cache=True)
def _distances(panels, vectors, own, norms, out):  # type: ignore[no-untyped-def]
    tile = max(_LEAST, min(_TILE, _TILE_NUMBERS // max(1, vectors.shape[1]) // _LEAST * _LEAST))
    eights = np.empty((tile // _SIDE, vectors.shape[1], _SIDE), np.float32)
    products, lengths = np.zeros((_PANEL, tile), np.float32), np.zeros(tile, np.float32)
    # A few vectors stay in the cache while all queries of the block pass over them.
    for first in range(0, vectors.shape[0], tile):
        last = min(first + tile, vectors.shape[0])
        columns = min(tile, out.shape[1] - first)
        _by_eight(vectors, first, last, eights)
        lengths[: last - first] = norms[first:last]
        for p in range(panels.shape[0]):
            for e in range(-(-(last - first) // _SIDE)):
                _products(panels[p], eights[e], products, e * _SIDE)
            for i in range(p * _PANEL, min((p + 1) * _PANEL, own.shape[0])):
                near = products[i - p * _PANEL, :columns]
                _finish(near, lengths[:columns], own[i], out[i, first : first + columns])
