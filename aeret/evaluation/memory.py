"""Estimate the memory of an evaluation and refuse what does not fit."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from aeret.errors import RunError

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
_BLOCK_BYTES = 96 * 2**20
_PAIR_BYTES = 36
"""Bytes of a block for each query and gallery photo: distances, orders, gains and hits."""
_MEASURED_BYTES = 2**28
"""One block of measures with its judgements."""


def block_size(gallery: int) -> int:
    """Return the number of queries whose block over the gallery stays below about 96 MiB, from 1 to 64."""
    return int(np.clip(_BLOCK_BYTES // (_PAIR_BYTES * max(1, gallery)), 1, 64))


def block_bytes(gallery: int) -> int:
    """Return the estimated bytes of such a block."""
    return block_size(gallery) * gallery * _PAIR_BYTES


def estimate_bytes(queries: int, gallery: int, size: int, categories: int, plane_bytes: int, results: int) -> int:
    """Estimate the peak of memory that :func:`aeret.evaluation.evaluate.evaluate` adds to its inputs, bytes.

    Args:
        queries: photos.
        gallery: photos.
        size: dimensions of an embedding.
        categories: classes.
        plane_bytes: bytes of all mask planes.
        results: N kept per query.
    """
    photos = queries + gallery
    # The normalised copies; members laid out by cluster, by one search or measure at a time; the codes.
    vectors = photos * size * 4 * 2 + gallery * (4 * size + size // 8 + 48)
    labels = photos * (4 * categories + 64)
    # Three searches, compressed, and twice four times as many results of hashed search.
    rankings = 12 * queries * results * 20
    per_query = queries * (8 * 120 + 8 * 6 * categories)
    statistics = 2**27  # resampling weights and compiled code
    blocks = 2 * block_bytes(gallery) + min(_MEASURED_BYTES, queries * gallery * 160)
    return int(vectors + labels + plane_bytes + rankings + per_query + statistics + blocks)


def available_bytes() -> int | None:
    """Return the memory available without swapping, bytes; None if the system does not say.

    In a container it is at most what the container's own limit (cgroup version 2) leaves.
    """
    found = []
    with contextlib.suppress(OSError):
        lines = (_PROC / "meminfo").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        if "MemAvailable" in fields:
            found.append(int(fields["MemAvailable"].split()[0]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max" means that there is no limit
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        held = dict(line.split() for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        # The system gives inactive file pages back when others want the room.
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii")) - int(held.get("inactive_file", 0))
        found.append(max(0, limit - used))
    return min(found, default=None)


def demand_memory(needed: int) -> None:
    """Refuse an evaluation that needs more memory than is available, before it starts.

    Raises:
        RunError: ``needed`` bytes are more than :func:`available_bytes`.
    """
    available = available_bytes()
    if available is not None and needed > available:
        raise RunError(
            f"Evaluating needs about {needed / 2**30:.1f} GiB of memory and {available / 2**30:.1f} GiB are free. "
            "Use fewer queries or gallery photos, a smaller embedding, or a larger machine."
        )
