"""One seed in, named independent generators out.

A stage never shares a generator between two purposes: adding a draw to one must not change the other. Each name gets
its own stream, derived from the run's seed by hashing, so ``generator(0, "shuffle", 3)`` is the same on every machine
and needs no state to resume.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """Return a 63-bit integer seed for one purpose, from the run's seed and the purpose's name."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the NumPy generator of one purpose (``generator(seed, "shuffle", epoch)``)."""
    return np.random.default_rng(derive(seed, *names))
