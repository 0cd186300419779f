"""Plan scenes: seven kinds, each with habits of what stands where.

A street has its bus lane on the left and its lamps on the right; sheep come in numbers; a table draws chairs to its
sides and a vase to its top; a dog keeps near a person. Habits hold on average only: counts, places and sizes vary, some
scenes are mirrored, some are seen from close by, and now and then a thing stands where it does not belong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aeret.data.scenes.objects import CATEGORIES
from aeret.registry import lookup


@dataclass(frozen=True)
class Habit:
    """The way one category tends to occur in one kind of scene."""

    category: str
    counts: tuple[float, ...]
    """Probability of 0, 1, 2, ... of them."""
    x: float
    """Mean place across, 0 left to 1 right."""
    spread: float
    """Standard deviation of the place across."""
    down: tuple[float, float]
    """Range of the baseline: share of the way from horizon to bottom, or from top to horizon where ``aloft``."""
    aloft: bool = False
    scale: float = 1.0
    """Size beside what the place would give."""
    crowd: bool = False
    """A distant group, annotated as one crowd."""
    near: str = ""
    """Keeps to a thing of this category, if any: ``x`` is then relative to it, in heights of it."""


@dataclass(frozen=True)
class Placement:
    """One thing to draw."""

    category: str
    x: float
    """Centre of the thing, share of the width; may lie outside."""
    base: float
    """Lower edge, share of the height."""
    height: float
    """Share of the photo's height."""
    mirrored: bool
    depth: float
    """Painter's order, far (small) to near."""
    crowd: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of scene."""

    horizon: float
    """Mean height of the horizon (indoors: the foot of the wall), share of the height from the top."""
    far: float
    """Height of a person at the horizon, share of the photo's height."""
    near: float
    """Height of a person at the bottom."""
    habits: tuple[Habit, ...]


KINDS: dict[str, Kind] = {
    "street": Kind(
        0.42,
        0.14,
        0.62,
        (
            Habit("house", (0.05, 0.35, 0.4, 0.2), 0.4, 0.34, (0.0, 0.12)),
            Habit("tree", (0.4, 0.4, 0.2), 0.14, 0.12, (0.04, 0.3)),
            Habit("street lamp", (0.3, 0.5, 0.2), 0.84, 0.08, (0.05, 0.55)),
            Habit("bus", (0.6, 0.4), 0.3, 0.13, (0.12, 0.4)),
            Habit("car", (0.15, 0.4, 0.3, 0.15), 0.62, 0.17, (0.12, 0.75)),
            Habit("bicycle", (0.7, 0.25, 0.05), 0.86, 0.09, (0.35, 0.85)),
            Habit("person", (0.4, 0.3, 0.2, 0.1), 0.84, 0.14, (0.15, 0.85)),
            Habit("person", (0.85, 0.15), 0.2, 0.1, (0.03, 0.12), crowd=True),
            Habit("dog", (0.85, 0.15), 0.5, 0.15, (0.4, 0.9), near="person"),
        ),
    ),
    "field": Kind(
        0.44,
        0.1,
        0.6,
        (
            Habit("house", (0.65, 0.35), 0.8, 0.12, (0.0, 0.06), scale=0.8),
            Habit("tree", (0.2, 0.4, 0.25, 0.15), 0.2, 0.16, (0.02, 0.3)),
            Habit("sheep", (0.3, 0.15, 0.25, 0.2, 0.1), 0.5, 0.24, (0.25, 0.85)),
            Habit("sheep", (0.8, 0.2), 0.6, 0.2, (0.05, 0.16), crowd=True),
            Habit("horse", (0.5, 0.35, 0.15), 0.66, 0.18, (0.2, 0.7)),
            Habit("person", (0.7, 0.3), 0.35, 0.2, (0.3, 0.9)),
            Habit("dog", (0.65, 0.35), 0.7, 0.2, (0.35, 0.9), near="sheep"),
            Habit("bird", (0.7, 0.2, 0.1), 0.5, 0.25, (0.25, 0.7), aloft=True),
            Habit("bird", (0.85, 0.15), 0.4, 0.2, (0.3, 0.6), aloft=True, crowd=True),
        ),
    ),
    "lake": Kind(
        0.4,
        0.1,
        0.66,
        (
            Habit("house", (0.7, 0.3), 0.18, 0.1, (0.0, 0.03), scale=0.8),
            Habit("tree", (0.3, 0.4, 0.3), 0.88, 0.1, (0.0, 0.12), scale=0.9),
            Habit("boat", (0.1, 0.4, 0.3, 0.2), 0.45, 0.22, (0.08, 0.62), scale=1.15),
            Habit("boat", (0.88, 0.12), 0.3, 0.15, (0.02, 0.08), crowd=True),
            Habit("bird", (0.3, 0.35, 0.25, 0.1), 0.5, 0.25, (0.2, 0.8), aloft=True),
            Habit("person", (0.65, 0.25, 0.1), 0.2, 0.13, (0.85, 1.05)),
            Habit("dog", (0.8, 0.2), 0.6, 0.2, (0.88, 1.02), near="person"),
            Habit("chair", (0.85, 0.15), 0.75, 0.12, (0.9, 1.05)),
        ),
    ),
    "park": Kind(
        0.46,
        0.14,
        0.62,
        (
            Habit("tree", (0.0, 0.25, 0.4, 0.35), 0.5, 0.32, (0.02, 0.35)),
            Habit("street lamp", (0.6, 0.4), 0.2, 0.1, (0.1, 0.5)),
            Habit("person", (0.15, 0.4, 0.3, 0.15), 0.5, 0.2, (0.2, 0.9)),
            Habit("dog", (0.5, 0.4, 0.1), 0.55, 0.2, (0.3, 0.95), near="person"),
            Habit("bicycle", (0.5, 0.4, 0.1), 0.3, 0.15, (0.3, 0.85)),
            Habit("bird", (0.7, 0.3), 0.65, 0.2, (0.2, 0.7), aloft=True),
            Habit("person", (0.9, 0.1), 0.7, 0.15, (0.02, 0.1), crowd=True),
        ),
    ),
    "airfield": Kind(
        0.55,
        0.13,
        0.5,
        (
            Habit("house", (0.6, 0.4), 0.12, 0.08, (0.0, 0.05)),
            Habit("plane", (0.25, 0.6, 0.15), 0.5, 0.2, (0.25, 0.7), aloft=True, scale=0.75),
            Habit("plane", (0.4, 0.6), 0.62, 0.15, (0.15, 0.6), scale=1.1),
            Habit("bus", (0.55, 0.45), 0.25, 0.12, (0.15, 0.6)),
            Habit("car", (0.65, 0.35), 0.8, 0.1, (0.3, 0.8)),
            Habit("person", (0.6, 0.25, 0.15), 0.2, 0.12, (0.5, 0.95)),
            Habit("street lamp", (0.6, 0.4), 0.92, 0.05, (0.05, 0.3)),
        ),
    ),
    "room": Kind(
        0.6,
        0.46,
        0.82,
        (
            Habit("clock", (0.4, 0.6), 0.3, 0.13, (0.35, 0.55), aloft=True),
            Habit("floor lamp", (0.35, 0.55, 0.1), 0.86, 0.07, (0.02, 0.3)),
            Habit("table", (0.2, 0.8), 0.5, 0.1, (0.3, 0.75)),
            Habit("chair", (0.2, 0.45, 0.35), -0.95, 0.18, (0.3, 0.8), near="table"),
            Habit("chair", (0.4, 0.6), 0.95, 0.18, (0.3, 0.8), near="table"),
            Habit("vase", (0.3, 0.5, 0.2), 0.0, 0.4, (0.0, 0.0), near="table top"),
            Habit("person", (0.65, 0.35), 0.2, 0.1, (0.1, 0.6)),
            Habit("dog", (0.75, 0.25), 0.65, 0.2, (0.65, 1.0)),
        ),
    ),
    "garden": Kind(
        0.5,
        0.2,
        0.66,
        (
            Habit("house", (0.45, 0.55), 0.72, 0.14, (0.0, 0.08), scale=0.9),
            Habit("tree", (0.3, 0.5, 0.2), 0.2, 0.12, (0.05, 0.3)),
            Habit("table", (0.35, 0.65), 0.48, 0.14, (0.4, 0.8)),
            Habit("chair", (0.3, 0.5, 0.2), 0.95, 0.2, (0.4, 0.85), near="table"),
            Habit("vase", (0.4, 0.6), 0.0, 0.4, (0.0, 0.0), near="table top"),
            Habit("vase", (0.6, 0.4), 0.85, 0.08, (0.5, 0.95)),
            Habit("person", (0.6, 0.4), 0.3, 0.18, (0.25, 0.8)),
            Habit("dog", (0.7, 0.3), 0.6, 0.2, (0.5, 0.95)),
            Habit("bird", (0.75, 0.25), 0.4, 0.2, (0.2, 0.7), aloft=True),
            Habit("sheep", (0.93, 0.07), 0.5, 0.2, (0.3, 0.7)),
        ),
    ),
}


@dataclass(frozen=True)
class Plan:
    """One scene before it is drawn."""

    kind: str
    horizon: float
    """Share of the height from the top; may lie outside in a close view."""
    mirrored: bool
    placements: tuple[Placement, ...]
    """From far to near."""


def plan_scene(rng: np.random.Generator, kind: str) -> Plan:
    """Draw the plan of one scene of a kind.

    Raises:
        UnknownNameError: there is no such kind.
    """
    habits = lookup(KINDS, kind, "kind of scene")
    horizon = float(np.clip(rng.normal(habits.horizon, 0.045), 0.25, 0.75))
    placements: list[Placement] = []
    for habit in habits.habits:
        for _ in range(int(rng.choice(len(habit.counts), p=habit.counts))):
            placed = _place(rng, habits, habit, horizon, placements)
            if placed is not None:
                placements.append(placed)
    if rng.random() < 0.1:
        stray = str(rng.choice(list(CATEGORIES)))
        anywhere = Habit(stray, (0, 1), 0.5, 0.25, (0.2, 0.9))
        placements += [placed for placed in [_place(rng, habits, anywhere, horizon, placements)] if placed]
    mirrored = bool(rng.random() < 0.12)
    if mirrored:
        placements = [replace(item, x=1 - item.x, mirrored=not item.mirrored) for item in placements]
    if placements and rng.random() < 0.35:
        horizon, placements = _closer(rng, horizon, placements)
    placements.sort(key=lambda item: item.depth)
    return Plan(kind, horizon, mirrored, tuple(placements))


def _place(
    rng: np.random.Generator, kind: Kind, habit: Habit, horizon: float, placements: list[Placement]
) -> Placement | None:
    height = CATEGORIES[habit.category].height * habit.scale * float(np.exp(rng.normal(0, 0.1)))
    mirrored = bool(rng.random() < 0.5)
    if habit.near == "table top":
        tables = [item for item in placements if item.category == "table"]
        if not tables:
            return None
        host = tables[-1]
        x = host.x + float(rng.uniform(-0.7, 0.7)) * host.height
        tall = height * host.height / CATEGORIES["table"].height
        return Placement(habit.category, x, host.base - 0.87 * host.height, tall, mirrored, host.depth + 1e-3)
    hosts = [item for item in placements if item.category == habit.near and not item.crowd]
    down = float(rng.uniform(*habit.down))
    x = float(rng.normal(habit.x, habit.spread))
    if hosts:
        host = hosts[int(rng.integers(len(hosts)))]
        side = 1.0 if habit.category == "chair" else float(rng.choice([-1.0, 1.0]))
        x = host.x + side * float(rng.normal(habit.x, habit.spread)) * host.height
        host_down = (host.base - horizon) / (1 - horizon)
        down = float(np.clip(host_down + rng.normal(0, 0.06), 0.0, 1.05))
        mirrored = habit.category == "chair" and habit.x > 0
    elif habit.category == "chair" and habit.near:
        x = 0.5 + 0.3 * float(np.sign(habit.x)) + float(rng.normal(0, 0.08))
    if habit.aloft:
        base = down * horizon
        scale = kind.far + (kind.near - kind.far) * float(rng.uniform(0.15, 0.55))
        return Placement(habit.category, x, base, height * scale, mirrored, -1.0 + down / 2, habit.crowd)
    scale = kind.far + (kind.near - kind.far) * down
    base = horizon + down * (1 - horizon)
    return Placement(habit.category, x, base, height * scale, mirrored, down, habit.crowd)


def _closer(rng: np.random.Generator, horizon: float, placements: list[Placement]) -> tuple[float, list[Placement]]:
    """Enlarge the scene around one of its things, so that the border cuts off others."""
    zoom = float(rng.uniform(1.25, 1.9))
    focus = placements[int(rng.integers(len(placements)))]
    x, y = float(np.clip(focus.x, 0.2, 0.8)), float(np.clip(focus.base - focus.height / 2, 0.25, 0.75))
    moved = [
        replace(
            item,
            x=(item.x - x) * zoom + 0.5 + (x - 0.5) * 0.6,
            base=(item.base - y) * zoom + 0.5 + (y - 0.5) * 0.6,
            height=item.height * zoom,
        )
        for item in placements
    ]
    return (horizon - y) * zoom + 0.5 + (y - 0.5) * 0.6, moved
