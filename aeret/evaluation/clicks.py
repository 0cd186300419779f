"""Does learning from clicks pay? A simulation of users, and LinUCB against weights that never change.

Each round one query photo is asked, an arm (a weighting of the channels) is chosen, its first ten results are shown,
and a user looks at rank r with chance ``1 / r`` (position bias) and clicks what he looks at with chance
``noise + (1 - 2 noise) * gain``, where the gain is the relevance of the photo. The reward is the clicks over the
expected looks; its expectation, taken from the gains alone, is the *value* of an arm for a query, and regret and the
paired test are about values, not about lucky clicks.

Policies: ``equal`` weights; ``best fixed``, the one weighting that is best for these very queries (hindsight: it cannot
be played, it is what learning could reach without a context); ``ucb``, LinUCB that sees only a constant; ``linucb``,
which sees the context; and ``oracle``, the best weighting of every single query.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.evaluation.significance import bootstrap_interval, holm, randomisation_test
from aeret.retrieval.feedback.linucb import LinUcb
from aeret.rng import generator

Floats = NDArray[np.float64]
SHOWN = 10
LEARNERS = ("ucb", "linucb")
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Simulation:
    """What came of it."""

    summary: pd.DataFrame
    """A row a policy: mean value over all rounds and over the last quarter, difference to equal weights with its 95 %
    interval and Holm's p (queries are the unit, means over rounds and users), regret a round to ``best fixed``."""
    regret: pd.DataFrame
    """Column ``round`` and for each policy the cumulated regret to ``best fixed``, mean over users' seeds."""
    arms: pd.DataFrame
    """A row an arm: its weights, its mean value, and the share of rounds that each learner played it."""


def values_of(gains: Floats, noise: float) -> Floats:
    """Return the expected clicks over expected looks of shown lists, float64 (..., q), of gains (..., q, shown)."""
    looks = 1 / np.arange(1, gains.shape[-1] + 1)
    return np.asarray((noise + (1 - 2 * noise) * gains) @ looks / looks.sum())


def clicks_on(gains: Floats, noise: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which of the results of one list are clicked, bool (shown,)."""
    looked = rng.random(len(gains)) < 1 / np.arange(1, len(gains) + 1)
    return np.asarray(looked & (rng.random(len(gains)) < noise + (1 - 2 * noise) * gains))


def query_contexts(scores: NDArray[np.floating], codes: NDArray[np.floating]) -> Floats:
    """Return what is known of query photos before any search, standardised, float64 (q, 5).

    A constant 1, the chance of the likeliest label, the number of labels expected, the mean entropy of the labels, and
    the length of the predicted code (how sure the layout head is).
    """
    chances = 1 / (1 + np.exp(-np.clip(np.asarray(scores, np.float64), -30, 30)))
    entropy = -(chances * np.log(chances) + (1 - chances) * np.log1p(-chances)).mean(axis=1)
    length = np.linalg.norm(np.asarray(codes, np.float64), axis=1)
    known = np.stack([chances.max(axis=1), chances.sum(axis=1), entropy, length], axis=1)
    spread = np.maximum(known.std(axis=0), 1e-12)
    return np.concatenate([np.ones((len(known), 1)), (known - known.mean(axis=0)) / spread], axis=1)


def simulate(
    gains: Floats,
    contexts: Floats,
    weights: Floats,
    seed: int,
    *,
    rounds: int = 4000,
    users: int = 8,
    noise: float = 0.1,
    alpha: float = 0.3,
) -> Simulation:
    """Let policies serve simulated users.

    Args:
        gains: relevance of the results that each arm shows, in [0, 1], float64 (arms, q, shown); arm 0 is equal
            weights.
        contexts: of the queries, a constant among them, float64 (q, width).
        weights: of the arms, float64 (arms, channels).
        seed: of queries, looks and clicks.
        rounds: queries asked, drawn with replacement.
        users: independent repetitions, each with its own learners.
        noise: chance to click what is not relevant, and to pass over what is fully relevant.
        alpha: exploration of the learners.

    Raises:
        UsageError: shapes do not fit, or a parameter is out of range.
    """
    arms, queries, _ = gains.shape
    if contexts.shape[0] != queries or len(weights) != arms:
        raise UsageError(f"gains {gains.shape}, contexts {contexts.shape} and weights {weights.shape} do not fit.")
    if not 0 <= noise < 0.5 or rounds < 1 or users < 1:
        raise UsageError(f"a simulation needs rounds, users and noise in [0, 0.5); got {rounds}, {users}, {noise}.")
    values = values_of(gains, noise)
    best = int(np.argmax(values.mean(axis=1)))
    asked = np.stack([generator(seed, "asked", user).integers(0, queries, rounds) for user in range(users)])
    played = {
        "equal": np.zeros((users, rounds), np.int64),
        "best fixed": np.full((users, rounds), best),
        **{
            name: np.stack([_learn(gains, seen, each, seed, user, noise, alpha) for user, each in enumerate(asked)])
            for name, seen in zip(LEARNERS, (np.ones((queries, 1)), contexts), strict=True)
        },
        "oracle": values.argmax(axis=0)[asked],
    }
    earned = {name: values[arm, asked] for name, arm in played.items()}
    regret = pd.DataFrame({"round": np.arange(1, rounds + 1)})
    for name, value in earned.items():
        regret[name] = np.cumsum((earned["best fixed"] - value).mean(axis=0))
    table = pd.DataFrame(weights, columns=[f"weight {number}" for number in range(weights.shape[1])])
    table["value"] = values.mean(axis=1)
    for name in LEARNERS:
        table[name] = np.bincount(played[name].ravel(), minlength=arms) / played[name].size
    return Simulation(_summary(earned, asked, queries, seed), regret, table)


def _learn(
    gains: Floats, contexts: Floats, asked: NDArray[np.int64], seed: int, user: int, noise: float, alpha: float
) -> NDArray[np.int64]:
    """Return the arm that LinUCB played in each round, int64 (rounds,)."""
    learner = LinUcb(len(gains), contexts.shape[1], alpha)
    rng = generator(seed, "clicks", user)  # the same luck for all learners, round by round
    looks = (1 / np.arange(1, gains.shape[2] + 1)).sum()
    played = np.empty(len(asked), np.int64)
    for turn, query in enumerate(asked):
        arm = learner.choose(contexts[query])
        learner.learn(arm, contexts[query], clicks_on(gains[arm, query], noise, rng).sum() / looks)
        played[turn] = arm
    return played


def _summary(earned: dict[str, Floats], asked: NDArray[np.int64], queries: int, seed: int) -> pd.DataFrame:
    late = asked.shape[1] * 3 // 4
    counts = np.bincount(asked.ravel(), minlength=queries)
    rows = []
    for name, value in earned.items():
        gain = np.bincount(asked.ravel(), (value - earned["equal"]).ravel(), minlength=queries)
        paired = (gain[counts > 0] / counts[counts > 0])[:, None]
        low, high = bootstrap_interval(paired, generator(seed, "click bootstrap"), _RESAMPLES)
        rows.append(
            {
                "policy": name,
                "value": value.mean(),
                "last quarter": value[:, late:].mean(),
                "gain": paired.mean(),
                "gain low": low[0],
                "gain high": high[0],
                "p": randomisation_test(paired, generator(seed, "click test"))[0],
                "regret": (earned["best fixed"] - value).mean(),
            }
        )
    table = pd.DataFrame(rows)
    tested = table["policy"].isin(LEARNERS).to_numpy()
    adjusted = np.full(len(table), np.nan)
    adjusted[tested] = holm(table.loc[tested, "p"].to_numpy(np.float64))
    table["p"] = adjusted
    return table
