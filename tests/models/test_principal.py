"""Principal components against a full singular value decomposition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from aeret.errors import UsageError
from aeret.models.principal import principal_components


def masks(count: int = 60, length: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(count, 6)) * [9, 7, 5, 3, 2, 1]
    return ((factors @ rng.normal(size=(6, length)) + rng.normal(size=(count, length)) * 0.3) > 4).astype(np.float32)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_same_subspace_as_a_full_decomposition(form: type) -> None:
    rows = masks()
    centred = rows - rows.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    found = principal_components(form(rows), 5, seed=0)
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(5), atol=1e-4)
    np.testing.assert_allclose(found.deviations, values[:5] / np.sqrt(len(rows)), rtol=1e-3)
    np.testing.assert_allclose(np.abs(np.diag(found.axes @ axes[:5].T)), 1, atol=1e-2)


def test_error_is_what_the_other_singular_values_leave() -> None:
    rows = masks()
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    found = principal_components(rows, 5, seed=0)
    error = ((rows - found.decode(found.encode(rows))) ** 2).sum()
    assert error == pytest.approx((values[5:] ** 2).sum(), rel=1e-3)


def test_no_more_components_than_the_data_have() -> None:
    rows = masks(count=8)
    found = principal_components(rows, 30, seed=0)
    assert len(found.axes) <= 7
    np.testing.assert_allclose(found.decode(found.encode(rows)), rows, atol=1e-3)


def test_constant_masks_have_no_component_but_a_mean() -> None:
    found = principal_components(np.ones((4, 6), np.float32), 3, seed=0)
    assert len(found.axes) == 0
    np.testing.assert_allclose(found.decode(found.encode(np.ones((2, 6), np.float32))), 1)


def test_one_mask_is_too_few() -> None:
    with pytest.raises(UsageError, match="at least 2 vectors"):
        principal_components(np.ones((1, 4), np.float32), 2, seed=0)
