"""A kernel that reads the ``annotations`` of a COCO file, as bytes, straight into columns: no object a record.

It is strict: what it does not expect (an escaped key, a key given twice, a value of another type, a huge number) it
does not judge; the caller then has the typed reader read the file, and say what is wrong if anything is. Whatever it
accepts it reads as that reader does, to the bit. Numbers that :mod:`aeret.data.json_tokens` cannot convert are listed
with their place, for a converter that can.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aeret.data.characters import Text, character, first_mark, next_eight, put_eight
from aeret.data.json_tokens import (
    integer,
    is_mark,
    literal,
    number,
    plain_key,
    short_number,
    skip,
    space,
    text_marks,
)

_Bytes = NDArray[np.uint8]
_Int = NDArray[np.int64]
_Float = NDArray[np.float64]
_Bool = NDArray[np.bool_]

MORE, END, FULL, IRREGULAR = 0, 1, 2, 3
"""How a scan ends: there are more records; that was the last; the arrays are too small for one record; not judged."""

ID, PHOTO, CATEGORY, CROWD, KIND, PARTS, TEXT, HEIGHT, WIDTH = range(9)
"""Columns of ``whole``; PARTS are those of the polygon, TEXT the length of the run-length string."""
ROWS, LENGTHS, POINTS, CHARACTERS, MENDS = range(5)
"""Places of ``used``: entries of each array."""
OF_AREA, OF_BOX, OF_POINTS = 0, 1, 2
"""Which array a listed number belongs to."""

_KEYS = ("id", "image_id", "category_id", "iscrowd", "bbox", "area", "segmentation", "size", "counts")
_K_ID, _K_PHOTO, _K_CATEGORY, _K_CROWD, _K_BOX, _K_AREA, _K_MASK, _K_SIZE, _K_COUNTS, _K_OTHER = range(10)
_NAMES = np.frombuffer("".join(_KEYS).encode(), np.uint8)
_NAME_STARTS = np.cumsum([0, *map(len, _KEYS)])
_NEEDED = 1 << _K_ID | 1 << _K_PHOTO | 1 << _K_CATEGORY


class Room(NamedTuple):
    """The arrays that one call of :func:`scan_annotations` fills."""

    whole: _Int
    """int64 (r, 9) whole numbers of each annotation: columns ``ID`` ..."""
    areas: _Float
    """float64 (r)"""
    boxes: NDArray[np.float32]
    """float32 (r, 4)"""
    lengths: _Int
    """int64 (p) coordinates of each polygon part"""
    points: _Float
    """float64 (m) coordinates"""
    runs: _Bytes
    """uint8 (t) run-length strings"""
    mends: _Int
    """int64 (k, 4) of numbers to be converted elsewhere: whose (``OF_AREA`` ...), place there, start and end in the
    text"""
    used: _Int
    """int64 (5) how far each array is filled: ``ROWS`` ..."""
    wide: _Bool
    """bool (1) set where a text holds other than ASCII characters, which are not checked"""


def make_room(characters: int) -> Room:
    """Return arrays for about so many characters of a file."""
    rows = characters // 64
    return Room(
        np.empty((rows, WIDTH + 1), np.int64),
        np.empty(rows),
        np.empty((rows, 4), np.float32),
        np.empty(rows, np.int64),
        np.empty(characters // 4),
        np.empty(characters, np.uint8),
        np.empty((rows, 4), np.int64),
        np.empty(MENDS + 1, np.int64),
        np.zeros(1, np.bool_),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _key(text: Text, at: int) -> tuple[int, int]:
    """Read a key of plain ASCII and its colon.

    Returns:
        where its value starts, or -1; and its place in ``_KEYS``.
    """
    value, start, end = plain_key(text, at)
    if value < 0:
        return -1, _K_OTHER
    length = end - start
    found = _K_OTHER
    for key in range(len(_NAME_STARTS) - 1):
        first = _NAME_STARTS[key]
        if _NAME_STARTS[key + 1] - first == length:
            same = True
            for i in range(length):
                same &= character(text, start + i) == _NAMES[first + i]
            if same:
                found = key
    return value, found


@njit(cache=True, nogil=True, error_model="numpy")
def _list_mend(mends: _Int, used: _Int, owner: int, place: int, start: int, end: int) -> bool:
    """List a number that is to be converted elsewhere; False where there is no room."""
    entry = used[MENDS]
    if entry == len(mends):
        return False
    mends[entry, 0], mends[entry, 1], mends[entry, 2], mends[entry, 3] = owner, place, start, end
    used[MENDS] = entry + 1
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _polygons(text: Text, at: int, lengths: _Int, points: _Float, mends: _Int, used: _Int) -> tuple[int, int]:
    """Read the parts of a polygon; return how (MORE is well) and where it ends."""
    at = space(text, at + 1)
    if is_mark(text, at, 93):
        return MORE, at + 1
    while True:
        if not is_mark(text, at, 91):
            return IRREGULAR, at
        at = space(text, at + 1)
        place = used[POINTS]
        first = place
        if is_mark(text, at, 93):
            at += 1
        else:
            while True:
                if place == len(points):
                    return FULL, at
                start, mark = at, 0
                negative = character(text, at) == 45 if at < text[1] else False
                value, at = short_number(text, at + 1 if negative else at)
                if at > start + 1 or (at > start and not negative):
                    mark = character(text, at)
                # A negative 0 is left to others.
                if (mark == 44 or mark == 93) and (value != 0 or not negative):
                    points[place] = -value if negative else value
                else:
                    at = start
                    points[place], at, known = number(text, at)
                    if at < 0:
                        return IRREGULAR, at
                    if not known and not _list_mend(mends, used, OF_POINTS, place, start, at):
                        return FULL, at
                    at = space(text, at)
                    if at >= text[1]:
                        return IRREGULAR, at
                    mark = character(text, at)
                place += 1
                at += 1
                if mark == 93:
                    break
                if mark != 44:
                    return IRREGULAR, at
                if at < text[1] and character(text, at) <= 32:
                    at = space(text, at)
        if used[LENGTHS] == len(lengths):
            return FULL, at
        lengths[used[LENGTHS]] = place - first
        used[LENGTHS] += 1
        used[POINTS] = place
        at = space(text, at)
        if is_mark(text, at, 44):
            at = space(text, at + 1)
        elif is_mark(text, at, 93):
            return MORE, at + 1
        else:
            return IRREGULAR, at


@njit(cache=True, nogil=True, error_model="numpy")
def _run_text(text: Text, at: int, runs: _Bytes, used: _Int) -> tuple[int, int]:
    """Copy a run-length string; return how (MORE is well) and where it ends."""
    place = used[CHARACTERS]
    at += 1
    while True:
        # Eight are stored before it is known how many of them belong to the string.
        while at + 8 <= text[1] and place + 8 <= len(runs):
            word = next_eight(text, at)
            put_eight(runs.ctypes.data + place, word)
            marks = text_marks(word)
            if marks:
                plain = first_mark(marks)
                at += plain
                place += plain
                break
            # No step that depends on the marks: the processor goes on before it has them.
            at += 8
            place += 8
        if at >= text[1]:
            return IRREGULAR, at
        c = character(text, at)
        if c == 34:
            used[CHARACTERS] = place
            return MORE, at + 1
        if place == len(runs):
            return FULL, at
        # Of the characters of such strings, only the backslash itself is escaped.
        if c < 32 or c >= 128 or (c == 92 and not is_mark(text, at + 1, 92)):
            return IRREGULAR, at
        runs[place] = c
        place += 1
        at += 2 if c == 92 else 1


@njit(cache=True, nogil=True, error_model="numpy")
def _run_list(text: Text, at: int, runs: _Bytes, used: _Int) -> tuple[int, int]:
    """Write the string of runs given as numbers (as ``encode_runs``); return how and where they end."""
    place = used[CHARACTERS]
    before, two_before = 0, 0
    index = 0
    at = space(text, at + 1)
    if is_mark(text, at, 93):
        return MORE, at + 1
    while True:
        run, at = integer(text, at)
        if at < 0 or run < 0 or run >= 1 << 31:
            return IRREGULAR, at
        rest = run - two_before if index > 2 else run
        more = True
        while more:
            code = rest & 0x1F
            rest >>= 5
            more = rest != -1 if code & 0x10 else rest != 0
            if place == len(runs):
                return FULL, at
            runs[place] = (code | 0x20 if more else code) + 48
            place += 1
        two_before, before = before, run
        index += 1
        at = space(text, at)
        if is_mark(text, at, 44):
            at = space(text, at + 1)
        elif is_mark(text, at, 93):
            used[CHARACTERS] = place
            return MORE, at + 1
        else:
            return IRREGULAR, at


@njit(cache=True, nogil=True, error_model="numpy")
def _mask(text: Text, at: int, row: _Int, runs: _Bytes, used: _Int, wide: _Bool) -> tuple[int, int]:
    """Read a run-length mask; return how (MORE is well) and where it ends."""
    start = used[CHARACTERS]
    seen = 0
    at = space(text, at + 1)
    while True:
        at, key = _key(text, at)
        if at < 0 or at >= text[1] or (key != _K_OTHER and seen & 1 << key):
            return IRREGULAR, at
        seen |= 1 << key
        if key == _K_SIZE:
            if character(text, at) != 91:
                return IRREGULAR, at
            height, at = integer(text, space(text, at + 1))
            if at < 0:
                return IRREGULAR, at
            at = space(text, at)
            if not is_mark(text, at, 44):
                return IRREGULAR, at
            width, at = integer(text, space(text, at + 1))
            if at < 0 or min(height, width) < 1 or max(height, width) >= 1 << 31:
                return IRREGULAR, at
            at = space(text, at)
            if not is_mark(text, at, 93):
                return IRREGULAR, at
            at += 1
            row[HEIGHT], row[WIDTH] = height, width
        elif key == _K_COUNTS:
            if character(text, at) == 34:
                how, at = _run_text(text, at, runs, used)
            elif character(text, at) == 91:
                how, at = _run_list(text, at, runs, used)
            else:
                how = IRREGULAR
            if how != MORE:
                return how, at
            row[TEXT] = used[CHARACTERS] - start
        else:
            at = skip(text, at, wide)
            if at < 0:
                return IRREGULAR, at
        at = space(text, at)
        if is_mark(text, at, 44):
            at = space(text, at + 1)
        elif is_mark(text, at, 125):
            both = 1 << _K_SIZE | 1 << _K_COUNTS
            return (MORE if seen & both == both else IRREGULAR), at + 1
        else:
            return IRREGULAR, at


@njit(cache=True, nogil=True, error_model="numpy")
def _box(text: Text, at: int, boxes: NDArray[np.float32], row: int, mends: _Int, used: _Int) -> tuple[int, int]:
    """Read the four numbers of a box; return how (MORE is well) and where it ends."""
    for i in range(4):
        if not is_mark(text, at, 44 if i else 91):
            return IRREGULAR, at
        at = space(text, at + 1)
        start = at
        value, at, known = number(text, at)
        if at < 0:
            return IRREGULAR, at
        boxes[row, i] = value
        if not known and not _list_mend(mends, used, OF_BOX, row * 4 + i, start, at):
            return FULL, at
        at = space(text, at)
    return (MORE if is_mark(text, at, 93) else IRREGULAR), at + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _record(
    text: Text,
    at: int,
    whole: _Int,
    areas: _Float,
    boxes: NDArray[np.float32],
    lengths: _Int,
    points: _Float,
    runs: _Bytes,
    mends: _Int,
    used: _Int,
    wide: _Bool,
) -> tuple[int, int]:
    """Read one annotation into the next row; return how (MORE is well) and where it ends."""
    place = used[ROWS]
    row = whole[place]
    row[:] = 0
    areas[place] = np.nan
    boxes[place] = np.float32(np.nan)
    seen = 0
    if not is_mark(text, at, 123):
        return IRREGULAR, at
    at = space(text, at + 1)
    while True:
        at, key = _key(text, at)
        if at < 0 or at >= text[1] or (key < _K_SIZE and seen & 1 << key):
            return IRREGULAR, at
        seen |= 1 << key
        how = MORE
        if key <= _K_CATEGORY:
            row[key], at = integer(text, at)
        elif key == _K_CROWD:
            c = character(text, at)
            if c == 48 or c == 49:
                row[CROWD], at = integer(text, at)
                if row[CROWD] > 1:
                    return IRREGULAR, at
            elif c == 116 or c == 102:
                row[CROWD] = int(c == 116)
                at = literal(text, at)
            else:
                return IRREGULAR, at
        elif key == _K_BOX:
            how, at = _box(text, at, boxes, place, mends, used)
        elif key == _K_AREA:
            start = at
            areas[place], at, known = number(text, at)
            if at >= 0 and not known and not _list_mend(mends, used, OF_AREA, place, start, at):
                how = FULL
        elif key == _K_MASK:
            c = character(text, at)
            if c == 91:
                row[KIND] = 1
                before = used[LENGTHS]
                how, at = _polygons(text, at, lengths, points, mends, used)
                row[PARTS] = used[LENGTHS] - before
            elif c == 123:
                row[KIND] = 2
                how, at = _mask(text, at, row, runs, used, wide)
            elif c == 110:
                at = literal(text, at)
            else:
                return IRREGULAR, at
        else:
            at = skip(text, at, wide)
        if how != MORE:
            return how, at
        if at < 0:
            return IRREGULAR, at
        at = space(text, at)
        if is_mark(text, at, 44):
            at = space(text, at + 1)
        elif is_mark(text, at, 125):
            return (MORE if seen & _NEEDED == _NEEDED else IRREGULAR), at + 1
        else:
            return IRREGULAR, at


@njit(cache=True, nogil=True, error_model="numpy")
def scan_annotations(
    text: Text,
    at: int,
    stop: int,
    whole: _Int,
    areas: _Float,
    boxes: NDArray[np.float32],
    lengths: _Int,
    points: _Float,
    runs: _Bytes,
    mends: _Int,
    used: _Int,
    wide: _Bool,
) -> tuple[int, int]:
    """Read annotations up to the first that ends at or after ``stop``, or to the last that has room.

    Args:
        text: the file.
        at: where a record starts, or white space before it.
        stop: a place in the text.
        whole: and the others: a :class:`Room`.

    Returns:
        how it ended (``MORE`` ...), and where the next record starts, or the text behind the list.
    """
    used[:] = 0
    while True:
        if used[ROWS] == len(whole):
            return MORE, at
        kept = used.copy()
        how, end = _record(text, space(text, at), whole, areas, boxes, lengths, points, runs, mends, used, wide)
        if how == FULL and kept[ROWS] > 0:
            used[:] = kept
            return MORE, at
        if how != MORE:
            return how, at
        used[ROWS] += 1
        end = space(text, end)
        if is_mark(text, end, 93):
            return END, end + 1
        if not is_mark(text, end, 44):
            return IRREGULAR, end
        at = end + 1
        if at >= stop:
            return MORE, at
