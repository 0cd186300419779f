"""Make the closed outlines that figures consist of; y points down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Colour = tuple[float, float, float]

HOLE = 0
"""Paint that removes what is below it."""


@dataclass
class Figure:
    """Coloured outlines, painted in order, in a box ``aspect`` wide and 1 high."""

    aspect: float
    """Width of the box when its height is 1."""
    texture: str = "cloth"
    roughness: float = 0.06
    """Strength of the texture, relative to the colour."""
    layers: list[tuple[Points, int]] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=lambda: [(0.0, 0.0, 0.0)])
    """Colour of each paint, RGB 0..255; paint 0 is :data:`HOLE`."""

    def add(self, points: Points, colour: Colour) -> None:
        """Paint a closed outline over what is there."""
        if colour not in self.colours:
            self.colours.append(colour)
        self.layers.append((points, self.colours.index(colour)))

    def cut(self, points: Points) -> None:
        """Remove the inside of a closed outline."""
        self.layers.append((points, HOLE))

    def mirrored(self) -> Figure:
        """Return the figure mirrored left to right."""
        layers = [(np.column_stack([self.aspect - points[:, 0], points[:, 1]]), paint) for points, paint in self.layers]
        return Figure(self.aspect, self.texture, self.roughness, layers, self.colours)


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0, count: int = 20) -> Points:
    """Return points around an ellipse; ``angle`` in radians, clockwise on the screen."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    across, down = rx * np.cos(turn), ry * np.sin(turn)
    return np.column_stack(
        [x + across * np.cos(angle) - down * np.sin(angle), y + across * np.sin(angle) + down * np.cos(angle)]
    )


def box(x0: float, y0: float, x1: float, y1: float) -> Points:
    """Return the corners of a rectangle."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def rounded(x0: float, y0: float, x1: float, y1: float, squareness: float = 4.0, count: int = 28) -> Points:
    """Return a superellipse in a rectangle; ``squareness`` 2 is an ellipse."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    across = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / squareness)
    down = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / squareness)
    return np.column_stack([(x0 + x1) / 2 + across * (x1 - x0) / 2, (y0 + y1) / 2 + down * (y1 - y0) / 2])


def polygon(*corners: tuple[float, float]) -> Points:
    """Return the corners as an array."""
    return np.array(corners)


def smooth(corners: Sequence[tuple[float, float]] | Points, steps: int = 4) -> Points:
    """Return a closed Catmull-Rom curve through the corners."""
    knots = np.asarray(corners, dtype=np.float64)
    around = np.concatenate([knots[-1:], knots, knots[:2]])[:, None, :]
    a, b, c, d = around[:-3], around[1:-2], around[2:-1], around[3:]
    t = (np.arange(steps) / steps)[None, :, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    points: Points = curve.reshape(-1, 2)
    return points


def limb(*joints: tuple[float, float, float]) -> Points:
    """Return the outline of a bent bar through joints ``(x, y, half width)``."""
    bones = np.array(joints)
    along = np.empty((len(bones), 2))
    along[1:-1] = bones[2:, :2] - bones[:-2, :2]
    along[0], along[-1] = bones[1, :2] - bones[0, :2], bones[-1, :2] - bones[-2, :2]
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    across = np.column_stack([-along[:, 1], along[:, 0]]) / length[:, None] * bones[:, 2:3]
    return np.concatenate([bones[:, :2] + across, (bones[:, :2] - across)[::-1]])


def bumpy(
    rng: np.random.Generator, x: float, y: float, rx: float, ry: float, bumps: int = 12, depth: float = 0.15
) -> Points:
    """Return an ellipse with an irregular, cloud-like edge."""
    turn = np.linspace(0, 2 * np.pi, 2 * bumps, endpoint=False)
    radius = 1 - depth * rng.uniform(0.4, 1.0, 2 * bumps) * (np.arange(2 * bumps) % 2)
    return smooth(np.column_stack([x + rx * radius * np.cos(turn), y + ry * radius * np.sin(turn)]), 3)
