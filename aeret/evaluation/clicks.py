"""Simulate users whose clicks teach LinUCB how to weigh the channels of a search, against fixed weights.

Each round asks one query photo, chooses an arm (a weighting of the channels) and shows its first ten results. The user
looks at rank r with chance ``1 / r`` and clicks with chance ``noise + (1 - 2 noise) * gain``. The reward is the clicks
over the expected looks; its expectation is the *value* of an arm for a query, which regret and the paired test are of.

Policies: ``equal`` weights; ``best fixed``, the one weighting that is best for these very queries (in hindsight);
``ucb``, LinUCB that sees only a constant; ``linucb``, which sees the context; and ``oracle``, the best weighting of
every single query. LinUCB is of Li, Chu, Langford and Schapire, WWW 2010, algorithm 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError
from aeret.evaluation.significance import bootstrap_interval, holm, randomisation_test
from aeret.rng import generator

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
CHANNELS = ("photo", "layout", "labels")
"""Cosines of embeddings, of predicted layout codes, and of predicted label probabilities."""
SHOWN = 10
LEARNERS = ("ucb", "linucb")
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Simulation:
    """The outcome of a simulation."""

    summary: pd.DataFrame
    """A row per policy: mean value over all rounds and over the last quarter, difference to equal weights with its 95 %
    interval and Holm's p (queries are the unit, means over rounds and users), regret per round to ``best fixed``."""
    regret: pd.DataFrame
    """Column ``round`` and for each policy the cumulated regret to ``best fixed``, mean over users."""
    arms: pd.DataFrame
    """A row per arm: its weights, its mean value, and the share of rounds that each learner played it."""


class LinUcb:
    """Chooses the arm whose reward may be highest: a ridge estimate plus ``alpha`` standard errors."""

    def __init__(self, arms: int, width: int, alpha: float = 0.5, ridge: float = 1.0) -> None:
        self.alpha = alpha
        # The inverse of A is kept: one outer product a round instead of one solve an arm (Sherman & Morrison 1950).
        self._inverse = np.broadcast_to(np.eye(width) / ridge, (arms, width, width)).copy()
        self._sums = np.zeros((arms, width))

    def bounds(self, context: Floats) -> Floats:
        """Return the upper confidence bound of every arm's reward, float64 (arms,), for a context (width,)."""
        through = self._inverse @ context
        spread = np.sqrt(np.maximum(through @ context, 0))
        return np.asarray((through * self._sums).sum(axis=1) + self.alpha * spread)

    def learn(self, arm: int, context: Floats, reward: float) -> None:
        """Update the estimate of an arm by the reward that it brought in a context."""
        through = self._inverse[arm] @ context
        self._inverse[arm] -= np.outer(through, through) / (1 + context @ through)
        self._sums[arm] += reward * context


def channel_vectors(embeddings: Vectors, codes: Vectors, label_scores: Vectors) -> dict[str, Vectors]:
    """Return the unit vectors of each channel, float32 (n, .); label scores are logits."""
    chances = expit(np.clip(np.asarray(label_scores, np.float64), -30, 30))
    return dict(zip(CHANNELS, [l2_normalise(each) for each in (embeddings, codes, chances)], strict=True))


def weightings(channels: int, steps: int = 3) -> Floats:
    """Return all weights that are multiples of ``1 / steps`` and sum to 1, float64 (arms, channels); equal first."""
    grid = [each for each in itertools.product(range(steps + 1), repeat=channels) if sum(each) == steps]
    weights = [(1 / channels,) * channels] + [tuple(part / steps for part in each) for each in grid]
    return np.array(list(dict.fromkeys(weights)))


def ranked(
    queries: Mapping[str, Vectors], gallery: Mapping[str, Vectors], weights: Floats, n: int, exclude: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the first ``n`` gallery rows of each query under each weighting, int64 (arms, q, n); ties by row.

    Args:
        queries: channel to unit vectors (q, .). Similarities are standardised over the gallery, query by query.
        gallery: channel to unit vectors (g, .).
        weights: float64 (arms, channels), in the order of the channels.
        n: results, fewer than the gallery holds.
        exclude: gallery row left out of each query's results, or -1; int64 (q,).

    Raises:
        UsageError: the gallery has fewer than ``n`` results.
    """
    size = len(next(iter(gallery.values())))
    if not 1 <= n <= size - int(bool((exclude >= 0).any())):
        raise UsageError(f"A gallery of {size} photos cannot give {n} results per query.")
    found = np.empty((len(weights), len(exclude), n), np.int64)
    # In float64, and rounded at the end: equal vectors are equally far.
    wide = {name: np.asarray(vectors, np.float64) for name, vectors in gallery.items()}
    for query, own in enumerate(exclude):
        similar = np.stack([wide[name] @ queries[name][query].astype(np.float64) for name in queries])
        similar -= similar.mean(axis=1, keepdims=True)
        similar /= np.maximum(similar.std(axis=1, keepdims=True), 1e-12)
        far = (-weights @ similar).astype(np.float32)
        if own >= 0:
            far[:, own] = np.inf
        found[:, query] = np.argsort(far, axis=1, kind="stable")[:, :n]
    return found


def query_contexts(scores: NDArray[np.floating], codes: NDArray[np.floating]) -> Floats:
    """Return what is known of query photos before any search, standardised, float64 (q, 5).

    A constant 1, the largest label probability, the number of labels expected, the mean entropy of the labels, and the
    length of the predicted code.
    """
    chances = expit(np.clip(np.asarray(scores, np.float64), -30, 30))
    entropy = -(chances * np.log(chances) + (1 - chances) * np.log1p(-chances)).mean(axis=1)
    length = np.linalg.norm(np.asarray(codes, np.float64), axis=1)
    known = np.stack([chances.max(axis=1), chances.sum(axis=1), entropy, length], axis=1)
    known = (known - known.mean(axis=0)) / np.maximum(known.std(axis=0), 1e-12)
    return np.concatenate([np.ones((len(known), 1)), known], axis=1)


def values_of(gains: Floats, noise: float) -> Floats:
    """Return the expected clicks over expected looks of shown lists, float64 (..., q), of gains (..., q, shown)."""
    looks = 1 / np.arange(1, gains.shape[-1] + 1)
    return np.asarray((noise + (1 - 2 * noise) * gains) @ looks / looks.sum())


def clicks_on(gains: Floats, noise: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which results of one list are clicked, bool (shown,)."""
    looked = rng.random(len(gains)) < 1 / np.arange(1, len(gains) + 1)
    return np.asarray(looked & (rng.random(len(gains)) < noise + (1 - 2 * noise) * gains))


def simulate(
    gains: Floats,
    contexts: Floats,
    weights: Floats,
    seed: int,
    *,
    rounds: int = 4000,
    users: int = 8,
    noise: float = 0.1,
) -> Simulation:
    """Let policies serve simulated users.

    Args:
        gains: relevance of the results that each arm shows, in [0, 1], float64 (arms, q, shown); arm 0 is equal
            weights.
        contexts: of the queries, a constant among them, float64 (q, width).
        weights: of the arms, float64 (arms, channels).
        seed: of queries, looks and clicks.
        rounds: number of queries asked, drawn with replacement.
        users: independent repetitions, each with its own learners.
        noise: chance to click what is not relevant, and to pass over what is fully relevant.

    Raises:
        UsageError: shapes do not fit, or a parameter is out of range.
    """
    arms, queries, _ = gains.shape
    if contexts.shape[0] != queries or len(weights) != arms:
        raise UsageError(f"gains {gains.shape}, contexts {contexts.shape} and weights {weights.shape} do not fit.")
    if not 0 <= noise < 0.5 or rounds < 1 or users < 1:
        raise UsageError(f"a simulation needs rounds, users and noise in [0, 0.5); got {rounds}, {users}, {noise}.")
    values = values_of(gains, noise)
    asked = np.stack([generator(seed, "asked", user).integers(0, queries, rounds) for user in range(users)])
    played = {"equal": np.zeros_like(asked), "best fixed": np.full_like(asked, values.mean(axis=1).argmax())}
    for name, seen in zip(LEARNERS, (np.ones((queries, 1)), contexts), strict=True):
        # The same luck for all learners, round by round.
        lucks = [generator(seed, "clicks", user) for user in range(users)]
        played[name] = np.stack([_learn(gains, seen, *user, noise) for user in zip(asked, lucks, strict=True)])
    played["oracle"] = values.argmax(axis=0)[asked]
    earned = {name: values[arm, asked] for name, arm in played.items()}
    regret = {name: np.cumsum((earned["best fixed"] - value).mean(axis=0)) for name, value in earned.items()}
    table = pd.DataFrame(weights, columns=[f"weight {number}" for number in range(weights.shape[1])])
    table["value"] = values.mean(axis=1)
    for name in LEARNERS:
        table[name] = np.bincount(played[name].ravel(), minlength=arms) / played[name].size
    frame = pd.DataFrame({"round": np.arange(1, rounds + 1), **regret})
    return Simulation(_summary(earned, asked, queries, seed), frame, table)


def _learn(
    gains: Floats, contexts: Floats, asked: NDArray[np.int64], rng: np.random.Generator, noise: float
) -> NDArray[np.int64]:
    """Return the arm that LinUCB played in each round, int64 (rounds,)."""
    learner = LinUcb(len(gains), contexts.shape[1], alpha=0.3)
    looks = (1 / np.arange(1, gains.shape[2] + 1)).sum()
    played = np.empty(len(asked), np.int64)
    for turn, query in enumerate(asked):
        arm = played[turn] = int(np.argmax(learner.bounds(contexts[query])))
        learner.learn(arm, contexts[query], clicks_on(gains[arm, query], noise, rng).sum() / looks)
    return played


def _summary(earned: dict[str, Floats], asked: NDArray[np.int64], queries: int, seed: int) -> pd.DataFrame:
    late = asked.shape[1] * 3 // 4
    counts = np.bincount(asked.ravel(), minlength=queries)
    rows = []
    for name, value in earned.items():
        gain = np.bincount(asked.ravel(), (value - earned["equal"]).ravel(), minlength=queries)
        paired = (gain[counts > 0] / counts[counts > 0])[:, None]
        low, high = bootstrap_interval(paired, generator(seed, "click bootstrap"), _RESAMPLES)
        row = {"policy": name, "value": value.mean(), "last quarter": value[:, late:].mean(), "gain": paired.mean()}
        p = randomisation_test(paired, generator(seed, "click test"))[0]
        regret = (earned["best fixed"] - value).mean()
        rows.append(row | {"gain low": low[0], "gain high": high[0], "p": p, "regret": regret})
    table = pd.DataFrame(rows)
    tested = table["policy"].isin(LEARNERS).to_numpy()
    table.loc[~tested, "p"] = np.nan
    table.loc[tested, "p"] = holm(table.loc[tested, "p"].to_numpy(np.float64))
    return table
