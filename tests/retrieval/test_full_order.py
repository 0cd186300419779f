"""Whole-gallery orders against numpy's stable sort, whatever the keys span."""

from __future__ import annotations

import numpy as np
import pytest

from aeret.retrieval.full_order import flags_in_order, order_of_bits

SPANS = {"equal": 1, "bits of a code": 49, "one digit": 2**12, "two digits": 2**24, "three digits": 2**31 - 2}


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("rows", [0, 1, 997])
def test_orders_and_flags_are_those_of_a_stable_sort(span: str, rows: int) -> None:
    rng = np.random.default_rng(rows)
    keys = (7 * (SPANS[span] < 2**24) + rng.integers(0, SPANS[span], (4, rows))).astype(np.uint32)
    last = np.array([-1, 0, rows - 1, rows // 2]) if rows else np.full(4, -1)
    owners = np.repeat(np.arange(4), [1, 6, 0, 9])  # more rows of flags than travel at once
    flags = (rng.random((16, rows)) < 0.4).astype(np.uint8)
    before = keys.copy()
    sorted_flags = flags_in_order(keys, flags.copy(), owners, last)
    np.testing.assert_array_equal(keys, before)
    order = order_of_bits(keys, last=last)
    for q in range(4):
        right = np.argsort(keys[q], kind="stable")
        if last[q] >= 0:
            right = np.append(right[right != last[q]], last[q])
        np.testing.assert_array_equal(order[q], right)
        for row in np.flatnonzero(owners == q):
            np.testing.assert_array_equal(sorted_flags[row], flags[row, right])
