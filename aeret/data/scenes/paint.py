"""Choose, vary, shade and mix colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aeret.data.scenes.shapes import Colour


def choose(rng: np.random.Generator, colours: Sequence[Colour], spread: float = 10.0) -> Colour:
    """Return one of the colours, a little varied."""
    return jitter(rng, colours[int(rng.integers(len(colours)))], spread)


def jitter(rng: np.random.Generator, colour: Colour, spread: float = 10.0) -> Colour:
    """Return the colour with normal noise of ``spread`` levels on every channel."""
    red, green, blue = np.clip(np.array(colour) + rng.normal(0, spread, 3), 0, 255)
    return float(red), float(green), float(blue)


def shade(colour: Colour, factor: float) -> Colour:
    """Return the colour darker (< 1) or lighter (> 1)."""
    red, green, blue = (min(255.0, channel * factor) for channel in colour)
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return the colour ``share`` of the way from the first to the second."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue
