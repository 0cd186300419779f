"""`make` removes half an environment that it left behind, and nothing that was there before it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
PYTHON = """#!/bin/sh
[ "$1" = -c ] && exit 0
mkdir -p "$3/bin"
touch "$3/bin/python"
exit 1
"""
"""As Python without ensurepip does: it fails when the folder and its interpreter are there."""


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("before", [True, False])
def test_an_environment_that_fails(tmp_path: Path, before: bool) -> None:
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    folder = tmp_path / "envs"
    if before:
        folder.mkdir()
        (folder / "mine").write_text("kept")
    done = subprocess.run(
        ["make", "-f", str(MAKEFILE), f"{folder}/bin/python", f"VENV={folder}", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert folder.exists() == before, done.stderr
    assert not (folder / "bin" / "python").exists(), "the next make would take it for whole"
    if before:
        assert (folder / "mine").read_text() == "kept"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("ours", [True, False])
def test_clean_removes_an_environment_and_no_other_folder(tmp_path: Path, ours: bool) -> None:
    folder = tmp_path / "envs"
    folder.mkdir()
    (folder / ("pyvenv.cfg" if ours else "mine")).write_text("")
    subprocess.run(["make", "-f", str(MAKEFILE), "clean", f"VENV={folder}"], cwd=tmp_path, check=True)
    assert folder.exists() == (not ours)
