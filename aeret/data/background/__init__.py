"""Background removal: what is the foreground of a photo (one file a way), and what takes the background's place.

Masks and labels stay as they are. See :class:`aeret.settings.DataSettings` for the ways and fills.
"""

from __future__ import annotations

from aeret.data.background.foreground import Foreground
from aeret.data.background.grabcut import GRABCUT
from aeret.data.background.oracle import ORACLE
from aeret.data.background.random_mask import RANDOM_MASK

__all__ = ["FOREGROUNDS", "Foreground"]

FOREGROUNDS: dict[str, Foreground] = {"mask": ORACLE, "grabcut": GRABCUT, "random-mask": RANDOM_MASK}
"""Name to way; the names of ``data.background`` but for ``keep``."""
