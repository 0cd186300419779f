"""``prepare``: decode and resize photos, rasterise masks, pack labels; everything after reads only the result."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aeret.artifacts import digest, file_digest, write_json
from aeret.errors import ResourceError
from aeret.progress import Progress
from aeret.settings import Settings

NAME = "prepare"
SUMMARY = "Decode photos and rasterise masks into memory-mapped arrays."
INPUTS: tuple[str, ...] = ()
SECTIONS = ("data",)
ROOMS = ("data", "rng.py")

_FRESH_NS = 2_000_000_000


def sources(settings: Settings) -> dict[str, str]:
    """Return the content digests of the collection's files, by what they are.

    A generated collection is decided by its manifest alone. Otherwise every annotation, subset and id file is read,
    and every photo; a photo's digest is kept under ``AERET_CACHE`` (default ``~/.cache/aeret``) by its path, size and
    time of change, so only new or changed photos are read again. Where photos are is part of the digest, because the
    prepared data names their paths.

    Raises:
        DataError: a file is missing; the message says where it is expected.
    """
    from aeret.data.manifest import SPLITS, load_manifest, provide

    manifest = load_manifest(settings.data.manifest)
    found = {"manifest": file_digest(manifest.path)}
    if manifest.generate:
        return found | {"photos": digest([str(manifest.root)])}
    provide(manifest)
    folders: dict[Path, str] = {}
    for name in manifest.used_sources:
        source = manifest.sources[name]
        found[f"annotations {name}"] = file_digest(source.annotations)
        if source.photos not in folders:
            folders[source.photos] = _folder_digest(source.photos)
        found[f"photos {name}"] = folders[source.photos]
    found |= {f"subset {name}": file_digest(subset.annotations) for name, subset in manifest.subsets.items()}
    lists = {name: ids for name in SPLITS if (ids := manifest.splits[name].ids) is not None}
    return found | {f"ids {name}": file_digest(ids) for name, ids in lists.items()}


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Prepare the collection into ``out`` and return its counts (see :func:`aeret.data.prepare.prepare`)."""
    from aeret.data.manifest import load_manifest
    from aeret.data.prepare import prepare

    return prepare(load_manifest(settings.data.manifest), settings.data, settings.data.split_seed, out, progress)


def _folder_digest(folder: Path) -> str:
    """Return the digest of a folder's path and of the names and bytes of all files below it."""
    cache = _cache() / "digests" / f"{digest(str(folder))}.json"
    known: dict[str, list[Any]] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(cache.read_text(encoding="utf-8"))
    fresh = time.time_ns() - _FRESH_NS
    entries: dict[str, list[Any]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, status = str(path.relative_to(folder)), path.stat()
        entry = known.get(name, [])
        if entry[:2] != [status.st_size, status.st_mtime_ns]:
            entry = [status.st_size, status.st_mtime_ns, file_digest(path)]
        entries[name] = entry
    # A file changed just now may change again within the clock's grain, with the same size: it is not kept.
    kept = {name: entry for name, entry in entries.items() if entry[1] < fresh}
    if kept != known:
        with contextlib.suppress(OSError, ResourceError):  # a cache that cannot be written only costs time
            write_json(cache, kept)
    return digest([str(folder), [[name, entry[2]] for name, entry in entries.items()]])


def _cache() -> Path:
    return Path(os.environ.get("AERET_CACHE") or "~/.cache/aeret").expanduser()
