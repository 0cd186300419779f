from __future__ import annotations

import threading

import pytest

from aeret.cores import cores
from aeret.embeddings.blocks import over_blocks


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 3), (7, 3), (9, 3), (100, 1)])
def test_blocks_cover_all_rows_once_in_order(count: int, size: int, threads: int) -> None:
    done: list[int] = []
    bounds = list(over_blocks(count, size, lambda a, b: (a, b), threads, done.append))
    assert [row for a, b in bounds for row in range(a, b)] == list(range(count))
    assert all(b - a <= size for a, b in bounds)
    assert sum(done) == count


def test_an_error_in_a_block_comes_out_and_stops_the_rest() -> None:
    seen: list[int] = []

    def work(start: int, stop: int) -> None:
        seen.append(start)
        if start == 2:
            raise ValueError("block 2")

    with pytest.raises(ValueError, match="block 2"):
        list(over_blocks(1000, 1, work, threads=2))
    assert len(seen) < 20


def test_blocks_run_on_several_threads() -> None:
    barrier = threading.Barrier(2, timeout=10)
    list(over_blocks(2, 1, lambda a, b: barrier.wait(), threads=2))
    assert cores() >= 1


@pytest.mark.parametrize(("count", "threads"), [(3, 4), (30, 1)])
def test_one_block_or_one_thread_runs_where_it_is_called(count: int, threads: int) -> None:
    assert set(over_blocks(count, 3, lambda *_: threading.get_ident(), threads)) == {threading.get_ident()}
