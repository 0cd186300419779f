"""Ids turned to rows: by a table where they are dense, by search where not."""

import numpy as np
import pytest

from aeret.data.annotation_columns import _places


@pytest.mark.parametrize("step", [1, 3, 10**9])
@pytest.mark.parametrize("first", [0, -5, 2**40])
def test_places_are_those_of_a_dictionary(step: int, first: int) -> None:
    known = first + step * np.random.default_rng(0).permutation(50)
    asked = np.concatenate([known[::-1], known[:7], known + 1, [known.min() - 1, known.max() + 1, -(2**62), 2**62]])
    rows = {int(number): row for row, number in enumerate(known)}
    found = _places(known, asked)
    assert found.dtype == np.int32
    assert found.tolist() == [rows.get(int(number), -1) for number in asked]


def test_nothing_is_found_among_nothing() -> None:
    assert _places(np.zeros(0, np.int64), np.array([0, 1])).tolist() == [-1, -1]
