"""Kernels that read the tokens of JSON from bytes: white space, texts, literals, numbers, values to be skipped.

They are strict: what is no JSON, or is doubtful (half a surrogate pair, a number beyond 1e30, sixty nested lists), is
not judged but given back as place -1. Numbers of up to eighteen digits and a small power of ten are converted here,
exactly rounded (Clinger, "How to read floating point numbers accurately", 1990; Lemire, "Number parsing at a gigabyte
per second", 2021); the few others are left to a converter that can do them all.

After a change here delete ``__pycache__/annotation_scan.*``: numba sees changes of a kernel's own file only.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aeret.data.characters import Text, character, first_mark, next_eight

_DIGITS, _DEEPEST, _LONGEST = 18, 60, 300
"""of a number; of nested lists and objects; characters of a number"""
_LARGEST = 1e30
_EXACT = 10.0 ** np.arange(23)
_POWER = 60


def _powers() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the first and the next 64 bits of 10 ** -60 to 10 ** 60, the first bit set, cut off."""
    high, low = [], []
    for power in range(-_POWER, _POWER + 1):
        value = 10**power << 512 if power >= 0 else (1 << 512) // 10**-power
        top = value >> (value.bit_length() - 128)
        high.append(top >> 64)
        low.append(top & (2**64 - 1))
    return np.array(high, np.uint64), np.array(low, np.uint64)


_HIGH, _LOW = _powers()


_ONE, _EIGHT, _SIXTEEN, _HALF, _WHOLE = (np.uint64(bits) for bits in (1, 8, 16, 32, 64))
_ZEROS, _HIGHS = np.uint64(0x3030303030303030), np.uint64(0x8080808080808080)
_TO_NINE, _CONTROLS = np.uint64(0x7676767676767676), np.uint64(0x2020202020202020)
_ONES, _QUOTES, _SLASHES = (np.uint64(0x0101010101010101 * mark) for mark in (1, 34, 92))
_PAIRS, _FOURS, _EIGHTS = np.uint64(2561), np.uint64(6553601), np.uint64(42949672960001)
_LOW_BYTES, _LOW_PAIRS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_TENS = 10.0 ** np.arange(9)


@njit(cache=True, nogil=True, error_model="numpy")
def short_number(text: Text, at: int) -> tuple[float, int]:
    """Return a number of the kind ``123`` or ``123.45`` that ends, with what stops it, within eight characters.

    Eight characters at once (Lemire, 2021): which are no digits shows in their upper bits, and three multiplications
    join the digits. The end is ``at`` where the number is of another kind.
    """
    if at + 8 > text[1]:
        return 0.0, at
    digits = next_eight(text, at) ^ _ZEROS
    # Of the marks of bytes above nine only the lowest is sure: a sum may carry into the next byte.
    whole = first_mark((digits + _TO_NINE | digits) & _HIGHS)
    if whole == 0 or whole > 6 or (character(text, at) == 48 and whole > 1):
        return 0.0, at
    end = at + whole
    before = np.uint64(8 * whole)
    if character(text, end) != 46:
        digits <<= _WHOLE - before
        behind = 0
    else:
        rest = digits >> (before + _EIGHT)
        places = first_mark((rest + _TO_NINE | rest) & _HIGHS)
        total = whole + places
        if places == 0 or total > 6:
            return 0.0, at
        behind = places
        end += behind + 1
        digits &= (_ONE << before) - _ONE
        digits |= (rest & ((_ONE << np.uint64(8 * places)) - _ONE)) << before
        digits <<= _WHOLE - np.uint64(8 * total)
    digits = digits * _PAIRS >> _EIGHT
    digits = (digits & _LOW_BYTES) * _FOURS >> _SIXTEEN
    digits = (digits & _LOW_PAIRS) * _EIGHTS >> _HALF
    return np.int64(digits) / _TENS[behind], end


@njit(cache=True, nogil=True, error_model="numpy")
def text_marks(word: np.uint64) -> np.uint64:
    """Mark bytes that are a quote, a backslash, below 32 or above 127, of eight; only the lowest mark is sure."""
    quotes, slashes = word ^ _QUOTES, word ^ _SLASHES
    # A byte that is 0 (or below 32) borrows from the next.
    return ((quotes - _ONES) & ~quotes | (slashes - _ONES) & ~slashes | (word - _CONTROLS) | word) & _HIGHS


@njit(cache=True, nogil=True, error_model="numpy")
def plain_text(text: Text, at: int) -> int:
    """Return where the next character is that is a quote, a backslash, below 32 or above 127; the end if none is."""
    while at + 8 <= text[1]:
        marks = text_marks(next_eight(text, at))
        if marks:
            at += first_mark(marks)
            return at
        at += 8
    while at < text[1] and character(text, at) != 34 and character(text, at) != 92 and 32 <= character(text, at) < 128:
        at += 1
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def space(text: Text, at: int) -> int:
    """Return where the next token starts."""
    while at < text[1] and (
        character(text, at) == 32 or character(text, at) == 10 or character(text, at) == 13 or character(text, at) == 9
    ):
        at += 1
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def is_mark(text: Text, at: int, mark: int) -> bool:
    """Return whether the character ``mark`` is here."""
    return at < text[1] and character(text, at) == mark


_LITERALS = (b"true", b"null", b"false")


@njit(cache=True, nogil=True, error_model="numpy")
def _spelt(text: Text, at: int, word: bytes) -> bool:
    """Return whether ``word`` stands here."""
    place = 0
    while place < len(word) and at + place < text[1] and character(text, at + place) == word[place]:
        place += 1
    return place == len(word)


@njit(cache=True, nogil=True, error_model="numpy")
def literal(text: Text, at: int) -> int:
    """Return where the true, false or null that starts here ends; -1 where there is none."""
    for word in _LITERALS:
        if _spelt(text, at, word):
            return at + len(word)
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def _hex(text: Text, at: int) -> int:
    """Return the value of four hexadecimal digits; -1 where they are not that."""
    value = 0
    if at + 4 > text[1]:
        return -1
    for i in range(at, at + 4):
        c = int(character(text, i))
        if 48 <= c <= 57:
            c -= 48
        elif 65 <= c <= 70:
            c -= 55
        elif 97 <= c <= 102:
            c -= 87
        else:
            return -1
        value = value * 16 + c
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def string(text: Text, at: int, wide: NDArray[np.bool_]) -> int:
    """Return where the text whose opening quote is at ``at`` ends, behind its closing quote; -1 where in doubt."""
    at = plain_text(text, at + 1)
    while at < text[1]:
        c = character(text, at)
        if c == 34:
            return at + 1
        if c < 32:
            return -1
        if c >= 128:
            wide[0] = True
        if c == 92:
            at += 1
            if at >= text[1]:
                return -1
            e = character(text, at)
            if e == 117:
                value = _hex(text, at + 1)
                # Halves of a pair may lack the other.
                if value < 0 or 0xD800 <= value <= 0xDFFF:
                    return -1
                at += 4
            elif not (e == 34 or e == 92 or e == 47 or e == 98 or e == 102 or e == 110 or e == 114 or e == 116):
                return -1
        at = plain_text(text, at + 1)
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def plain_key(text: Text, at: int) -> tuple[int, int, int]:
    """Read a key of plain ASCII and its colon; return where its value starts, or -1, and where it starts and ends."""
    if not is_mark(text, at, 34):
        return -1, at, at
    start = at + 1
    at = start
    while at < text[1] and character(text, at) != 34:
        if character(text, at) < 32 or character(text, at) >= 128 or character(text, at) == 92:
            return -1, start, at
        at += 1
    end = at
    at = space(text, at + 1)
    if not is_mark(text, at, 58):
        return -1, start, end
    return space(text, at + 1), start, end


@njit(cache=True, nogil=True, error_model="numpy")
def _after_number(text: Text, at: int) -> int:
    """Return where the number that starts here ends; -1 where in doubt."""
    start = at
    if is_mark(text, at, 45):
        at += 1
    first = at
    while at < text[1] and 48 <= character(text, at) <= 57:
        at += 1
    if at == first or (at > first + 1 and character(text, first) == 48):
        return -1
    if is_mark(text, at, 46):
        at += 1
        first = at
        while at < text[1] and 48 <= character(text, at) <= 57:
            at += 1
        if at == first:
            return -1
    if at < text[1] and (character(text, at) == 101 or character(text, at) == 69):
        at += 1
        if at < text[1] and (character(text, at) == 43 or character(text, at) == 45):
            at += 1
        first = at
        while at < text[1] and 48 <= character(text, at) <= 57:
            at += 1
        if at == first or at > first + 3:
            return -1
    return -1 if at - start > _LONGEST else at


@njit(cache=True, nogil=True, error_model="numpy")
def skip(text: Text, at: int, wide: NDArray[np.bool_]) -> int:
    """Return where the JSON value that starts here ends; -1 where in doubt."""
    depth, objects = 0, 0
    while True:
        if at >= text[1]:
            return -1
        c = character(text, at)
        opened = False
        if c == 123 or c == 91:
            at = space(text, at + 1)
            if is_mark(text, at, c + 2):
                at += 1
            else:
                if depth == _DEEPEST:
                    return -1
                opened = True
                depth += 1
                objects = objects << 1 | int(c == 123)
        elif c == 34:
            at = string(text, at, wide)
        elif c == 45 or 48 <= c <= 57:
            at = _after_number(text, at)
        else:
            at = literal(text, at)
        if at < 0:
            return -1
        while not opened:
            if depth == 0:
                return at
            at = space(text, at)
            if is_mark(text, at, 44):
                at = space(text, at + 1)
                break
            if not is_mark(text, at, 125 if objects & 1 else 93):
                return -1
            at += 1
            depth -= 1
            objects >>= 1
        if objects & 1:
            at, _, _ = plain_key(text, at)
            if at < 0:
                return -1


@njit(cache=True, nogil=True, error_model="numpy")
def integer(text: Text, at: int) -> tuple[int, int]:
    """Return a whole number of at most eighteen digits, and where it ends or -1."""
    negative = is_mark(text, at, 45)
    if negative:
        at += 1
    first = at
    value = 0
    while at < text[1] and 48 <= character(text, at) <= 57 and at - first <= _DIGITS:
        value = value * 10 + (int(character(text, at)) - 48)
        at += 1
    digits = at - first
    if digits == 0 or digits > _DIGITS or (character(text, first) == 48 and (digits > 1 or negative)):
        return 0, -1
    if at < text[1] and (character(text, at) == 46 or character(text, at) == 101 or character(text, at) == 69):
        return 0, -1
    return -value if negative else value, at


@njit(cache=True, nogil=True, error_model="numpy")
def _product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the upper and lower 64 bits of a product."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    a0, a1, b0, b1 = a & mask, a >> half, b & mask, b >> half
    t = a1 * b0 + (a0 * b0 >> half)
    u = a0 * b1 + (t & mask)
    return a1 * b1 + (t >> half) + (u >> half), a * b


@njit(cache=True, nogil=True, error_model="numpy")
def _scaled(digits: int, power: int) -> float:
    """Return ``digits * 10 ** power`` exactly rounded; -1 where 128 bits of the power do not decide it."""
    one, nine = np.uint64(1), np.uint64(9)
    number = np.uint64(digits)
    shift = 0
    while not number >> np.uint64(63):
        number <<= one
        shift += 1
    high, low = _product(number, _HIGH[power + _POWER])
    ends = np.uint64(0x1FF)
    # The power is cut off: the true product is up to ``number`` larger in the last bits.
    if high & ends == ends and low + number < number:
        next_high, next_low = _product(number, _LOW[power + _POWER])
        merged = low + next_high
        if merged < low:
            high += one
        if high & ends == ends and merged + one == np.uint64(0) and next_low + number < number:
            return -1.0
        low = merged
    top = high >> np.uint64(63)
    mantissa = high >> (top + nine)
    if low == np.uint64(0) and high & ends == np.uint64(0) and mantissa & np.uint64(3) == one:
        return -1.0
    mantissa = (mantissa + (mantissa & one)) >> one
    # 217706 / 2 ** 16 is the binary logarithm of ten.
    return math.ldexp(float(mantissa), ((217706 * power) >> 16) + 11 - shift + int(top))


@njit(cache=True, nogil=True, error_model="numpy")
def number(text: Text, at: int) -> tuple[float, int, bool]:
    """Return a number, where it ends or -1, and whether the value is sure."""
    start = at
    negative = is_mark(text, at, 45)
    if negative:
        at += 1
    first = at
    digits = 0
    while at < text[1] and 48 <= character(text, at) <= 57:
        digits = digits * 10 + (int(character(text, at)) - 48)
        at += 1
    count = at - first
    if count == 0 or (count > 1 and character(text, first) == 48):
        return 0.0, -1, False
    power = 0
    if at < text[1] and character(text, at) == 46:
        at += 1
        point = at
        while at < text[1] and 48 <= character(text, at) <= 57:
            digits = digits * 10 + (int(character(text, at)) - 48)
            at += 1
        power = point - at
        if power == 0:
            return 0.0, -1, False
        count = count - power - int(character(text, first) == 48)
    if at < text[1] and (character(text, at) == 101 or character(text, at) == 69):
        at += 1
        down = is_mark(text, at, 45)
        if at < text[1] and (character(text, at) == 43 or character(text, at) == 45):
            at += 1
        behind = at
        exponent = 0
        while at < text[1] and 48 <= character(text, at) <= 57 and at - behind < 4:
            exponent = exponent * 10 + (int(character(text, at)) - 48)
            at += 1
        if at == behind or at - behind > 3:
            return 0.0, -1, False
        power += -exponent if down else exponent
    if at - start > _LONGEST:
        return 0.0, -1, False
    if count > _DIGITS or (digits == 0 and negative):
        return 0.0, at, False
    value = 0.0
    if digits != 0:
        if digits <= 1 << 53 and -22 <= power <= 22:
            value = digits / _EXACT[-power] if power < 0 else digits * _EXACT[power]
        elif -_POWER <= power <= _POWER:
            value = _scaled(digits, power)
            if value < 0:
                return 0.0, at, False
        else:
            return 0.0, at, False
    if value > _LARGEST:
        return 0.0, -1, False
    return -value if negative else value, at, True
