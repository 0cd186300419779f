"""How a number of each kind is written: one function a kind, the same for every written format."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aeret.registry import lookup

if TYPE_CHECKING:
    from aeret.reporting.values import Cell

MISSING = "–"


def show(value: Cell, kind: str) -> str:
    """Return a cell as the reader sees it; ``None`` is a dash, an interval ``low – high``.

    Raises:
        UnknownNameError: ``kind`` is no key of :data:`FORMATS`.
    """
    form = lookup(FORMATS, kind, "number format")
    if value is None:
        return MISSING
    if isinstance(value, str):
        return value
    if not isinstance(value, tuple):
        return form(value)
    if len(value) == 2:
        return f"{form(value[0])} – {form(value[1])}"
    middle, low, high, sd = value
    text = form(middle) if sd is None else f"{form(middle)} ± {form(sd)}"
    return text if low is None or high is None else f"{text} [{form(low)} – {form(high)}]"


def measure(value: float) -> str:
    """Return a measure of about unit size with three decimals; small ones keep two significant digits."""
    size = abs(value)
    if size < 1e-12:  # what rounding leaves of equal values
        return "0.000"
    if size >= 0.01:
        return f"{value:.3f}".replace("-", "−")
    if size >= 0.0001:
        digits = 4 if size >= 0.001 else 5
        return f"{value:.{digits}f}".replace("-", "−")
    return f"{value:.1e}".replace("-", "−")


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def probability(value: float) -> str:
    """Return a p value; below 0.001 only that it is below."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def percent(value: float) -> str:
    """Return a share in [0, 1] as per cent."""
    return f"{100 * value:.1f} %"


def count(value: float) -> str:
    """Return a whole number with thousands set apart."""
    return f"{round(value):,}".replace(",", "\u202f").replace("-", "−")


def number(value: float) -> str:
    """Return any other number with four significant digits."""
    return count(value) if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}".replace("-", "−")


def seconds(value: float) -> str:
    """Return a time span in the two units that matter."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(value: float) -> str:
    """Return bytes in a unit that keeps the number short."""
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


FORMATS: dict[str, Callable[[float], str]] = {
    "text": number,
    "measure": measure,
    "signed": signed,
    "p": probability,
    "percent": percent,
    "count": count,
    "number": number,
    "seconds": seconds,
    "bytes": size,
}
"""Column kind to the function that writes it. Numbers in a ``text`` column are written as ``number``."""
