"""Fetch the files of a manifest: check the room, download, unpack.

Everything happens below the manifest's root. ``.fetch/`` there holds unfinished downloads and one small receipt per
finished file, so that a second call returns at once and a killed one continues.
"""

from __future__ import annotations

import fcntl
import json
import lzma
import shutil
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from aeret.artifacts import system_error, write_json
from aeret.data.download import PATIENT, Patience, download_file
from aeret.data.manifest import Download, Manifest
from aeret.errors import DataError, RunError
from aeret.parts import demand_room
from aeret.progress import Progress, silent

_SPARE = 64 << 20
"""Bytes that stay free on the disk."""
_BROUGHT = "brought"


def fetch(manifest: Manifest, progress: Progress = silent, patience: Patience = PATIENT) -> list[str]:
    """Download and unpack all files of a manifest that are not there yet.

    A zip archive is unpacked into the root and then deleted; any other file is put into the root.

    Args:
        manifest: as loaded.
        progress: opens a bar for each file, in bytes.
        patience: when to try again and when to give up.

    Returns:
        Names of the files fetched by this call.

    Raises:
        DataError: the manifest names no URL, or what a server has is not what the manifest says.
        ResourceError: there is not enough room on the disk.
        RunError: the network failed for good, or another process fetches into the same folder.
    """
    if not manifest.downloads:
        how = (
            "it is drawn on first use, by `aeret stage prepare` or `aeret data show`"
            if manifest.generate
            else "its files have to be put there by hand"
        )
        raise DataError(f"{manifest.path}: {manifest.name!r} names no urls; {how}.")
    state = manifest.root / ".fetch"
    with _locked(manifest.root, state):
        missing = _missing(manifest, state)
        for item in manifest.downloads:
            if item not in missing:
                (state / item.file_name).unlink(missing_ok=True)  # unpacked by a call that was killed before this
        _demand_room(manifest.root, sum(_bytes_needed(item, state) for item in missing), "to fetch and unpack it all")
        for item in missing:
            _fetch_one(manifest, item, state, progress, patience)
    return [item.file_name for item in missing]


def _fetch_one(manifest: Manifest, item: Download, state: Path, progress: Progress, patience: Patience) -> None:
    root, arrived = manifest.root, state / item.file_name
    if (root / item.file_name).resolve() == manifest.path.resolve():
        raise DataError(f"{manifest.path}: {item.url} would overwrite the manifest; give it another root.")
    if not arrived.exists():
        download_file(
            item,
            arrived,
            progress,
            patience,
            room_for=lambda size: _demand_room(root, size, f"for {item.file_name}"),
        )
    brought = [item.file_name]
    if arrived.suffix == ".zip":
        brought = unzip(arrived, root, progress, keep=(state, manifest.path))
    else:
        arrived.replace(root / item.file_name)
    # Before the archive goes: a call killed in between would have to fetch it again.
    write_json(_receipt(state, item), item.model_dump() | {_BROUGHT: brought})
    arrived.unlink(missing_ok=True)


def unzip(archive: Path, folder: Path, progress: Progress = silent, keep: Collection[Path] = ()) -> list[str]:
    """Unpack a zip archive; a killed call is continued by the next.

    Every file appears under its name only when complete. Files that are there with the right size are left alone.

    Args:
        archive: the zip file; deleted if it is damaged, because then it has to be fetched again.
        folder: where to; nothing is ever written outside it.
        progress: opens a bar in bytes.
        keep: files and folders that nothing is written to.

    Returns:
        All files of the archive, relative to ``folder``, with slashes.

    Raises:
        DataError: the archive is damaged or of a kind that cannot be unpacked here, or one of its names leads outside
            ``folder``, to what is to be kept, or is a link.
        ResourceError: there is not enough room on the disk.
    """
    keep = [path.resolve() for path in keep]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as opened:
            members = [(info, _inside(folder, info, archive, keep)) for info in opened.infolist() if not info.is_dir()]
            missing = [
                (info, path) for info, path in members if not (path.is_file() and path.stat().st_size == info.file_size)
            ]
            total = sum(info.file_size for info, _ in members)
            left = sum(info.file_size for info, _ in missing)
            _demand_room(folder, left, f"to unpack {archive.name}")
            with progress(f"unpack {archive.name}", total, unit="B", done=total - left) as step:
                for info, path in missing:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    partial = path.with_name(f".{path.name}.part")
                    with opened.open(info) as source, partial.open("wb") as sink:
                        shutil.copyfileobj(source, sink, 1 << 20)
                    partial.replace(path)
                    step(info.file_size)
        return [path.relative_to(folder).as_posix() for _, path in members]
    except RuntimeError as error:  # encrypted, or a method that Python has not; fetching again would not help
        raise DataError(
            f"{archive}: cannot be unpacked here ({error}) and is kept; unpack it by hand into {folder} and run the "
            "same command again."
        ) from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        archive.unlink(missing_ok=True)
        raise DataError(
            f"{archive}: is no sound zip archive ({error}) and was deleted; run the same command again."
        ) from None
    except OSError as error:
        raise system_error(f"{folder} cannot be written", error, "--root") from None


def _inside(folder: Path, info: zipfile.ZipInfo, archive: Path, keep: Collection[Path]) -> Path:
    name = info.filename.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")) or not path.parts:
        raise DataError(f"{archive}: member {info.filename!r} would be written outside {folder}; nothing was unpacked.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise DataError(f"{archive}: member {info.filename!r} is a link, which is never unpacked; nothing was.")
    target = folder.joinpath(*path.parts)
    real = target.resolve()
    if any(real.is_relative_to(each) for each in keep):
        raise DataError(f"{archive}: member {info.filename!r} would overwrite {target}; nothing was unpacked.")
    return target


def _missing(manifest: Manifest, state: Path) -> list[Download]:
    """Return the files without a receipt, and those that brought something that is gone."""
    found = []
    for item in manifest.downloads:
        receipt = _read_receipt(state, item)
        sources = [source for source in manifest.sources.values() if item in source.urls]
        gone = [source.annotations for source in sources if not source.annotations.is_file()]
        gone += [source.photos for source in sources if not source.photos.is_dir()]
        if receipt is None or any(_brought(receipt, path, manifest.root) for path in gone):
            found.append(item)
    return found


def _brought(receipt: Mapping[str, Any], path: Path, root: Path) -> bool:
    """Return whether a file or folder came with a download; older receipts do not say, and count as yes."""
    if _BROUGHT not in receipt:
        return True
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else None
    return any(name in {".", each} or each.startswith(f"{name}/") for each in receipt[_BROUGHT])


def _read_receipt(state: Path, item: Download) -> dict[str, Any] | None:
    """Return the receipt for this very file, if there is one."""
    try:
        receipt = json.loads(_receipt(state, item).read_text(encoding="utf-8"))
        return receipt if receipt | item.model_dump() == receipt else None
    except (OSError, ValueError, TypeError):
        return None


def _receipt(state: Path, item: Download) -> Path:
    return state / f"{item.file_name}.done.json"


def _bytes_needed(item: Download, state: Path) -> int:
    """Return what is still to be downloaded, plus as much again for unpacking (photos hardly shrink in a zip)."""
    if item.size is None:
        return 0
    under_way = [state / item.file_name, state / f"{item.file_name}.part"]
    have = max((path.stat().st_size for path in under_way if path.exists()), default=0)
    return item.size - min(have, item.size) + (item.size if item.file_name.endswith(".zip") else 0)


def _demand_room(folder: Path, size: int, purpose: str) -> None:
    demand_room(folder, size + _SPARE, purpose, "free some, or fetch into another folder with --root.")


@contextmanager
def _locked(root: Path, state: Path) -> Iterator[None]:
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / ".lock").open("w")  # no downloaded file's name starts with a dot
    except OSError as error:
        raise system_error(f"{root} cannot be written", error, "--root") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"{root}: another process is fetching into this folder; wait for it or stop it.") from None
        yield
