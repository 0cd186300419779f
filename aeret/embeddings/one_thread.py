"""Libraries with threads of their own, kept to the calling thread: callers bring theirs, and sums keep their order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import faiss
from threadpoolctl import threadpool_limits

_guard = threading.Lock()
_inside = 0
_limits: threadpool_limits | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep faiss on the calling thread inside the block."""
    threads = faiss.omp_get_max_threads()  # a setting of this thread alone
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep matrix products on the thread that asks for them, in the whole process, until the last such block ends.

    The setting is the process's: of two blocks that overlap, the first to end must not take it from the other, nor the
    other put back the first one's.
    """
    global _inside, _limits
    with _guard:
        if not _inside:
            _limits = threadpool_limits(1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _guard:
            _inside -= 1
            if not _inside and _limits is not None:
                _limits.restore_original_limits()
                _limits = None
