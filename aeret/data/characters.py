"""Loads and stores of characters for the kernels that read JSON: one, or eight as one number."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

Text = tuple[int, int]
"""Address and length of characters in memory. Numba would count the references of an array at every call, which takes
half of the time of a scan. Whoever makes one keeps the memory alive; whoever reads looks at the length first."""


_intrinsic: Any = intrinsic


def _load(context: Any, builder: Any, arguments: Any, bits: int) -> Any:
    """Generate the load of a whole number at a place of a text."""
    address = builder.add(builder.extract_value(arguments[0], 0), arguments[1])
    return builder.load(builder.inttoptr(address, ir.IntType(bits).as_pointer()), align=1)


@_intrinsic
def character(typing: Any, text: Any, at: Any) -> Any:
    """Return the character at ``at``, which has to be there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(_load(context, builder, arguments, 8), ir.IntType(64))

    return types.int64(text, types.int64), generate


@_intrinsic
def next_eight(typing: Any, text: Any, at: Any) -> Any:
    """Return the eight characters from ``at`` on as one number, the first lowest; they have to be there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(context, builder, arguments, 64)

    return types.uint64(text, types.int64), generate


@_intrinsic
def put_eight(typing: Any, address: Any, word: Any) -> Any:
    """Store eight characters, given as one number, at an address; there has to be room."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64), generate


@_intrinsic
def first_mark(typing: Any, marks: Any) -> Any:
    """Return the place of the lowest byte of a word that is not 0, or 8."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))
        return builder.lshr(zeros, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.uint64), generate
