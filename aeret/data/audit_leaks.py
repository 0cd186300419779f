"""Describe leaks, mark those that are allowed, and list them as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_PHOTO = ("split", "photo_id", "file_name")
_COLUMNS = (*_PHOTO, *(f"other_{name}" for name in _PHOTO), "kinds", "why", "sure", "allowed")
Allowed = str | int | Sequence[str | int]
"""A file name or photo id (any pair it is part of), or a pair of them."""


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
        """Whether the photos only look alike."""
        return all("near-duplicate" in kind for kind in self.kinds)

    @property
    def chooses(self) -> bool:
        """Whether checkpoints would be chosen on a searched photo."""
        return "validation" in self.splits

    def line(self) -> str:
        """Return the pair in one line."""
        (first, second), (one, other) = self.splits, self.files
        extra = "; checkpoints would be chosen on it" if self.chooses else ""
        return f"{first} {one} (id {self.ids[0]}) = {second} {other} (id {self.ids[1]}): {self.why}; {self.sure}{extra}"


def leaks_csv(leaks: Iterable[Leak]) -> str:
    """Return leaks as CSV."""
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


def mark_allowed(leaks: Sequence[Leak], allow: Sequence[Allowed]) -> tuple[list[Leak], tuple[str, ...]]:
    """Mark the leaks that are allowed; also return the allowances that no leak needed."""
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
