"""Do photos that are learnt from leak into those that are searched? Every check names its pairs of photos.

*Train* and *validation* share no photo with *query* and *gallery*; these two share none either, unless they are the
same photos (leave one out). The same photo is known by its id, its file name, its number in COCO's names of 2014 and
2017, or its bytes; a near-duplicate (re-encoded, resized, brightened, slightly cropped, mirrored) by what it shows.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aeret.data.audit_hash import MIRROR, Hashes, grey_thumbnails, near_pairs, perceptual_hashes
from aeret.data.audit_pixels import SOURCE, agreement
from aeret.progress import Progress, silent

NEAR_BITS = 16
"""Hashes that differ in at most so many of 64 bits are looked at; photos of different things differ in about 32."""
EDGES, LEVELS = 0.6, 0.9
"""Least correlation of edges and of grey levels of a near-duplicate. On COCO and drawn photos a crop of a twentieth has
0.84 and 0.93 at least, one of a tenth 0.78 and 0.92, and other photos at most 0.65 and 0.88, seldom both."""
SURE_EDGES = 0.8
"""From this correlation of edges on, grey levels need not agree: a photo may have been brightened until it clips."""
MOST = 100_000
"""Pairs listed; a collection with more is not one to be mended pair by pair."""
_PER_PHOTO = 32
_BLOCK = 512

COCO_NAME = re.compile(r"(?:.*/)?(COCO_(?:train|val|test)\d{4}_)?(\d{12})\.\w+", re.IGNORECASE)
"""File names of COCO: those of 2014 have a prefix, those of 2017 are the number alone."""
_PHOTO = ("split", "photo_id", "file_name")
_COLUMNS = (*_PHOTO, *(f"other_{name}" for name in _PHOTO), "kinds", "why", "sure", "allowed")
Allowed = str | int | Sequence[str | int]


class AuditedSplit(Protocol):
    """What is read of a split (:class:`aeret.data.prepared.PreparedSplit`)."""

    name: str
    photo_ids: npt.NDArray[np.int64]
    file_names: list[str]
    paths: list[str]

    def photos(self, positions: Any) -> npt.NDArray[np.uint8]:
        """Return uint8 (b, S, S, 3)."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Leak:
    """One photo in two splits that must share none."""

    splits: tuple[str, str]
    ids: tuple[int, int]
    files: tuple[str, str]
    kinds: tuple[str, ...]
    """``id``, ``file name``, ``COCO number``, ``bytes``, ``near-duplicate`` or ``mirrored near-duplicate``."""
    why: str
    sure: str
    """``certain``, ``almost certain`` or ``likely``."""
    allowed: bool = False

    @property
    def near_only(self) -> bool:
        """Whether only what the photos show speaks for it."""
        return all("near-duplicate" in kind for kind in self.kinds)

    @property
    def chooses(self) -> bool:
        """Whether checkpoints would be chosen on a photo that is searched."""
        return "validation" in self.splits

    def line(self) -> str:
        """Return the pair in one line."""
        (first, second), (one, other) = self.splits, self.files
        extra = "; checkpoints would be chosen on it" if self.chooses else ""
        return f"{first} {one} (id {self.ids[0]}) = {second} {other} (id {self.ids[1]}): {self.why}; {self.sure}{extra}"


@dataclass(frozen=True)
class Audit:
    """What was found, and what was looked at."""

    leaks: tuple[Leak, ...]
    photos: Mapping[str, int]
    """Split to photos."""
    plain: int
    """Photos that show a plain surface, which only id, name and bytes can tell apart."""
    absent: int
    """Original files that are gone, so that their bytes were not compared."""
    candidates: int
    """Pairs whose hashes were near."""
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
    """Look for photos that two splits share although they must not.

    Photos are read once, block by block; of each, 8 bytes stay in memory. Bytes are read only of files that have the
    size of one on the other side.

    Args:
        splits: ``train``, ``validation``, ``query`` and ``gallery``.
        leave_one_out: query and gallery are the same photos, each searched without itself.
        ids_are_global: equal ids mean the same photo; not where each annotation file numbers its photos from 1.
        allow: what is known and accepted: a file name or photo id (any pair it is part of), or a pair of them.
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
    marked, unused = _mark_allowed(leaks[:MOST], allow)
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


def leaks_csv(leaks: Iterable[Leak]) -> str:
    """Return all pairs as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for leak in leaks:
        (first, second), (one, other), (name, other_name) = leak.splits, leak.ids, leak.files
        allowed = "yes" if leak.allowed else "no"
        table.writerow(
            [first, one, name, second, other, other_name, " + ".join(leak.kinds), leak.why, leak.sure, allowed]
        )
    return text.getvalue()


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


def _mark_allowed(leaks: Sequence[Leak], allow: Sequence[Allowed]) -> tuple[list[Leak], tuple[str, ...]]:
    used = [False] * len(allow)
    marked = []
    for leak in leaks:
        names = [{file, Path(file).name, str(number)} for file, number in zip(leak.files, leak.ids, strict=True)]
        allowed = False
        for place, entry in enumerate(allow):
            if isinstance(entry, str | int):
                fits = any(str(entry) in each for each in names)
            else:
                one, other = map(str, entry)
                fits = any(one in a and other in b for a, b in (names, names[::-1]))
            used[place] |= fits
            allowed |= fits
        marked.append(replace(leak, allowed=allowed))
    unused = tuple(_said(entry) for entry, seen in zip(allow, used, strict=True) if not seen)
    return marked, unused


def _said(entry: Allowed) -> str:
    return str(entry) if isinstance(entry, str | int) else " = ".join(map(str, entry))
