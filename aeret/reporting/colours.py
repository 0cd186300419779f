"""Give each name one colour, the same in every map of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
"""Colours by Okabe and Ito (2008), safe for all common kinds of colour blindness."""
OTHER = "#8d949b"
"""Colour of everything without its own."""
# Backgrounds of the page and of empty cells, light and dark; no colour may come near them.
_TAKEN = ("#ffffff", "#e6e6e2", "#15181b", "#2b3035", OTHER)
_STEPS = 14
_LIGHTNESS, _CHROMA = (0.5, 0.92), (0.05, 0.2)
"""Bounds in Oklab: visible on both backgrounds, neither grey nor glaring."""


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """Return name to colour, ``#rrggbb``; no two names share one.

    The first seven names get :data:`PALETTE`; each further name gets the colour that is farthest, in Oklab (Ottosson
    2020), from all given before (the greedy choice of Glasbey et al. 2007). About twenty are told apart at a glance.
    """
    wanted = list(dict.fromkeys(names))
    chosen = list(PALETTE[: len(wanted)])
    if len(wanted) > len(PALETTE):
        axis = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
        grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
        place = _oklab(grid)
        chroma = np.linalg.norm(place[:, 1:], axis=1)
        bounds = ((place[:, 0], _LIGHTNESS), (chroma, _CHROMA))
        fits = np.logical_and.reduce([(low <= value) & (value <= high) for value, (low, high) in bounds])
        grid, place = grid[fits], place[fits]
        far = _nearest(place, _oklab(_rgb([*PALETTE, *_TAKEN])))
        for _ in wanted[len(PALETTE) :]:
            best = int(far.argmax())
            chosen.append("#{:02x}{:02x}{:02x}".format(*grid[best]))
            far = np.minimum(far, _nearest(place, place[best : best + 1]))
    return dict(zip(wanted, chosen, strict=True))


def _nearest(place: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each place to the nearest of others, float64 (n,)."""
    return np.asarray(np.linalg.norm(place[:, None] - others[None], axis=2).min(axis=1), np.float64)


def _rgb(colours: Sequence[str]) -> NDArray[np.uint8]:
    return np.array([list(bytes.fromhex(colour.removeprefix("#"))) for colour in colours], np.uint8)


def _oklab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return lightness and the two colour axes of sRGB colours uint8 (n, 3), float64 (n, 3)."""
    share = rgb / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.asarray(
        np.cbrt(cones)
        @ np.array(
            [
                [0.2104542553, 1.9779984951, 0.0259040371],
                [0.7936177850, -2.4285922050, 0.7827717662],
                [-0.0040720468, 0.4505937099, -0.8086757660],
            ]
        ),
        np.float64,
    )
