"""Run one stage alone: ``python -m benchmarks.run_stage <stage> <folder>``.

The folder holds ``settings.json`` and one folder for each input of the stage; the stage writes into ``out``.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from aeret.progress import terminal
from aeret.settings import Settings


def main(name: str, folder: Path) -> None:
    stage = importlib.import_module(f"aeret.stages.{name.replace('-', '_')}")
    settings = Settings.model_validate_json((folder / "settings.json").read_text())
    (folder / "out").mkdir()
    stage.run(settings, {each: folder / each for each in stage.INPUTS}, folder / "out", terminal)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
