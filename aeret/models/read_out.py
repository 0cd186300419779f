"""A linear read-out of layout codes from embeddings that never saw a mask: the fair control of the latent head.

The arm ``labels-only`` has no trained latent head. Asked by layout with random codes it would stand at chance, and any
arm would beat it. What an embedding learnt from labels alone knows of layout is what a linear head fitted *afterwards*
can read out of it (a linear probe: Alain, Bengio, "Understanding intermediate layers using linear classifier probes",
2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aeret.errors import UsageError

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge penalties tried, as multiples of the number of photos, on embeddings of unit variance."""
_MIDDLE = 1e-1


@dataclass(frozen=True)
class ReadOut:
    """A fitted read-out: ``embeddings @ kernel + bias``."""

    kernel: Floats
    """float32 (d, m)."""
    bias: Floats
    """float32 (m,)."""
    penalty: float
    """The one of ``PENALTIES`` that was chosen."""


def fit_read_out(
    embeddings: Floats, codes: Floats, held_embeddings: Floats | None = None, held_codes: Floats | None = None
) -> ReadOut:
    """Fit ridge regression from embeddings to codes; the penalty is chosen on held-out photos of *train*.

    Args:
        embeddings: float32 (n, d) of the training photos.
        codes: float32 (n, m), normalised codes of their masks.
        held_embeddings: float32 (h, d) of the validation photos; the middle penalty is taken where there are none.
        held_codes: float32 (h, m).

    Raises:
        UsageError: the arrays do not belong together, or are empty.
    """
    if embeddings.ndim != 2 or codes.ndim != 2 or len(embeddings) != len(codes) or not len(codes):
        raise UsageError(f"expected embeddings (n, d) and codes (n, m), n > 0; got {embeddings.shape}, {codes.shape}.")
    if (held_embeddings is None) != (held_codes is None):
        raise UsageError("give both the embeddings and the codes of the held-out photos, or neither.")
    if held_embeddings is None or held_codes is None or not len(held_codes):
        return _solve(embeddings, codes, (_MIDDLE,))[0]
    tried = _solve(embeddings, codes, PENALTIES)
    errors = [float(np.square(held_embeddings @ each.kernel + each.bias - held_codes).mean()) for each in tried]
    return tried[int(np.argmin(errors))]


def _solve(embeddings: Floats, codes: Floats, penalties: tuple[float, ...]) -> list[ReadOut]:
    x, y = embeddings.astype(np.float64), codes.astype(np.float64)
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    deviation = x.std(axis=0)
    # A unit that is always zero (a dead ReLU) says nothing; it must not be blown up to unit variance.
    scale = np.where(
        deviation > 1e-6 * max(float(deviation.max()), 1e-12), 1 / np.where(deviation > 0, deviation, 1), 0
    )
    z = (x - centre) * scale
    values, axes = np.linalg.eigh(z.T @ z)
    projected = axes.T @ (z.T @ (y - mean))
    found = []
    for penalty in penalties:
        weights = axes @ (projected / (np.maximum(values, 0.0) + penalty * len(x))[:, None])
        kernel = weights * scale[:, None]
        bias = mean - centre @ kernel
        found.append(ReadOut(kernel.astype(np.float32), bias.astype(np.float32), penalty))
    return found
