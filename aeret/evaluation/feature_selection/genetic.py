"""Breed subsets of one size by how well they validate.

The two best live on. Of two drawn at random the better becomes a parent; a child has what both parents share and the
rest at random from what either has; then each of its variables is exchanged for one that it lacks with probability
1 / size, so one exchange a child on average.
"""

from __future__ import annotations

import numpy as np

from aeret.evaluation.feature_selection.technique import Choice, Chosen, Effort, Select, Technique
from aeret.parts import on_threads
from aeret.rng import generator

_ELITE = 2


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    def select(count: int, so_far: Chosen) -> Chosen:
        if count == choice.total:
            return np.arange(count, dtype=np.int64)
        rng, known = generator(seed, "genetic", count), dict[bytes, float]()

        def ranked(living: list[Chosen]) -> list[Chosen]:
            new = list({each.tobytes(): each for each in living if each.tobytes() not in known}.values())
            scores = list(on_threads(choice.score, new, effort.threads))
            known.update(zip((each.tobytes() for each in new), scores, strict=True))
            return sorted(living, key=lambda each: -known[each.tobytes()])

        living = [np.sort(rng.choice(choice.total, count, replace=False)) for _ in range(max(effort.population, 2))]
        living = ranked(living)
        for _ in range(effort.generations):
            children = [_child(living, choice.total, rng) for _ in range(len(living) - _ELITE)]
            living = ranked(living[:_ELITE] + children)
        return living[0]

    return select


def _child(living: list[Chosen], total: int, rng: np.random.Generator) -> Chosen:
    # They are ranked, so the better of two is the one of the smaller place.
    one, two = (living[int(rng.integers(len(living), size=2).min())] for _ in range(2))
    both = np.intersect1d(one, two)
    child = np.concatenate([both, rng.choice(np.setxor1d(one, two), len(one) - len(both), replace=False)])
    outside = np.setdiff1d(np.arange(total), child)
    leaving = np.flatnonzero(rng.random(len(child)) < 1 / len(child))[: len(outside)]
    child[leaving] = rng.choice(outside, len(leaving), replace=False)
    return np.sort(child)


GENETIC = Technique(
    "genetic", "wrapper", "Subsets of each size are bred, generation by generation, by how well they validate.", _build
)
