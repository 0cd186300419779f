"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real COCO sets; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("AERET_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "coco_mix").is_dir():
        pytest.skip(f"no real COCO data at {folder} (set AERET_DATA to its folder)")
    return folder
