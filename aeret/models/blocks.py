"""Split a backbone into blocks for pretraining and fine-tuning.

A block starts with a layer that has a kernel and ends at a tensor that every path through the network passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Block:
    """One block of a backbone."""

    name: str
    """Of its first layer with a kernel."""
    start: Any
    """The Keras tensor it reads."""
    end: Any
    """The Keras tensor it makes."""
    layers: tuple[str, ...]
    """Names of its layers that have weights."""


def blocks(backbone: Any) -> list[Block]:
    """Take a backbone apart, from the bottom up.

    Args:
        backbone: a functional ``keras.Model`` with one input and one output, none of whose layers is used in another
            model yet.
    """
    found: list[Block] = []
    group: list[Any] = []  # operations since the last tensor that all paths pass
    padding: list[Any] = []  # before a block's first layer it belongs to that block, not to the one below
    members: list[Any] = []
    start = end = backbone.input
    cuts = _cuts(backbone)
    for operation in _chain(backbone):
        group.append(operation)
        if id(operation) not in cuts:
            continue
        if all(isinstance(each, keras.layers.ZeroPadding2D) for each in group):
            padding += group
        elif any(_has_kernel(each) for each in group):
            if members:
                found.append(_block(start, end, members))
            start = end
            members = [*padding, *group]
            padding = []
            end = operation.output
        else:
            if members:
                members += [*padding, *group]
            padding = []
            end = operation.output  # below the first block: what it reads
        group = []
    return [*found, _block(start, end, members)] if members else found


def last_block(backbone: Any) -> tuple[str, ...]:
    """Return the names of the last block's layers with weights: the upper end of the network.

    Args:
        backbone: as for :func:`blocks`.
    """
    return blocks(backbone)[-1].layers


def _chain(backbone: Any) -> list[Any]:
    return [operation for operation in backbone.operations if not isinstance(operation, keras.layers.InputLayer)]


def _cuts(backbone: Any) -> set[int]:
    """Return the ids of the operations that make one tensor and that no edge of the graph leads past."""
    operations = list(backbone.operations)
    order = {id(each): number for number, each in enumerate(operations)}
    last_reader = list(range(len(operations)))
    for number, each in enumerate(operations):
        if not isinstance(each, keras.layers.InputLayer):
            for tensor in keras.tree.flatten(each.input):
                last_reader[order[id(tensor._keras_history.operation)]] = number
    cuts, furthest = set(), 0
    for number, each in enumerate(operations):
        if furthest <= number and not isinstance(each.output, list | tuple):
            cuts.add(id(each))
        furthest = max(furthest, last_reader[number])
    return cuts


def _has_kernel(operation: Any) -> bool:
    return any(len(weight.shape) >= 2 for weight in getattr(operation, "weights", ()))


def _block(start: Any, end: Any, members: list[Any]) -> Block:
    name = next(each.name for each in members if _has_kernel(each))
    return Block(name, start, end, tuple(each.name for each in members if getattr(each, "weights", ())))
