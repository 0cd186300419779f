"""Remove the backgrounds of photos; masks and labels stay as they are.

One file holds one way to find the foreground. See :class:`aeret.settings.DataSettings` for the ways and fills.
"""

from __future__ import annotations

from aeret.data.background.foreground import Foreground
from aeret.data.background.grabcut import GRABCUT
from aeret.data.background.oracle import ORACLE
from aeret.data.background.random_mask import RANDOM_MASK

__all__ = ["FOREGROUNDS", "Foreground"]

FOREGROUNDS: dict[str, Foreground] = {"mask": ORACLE, "grabcut": GRABCUT, "random-mask": RANDOM_MASK}
"""Values of ``data.background`` other than ``keep``, and the ways they name."""
