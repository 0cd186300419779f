import numpy as np
import pytest

from aeret.errors import UsageError
from aeret.evaluation.clicks import (
    LinUcb,
    channel_vectors,
    clicks_on,
    query_contexts,
    ranked,
    simulate,
    values_of,
    weightings,
)


def test_bounds_are_ridge_regression_and_its_spread() -> None:
    rng = np.random.default_rng(0)
    learner = LinUcb(2, 3, alpha=0.7, ridge=2.0)
    contexts, rewards = rng.standard_normal((20, 3)), rng.random(20)
    for context, reward in zip(contexts, rewards, strict=True):
        learner.learn(1, context, reward)
    matrix = 2 * np.eye(3) + contexts.T @ contexts
    theta = np.linalg.solve(matrix, contexts.T @ rewards)
    asked = np.array([1.0, -0.5, 2.0])
    expected = theta @ asked + 0.7 * np.sqrt(asked @ np.linalg.solve(matrix, asked))
    assert learner.bounds(asked) == pytest.approx([0.7 * np.sqrt(asked @ asked / 2), expected])


def test_weightings_are_the_simplex_with_equal_ones_first() -> None:
    weights = weightings(3)
    assert weights.shape == (10, 3) and weights[0].tolist() == [1 / 3] * 3
    assert weights.sum(axis=1) == pytest.approx(np.ones(10))
    assert weightings(2, 1).tolist() == [[0.5, 0.5], [0, 1], [1, 0]]


def test_channels_are_weighed_after_standardising_and_self_is_left_out() -> None:
    rng = np.random.default_rng(1)
    vectors = channel_vectors(rng.standard_normal((30, 5)), rng.standard_normal((30, 4)), rng.standard_normal((30, 3)))
    weights = np.array([[1.0, 0, 0], [0.5, 0.3, 0.2]])
    exclude = np.arange(30)
    found = ranked(vectors, vectors, weights, 6, exclude)
    similar = [vectors[name].astype(float) @ vectors[name].T for name in vectors]
    standard = [(each - each.mean(axis=1, keepdims=True)) / each.std(axis=1, keepdims=True) for each in similar]
    for arm, weight in enumerate(weights):
        total = sum(part * each for part, each in zip(weight, standard, strict=True))
        np.fill_diagonal(total, -np.inf)
        assert found[arm].tolist() == np.argsort(-total, axis=1, kind="stable")[:, :6].tolist()


def test_ties_go_by_row() -> None:
    gallery = np.tile(np.eye(4, dtype=np.float32), (50, 1))
    found = ranked({"a": gallery[[0, 3]]}, {"a": gallery}, np.ones((1, 1)), 6, np.array([4, -1]))
    assert found[0].tolist() == [[0, 8, 12, 16, 20, 24], [3, 7, 11, 15, 19, 23]]


def test_values_are_the_mean_of_clicks() -> None:
    gains, rng = np.array([0.9, 0.1, 0.5, 0.0]), np.random.default_rng(2)
    looks = (1 / np.arange(1, 5)).sum()
    drawn = np.mean([clicks_on(gains, 0.1, rng).sum() / looks for _ in range(20_000)])
    assert values_of(gains, 0.1) == pytest.approx(drawn, abs=0.01)
    assert values_of(np.ones(4), 0.0) == pytest.approx(1)


def planted(queries: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two kinds of queries, told apart by the context; arm 1 serves one, arm 2 the other, arm 0 both half as well."""
    kind = np.arange(queries) % 2
    gains = np.zeros((3, queries, 10))
    gains[0] = 0.4
    gains[1, kind == 0] = gains[2, kind == 1] = 0.8
    contexts = np.stack([np.ones(queries), 2.0 * kind - 1], axis=1)
    return gains, contexts, weightings(2, 1)


def test_a_context_that_tells_is_used_and_beats_every_fixed_arm() -> None:
    found = simulate(*planted(), seed=3, rounds=1500, users=3, noise=0.05)
    summary = found.summary.set_index("policy")
    assert summary.loc["linucb", "gain low"] > 0 and summary.loc["linucb", "p"] < 0.01
    assert summary.loc["linucb", "last quarter"] > summary.loc["best fixed", "value"] + 0.1
    assert summary.loc["oracle", "value"] >= summary.loc["linucb", "value"]
    assert found.regret["linucb"].iloc[-1] < 0 < found.regret["ucb"].iloc[-1] + 100
    assert found.arms["linucb"].sum() == pytest.approx(1)


def test_where_nothing_is_to_be_learnt_nothing_is_gained() -> None:
    gains, contexts, weights = planted()
    found = simulate(np.full_like(gains, 0.3), contexts, weights, seed=3, rounds=400, users=2)
    assert found.summary["gain"].abs().max() < 1e-12
    assert (found.summary["p"].dropna() == 1).all()


def test_the_same_seed_gives_the_same_clicks() -> None:
    one, two, other = (simulate(*planted(), seed=seed, rounds=200, users=2) for seed in (5, 5, 6))
    assert one.regret.equals(two.regret) and not one.regret.equals(other.regret)


def test_contexts_are_standardised_with_a_constant() -> None:
    rng = np.random.default_rng(7)
    contexts = query_contexts(rng.standard_normal((50, 4)) * 40, rng.standard_normal((50, 3)))
    assert contexts.shape == (50, 5) and (contexts[:, 0] == 1).all() and np.isfinite(contexts).all()
    assert contexts[:, 1:].mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranked({"a": V}, {"a": V}, np.ones((1, 1)), 4, NONE), "4 results"),
        (lambda: ranked({"a": V}, {"a": V}, np.ones((1, 1)), 0, NONE), "0 results"),
        (lambda: simulate(np.zeros((2, 3, 4)), np.zeros((3, 1)), np.zeros((1, 1)), 0), "do not fit"),
        (lambda: simulate(np.zeros((1, 3, 4)), np.zeros((3, 1)), np.zeros((1, 1)), 0, noise=0.5), "noise"),
    ],
)
def test_what_does_not_fit_is_said(call: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()  # type: ignore[operator]


V, NONE = np.eye(3, dtype=np.float32), np.full(3, -1)
