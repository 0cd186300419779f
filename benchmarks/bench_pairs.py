"""Pair counting at 40,000 photos against blocked matrix products in numpy.

Both count TP, FP, FN and TN over all 800 million pairs of 40,000 photos with their true COCO 2017 labels (80
categories) in 80 random clusters, and must give the same four integers. The peer multiplies blocks of 1,000 rows of the
label matrix in float32 with these and all later rows, into buffers that it reuses, and counts. ``sweep`` is a second
clustering of the same photos, where aeret keeps the number of relevant pairs from the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.pairs import PairCounts, pair_counts, relevant_pairs
from aeret.rng import generator
from benchmarks.measure import Row, compare, report, skipped
from benchmarks.real_labels import folder, labels_of

PHOTOS, CLUSTERS, BLOCK = 40_000, 80, 1_000


def numpy_counts(labels: NDArray[np.bool_], assignment: NDArray[np.integer]) -> PairCounts:
    real = labels.astype(np.float32)
    photos = len(labels)
    product = np.empty((BLOCK, photos), np.float32)
    shared, same = np.empty((BLOCK, photos), bool), np.empty((BLOCK, photos), bool)
    tp = relevant = 0
    for start in range(0, photos, BLOCK):
        rows, width = min(BLOCK, photos - start), photos - start
        # Contiguous views: a product into a strided buffer would be copied.
        dots = product.reshape(-1)[: rows * width].reshape(rows, width)
        hits = shared.reshape(-1)[: rows * width].reshape(rows, width)
        joins = same.reshape(-1)[: rows * width].reshape(rows, width)
        np.matmul(real[start : start + rows], real[start:].T, out=dots)
        np.greater(dots, 0, out=hits)
        relevant += _upper(hits, rows)
        np.equal(assignment[start : start + rows, None], assignment[None, start:], out=joins)
        np.logical_and(hits, joins, out=hits)
        tp += _upper(hits, rows)
    sizes = np.bincount(assignment)
    joined = int((sizes * (sizes - 1) // 2).sum())
    total = photos * (photos - 1) // 2
    return PairCounts(tp, joined - tp, relevant - tp, total - joined - (relevant - tp))


def _upper(hits: NDArray[np.bool_], rows: int) -> int:
    """Pairs of a block: the square of its own rows holds each pair twice, and every photo with itself."""
    square = hits[:, :rows]
    own = (int(np.count_nonzero(square)) - int(np.count_nonzero(square.diagonal()))) // 2
    return own + int(np.count_nonzero(hits[:, rows:]))


def main(photos: int = PHOTOS, rounds: int = 3) -> list[Row]:
    if folder() is None:
        return [skipped("pair counting", "no real COCO labels (set AERET_DATA)")]
    labels = labels_of("train")[1][:photos]
    assignment = generator(0, "bench pairs").integers(0, CLUSTERS, photos).astype(np.int32)
    known = relevant_pairs(labels)
    expected = numpy_counts(labels, assignment)
    rows: list[Row] = []
    for what, relevant in (("TP, FP, FN, TN", None), ("sweep: TP, FP, FN, TN again", known)):
        found = pair_counts(labels, assignment, relevant)
        timed = compare(
            lambda relevant=relevant: pair_counts(labels, assignment, relevant),  # type: ignore[misc]
            lambda: numpy_counts(labels, assignment),
            rounds,
        )
        rows.append(
            {
                "what": what,
                "photos": photos,
                "aeret s": timed.ours,
                "numpy s": timed.peer,
                "ratio": timed.ratio,
                "lowest": timed.low,
                "same integers": found == expected,
            }
        )
    return rows


if __name__ == "__main__":
    report(__file__, main())
