"""Compare the edges of photos whose hashes are near.

Two sunsets have nearly the same hash, and nearly the same grey levels once shrunk; their edges differ. A crop moves the
edges, so each picture is compared with windows of the other, and the best fit counts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from aeret.data.audit_hash import Grey, window

SOURCE = 64
"""Side of the compared grey pictures, pixels."""
_SIDE = 32  # of the resized windows
_SCALES = (0.97, 0.94, 0.91, 0.88)
"""Sides of the windows as shares of the whole."""
_PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Places of a window down and across, from one edge to the other."""

Scores = npt.NDArray[np.float32]


def agreement(first: Grey, second: Grey) -> tuple[Scores, Scores]:
    """Measure how well pictures agree if one is the other or a window of it.

    Args:
        first: grey pictures, float32 (b, side, side).
        second: the same number, of the same side.

    Returns:
        float32 (b,) each, in [-1, 1]: normalised correlation of their edges (differences between neighbours) in the
        window where it is highest, and of their grey levels there.
    """
    edges: Scores = np.full(len(first), -np.inf, np.float32)
    levels: Scores = np.full(len(first), -1, np.float32)
    for pictures, other in ((first, second), (second, first)):
        whole = _view(other, 0.0, 0.0, 1.0)
        whole_edges, whole_levels = _edges(whole), _levels(whole)
        for top, left, scale in _windows():
            part = _view(pictures, top, left, scale)
            found = np.einsum("bi,bi->b", _edges(part), whole_edges)
            better = found > edges
            edges[better] = found[better]
            if better.any():
                levels[better] = np.einsum("bi,bi->b", _levels(part[better]), whole_levels[better])
    return edges, levels


def _windows() -> Iterator[tuple[float, float, float]]:
    yield 0.0, 0.0, 1.0
    for scale in _SCALES:
        for top in _PLACES:
            for left in _PLACES:
                yield top * (1 - scale), left * (1 - scale), scale


def _view(pictures: Grey, top: float, left: float, scale: float) -> Grey:
    side = pictures.shape[1]
    down, across = (window(side, min(side, _SIDE), start, start + scale) for start in (top, left))
    return np.asarray(down @ pictures @ across.T, np.float32)


def _edges(pictures: Grey) -> npt.NDArray[np.float32]:
    """Return the differences between neighbours as unit vectors, float32 (b, n)."""
    return _unit(np.concatenate([np.diff(pictures, axis=axis).reshape(len(pictures), -1) for axis in (1, 2)], axis=1))


def _levels(pictures: Grey) -> npt.NDArray[np.float32]:
    """Return grey levels less their mean as unit vectors, float32 (b, n)."""
    flat = pictures.reshape(len(pictures), -1)
    return _unit(flat - flat.mean(axis=1, keepdims=True))


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return vectors at length 1; those of a plain surface stay zero."""
    length = np.sqrt(np.einsum("bi,bi->b", vectors, vectors))[:, None]
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-6), np.float32)
