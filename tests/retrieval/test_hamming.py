"""The scan of binary codes against sorted distances and faiss."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeret.errors import UsageError
from aeret.retrieval.hamming import as_codes, as_words, checked_codes, nearest_codes

Codes = np.ndarray


def expected(queries: Codes, codes: Codes, n: int, exclude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    far = np.bitwise_count(queries[:, None] ^ codes[None]).sum(axis=2, dtype=np.int64)
    for i, row in enumerate(exclude):
        if row >= 0:
            far[i, row] = 10**6
    rows = np.argsort(far, axis=1, kind="stable")[:, :n]
    return rows, np.take_along_axis(far, rows, axis=1)


@st.composite
def tasks(draw: st.DrawFn) -> tuple[Codes, Codes, int, np.ndarray]:
    """Codes of few patterns, so that there are ties and equal codes; counts beside the sizes of blocks and tiles."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    count = draw(st.sampled_from([2, 127, 128, 129, 700, 4096, 4097]))
    width = draw(st.sampled_from([1, 2, 3, 8, 9, 17]))
    patterns = rng.integers(0, 256, (draw(st.sampled_from([1, 5, 2000])), width), dtype=np.uint8)
    codes = patterns[rng.integers(0, len(patterns), count)] & rng.integers(0, 256, width, dtype=np.uint8)
    queries = codes[rng.integers(0, count, 7)] ^ (1 << rng.integers(0, 16, (7, width))).astype(np.uint8)
    exclude = np.where(rng.random(7) < 0.5, rng.integers(0, count, 7), -1)
    return queries, codes, draw(st.integers(1, count - 1)), exclude


@settings(deadline=None, max_examples=60)
@given(tasks())
def test_scan_equals_sorted_distances(task: tuple[Codes, Codes, int, np.ndarray]) -> None:
    queries, codes, n, exclude = task
    rows, far = nearest_codes(as_words(queries), as_words(codes), n, exclude)
    wanted = expected(queries, codes, n, exclude)
    np.testing.assert_array_equal(rows, wanted[0])
    np.testing.assert_array_equal(far, wanted[1])


def test_distances_are_those_of_faiss() -> None:
    rng = np.random.default_rng(1)
    codes, queries = (rng.integers(0, 256, (count, 8), dtype=np.uint8) for count in (10_000, 20))
    index = faiss.IndexBinaryFlat(64)
    index.add(codes)
    _, far = nearest_codes(as_words(queries), as_words(codes), 100, np.full(20, -1))
    np.testing.assert_array_equal(far, index.search(queries, 100)[0])


def test_words_go_back_to_codes() -> None:
    codes = np.random.default_rng(2).integers(0, 256, (5, 11), dtype=np.uint8)
    assert as_words(codes).shape == (2, 5)
    np.testing.assert_array_equal(as_codes(as_words(codes), 11), codes)


def test_bits_are_packed() -> None:
    bits = np.random.default_rng(3).random((4, 24)) < 0.5
    np.testing.assert_array_equal(checked_codes(bits, "Codes"), np.packbits(bits, axis=1))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((2, 8)), r"Codes must be uint8 .* got float64 \(2, 8\)"),
        (np.zeros(8, np.uint8), r"got uint8 \(8,\)"),
        (np.zeros((2, 12), bool), "have 12 bits; a multiple of 8"),
        (np.zeros((2, 0), np.uint8), "have no bits"),
        (np.zeros((2, 4), np.uint8), "have 32 bits where 64 were expected"),
    ],
)
def test_what_is_no_code(codes: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        checked_codes(codes, "Codes", 8)


def test_codes_whose_distances_would_not_fit_are_refused() -> None:
    codes = np.zeros((3, 8191), np.uint8)
    codes[0], codes[1, :5] = 255, 255
    words = as_words(checked_codes(codes, "Codes"))
    rows, far = nearest_codes(words[:, 2:], words, 3, np.array([-1]))
    assert (rows.tolist(), far.tolist()) == ([[2, 1, 0]], [[0, 40, 65528]])
    with pytest.raises(UsageError, match="have 65536 bits; at most 65528"):
        checked_codes(np.zeros((3, 8192), np.uint8), "Codes")
