"""Nearest of 1,000,000 binary codes of 64 bits by Hamming distance, top 100.

``binary-flat`` is our own scan, 300 queries at once; its peer is ``faiss.IndexBinaryFlat.search``, with heap and
counting mode, on the same number of threads. ``alike`` are 20,000 random codes, each with copies in which every
bit is flipped with a probability of 0.08. On these also ``binary-multi``, exact, against the same peer, and
``faiss.IndexBinaryMultiHash`` (4 tables of 16 bits, 1 flip), which is not exact: ``recall`` is the share of its
distances that are right. ``compared`` are the codes that ours looked at for a query.
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.cores import cores
from aeret.retrieval.indexes.binary import BinaryFlat, BinaryMulti
from aeret.rng import generator
from benchmarks.measure import Row, compare, report

CODES, QUERIES, BYTES, RESULTS = 1_000_000, 300, 8, 100
ROUNDS = 7

Codes = NDArray[np.uint8]


def random_codes(count: int, name: str) -> Codes:
    return generator(0, "bench hamming", name).integers(0, 256, (count, BYTES), dtype=np.uint8)


def alike(prototypes: Codes, count: int, name: str) -> Codes:
    rng = generator(0, "bench hamming", "alike", name)
    flips = np.packbits(rng.random((count, 8 * BYTES), dtype=np.float32) < 0.08, axis=1)
    return prototypes[rng.integers(0, len(prototypes), count)] ^ flips


def row(what: str, peer: str, ours: BinaryFlat, theirs: Any, queries: Codes, threads: int, n: int = RESULTS) -> Row:
    faiss.omp_set_num_threads(threads)
    found = ours.search(queries, n, threads=threads)
    far, _ = theirs.search(queries, n)
    right = np.sort(far, axis=1) == found.distances
    times = compare(lambda: ours.search(queries, n, threads=threads), lambda: theirs.search(queries, n), rounds=ROUNDS)
    return {
        "what": what,
        "peer": peer,
        "threads": threads,
        "aeret queries/s": len(queries) / times.ours,
        "peer queries/s": len(queries) / times.peer,
        "ratio": times.ratio,
        "lowest": times.low,
        "same distances": bool(right.all()),
        "recall": float(right.mean()),
        "compared": float(found.scanned.mean()),
    }


def main(count: int = CODES) -> list[Row]:
    try:
        return measured(count)
    finally:
        faiss.omp_set_num_threads(cores())


def measured(count: int) -> list[Row]:
    rows = []
    prototypes = random_codes(20_000, "prototypes")
    sets = {
        "random": (random_codes(count, "codes"), random_codes(QUERIES, "queries")),
        "alike": (alike(prototypes, count, "codes"), alike(prototypes, QUERIES, "queries")),
    }
    for name, (codes, queries) in sets.items():
        flat, peer = BinaryFlat.build(codes), faiss.IndexBinaryFlat(8 * BYTES)
        peer.add(codes)
        for threads in (1, 2):
            for heap in (True, False):
                peer.use_heap = heap
                mode = "IndexBinaryFlat" + ("" if heap else ", counting")
                rows.append(row(f"binary-flat, {name}", mode, flat, peer, queries, threads))
        peer.use_heap = True
        if name == "alike":
            multi, tables = BinaryMulti.build(codes), faiss.IndexBinaryMultiHash(8 * BYTES, 4, 16)
            tables.nflip = 1
            tables.add(codes)
            for n in (10, RESULTS):
                for mode, each in (("IndexBinaryFlat", peer), ("IndexBinaryMultiHash", tables)):
                    rows.append(row(f"binary-multi, {name}, top {n}", mode, multi, each, queries, 1, n))
    return rows


if __name__ == "__main__":
    report(__file__, main())
