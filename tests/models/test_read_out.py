import numpy as np
import pytest
from sklearn.linear_model import Ridge

from aeret.errors import UsageError
from aeret.models.read_out import PENALTIES, fit_read_out

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 6)).astype(np.float32) * np.array([1, 2, 3, 4, 5, 0], np.float32) + 1
W = RNG.normal(size=(6, 3)).astype(np.float32)


def test_equals_scikit_learns_ridge_on_standardised_embeddings() -> None:
    codes = X @ W + RNG.normal(size=(200, 3)).astype(np.float32)
    found = fit_read_out(X, codes)
    deviation = X.std(axis=0)
    z = (X[:, :5] - X[:, :5].mean(axis=0)) / deviation[:5]
    expected = Ridge(alpha=found.penalty * len(X)).fit(z, codes).predict(z)
    np.testing.assert_allclose(X @ found.kernel + found.bias, expected, atol=1e-4)


def test_the_penalty_is_chosen_on_held_out_photos() -> None:
    clean, noise = X @ W, RNG.normal(size=(200, 3)).astype(np.float32)
    assert fit_read_out(X, clean, X, clean).penalty == PENALTIES[0]
    # Codes that embeddings say nothing of: the strongest pull to the mean is the best prediction.
    held = RNG.normal(size=(200, 6)).astype(np.float32)
    assert fit_read_out(X, noise, held, np.zeros((200, 3), np.float32)).penalty == PENALTIES[-1]


def test_a_dead_unit_has_no_say() -> None:
    assert not fit_read_out(X, X @ W).kernel[5].any()


def test_arrays_must_belong_together() -> None:
    with pytest.raises(UsageError, match=r"got \(200, 6\), \(199, 6\)"):
        fit_read_out(X, X[:-1])
    with pytest.raises(UsageError, match="both"):
        fit_read_out(X, X, X)
