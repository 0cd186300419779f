"""Draw the things of the supercategory ``creature``."""

from __future__ import annotations

import numpy as np

from aeret.data.scenes.paint import choose, jitter, shade
from aeret.data.scenes.shapes import Figure, bumpy, ellipse, limb, polygon, smooth

_SKIN = [(238, 199, 168), (214, 166, 128), (168, 116, 82), (110, 74, 52), (84, 58, 44)]
_CLOTHES = [(180, 40, 44), (40, 70, 150), (230, 200, 60), (60, 120, 70), (235, 235, 230), (60, 60, 66), (205, 110, 160)]
_TROUSERS = [(44, 54, 92), (70, 66, 60), (30, 30, 34), (150, 132, 100), (90, 90, 98)]
_HAIR = [(40, 28, 20), (92, 60, 34), (190, 150, 84), (140, 140, 140), (24, 22, 24)]
_HORSES = [(120, 72, 40), (70, 44, 30), (176, 132, 88), (44, 38, 38), (206, 198, 188)]
_DOGS = [(150, 100, 56), (60, 50, 46), (220, 206, 180), (196, 146, 84), (110, 104, 100)]
_BIRDS = [(60, 62, 70), (230, 230, 232), (130, 96, 70), (40, 40, 46)]


def person(rng: np.random.Generator) -> Figure:
    """Draw a standing or walking person."""
    figure = Figure(0.5, "cloth", 0.07)
    skin, shirt = choose(rng, _SKIN), choose(rng, _CLOTHES)
    trousers, hair = choose(rng, _TROUSERS), choose(rng, _HAIR)
    stride, swing = rng.uniform(0.0, 0.11), rng.uniform(-0.1, 0.1)
    x, wide = 0.25, rng.uniform(0.075, 0.1)
    raised = rng.random() < 0.15
    hand = (x + 0.2, 0.06, 0.02) if raised else (x + wide + 0.05 + abs(swing), 0.52, 0.02)
    figure.add(limb((x + wide, 0.22, 0.03), (x + wide + 0.05, 0.36, 0.026), hand), shade(shirt, 0.8))
    for side, tone in ((1, 0.8), (-1, 1.0)):
        foot = x + side * stride
        figure.add(
            limb(
                (x + side * 0.035, 0.5, 0.052),
                (x + side * (0.04 + stride / 2), 0.74, 0.04),
                (foot + side * 0.03, 0.96, 0.03),
            ),
            shade(trousers, tone),
        )
        figure.add(ellipse(foot + side * 0.03 + 0.025, 0.97, 0.055, 0.028), (38, 32, 30))
    figure.add(
        smooth(
            [
                (x - wide, 0.2),
                (x, 0.165),
                (x + wide, 0.2),
                (x + wide * 0.95, 0.38),
                (x + wide, 0.56),
                (x, 0.575),
                (x - wide, 0.56),
                (x - wide * 0.95, 0.38),
            ]
        ),
        shirt,
    )
    figure.add(
        limb((x - wide, 0.22, 0.032), (x - wide - 0.04, 0.37, 0.027), (x - wide - 0.02 - swing, 0.52, 0.022)),
        shade(shirt, 1.1),
    )
    figure.add(ellipse(x - wide - 0.02 - swing, 0.535, 0.024, 0.026), skin)
    figure.add(limb((x, 0.13, 0.026), (x, 0.19, 0.03)), shade(skin, 0.85))
    figure.add(ellipse(x, 0.085, 0.056, 0.078), skin)
    figure.add(
        polygon((x - 0.06, 0.09), (x - 0.055, 0.03), (x, 0.0), (x + 0.055, 0.03), (x + 0.06, 0.08), (x, 0.05)), hair
    )
    return figure


def dog(rng: np.random.Generator) -> Figure:
    """Draw a dog from the side."""
    figure = Figure(1.35, "grain", 0.1)
    coat = jitter(rng, choose(rng, _DOGS))
    patch = shade(coat, rng.choice([0.55, 1.25]))
    lift = rng.uniform(-0.05, 0.05)
    _legs(figure, coat, (0.36, 0.46, 0.86, 0.95), 0.55, 0.042, rng)
    tail = rng.uniform(-0.05, 0.35)
    figure.add(limb((0.34, 0.42, 0.05), (0.2, 0.3 + tail / 2, 0.036), (0.08, 0.1 + tail, 0.015)), coat)
    figure.add(
        smooth(
            [(0.3, 0.42), (0.42, 0.34), (0.7, 0.37), (0.95, 0.32), (1.02, 0.5), (0.9, 0.66), (0.6, 0.6), (0.36, 0.62)]
        ),
        coat,
    )
    figure.add(ellipse(0.62, 0.44, 0.16, 0.08), patch)
    figure.add(limb((0.94, 0.44, 0.12), (1.05, 0.24 + lift, 0.09)), coat)
    figure.add(ellipse(1.08, 0.2 + lift, 0.125, 0.11), coat)
    figure.add(limb((1.12, 0.22 + lift, 0.07), (1.3, 0.26 + lift, 0.045)), coat)
    figure.add(ellipse(1.3, 0.245 + lift, 0.03, 0.03), (24, 20, 20))
    figure.add(
        smooth([(0.98, 0.12 + lift), (1.05, 0.1 + lift), (1.05, 0.33 + lift), (0.97, 0.32 + lift)]), shade(patch, 0.8)
    )
    figure.add(ellipse(1.13, 0.17 + lift, 0.016, 0.016), (16, 14, 14))
    return figure


def horse(rng: np.random.Generator) -> Figure:
    """Draw a horse from the side, its head up or grazing."""
    figure = Figure(1.3, "grain", 0.06)
    coat = jitter(rng, choose(rng, _HORSES))
    mane = shade(coat, 0.45)
    grazing = rng.random() < 0.35
    _legs(figure, coat, (0.32, 0.43, 0.82, 0.92), 0.5, 0.034, rng)
    figure.add(limb((0.25, 0.36, 0.035), (0.15, 0.5, 0.045), (0.12, 0.78, 0.02)), mane)
    figure.add(
        smooth(
            [(0.24, 0.38), (0.36, 0.3), (0.6, 0.33), (0.86, 0.28), (1.0, 0.4), (0.92, 0.57), (0.6, 0.6), (0.32, 0.58)]
        ),
        coat,
    )
    nose = (1.22, 0.86) if grazing else (1.25, 0.2)
    poll = (1.08, 0.68) if grazing else (1.06, 0.07)
    figure.add(limb((0.88, 0.42, 0.14), ((0.9 + poll[0]) / 2 + 0.03, (0.4 + poll[1]) / 2, 0.1), (*poll, 0.07)), coat)
    figure.add(
        limb((0.84, 0.3, 0.04), ((0.84 + poll[0]) / 2 - 0.03, (0.3 + poll[1]) / 2 - 0.03, 0.045), (*poll, 0.02)), mane
    )
    figure.add(limb((*poll, 0.075), (*nose, 0.045)), coat)
    figure.add(ellipse(*nose, 0.05, 0.05), shade(coat, 0.75))
    figure.add(
        polygon((poll[0] - 0.03, poll[1] - 0.03), (poll[0], poll[1] - 0.09), (poll[0] + 0.04, poll[1] - 0.02)), coat
    )
    return figure


def sheep(rng: np.random.Generator) -> Figure:
    """Draw a woolly sheep."""
    figure = Figure(1.4, "leaves", 0.09)
    wool = jitter(rng, (226, 220, 206), 12)
    dark = choose(rng, [(46, 40, 38), (70, 60, 54), (210, 196, 176)])
    _legs(figure, dark, (0.38, 0.52, 0.86, 0.98), 0.6, 0.032, rng)
    figure.add(bumpy(rng, 0.66, 0.45, 0.52, 0.33, 13, 0.14), wool)
    drop = rng.uniform(-0.06, 0.22)
    figure.add(limb((1.06, 0.3 + drop / 2, 0.1), (1.24, 0.36 + drop, 0.085), (1.31, 0.46 + drop, 0.05)), dark)
    figure.add(ellipse(1.08, 0.27 + drop, 0.08, 0.035, 0.4), dark)
    figure.add(bumpy(rng, 1.06, 0.21 + drop / 2, 0.12, 0.09, 6), shade(wool, 1.03))
    return figure


def bird(rng: np.random.Generator) -> Figure:
    """Draw a bird in flight."""
    figure = Figure(1.7, "grain", 0.05)
    body = jitter(rng, choose(rng, _BIRDS))
    beat = rng.uniform(-0.1, 0.35)
    figure.add(
        smooth([(0.75, 0.55), (0.5, 0.3 + beat / 2), (0.15, 0.05 + beat), (0.4, 0.42 + beat / 2), (0.85, 0.72)]),
        shade(body, 0.75),
    )
    figure.add(polygon((0.32, 0.62), (0.1, 0.56), (0.12, 0.82), (0.5, 0.76)), shade(body, 0.85))
    figure.add(ellipse(0.85, 0.7, 0.46, 0.15, -0.08), body)
    figure.add(
        smooth([(0.7, 0.62), (0.85, 0.28 + beat), (1.2, 0.0 + beat * 0.8), (1.1, 0.4 + beat / 2), (1.05, 0.68)]),
        shade(body, 1.12),
    )
    figure.add(ellipse(1.32, 0.6, 0.16, 0.14), body)
    figure.add(polygon((1.44, 0.55), (1.66, 0.62), (1.44, 0.68)), (226, 160, 40))
    return figure


def _legs(
    figure: Figure,
    colour: tuple[float, float, float],
    hips: tuple[float, float, float, float],
    top: float,
    half: float,
    rng: np.random.Generator,
) -> None:
    """Four legs to the ground, those of the far side darker."""
    for number, hip in enumerate(hips):
        step = rng.uniform(-0.08, 0.08)
        tone = 0.7 if number % 2 else 0.95
        figure.add(
            limb((hip, top, half * 1.6), (hip + step * 0.4, (top + 1) / 2, half), (hip + step, 0.985, half * 0.8)),
            shade(colour, tone),
        )
