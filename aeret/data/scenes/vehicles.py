"""Draw the things of the supercategory ``vehicle``."""

from __future__ import annotations

import numpy as np

from aeret.data.scenes.paint import choose, jitter, shade
from aeret.data.scenes.shapes import Figure, box, ellipse, limb, polygon, rounded, smooth

_CARS = [(178, 30, 34), (36, 72, 140), (228, 228, 230), (50, 52, 58), (150, 154, 160), (210, 170, 40), (40, 100, 80)]
_BUSES = [(216, 170, 30), (196, 40, 40), (40, 110, 170), (236, 236, 232), (50, 140, 80)]
_FRAMES = [(190, 40, 40), (30, 70, 150), (36, 36, 40), (40, 130, 90), (220, 220, 220)]
_HULLS = [(150, 40, 36), (240, 240, 238), (40, 66, 120), (120, 80, 48), (40, 110, 110)]
_GLASS = (150, 184, 204)
_TYRE = (28, 28, 30)


def car(rng: np.random.Generator) -> Figure:
    """Draw a car from the side: saloon or van-like."""
    figure = Figure(2.25, "cloud", 0.04)
    paint = choose(rng, _CARS)
    glass = jitter(rng, _GLASS, 14)
    roof, tail = rng.uniform(0.0, 0.08), rng.uniform(0.25, 0.6)
    figure.add(
        smooth(
            [
                (tail, 0.46),
                (tail + 0.2, 0.08 + roof),
                (0.95, roof),
                (1.38, 0.04 + roof),
                (1.72, 0.42),
                (1.7, 0.55),
                (tail, 0.55),
            ]
        ),
        paint,
    )
    figure.add(
        smooth(
            [
                (0.05, 0.5),
                (0.3, 0.4),
                (1.1, 0.42),
                (1.75, 0.42),
                (2.15, 0.5),
                (2.22, 0.66),
                (2.18, 0.8),
                (1.2, 0.82),
                (0.08, 0.8),
                (0.02, 0.65),
            ]
        ),
        paint,
    )
    figure.add(polygon((tail + 0.1, 0.43), (tail + 0.26, 0.15 + roof), (0.98, 0.1 + roof), (0.98, 0.43)), glass)
    figure.add(polygon((1.06, 0.43), (1.06, 0.1 + roof), (1.34, 0.13 + roof), (1.6, 0.43)), shade(glass, 0.9))
    figure.add(box(0.06, 0.7, 2.19, 0.78), shade(paint, 0.6))
    figure.add(ellipse(2.14, 0.56, 0.05, 0.05), (250, 240, 190))
    figure.add(ellipse(0.07, 0.56, 0.035, 0.05), (190, 20, 20))
    for x in (0.5, 1.72):
        _wheel(figure, x, 0.79, 0.2)
    return figure


def bus(rng: np.random.Generator) -> Figure:
    """Draw a bus from the side."""
    figure = Figure(2.3, "cloud", 0.04)
    paint = choose(rng, _BUSES)
    stripe = shade(paint, 0.6) if rng.random() < 0.5 else choose(rng, _BUSES)
    glass = jitter(rng, (90, 120, 140), 14)
    figure.add(rounded(0.0, 0.02, 2.3, 0.9, 12.0), paint)
    figure.add(box(0.01, 0.58, 2.29, 0.66), stripe)
    windows = int(rng.integers(5, 8))
    wide = 1.72 / windows
    for number in range(windows):
        figure.add(box(0.1 + number * wide, 0.16, 0.06 + (number + 1) * wide, 0.48), glass)
    figure.add(box(1.9, 0.16, 2.06, 0.84), shade(glass, 0.85))
    figure.add(box(2.12, 0.16, 2.27, 0.5), shade(glass, 1.15))
    figure.add(ellipse(2.26, 0.74, 0.03, 0.04), (250, 240, 190))
    for x in (0.45, 1.7):
        _wheel(figure, x, 0.87, 0.13)
    return figure


def bicycle(rng: np.random.Generator) -> Figure:
    """Draw a bicycle from the side, its wheels and frame open."""
    figure = Figure(1.65, "grain", 0.03)
    frame = choose(rng, _FRAMES)
    radius, tyre = 0.33, rng.uniform(0.05, 0.07)
    back, front = (0.34, 0.66), (1.31, 0.66)
    for hub in (back, front):
        figure.add(ellipse(*hub, radius, radius, 0, 28), _TYRE)
        figure.cut(ellipse(*hub, radius - tyre, radius - tyre, 0, 28))
        figure.add(ellipse(*hub, 0.05, 0.05, 0, 8), (150, 150, 154))
    crank, seat, head = (0.72, 0.68), (0.6, 0.27), (1.16, 0.24)
    for start, end in ((back, crank), (back, seat), (crank, seat), (crank, head), (seat, head), (head, front)):
        figure.add(limb((*start, 0.03), (*end, 0.03)), frame)
    figure.add(limb((0.6, 0.28, 0.024), (0.57, 0.16, 0.024)), (60, 60, 64))
    figure.add(rounded(0.42, 0.1, 0.72, 0.19, 3.0, 14), (40, 32, 28))
    figure.add(limb((1.16, 0.26, 0.026), (1.12, 0.06, 0.026), (1.26, 0.03, 0.03)), (60, 60, 64))
    figure.add(limb((0.72, 0.68, 0.02), (0.78, 0.82, 0.02)), (80, 80, 84))
    return figure


def boat(rng: np.random.Generator) -> Figure:
    """Draw a sailing boat, or a motor boat with a cabin."""
    hull = choose(rng, _HULLS)
    if rng.random() < 0.6:
        figure = Figure(0.95, "cloth", 0.04)
        sail = choose(rng, [(244, 242, 234), (236, 226, 200), (200, 60, 50), (60, 100, 170)])
        lean = rng.uniform(-0.04, 0.04)
        figure.add(polygon((0.44 + lean, 0.02), (0.47 + lean, 0.02), (0.48, 0.82), (0.44, 0.82)), (90, 70, 50))
        figure.add(smooth([(0.5 + lean, 0.04), (0.74, 0.45), (0.86, 0.74), (0.5, 0.75)], 3), sail)
        if rng.random() < 0.7:
            figure.add(polygon((0.42 + lean, 0.1), (0.42, 0.74), (0.12, 0.72)), shade(sail, 0.9))
        figure.add(smooth([(0.02, 0.8), (0.5, 0.82), (0.95, 0.78), (0.8, 0.97), (0.5, 1.0), (0.16, 0.97)]), hull)
        figure.add(limb((0.08, 0.86, 0.012), (0.88, 0.85, 0.012)), shade(hull, 0.6))
        return figure
    figure = Figure(2.0, "cloth", 0.04)
    cabin = jitter(rng, (236, 234, 228))
    figure.add(polygon((0.55, 0.55), (0.62, 0.12), (1.2, 0.1), (1.36, 0.55)), cabin)
    figure.add(polygon((0.7, 0.42), (0.73, 0.2), (0.92, 0.2), (0.92, 0.42)), (70, 96, 120))
    figure.add(polygon((0.98, 0.42), (0.98, 0.2), (1.16, 0.2), (1.24, 0.42)), (70, 96, 120))
    figure.add(limb((0.66, 0.14, 0.02), (0.66, 0.0, 0.02)), (60, 60, 60))
    figure.add(smooth([(0.02, 0.52), (0.8, 0.56), (1.97, 0.42), (1.72, 0.9), (1.0, 1.0), (0.2, 0.98)]), hull)
    figure.add(limb((0.1, 0.7, 0.03), (1.75, 0.64, 0.03)), shade(hull, 0.65))
    return figure


def plane(rng: np.random.Generator) -> Figure:
    """Draw an airliner from the side."""
    figure = Figure(2.7, "cloud", 0.03)
    body = jitter(rng, (232, 234, 238), 8)
    mark = choose(rng, [(190, 30, 40), (30, 70, 150), (30, 120, 90), (230, 150, 30)])
    figure.add(polygon((0.5, 0.52), (0.2, 0.34), (0.06, 0.34), (0.22, 0.56)), shade(body, 0.75))
    figure.add(polygon((0.12, 0.0), (0.3, 0.0), (0.72, 0.46), (0.26, 0.5)), mark)
    figure.add(
        smooth(
            [(0.12, 0.48), (0.6, 0.4), (1.6, 0.38), (2.35, 0.42), (2.68, 0.56), (2.3, 0.67), (1.2, 0.7), (0.5, 0.62)]
        ),
        body,
    )
    figure.add(limb((0.3, 0.585, 0.02), (1.4, 0.6, 0.022), (2.45, 0.6, 0.02)), mark)
    for x in np.linspace(0.7, 2.1, 9):
        figure.add(ellipse(float(x), 0.49, 0.032, 0.032, 0, 8), (70, 84, 104))
    figure.add(polygon((2.38, 0.46), (2.52, 0.48), (2.55, 0.54), (2.4, 0.54)), (60, 76, 96))
    figure.add(polygon((1.2, 0.6), (1.62, 0.6), (0.92, 0.98), (0.66, 0.98)), shade(body, 0.82))
    figure.add(ellipse(1.34, 0.78, 0.18, 0.08), shade(mark, 0.9))
    return figure


def _wheel(figure: Figure, x: float, y: float, radius: float) -> None:
    figure.add(ellipse(x, y, radius, radius), _TYRE)
    figure.add(ellipse(x, y, radius * 0.55, radius * 0.55, 0, 12), (168, 170, 174))
