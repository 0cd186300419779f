"""Optimised product quantisation (Ge, He, Ke and Sun 2013): vectors are rotated so that parts lose the least."""

from __future__ import annotations

from typing import Any

import faiss
import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.embeddings.one_thread import one_thread
from aeret.progress import Progress
from aeret.retrieval.indexes.pq import ProductCodes
from aeret.retrieval.indexes.scoring import negated_product
from aeret.retrieval.indexes.training import clustering_settings, parts_of, sample

# Rotations settle early; faiss' 50 rounds take minutes.
_ROUNDS = 10
_SAMPLE = 16_384
_CENTROIDS = 256  # of a part, always, while the rotation is trained


class RotatedCodes(ProductCodes):
    """Product codes of rotated vectors; the rotation is orthogonal, so it keeps distances."""

    name = "opq"
    _rotation: Vectors | None = None

    def prepared(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Return checked vectors as they are compared: of unit length for ``cosine``, and rotated."""
        whole = super().prepared(vectors)
        return whole if self._rotation is None else _rotated(whole, self._rotation)

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        parts = parts_of(self.width, self.options["parts"])
        rotation, codes = faiss.OPQMatrix(self.width, parts), faiss.ProductQuantizer(self.width, parts, 8)
        for name, value in clustering_settings(seed, "opq rotation").items():
            setattr(codes.cp, name, value)
        rotation.pq, rotation.niter_pq = codes, 4  # the rounds of its own k-means within a round
        rotation.niter, rotation.max_train_points = _ROUNDS, _SAMPLE
        with progress("train the rotation", 1, unit="quantiser") as step, one_thread():
            rotation.train(sample(vectors, _CENTROIDS, _SAMPLE, seed, "opq rotation"))
            step(1)
        self._rotation = faiss.vector_to_array(rotation.A).reshape(self.width, self.width).copy()
        super()._build(_rotated(vectors, self._rotation), seed, progress)

    def _state(self) -> dict[str, NDArray[Any]]:
        return {**super()._state(), "rotation": np.asarray(self._rotation)}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        super()._restore(state)
        self._rotation = state["rotation"]


def _rotated(vectors: Vectors, rotation: Vectors) -> Vectors:
    out = np.empty_like(vectors)
    _rotate(vectors, rotation, out)
    return out


# A matrix product would add in an order that depends on the batch.
@numba.njit(nogil=True, cache=True)
def _rotate(vectors, rotation, out):  # type: ignore[no-untyped-def]
    for i in range(vectors.shape[0]):
        for t in range(rotation.shape[0]):
            out[i, t] = -negated_product(vectors[i], rotation[t])
