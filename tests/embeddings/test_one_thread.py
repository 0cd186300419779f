from __future__ import annotations

import ast
from pathlib import Path

import faiss
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import aeret
from aeret.embeddings.distances import nearest_rows
from aeret.embeddings.one_thread import one_blas_thread, one_thread


def blas_threads() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_overlapping_blocks_keep_products_on_one_thread_until_the_last_ends() -> None:
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        one, other = one_blas_thread(), one_blas_thread()
        one.__enter__()
        other.__enter__()
        one.__exit__(None, None, None)
        assert blas_threads() == {1}
        other.__exit__(None, None, None)
        assert blas_threads() == before


def test_the_threads_of_faiss_come_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        monkeypatch.setattr(faiss, "knn", fails)
        with pytest.raises(RuntimeError):
            nearest_rows(np.zeros((2, 3), np.float32), np.zeros((4, 3), np.float32), 1)
        assert faiss.omp_get_max_threads() == 3
        with one_thread():
            assert faiss.omp_get_max_threads() == 1
    finally:
        faiss.omp_set_num_threads(before)


def test_threads_of_libraries_are_set_in_one_place() -> None:
    room = Path(aeret.__file__).parent
    setters = {"threadpool_limits", "omp_set_num_threads"}
    found = {
        path.relative_to(room).as_posix()
        for path in room.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
        and (node.id if isinstance(node, ast.Name) else node.attr) in setters
    }
    assert found == {"embeddings/one_thread.py"}
