"""Distances by products of tiles: right for any shape, the same for the same two vectors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from platform import machine

import numpy as np
import pytest

from aeret.embeddings.distances import squared_distances
from aeret.embeddings.products import Scratch, squared_by_products, squared_norms


def test_products_depend_on_the_two_vectors_alone() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((311, 53)).astype(np.float32)
    vectors[17] = vectors[203]
    norms = squared_norms(vectors)
    found = squared_by_products(vectors[:33], vectors, norms, Scratch())[:, :311]
    np.testing.assert_allclose(found, squared_distances(vectors[:33], vectors), rtol=1e-4, atol=1e-4)
    assert (found[:, 17] == found[:, 203]).all()
    order = rng.permutation(311)
    moved = np.ascontiguousarray(vectors[order])
    np.testing.assert_array_equal(squared_norms(moved), norms[order])
    again = squared_by_products(vectors[[9, 4]], moved, norms[order], Scratch())
    np.testing.assert_array_equal(again[:, :311], found[[9, 4]][:, order])


@pytest.mark.parametrize("dimensions", [0, 1, 257, 4096])
def test_products_are_right_for_any_shape(dimensions: int) -> None:
    rng, scratch = np.random.default_rng(2), Scratch()
    gallery = rng.standard_normal((577, dimensions)).astype(np.float32)
    asked = rng.standard_normal((33, dimensions)).astype(np.float32)
    exact = ((asked[:, None].astype(np.float64) - gallery) ** 2).sum(axis=2)
    for vectors in (0, 1, 7, 8, 15, 16, 17, 31, 287, 288, 289, 577):
        norms = squared_norms(gallery[:vectors])
        for queries in (0, 1, 31, 32, 33):
            scratch.lines(33, 640)[:] = np.nan
            found = squared_by_products(asked[:queries], gallery[:vectors], norms, scratch)
            np.testing.assert_allclose(
                found[:, :vectors], exact[:queries, :vectors], rtol=1e-4, atol=1e-5 * max(1, dimensions)
            )


def test_products_are_right_without_wide_registers(tmp_path: Path) -> None:
    code = (
        "from llvmlite import binding\n"
        "binding.get_host_cpu_features = dict\n"
        "import numpy as np\n"
        "from aeret.embeddings import products\n"
        "assert products._LANES == 8\n"
        "vectors = np.random.default_rng(0).standard_normal((77, 19)).astype(np.float32)\n"
        "norms = products.squared_norms(vectors)\n"
        "found = products.squared_by_products(vectors[:9], vectors, norms, products.Scratch())[:, :77]\n"
        "exact = ((vectors[:9, None] - vectors) ** 2).sum(axis=2)\n"
        "np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-4)\n"
    )
    target = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"} if machine() == "x86_64" else {}
    environment = os.environ | target | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_memory_for_distances_is_used_again_and_begins_rows_at_cache_lines() -> None:
    scratch = Scratch()
    first = scratch.lines(3, 21)
    assert first.shape == (3, 32)
    assert all(row.ctypes.data % 64 == 0 for row in first)
    assert np.shares_memory(first, scratch.lines(2, 40))
    assert scratch.lines(50, 40).shape == (50, 48)
