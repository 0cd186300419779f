"""A two-stage graph of toy stages, so that the pipeline is tested without any ML."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import aeret.stages
from aeret.progress import Progress
from aeret.settings import Settings


def toy(name: str, inputs: tuple[str, ...], sections: tuple[str, ...]) -> types.ModuleType:
    module = types.ModuleType(f"aeret.stages.{name}")

    def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
        before = [(folder / "value").read_text() for folder in inputs.values()]
        (out / "value").write_text(f"{name}({','.join(before)};{settings.seed})")
        return {"letters": len(name)}

    module.NAME, module.SUMMARY, module.INPUTS = name, f"The {name} toy.", inputs  # type: ignore[attr-defined]
    module.SECTIONS, module.run = sections, run  # type: ignore[attr-defined]
    return module


@pytest.fixture
def toy_stages(monkeypatch: pytest.MonkeyPatch) -> dict[str, types.ModuleType]:
    modules = {"first": toy("first", (), ("data",)), "second": toy("second", ("first",), ("seed", "cnn"))}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"aeret.stages.{name}", module)
    monkeypatch.setattr(aeret.stages, "STAGES", {name: f"aeret.stages.{name}" for name in modules})
    monkeypatch.setattr("aeret.pipeline.graph.STAGES", aeret.stages.STAGES)
    monkeypatch.setattr("aeret.pipeline.graph.code_digest", lambda module: "code")
    monkeypatch.setattr("aeret.pipeline.graph.imports", lambda module, library: False)
    return modules
