"""Make binary codes of embeddings by iterative quantisation (ITQ), without training a network.

Gong and Lazebnik 2011: centre, keep the principal components, and turn them so that rounding to signs loses least.
faiss fits the transform; the binary indexes take the codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, checked
from aeret.errors import UsageError
from aeret.rng import generator

_LEARN_FROM = 20_000
_BLOCK = 4096


@dataclass(frozen=True)
class SignCodes:
    """A fitted map from vectors to codes."""

    matrix: Vectors
    """float32 (bits, d)."""
    shift: Vectors
    """Added after the product, float32 (bits,)."""

    @property
    def bits(self) -> int:
        """Length of a code, a multiple of 8."""
        return len(self.matrix)

    def encode(self, vectors: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return codes, uint8 (n, bits / 8), of vectors float32 (n, d); bit 1 if the turned component is above 0."""
        vectors = checked(vectors, "Vectors to encode", self.matrix.shape[1])
        codes = np.empty((len(vectors), self.bits // 8), np.uint8)
        for start in range(0, len(vectors), _BLOCK):
            turned = vectors[start : start + _BLOCK] @ self.matrix.T
            codes[start : start + _BLOCK] = np.packbits(turned + self.shift > 0, axis=1)
        return codes


def fit_sign_codes(vectors: NDArray[np.floating], bits: int, seed: int) -> SignCodes:
    """Learn codes of ``bits`` bits, a multiple of 8, from a seeded sample of vectors float32 (n, d).

    Raises:
        UsageError: ``bits`` does not fit the vectors.
    """
    vectors = checked(vectors, "Vectors to learn codes from")
    if bits < 8 or bits % 8 or bits > min(vectors.shape[1], len(vectors) - 1):
        raise UsageError(
            f"Codes need a multiple of 8 bits, at most as many as dimensions ({vectors.shape[1]}) and fewer than "
            f"vectors ({len(vectors)}); got {bits}."
        )
    rng = generator(seed, "sign codes")
    if len(vectors) > _LEARN_FROM:
        vectors = vectors[np.sort(rng.choice(len(vectors), _LEARN_FROM, replace=False))]
    transform = faiss.ITQTransform(vectors.shape[1], bits, True)
    transform.itq.seed = int(rng.integers(2**31))
    transform.train(vectors)
    whole = transform.pca_then_itq
    matrix = faiss.vector_to_array(whole.A).reshape(bits, vectors.shape[1])
    bias = faiss.vector_to_array(whole.b) if whole.have_bias else np.zeros(bits, np.float32)
    # faiss centres and scales to unit length first; the sign of a product does not depend on the length.
    return SignCodes(matrix, np.asarray(bias - matrix @ faiss.vector_to_array(transform.mean), np.float32))
