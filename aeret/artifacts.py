"""Write artifacts: folders that are complete or absent.

A stage writes into ``<folder>.partial`` and the folder is renamed into place when all is written and flushed. A killed
run leaves only the partial folder, which the next run of the same stage finds and resumes from.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from aeret.errors import AeretError, DataError, ResourceError, RunError, UsageError

RECORD = "artifact.json"
_MIXED = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_ENDLESS = {errno.ENAMETOOLONG, errno.ELOOP}
FULL = {errno.ENOSPC, errno.EDQUOT}
"""``errno`` of a disk without room."""
# What no later run on this machine would be spared.
_MACHINE = FULL | {errno.EROFS, errno.EFBIG, errno.EIO, errno.ESTALE}
_MACHINE |= {errno.ENOMEM, errno.EAGAIN, errno.ENFILE, errno.EMFILE}
_PACKAGES = (
    "numpy",
    "keras",
    "tensorflow-cpu",
    "tensorflow",
    "jax",
    "torch",
    "numba",
    "faiss-cpu",
    "pillow",
    "scikit-learn",
)


@dataclass(frozen=True)
class Record:
    """Content of ``artifact.json``."""

    stage: str
    key: str
    """Digest of everything that decides the content: settings, inputs' keys, outside files, code."""
    settings: Mapping[str, Any]
    """All resolved settings of the run, not only the sections the stage reads."""
    sections: tuple[str, ...]
    """The sections that the stage reads, the only ones in the key."""
    inputs: Mapping[str, str]
    """Input stage to its artifact's key."""
    sources: Mapping[str, str]
    """Outside file to its content digest."""
    code: str
    """Digest of the code that the stage may run."""
    seed: int
    started: str
    """Local ISO time with offset."""
    finished: str = ""
    seconds: float = 0.0
    """Wall time of the last, successful attempt."""
    attempts: int = 1
    """Starts it took; more than one where a killed run was resumed."""
    versions: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


def digest(value: Any) -> str:
    """Return the 16-hex-digit digest of a JSON-able value; key order does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def file_digest(path: Path) -> str:
    """Return the 16-hex-digit digest of a file's bytes.

    Raises:
        DataError: the file cannot be read.
    """
    sink = hashlib.blake2b(digest_size=8)
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sink.update(block)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    return sink.hexdigest()


def package_versions() -> dict[str, str]:
    """Return the versions of aeret, Python and the numeric packages."""
    from aeret import __version__

    versions = {"aeret": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def system_error(what: str, error: OSError, option: str = "--runs") -> AeretError:
    """Turn an error of the operating system into one of aeret's.

    Args:
        what: the work that failed, as the start of the message.
        error: as raised.
        option: of the command, which names another folder.

    Returns:
        A UsageError where the path is wrong (a file and a folder mixed up, no permission, too long), a
        ResourceError where the machine fails (a full disk), else a RunError.
    """
    name = f"{error.filename}: " if error.filename else ""
    kind: type[AeretError] = RunError
    if error.errno in _MIXED | _FORBIDDEN | _ENDLESS:
        kind = UsageError
    elif error.errno in _MACHINE:
        kind = ResourceError
    if error.errno in FULL:
        mend = f"Free some space there, or give another folder with {option}; the same command continues from here."
    elif error.errno in _FORBIDDEN | {errno.EROFS}:
        mend = f"Make it readable and writable for you, or give another folder with {option}."
    elif error.errno in _ENDLESS:
        mend = f"Give another path with {option}."
    elif error.errno in _MIXED:
        mend = "A file and a folder are mixed up there; move the one that is in the way, or give another path."
    else:
        mend = "Once that is fixed, the same command continues from here."
    return kind(f"{what}: {name}{error.strerror or error}. {mend}")


@contextlib.contextmanager
def replacing_file(path: Path, temporary: Path) -> Iterator[BinaryIO]:
    """Yield a file that replaces ``path`` once it is whole on disk.

    Args:
        path: where it goes; what is there stays until then.
        temporary: its name until then, in the same folder. Only a killed process leaves it there.

    Raises:
        OSError: it cannot be written.
    """
    file = temporary.open("wb")
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        AeretError: the file cannot be written (:func:`system_error`).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(path, temporary) as file:
            file.write(text.encode())
    except OSError as error:
        raise system_error(f"{path} cannot be written (the old file, if any, is untouched)", error) from None


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically (see :func:`write_text`); NaN is refused because JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, default=str) + "\n")


def read_record(folder: Path) -> Record:
    """Read the record of a complete artifact.

    Raises:
        DataError: there is none, or it is damaged.
    """
    path = folder / RECORD
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(f"{folder}: is no artifact (it holds no {RECORD}).") from None
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: is damaged ({error}); delete {folder} and run the stage again.") from None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of an artifact until the block ends.

    Raises:
        RunError: another process holds it.
    """
    path = folder.with_name(folder.name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.fstat(lock.fileno())
        except BlockingIOError:
            lock.close()
            raise RunError(f"{folder}: another process is writing this artifact; wait for it or stop it.") from None
        except OSError:
            lock.close()
            raise
        # The one who held it may have removed the file between our open and our lock: then ours locks nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(held, path.stat()):
                break
        lock.close()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.close()


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield the partial folder of a locked artifact; rename it on success.

    The partial folder is kept when the block raises or the process dies: it is what a resumed run starts from.
    """
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    yield partial
    flush_files(partial)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Yield the partial folder of an artifact, locked against a second writer (:func:`locked`, :func:`replacing`).

    Raises:
        RunError: another process is writing the same artifact.
    """
    with locked(folder), replacing(folder) as partial:
        yield partial


def write_record(folder: Path, record: Record) -> None:
    """Write ``artifact.json`` into a folder that is being written."""
    write_json(folder / RECORD, asdict(record))


def flush(path: Path) -> None:
    """Flush a file, or a folder's directory entry, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_files(folder: Path) -> None:
    """Wait until all files below a folder are on the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            flush(path)
