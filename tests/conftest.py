"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What aeret keeps for later goes into a folder of the session, not into the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AERET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real COCO sets; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("AERET_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "coco_mix").is_dir():
        pytest.skip(f"no real COCO data at {folder} (set AERET_DATA to its folder)")
    return folder
