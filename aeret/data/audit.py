"""Find photos that leak from the splits that are learnt from into those that are searched.

*Train* and *validation* share no photo with *query* and *gallery*; these two share none either, unless they are the
same photos (leave one out). The same photo is known by its id, its file name, its number in COCO's names of 2014 and
2017, or its bytes; a near-duplicate (re-encoded, resized, brightened, slightly cropped, mirrored) by what it shows.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aeret.data.audit_hash import MIRROR, Hashes, grey_thumbnails, near_pairs, perceptual_hashes
from aeret.data.audit_leaks import Allowed, Leak, mark_allowed
from aeret.data.audit_pixels import SOURCE, agreement
from aeret.progress import Progress, silent

NEAR_BITS = 16
"""Pairs whose hashes differ in at most this many of 64 bits are compared; unrelated photos differ in about 32."""
EDGES, LEVELS = 0.6, 0.9
"""Least correlation of edges and of grey levels of a near-duplicate. On COCO and drawn photos a crop of a twentieth has
at least 0.84 and 0.93, one of a tenth 0.78 and 0.92; other photos have at most 0.65 and 0.88, seldom both."""
SURE_EDGES = 0.8
"""At this correlation of edges grey levels need not agree: a photo may have been brightened until it clips."""
MOST = 100_000
"""Most pairs listed; nobody mends more one by one."""
_PER_PHOTO = 32
_BLOCK = 512

COCO_NAME = re.compile(r"(?:.*/)?(COCO_(?:train|val|test)\d{4}_)?(\d{12})\.\w+", re.IGNORECASE)
"""File names of COCO: those of 2014 have a prefix, those of 2017 are the number alone."""


class AuditedSplit(Protocol):
    """The part of :class:`aeret.data.prepared.PreparedSplit` that an audit reads."""

    name: str
    photo_ids: npt.NDArray[np.int64]
    file_names: list[str]
    paths: list[str]

    def photos(self, positions: Any) -> npt.NDArray[np.uint8]:
        """Return uint8 (b, S, S, 3)."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Audit:
    """Leaks, and what was compared to find them."""

    leaks: tuple[Leak, ...]
    photos: Mapping[str, int]
    """Split to photos."""
    plain: int
    """Photos of a plain surface, compared by id, name and bytes alone."""
    absent: int
    """Original files that are missing, so that their bytes were not compared."""
    candidates: int
    """Pairs with near hashes."""
    unused: tuple[str, ...]
    """Allowances that no leak needed."""


@dataclass
class _Side:
    split: AuditedSplit
    hashes: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    rows: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows with something to compare, aligned with ``hashes``."""
    sizes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Bytes of the original files, -1 where it is gone."""
    digests: dict[int, str] = field(default_factory=dict)


@dataclass
class _Evidence:
    kinds: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    sure: str = "certain"


_Found = dict[tuple[int, int], _Evidence]


def audit_splits(
    splits: Mapping[str, AuditedSplit],
    *,
    leave_one_out: bool,
    ids_are_global: bool = True,
    allow: Sequence[Allowed] = (),
    near_duplicates: bool = True,
    progress: Progress = silent,
) -> Audit:
    """Find photos that two splits share although they must not.

    Photos are read once, block by block; 8 bytes per photo stay in memory. Files are hashed only if a file of the same
    size is on the other side.

    Args:
        splits: ``train``, ``validation``, ``query`` and ``gallery``.
        leave_one_out: query and gallery are the same photos, each searched without itself.
        ids_are_global: equal ids mean the same photo; false if each annotation file numbers its photos from 1.
        allow: known leaks: a file name or photo id (any pair it is part of), or a pair of them.
        near_duplicates: whether to compare what photos show.
        progress: opens the bars.

    Returns:
        Every pair, the certain ones first.
    """
    searched = ["query"] if leave_one_out else ["query", "gallery"]
    apart = [(first, second) for first in ("train", "validation") for second in searched]
    apart += [] if leave_one_out else [("query", "gallery")]
    sides = {name: _Side(splits[name]) for name in dict.fromkeys(name for pair in apart for name in pair)}
    for side in sides.values():
        side.sizes = np.array([_size(path) for path in side.split.paths], np.int64)
    if near_duplicates:
        _fingerprint(sides, progress)
    leaks: list[Leak] = []
    candidates = 0
    for pair in apart:
        first, second = (sides[name] for name in pair)
        found: _Found = {}
        _same_names(first.split, second.split, ids_are_global, found)
        _same_bytes(first, second, found)
        if near_duplicates:
            candidates += _near(first, second, found, progress)
        leaks += [_leak(pair, first.split, second.split, rows, evidence) for rows, evidence in found.items()]
        if len(leaks) > MOST:
            break
    order = ("certain", "almost certain", "likely")
    leaks.sort(key=lambda leak: (order.index(leak.sure), leak.splits, leak.files))
    marked, unused = mark_allowed(leaks[:MOST], allow)
    fingerprinted = sum(len(side.rows) for side in sides.values())
    total = sum(len(side.split) for side in sides.values())
    return Audit(
        leaks=tuple(marked),
        photos={name: len(side.split) for name, side in sides.items()},
        plain=total - fingerprinted if near_duplicates else 0,
        absent=sum(int((side.sizes < 0).sum()) for side in sides.values()),
        candidates=candidates,
        unused=unused,
    )


def coco_number(file_name: str) -> tuple[int, bool] | None:
    """Return the number in a COCO file name and whether the name has the prefix of 2014; None for another name."""
    match = COCO_NAME.fullmatch(file_name)
    return (int(match[2]), match[1] is not None) if match else None


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return -1


def _fingerprint(sides: Mapping[str, _Side], progress: Progress) -> None:
    with progress("fingerprint photos", sum(len(side.split) for side in sides.values()), unit="photo") as step:
        for side in sides.values():
            hashes, rows = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
            for start in range(0, len(side.split), _BLOCK):
                photos = side.split.photos(slice(start, start + _BLOCK))
                found, detailed = perceptual_hashes(grey_thumbnails(photos))
                hashes.append(found[detailed])
                rows.append(np.flatnonzero(detailed) + start)
                step(len(photos))
            side.hashes, side.rows = np.concatenate(hashes), np.concatenate(rows)


def _same_names(first: AuditedSplit, second: AuditedSplit, ids_are_global: bool, found: _Found) -> None:
    if ids_are_global:
        _, one, other = np.intersect1d(first.photo_ids, second.photo_ids, return_indices=True)
        for i, j in zip(one.tolist(), other.tolist(), strict=True):
            _note(found, i, j, "id", "same id")
    for i, j in _matches(first.file_names, second.file_names, lambda name: name):
        _note(found, i, j, "file name", "same file name")
    for i, j in _matches(first.file_names, second.file_names, lambda name: (coco_number(name) or (None,))[0]):
        names = first.file_names[i], second.file_names[j]
        # Two plain numbers may be two collections' own counting; a name of 2014 beside its number is COCO's.
        if names[0] != names[1] and any((coco_number(name) or (0, False))[1] for name in names):
            number = (coco_number(names[0]) or (0,))[0]
            _note(found, i, j, "COCO number", f"COCO photo {number} under two names")


def _matches(first: Sequence[str], second: Sequence[str], key: Callable[[str], Any]) -> Iterable[tuple[int, int]]:
    places: dict[Any, list[int]] = defaultdict(list)
    for row, name in enumerate(first):
        places[key(name)].append(row)
    for row, name in enumerate(second):
        wanted = key(name)
        if wanted is not None:
            yield from ((other, row) for other in places.get(wanted, ()))


def _same_bytes(first: _Side, second: _Side, found: _Found) -> None:
    shared = np.intersect1d(first.sizes[first.sizes > 0], second.sizes[second.sizes > 0])
    by_digest: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(np.isin(first.sizes, shared)).tolist():
        by_digest[_digest(first, row)].append(row)
    for row in np.flatnonzero(np.isin(second.sizes, shared)).tolist():
        for other in by_digest.get(_digest(second, row), ()):
            _note(found, other, row, "bytes", "same bytes")
            if len(found) > MOST:
                return


def _digest(side: _Side, row: int) -> str:
    if row not in side.digests:
        with Path(side.split.paths[row]).open("rb") as file:
            side.digests[row] = hashlib.file_digest(file, "sha256").hexdigest()
    return side.digests[row]


def _near(first: _Side, second: _Side, found: _Found, progress: Progress) -> int:
    """Add near-duplicates to what was found; return how many pairs were looked at."""
    looked = 0
    title = f"{first.split.name} against {second.split.name}"
    with progress(title, 2 * len(second.hashes), unit="photo") as step:
        for mirrored in (False, True):
            asked = second.hashes ^ MIRROR if mirrored else second.hashes
            for one, other in near_pairs(first.hashes, asked, NEAR_BITS, _PER_PHOTO, step):
                looked += len(one)
                for start in range(0, len(one), _BLOCK):
                    chosen = slice(start, start + _BLOCK)
                    _confirm(first, second, one[chosen], other[chosen], mirrored, found)
                if len(found) > MOST:
                    return looked
    return looked


def _confirm(
    first: _Side,
    second: _Side,
    one: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
    mirrored: bool,
    found: _Found,
) -> None:
    rows, columns = first.rows[one], second.rows[other]
    pictures = [grey_thumbnails(side.split.photos(at), SOURCE) for side, at in ((first, rows), (second, columns))]
    edges, levels = agreement(pictures[0], pictures[1][:, :, ::-1] if mirrored else pictures[1])
    asked = second.hashes[other] ^ MIRROR if mirrored else second.hashes[other]
    bits = np.bitwise_count(first.hashes[one] ^ asked)
    alike = (edges >= SURE_EDGES) | ((edges >= EDGES) & (levels >= LEVELS))
    for place in np.flatnonzero(alike).tolist():
        pair = int(rows[place]), int(columns[place])
        if pair in found and "bytes" in found[pair].kinds:
            continue
        known = pair in found
        what = "mirrored near-duplicate" if mirrored else "near-duplicate"
        text = f"{what} ({bits[place]} of 64 hash bits differ, edges {edges[place]:.2f}, levels {levels[place]:.2f})"
        _note(found, *pair, what, text)
        if not known:
            found[pair].sure = "almost certain" if edges[place] >= SURE_EDGES else "likely"


def _note(found: _Found, row: int, other: int, kind: str, why: str) -> None:
    evidence = found.setdefault((row, other), _Evidence())
    evidence.kinds.append(kind)
    evidence.why.append(why)


def _leak(
    pair: tuple[str, str], first: AuditedSplit, second: AuditedSplit, rows: tuple[int, int], evidence: _Evidence
) -> Leak:
    one, other = rows
    return Leak(
        splits=pair,
        ids=(int(first.photo_ids[one]), int(second.photo_ids[other])),
        files=(first.file_names[one], second.file_names[other]),
        kinds=tuple(evidence.kinds),
        why=", ".join(evidence.why),
        sure=evidence.sure,
    )
