"""What decides the key of embeddings of a folder of photos."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from aeret.settings import EmbedSettings, Settings
from aeret.stages import embed, outside_files


def test_photos_are_read_once_and_their_digest_follows_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AERET_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "ab":
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
        os.utime(folder / f"{name}.png", (1_000_000, 1_000_000))
    settings = Settings(embed=EmbedSettings(photos=str(folder)))
    assert embed.sources(Settings()) == {}
    first = embed.sources(settings)
    read: list[Path] = []
    monkeypatch.setattr(outside_files, "file_digest", lambda path: read.append(path) or "0123")
    assert embed.sources(settings) == first and not read
    Image.new("RGB", (8, 8), "red").save(folder / "b.png")
    assert embed.sources(settings) != first and read == [folder / "b.png"]
