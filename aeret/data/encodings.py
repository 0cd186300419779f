"""Encode the mask of a photo, one plane per category, as the channels an autoencoder sees.

- ``onehot``: one channel per category. Loses nothing; many and sparse channels.
- ``supercategory``: one channel per supercategory, the union of its categories.
- ``binary``: one channel, the union of all categories.
- ``supercategory+binary``: the channels of both.
- ``index``: one channel, ``(row of the category + 1) / categories`` and 0 for background. The paper's wording can be
  read so; it invents an order among categories and keeps one category per cell, so never make it the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aeret.data.masks import MaskPlanes
from aeret.errors import UsageError
from aeret.registry import lookup

Floats = npt.NDArray[np.float32]
BACKGROUND = -1
"""Cell of a label map that no entry of the legend covers."""


class Named(Protocol):
    """The part of :class:`aeret.data.prepared.Category` that an encoding needs."""

    @property
    def name(self) -> str:
        """Unique name."""
        ...

    @property
    def supercategory(self) -> str:
        """Name of the group it belongs to."""
        ...


@dataclass(frozen=True)
class MaskEncoding:
    """One encoding of one list of categories; :func:`mask_encoding` makes it."""

    name: str
    categories: int
    """Planes that :meth:`encode` expects."""
    names: tuple[str, ...]
    """Names of the channels."""
    legend: tuple[str, ...]
    """Names of what a decoded cell can be: the channels, or the categories for ``index``."""
    _encode: Callable[[Floats], Floats]
    _presence: Callable[[Floats, float], npt.NDArray[np.bool_]]
    _groups: tuple[npt.NDArray[np.int64], ...] | None = None
    """Arrays of (categories,): channels that each category belongs to; None if channels are no unions of planes."""

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.names)

    def encode(self, dense: npt.NDArray[np.float32] | npt.NDArray[np.uint8]) -> Floats:
        """Turn masks into channels.

        Args:
            dense: (b, h, w, categories), share of the cell that each category covers, in [0, 1].

        Returns:
            float32 (b, h, w, channels) in [0, 1]; ``onehot`` returns a float32 input itself.

        Raises:
            UsageError: the shape does not fit.
        """
        if dense.ndim != 4 or dense.shape[-1] != self.categories:
            raise UsageError(
                f"mask encoding {self.name!r}: expected masks (b, h, w, {self.categories}), got {tuple(dense.shape)}."
            )
        return self._encode(np.asarray(dense, np.float32))

    def unite(self, planes: MaskPlanes) -> MaskPlanes | None:
        """Unite stored planes into one plane per channel, to crop channels instead of categories.

        Returns:
            Planes whose ``categories`` are the channels; ``planes`` itself for ``onehot``; None for ``index``, whose
            channels are no unions. On whole cells they equal the result of :meth:`encode`; on a cell that a crop covers
            in part they give the exact coverage of the union, which the largest coverage only bounds.

        Raises:
            UsageError: the planes have another number of categories.
        """
        if planes.categories != self.categories:
            raise UsageError(
                f"mask encoding {self.name!r}: expected planes of {self.categories} categories, got "
                f"{planes.categories}; prepare them with the same manifest."
            )
        if self._groups is None or not len(planes.category):
            return None
        return planes if not self._groups else _unite_planes(planes, self._groups, self.channels)

    def presence(self, channels: Floats, threshold: float = 0.5) -> npt.NDArray[np.bool_]:
        """Decide which entries of the legend cover which cells.

        Args:
            channels: float32 (b, h, w, channels), true or reconstructed.
            threshold: a channel at or above it counts; ``index`` rounds to the nearest category instead.

        Returns:
            bool (b, h, w, len(legend)).

        Raises:
            UsageError: the shape does not fit.
        """
        if channels.ndim != 4 or channels.shape[-1] != self.channels:
            raise UsageError(
                f"mask encoding {self.name!r}: expected channels (b, h, w, {self.channels}), got "
                f"{tuple(channels.shape)}."
            )
        return self._presence(channels, threshold)

    def label_map(self, channels: Floats, threshold: float = 0.5) -> npt.NDArray[np.int16]:
        """Flatten channels into one map, the smallest region on top.

        Returns:
            int16 (b, h, w): row of ``legend``, or ``BACKGROUND``.
        """
        return _paint(self.presence(channels, threshold))


def mask_encoding(name: str, categories: Sequence[Named]) -> MaskEncoding:
    """Make an encoding for a list of categories in the order of the mask planes.

    Raises:
        UnknownNameError: there is no such encoding.
        UsageError: there are no categories.
    """
    if not categories:
        raise UsageError("a mask encoding needs at least one category, got none.")
    return lookup(MASK_ENCODINGS, name, "mask encoding")(categories)


def _paint(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int16]:
    """Paint planes (b, h, w, k) largest first, so that the smallest, or the first of equals, stays visible."""
    count = present.shape[0]
    result = np.full(present.shape[:3], BACKGROUND, np.int16)
    areas = present.sum(axis=(1, 2))
    for photo in range(count):
        shown = np.flatnonzero(areas[photo])
        # Reversed stable order: of two equal areas the later row is painted first and the earlier one covers it.
        for row in shown[np.argsort(areas[photo, shown], kind="stable")][::-1]:
            result[photo][present[photo, :, :, row]] = row
    return result


def _unite(dense: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    """Unite the categories of each group by the largest coverage, a lower bound of the union's; exact on 0 and 1."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return np.asarray(np.maximum.reduceat(dense[..., order], starts, axis=-1), np.float32)


def _unite_planes(planes: MaskPlanes, groups: tuple[npt.NDArray[np.int64], ...], channels: int) -> MaskPlanes:
    photo = np.repeat(np.arange(len(planes), dtype=np.int64), np.diff(planes.offsets))
    keys = np.concatenate([photo * channels + group[planes.category] for group in groups])
    order = np.argsort(keys, kind="stable")
    united, starts = np.unique(keys[order], return_index=True)
    bits = np.bitwise_or.reduceat(np.asarray(planes.bits)[order % len(photo)], starts, axis=0)
    offsets = np.searchsorted(united, np.arange(len(planes) + 1) * channels)
    return MaskPlanes(planes.size, channels, offsets, (united % channels).astype(np.int16), bits)


def _threshold(channels: Floats, threshold: float) -> npt.NDArray[np.bool_]:
    present: npt.NDArray[np.bool_] = channels >= threshold
    return present


def _onehot(categories: Sequence[Named]) -> MaskEncoding:
    names = tuple(category.name for category in categories)
    return MaskEncoding("onehot", len(names), names, names, lambda dense: dense, _threshold, ())


def _grouped(
    name: str, categories: Sequence[Named], names: tuple[str, ...], *groups: npt.NDArray[np.int64]
) -> MaskEncoding:
    """Make an encoding whose channels are unions of categories; ``groups`` as in :class:`MaskEncoding`."""

    def encode(dense: Floats) -> Floats:
        return np.concatenate([_unite(dense, group) for group in groups], axis=-1)

    return MaskEncoding(name, len(categories), names, names, encode, _threshold, groups)


def _supergroups(categories: Sequence[Named]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    names = tuple(sorted({category.supercategory for category in categories}))
    return names, np.array([names.index(category.supercategory) for category in categories])


def _supercategory(categories: Sequence[Named]) -> MaskEncoding:
    names, groups = _supergroups(categories)
    return _grouped("supercategory", categories, names, groups)


def _binary(categories: Sequence[Named]) -> MaskEncoding:
    return _grouped("binary", categories, ("anything",), np.zeros(len(categories), np.int64))


def _supercategory_and_binary(categories: Sequence[Named]) -> MaskEncoding:
    names, groups = _supergroups(categories)
    everything = np.full(len(categories), len(names))
    return _grouped("supercategory+binary", categories, (*names, "anything"), groups, everything)


def _index(categories: Sequence[Named]) -> MaskEncoding:
    count = len(categories)

    def encode(dense: Floats) -> Floats:
        rows = _paint(dense >= 0.5)
        return ((rows + 1) / np.float32(count)).astype(np.float32)[..., None]

    def presence(channels: Floats, threshold: float) -> npt.NDArray[np.bool_]:
        rows = np.clip(np.rint(channels[..., 0] * count), 0, count).astype(np.int64) - 1
        present: npt.NDArray[np.bool_] = rows[..., None] == np.arange(count)
        return present

    legend = tuple(category.name for category in categories)
    return MaskEncoding("index", count, ("category index",), legend, encode, presence)


MASK_ENCODINGS: dict[str, Callable[[Sequence[Named]], MaskEncoding]] = {
    "onehot": _onehot,
    "supercategory": _supercategory,
    "binary": _binary,
    "supercategory+binary": _supercategory_and_binary,
    "index": _index,
}
