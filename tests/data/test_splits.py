"""The validation part: disjoint, stable when photos come, by seed."""

from __future__ import annotations

import numpy as np
import pytest

from aeret.data.splits import holdout
from aeret.errors import UsageError


def test_share_is_near_the_fraction_and_depends_on_the_seed() -> None:
    ids = np.arange(20_000) * 7 + 3
    chosen = holdout(ids, 0.1, seed=0)
    assert abs(chosen.mean() - 0.1) < 4 * np.sqrt(0.09 / 20_000)
    both = (chosen & holdout(ids, 0.1, seed=1)).mean()
    assert abs(both - 0.01) < 4 * np.sqrt(0.01 / 20_000)  # two seeds are independent
    np.testing.assert_array_equal(chosen, holdout(ids, 0.1, seed=0))


def test_a_photo_keeps_its_part_when_others_come_go_or_move() -> None:
    ids = np.arange(1000)
    before = dict(zip(ids.tolist(), holdout(ids, 0.2, 5).tolist(), strict=True))
    more = np.concatenate([np.arange(5000, 6000), ids[::-1][:700]])
    after = dict(zip(more.tolist(), holdout(more, 0.2, 5).tolist(), strict=True))
    assert all(after[number] == before[number] for number in after if number in before)


def test_a_larger_fraction_keeps_the_photos_of_a_smaller() -> None:
    ids = np.arange(2000)
    assert not (holdout(ids, 0.1, 0) & ~holdout(ids, 0.3, 0)).any()


@pytest.mark.parametrize("fraction", [1e-9, 1 - 1e-9])
def test_neither_part_is_empty(fraction: float) -> None:
    chosen = holdout(np.array([3, 1, 2]), fraction, 0)
    assert chosen.sum() == (1 if fraction < 0.5 else 2)


def test_none_and_impossible() -> None:
    assert not holdout(np.arange(3), 0.0, 0).any()
    with pytest.raises(UsageError, match=r"\[0, 1\)"):
        holdout(np.arange(3), 1.0, 0)
    with pytest.raises(UsageError, match="give train more photos"):
        holdout(np.array([8]), 0.1, 0)
