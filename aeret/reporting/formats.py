"""Write numbers as the reader sees them: one function per kind, shared by all formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aeret.registry import lookup

if TYPE_CHECKING:
    from aeret.reporting.report import Cell

MISSING = "–"


def show(value: Cell, kind: str) -> str:
    """Return a cell as text: ``None`` is a dash, an estimate ``value ± sd [low – high]``.

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
    middle, low, high, sd = value
    text = form(middle) if sd is None else f"{form(middle)} ± {form(sd)}"
    return text if low is None or high is None else f"{text} [{form(low)} – {form(high)}]"


def measure(value: float) -> str:
    """Return a measure with three decimals; small ones keep two significant digits."""
    size = abs(value)
    if size < 1e-12:  # rounding leaves this of equal values
        return "0.000"
    if size < 0.0001:
        return _minus(f"{value:.1e}")
    digits = 3 if size >= 0.01 else 4 if size >= 0.001 else 5
    return _minus(f"{value:.{digits}f}")


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return _minus(f"{value:+.3f}")


def probability(value: float) -> str:
    """Return a p value; below 0.001 only that it is below."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def percent(value: float) -> str:
    """Return a share in [0, 1] as per cent."""
    return f"{100 * value:.1f} %"


def count(value: float) -> str:
    """Return a whole number with thousands set apart."""
    return _minus(f"{round(value):,}".replace(",", "\u202f"))


def number(value: float) -> str:
    """Return any other number with four significant digits."""
    return count(value) if float(value).is_integer() and abs(value) < 1e9 else _minus(f"{value:.4g}")


def seconds(value: float) -> str:
    """Return a time span in the two units that matter."""
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
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


def _minus(text: str) -> str:
    return text.replace("-", "−")


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
