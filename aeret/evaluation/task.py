"""Check and hold the parts of one evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from aeret.data.masks import MaskPlanes
from aeret.embeddings.distances import Vectors, checked
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError
from aeret.evaluation.memory import estimate_bytes
from aeret.evaluation.metrics import Judge
from aeret.evaluation.query_by_layout import LayoutCodes
from aeret.evaluation.relevance import Truth
from aeret.progress import Progress, silent
from aeret.settings.sections import ClusterSettings

TOP = 10
"""Results that nDCG, hit rate and class measures look at."""
GRADED = ("jaccard", "layout")
"""Graded rules of relevance that are reported."""


@dataclass(frozen=True)
class PhotoSet:
    """Photos with their embeddings and labels, one row each."""

    ids: NDArray[np.int64]
    """Photo ids, int64 (n,)."""
    vectors: NDArray[np.float32]
    """Embeddings, float32 (n, d)."""
    labels: NDArray[np.bool_]
    """bool (n, c)."""
    masks: MaskPlanes | None = None
    subsets: Mapping[str, NDArray[np.bool_]] = field(default_factory=lambda: MappingProxyType({}))
    """Name to photos, bool (n,)."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Say how an evaluation is run."""

    settings: ClusterSettings
    """The section ``evaluation``."""
    seed: int
    leave_one_out: bool
    """Whether the queries are part of the gallery, found there by photo id; a query then never finds itself."""
    threads: int = 0
    """0 means one per core."""
    progress: Progress = silent


@dataclass(frozen=True)
class EvaluationTask:
    """Queries and a gallery that fit each other, ready to be searched."""

    queries: PhotoSet
    gallery: PhotoSet
    categories: tuple[str, ...]
    options: EvaluationOptions
    codes: LayoutCodes | None
    query_vectors: Vectors
    """As they are searched: checked, and of unit length if the similarity is cosine."""
    gallery_vectors: Vectors
    judge: Judge

    @property
    def lead(self) -> str:
        """Name of the leading search."""
        return f"cluster-first {self.options.settings.order}"

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Cut-offs of P, R and F; 1 and 10 are always among them."""
        return tuple(sorted({1, *self.options.settings.cutoffs, TOP}))

    @property
    def graded(self) -> tuple[str, ...]:
        """Graded rules of relevance that can be judged; ``layout`` needs masks."""
        masked = self.queries.masks is not None and self.gallery.masks is not None
        return tuple(rule for rule in GRADED if rule != "layout" or masked)

    @property
    def exclude(self) -> NDArray[np.int64]:
        """Gallery row of each query, or -1, int64 (q,)."""
        return self.judge.truth.exclude

    def estimate_bytes(self) -> int:
        """Estimate the peak of memory, bytes, that the evaluation adds to its inputs."""
        masks = {id(photos.masks): photos.masks for photos in (self.queries, self.gallery)}
        planes = sum(each.bits.nbytes for each in masks.values() if each is not None)
        counts = (len(self.queries.ids), len(self.gallery.ids), self.gallery_vectors.shape[1], len(self.categories))
        return estimate_bytes(*counts, planes, self.options.settings.results)


def checked_task(
    queries: PhotoSet,
    gallery: PhotoSet,
    categories: Sequence[str],
    options: EvaluationOptions,
    codes: LayoutCodes | None = None,
) -> EvaluationTask:
    """Check that the parts of an evaluation fit each other, and bind them.

    Raises:
        UsageError: they do not.
    """
    for name, photos in (("queries", queries), ("gallery", gallery)):
        _check(name, photos, categories)
    if not len(queries.ids) or len(gallery.ids) < 2:
        counts = f"{len(queries.ids)} queries and {len(gallery.ids)} gallery photos"
        raise UsageError(f"An evaluation needs at least one query and two gallery photos; got {counts}.")
    if codes is not None and len(codes.own) != len(queries.ids):
        raise UsageError(f"There are codes of {len(codes.own)} photos for {len(queries.ids)} queries.")
    own = np.full(len(queries.ids), -1, np.int64)
    if options.leave_one_out:
        own = _rows_of(queries.ids, gallery.ids)
    judge = Judge(Truth(queries.labels, gallery.labels, own, queries.masks, gallery.masks))
    # A model that has diverged is named here, before anything is averaged.
    searched = checked(gallery.vectors, "Gallery embeddings")
    same = queries.vectors is gallery.vectors
    asked = searched if same else checked(queries.vectors, "Query embeddings", searched.shape[1])
    if options.settings.similarity == "cosine":
        searched = l2_normalise(searched)
        asked = searched if same else l2_normalise(asked)
    task = EvaluationTask(queries, gallery, tuple(categories), options, codes, asked, searched, judge)
    for rule in ("any", *task.graded):
        judge.rule(rule)  # refuses labels or masks that do not fit
    return task


def _check(name: str, photos: PhotoSet, categories: Sequence[str]) -> None:
    parts = {"vectors": len(photos.vectors), "labels": len(photos.labels)}
    parts |= {f"subset {subset}": len(flags) for subset, flags in photos.subsets.items()}
    if photos.masks is not None:
        parts["masks"] = len(photos.masks)
    for part, count in parts.items():
        if count != len(photos.ids):
            raise UsageError(f"The {name} have {len(photos.ids)} photos but {count} rows of {part}.")
    if photos.labels.shape[1] != len(categories):
        given = photos.labels.shape[1]
        raise UsageError(f"The {name} are labelled with {given} categories; {len(categories)} names were given.")
    if len(np.unique(photos.ids)) != len(photos.ids):
        raise UsageError(f"The {name} hold a photo id twice; every photo may be there once.")


def _rows_of(ids: NDArray[np.int64], gallery_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(gallery_ids, kind="stable")
    places = np.searchsorted(gallery_ids[order], ids).clip(max=len(gallery_ids) - 1)
    rows = order[places]
    missing = np.flatnonzero(gallery_ids[rows] != ids)
    if len(missing):
        raise UsageError(
            f"Leave-one-out needs every query in the gallery; {len(missing)} are not, the first is photo "
            f"{ids[missing[0]]}."
        )
    return np.asarray(rows, np.int64)
