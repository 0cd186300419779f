"""Decode the masks that were predicted for a gallery, once for many queries."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aeret.data.masks import MaskPlanes

PHOTOS_AT_ONCE = 512
MOST_BYTES = 10**9
"""Largest decoded gallery that is kept in memory between queries."""
_log = logging.getLogger(__name__)


class DecodedMasks:
    """Masks decoded from the predicted codes of a gallery."""

    def __init__(self, encoder: Any, codes: NDArray[Any]) -> None:
        """Hold the run's mask encoder and the predicted codes, float32 (g, m)."""
        self._encoder, self._codes = encoder, codes
        self._kept: list[NDArray[Any]] = []

    def _decoded(self) -> Iterator[NDArray[Any]]:
        import numpy as np

        for start in range(0, len(self._codes), PHOTOS_AT_ONCE):
            yield self._encoder.decode(np.asarray(self._codes[start : start + PHOTOS_AT_ONCE]))

    @cached_property
    def planes(self) -> MaskPlanes:
        """Decoded masks as bit planes."""
        from aeret.retrieval.similarities import decoded_planes

        return decoded_planes(self._decoded())

    def maps(self, channels: Sequence[int]) -> Iterator[NDArray[Any]]:
        """Yield batches of quantised probability maps, uint8 (b, side, side, channels).

        The maps of all channels stay in memory for later queries if they fit into :data:`MOST_BYTES`; otherwise every
        query decodes them again, and a warning says so.
        """
        import numpy as np

        from aeret.retrieval.text.evidence import quantised_maps

        if self._kept:
            yield from (np.moveaxis(maps[list(channels)], 0, -1) for maps in self._kept)
            return
        kept: list[NDArray[Any]] | None = []
        for decoded in self._decoded():
            maps = quantised_maps(decoded)
            needed = maps[0].nbytes * len(self._codes)
            if kept is not None and needed > MOST_BYTES:
                _log.warning(
                    "The decoded masks of %d photos would take %.0f MB, more than the %.0f MB kept between queries; "
                    "every query decodes them again.",
                    *(len(self._codes), needed / 1e6, MOST_BYTES / 1e6),
                )
                kept = None
            if kept is not None:
                kept.append(np.ascontiguousarray(np.moveaxis(maps, -1, 0)))  # a query reads few channels
            yield maps[..., list(channels)]
        self._kept = kept or []
