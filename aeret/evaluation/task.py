"""State what an evaluation compares, and check that its parts fit together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.data.masks import MaskPlanes
from aeret.embeddings.distances import Vectors, checked
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError
from aeret.evaluation.measures import GRADED, TOP
from aeret.evaluation.memory import available_bytes, estimate_bytes, refuse_beyond
from aeret.evaluation.metrics import Judge
from aeret.evaluation.query_by_layout import LayoutCodes
from aeret.evaluation.relevance import Truth
from aeret.settings.sections import ClusterSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhotoSet:
    """Photos with their embeddings, labels and masks, one row each."""

    ids: NDArray[np.int64]
    """Photo ids, int64 (n,)."""
    vectors: NDArray[np.float32]
    """Embeddings, float32 (n, d)."""
    labels: NDArray[np.bool_]
    """bool (n, c)."""
    masks: MaskPlanes | None = None
    subsets: Mapping[str, NDArray[np.bool_]] = field(default_factory=lambda: MappingProxyType({}))
    """Subset name to its photos, bool (n,)."""


@dataclass(frozen=True)
class EvaluationTask:
    """What is evaluated: photos, settings and the model's mask codes."""

    queries: PhotoSet
    gallery: PhotoSet
    categories: Sequence[str]
    """Names of the label columns."""
    settings: ClusterSettings
    """The section ``evaluation``."""
    seed: int
    leave_one_out: bool
    """Whether every query is in the gallery, by photo id, and never finds itself."""
    codes: LayoutCodes | None = None
    """Own and predicted mask codes of the query photos; None for a model without a latent head."""
    clustering: Clustering | None = None
    """Clusters of the gallery; fitted if they are not given."""
    threads: int = 0
    """0 means one per core."""

    def estimate_bytes(self) -> int:
        """Estimate the peak of memory that the evaluation adds to its inputs, bytes."""
        masks = {id(each): each.bits.nbytes for each in (self.queries.masks, self.gallery.masks) if each is not None}
        return estimate_bytes(
            len(self.queries.ids),
            len(self.gallery.ids),
            self.gallery.vectors.shape[1],
            len(self.categories),
            sum(masks.values()),
            self.settings.results,
            self.threads,
        )


@dataclass(frozen=True)
class CheckedTask:
    """An evaluation task whose parts fit together, with normalised vectors and bound relevance."""

    asked: EvaluationTask
    queries: Vectors
    """Query vectors as they are searched, float32 (q, d)."""
    gallery: Vectors
    """Gallery vectors as they are searched, float32 (g, d)."""
    truth: Truth
    judge: Judge
    rules: tuple[str, ...]
    """Relevance rules that the photos allow."""
    memory: int
    """Estimated peak of memory, bytes."""

    @property
    def lead(self) -> str:
        """Name of the search that leads the report."""
        return f"cluster-first {self.asked.settings.order}"

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Cut-offs of the report; 1 and 10 are always among them."""
        return tuple(sorted({1, *self.asked.settings.cutoffs, TOP}))


def check_task(task: EvaluationTask) -> CheckedTask:
    """Check an evaluation task, estimate its memory, and normalise its vectors.

    Raises:
        UsageError: the parts do not fit together.
        RunError: the machine has less memory than the evaluation needs.
    """
    for name, photos in (("queries", task.queries), ("gallery", task.gallery)):
        _check_photos(name, photos, len(task.categories))
    queries, gallery = task.queries, task.gallery
    if not len(queries.ids) or len(gallery.ids) < 2:
        counts = f"{len(queries.ids)} queries and {len(gallery.ids)} gallery photos"
        raise UsageError(f"An evaluation needs at least one query and two gallery photos; got {counts}.")
    if task.codes is not None and len(task.codes.own) != len(queries.ids):
        raise UsageError(f"There are codes of {len(task.codes.own)} photos for {len(queries.ids)} queries.")
    exclude = np.full(len(queries.ids), -1, np.int64)
    if task.leave_one_out:
        exclude = _rows_of(queries.ids, gallery.ids)
    truth = Truth(queries.labels, gallery.labels, exclude, queries.masks, gallery.masks)
    masked = queries.masks is not None and gallery.masks is not None
    judge = Judge(truth)
    rules = tuple(name for name in ("any", *GRADED) if name != "layout" or masked)
    for name in rules:
        judge.rule(name)  # raises now if labels or masks do not fit
    needed, available = task.estimate_bytes(), available_bytes()
    free = "" if available is None else f" of {available / 2**30:.1f} GiB free"
    _log.info("evaluation of %d queries in %d photos: about %.2f GiB of memory at its peak%s",
              len(queries.ids), len(gallery.ids), needed / 2**30, free)  # fmt: skip
    refuse_beyond(needed, available)
    return CheckedTask(task, *_vectors(task), truth, judge, rules, needed)


def _check_photos(name: str, photos: PhotoSet, categories: int) -> None:
    parts = {"vectors": len(photos.vectors), "labels": len(photos.labels)}
    parts |= {f"subset {subset}": len(flags) for subset, flags in photos.subsets.items()}
    if photos.masks is not None:
        parts["masks"] = len(photos.masks)
    for part, count in parts.items():
        if count != len(photos.ids):
            raise UsageError(f"The {name} have {len(photos.ids)} photos but {count} rows of {part}.")
    if photos.labels.shape[1] != categories:
        given = photos.labels.shape[1]
        raise UsageError(f"The {name} are labelled with {given} categories; {categories} names were given.")
    if len(np.unique(photos.ids)) != len(photos.ids):
        raise UsageError(f"The {name} hold a photo id twice; every photo may be there once.")


def _vectors(task: EvaluationTask) -> tuple[Vectors, Vectors]:
    """Return query and gallery vectors as they are searched; one array if they are the same photos."""
    same = task.queries.vectors is task.gallery.vectors
    # Checked before anything is computed, so that a diverged model is named and not averaged.
    gallery = checked(task.gallery.vectors, "Gallery embeddings")
    queries = gallery if same else checked(task.queries.vectors, "Query embeddings", gallery.shape[1])
    if task.settings.similarity == "cosine":
        gallery = l2_normalise(gallery)
        queries = gallery if same else l2_normalise(queries)
    return queries, gallery


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
