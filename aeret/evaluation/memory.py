"""How much memory an evaluation needs, said before it starts; refused early where the machine has less."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from aeret.cores import cores
from aeret.errors import RunError

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
_BLOCK_BYTES = 96 * 2**20
# Bytes per (query, gallery photo) that a block of a pass over the gallery holds: distances, orders, gains, hits.
_PAIR_BYTES = 36


def block_size(gallery: int) -> int:
    """Return how many queries go into one block, so that a block stays below about 96 MiB; a fixed rule, so that sums
    over blocks do not depend on the machine."""
    return int(np.clip(_BLOCK_BYTES // (_PAIR_BYTES * max(1, gallery)), 1, 64))


def block_bytes(gallery: int) -> int:
    """Return the estimated bytes of one block in flight."""
    return block_size(gallery) * gallery * _PAIR_BYTES


def estimate_bytes(
    queries: int, gallery: int, size: int, categories: int, plane_bytes: int, results: int, threads: int = 0
) -> int:
    """Return the estimated peak of memory that :func:`aeret.evaluation.evaluate.evaluate` adds to its inputs, bytes.

    Args:
        queries: photos.
        gallery: photos.
        size: dimensions of an embedding.
        categories: classes.
        plane_bytes: bytes of all mask planes.
        results: N kept per query.
        threads: blocks in flight; 0 means one per core.
    """
    photos = queries + gallery
    # The normalised copies; members laid out by cluster, by one search or measure at a time; the codes.
    vectors = photos * size * 4 * 2 + gallery * (4 * size + size // 8 + 48)
    labels = photos * (categories + 64)
    # Three searches, compressed, and twice four times as many results of hashed search.
    rankings = 12 * queries * results * 20
    per_query = queries * (8 * 120 + 8 * 6 * categories)
    statistics = 2**27  # resampling weights and compiled code
    blocks = 2 * (threads or cores()) * block_bytes(gallery)  # of distances and orders, and of hits by class
    return int(vectors + labels + plane_bytes + rankings + per_query + statistics + blocks)


def available_bytes() -> int | None:
    """Return the memory that can be had without swapping, bytes; None where the system does not say.

    In a container that is what its own limit (cgroup version 2) leaves, where that is less than the machine's.
    """
    found = []
    with contextlib.suppress(OSError):
        lines = (_PROC / "meminfo").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        if "MemAvailable" in fields:
            found.append(int(fields["MemAvailable"].split()[0]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        held = dict(line.split() for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        # File pages that are not in use are given back when others want the room.
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii")) - int(held.get("inactive_file", 0))
        found.append(max(0, limit - used))
    return min(found, default=None)


def refuse_beyond(needed: int, available: int | None) -> None:
    """Stop before the work starts where it cannot fit.

    Raises:
        RunError: ``needed`` is more than ``available``.
    """
    if available is not None and needed > available:
        raise RunError(
            f"Evaluating needs about {needed / 2**30:.1f} GiB of memory and {available / 2**30:.1f} GiB are free. "
            "Use fewer queries or gallery photos, a smaller embedding, or a larger machine."
        )
