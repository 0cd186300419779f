"""Describe photos by their visual words, weighted by tf-idf or BM25.

Sivic and Zisserman, "Video Google", ICCV 2003: a word is a centroid of k-means over local descriptors of *train*
photos, here DAISY (Tola, Lepetit and Fua, PAMI 2010) on a fixed grid. tf-idf is the vector space model of Salton, Wong
and Yang 1975; BM25 is of Robertson and Zaragoza 2009, its saturated weights on both sides of the cosine.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.feature import daisy
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin

from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors, grey
from aeret.rng import derive

WORDS = 512
_SIDE, _STEP, _RADIUS = 64, 5, 7
_DESCRIPTORS = 100_000  # that k-means learns from
_K1 = 1.2
_WIDTH = 56  # of one descriptor: 7 histograms of 8 directions


def _describe(photos: Photos) -> Vectors:
    """Return the local descriptors of photos, one after the other, float32 (b, grid * 56)."""
    squares = (np.asarray(Image.fromarray(each).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)) for each in photos)
    shape = {"step": _STEP, "radius": _RADIUS, "rings": 1, "histograms": 6, "orientations": 8}
    return np.stack([daisy(grey(each[None])[0], **shape).ravel() for each in squares]).astype(np.float32)


def _fit(described: Vectors) -> dict[str, Vectors]:
    """Return the vocabulary ``words`` (k, 56) and ``idf`` (2, k), the inverse document frequencies of both weights."""
    local = described.reshape(-1, _WIDTH)
    chosen = np.unique(np.linspace(0, len(local) - 1, _DESCRIPTORS).round().astype(np.int64))
    means = MiniBatchKMeans(
        min(WORDS, len(chosen)), batch_size=4096, n_init=1, random_state=derive(0, "visual words") % 2**31
    )
    words = means.fit(local[chosen]).cluster_centers_
    photos, having = len(described), (_counts(described, words) > 0).sum(axis=0)
    idf = [1 + np.log((1 + photos) / (1 + having)), np.log1p((photos - having + 0.5) / (having + 0.5))]
    return {"words": words.astype(np.float32), "idf": np.stack(idf).astype(np.float32)}


def _project(described: Vectors, fitted: Mapping[str, Vectors], bm25: bool) -> Vectors:
    """Return weighted counts of words, float32 (n, k)."""
    counts = _counts(described, fitted["words"])
    if bm25:  # photos have equally many words, so BM25 has no length to correct for
        counts = counts * (_K1 + 1) / (counts + _K1)
    return np.asarray(counts * fitted["idf"][int(bm25)], np.float32)


def _counts(described: Vectors, words: Vectors) -> NDArray[np.int64]:
    """Return how often each photo has each word, int64 (n, k)."""
    found = pairwise_distances_argmin(described.reshape(-1, _WIDTH), words).reshape(len(described), -1)
    flat = found + np.arange(len(described))[:, None] * len(words)
    return np.bincount(flat.ravel(), minlength=len(described) * len(words)).reshape(-1, len(words))


VISUAL_WORDS_TFIDF, VISUAL_WORDS_BM25 = (
    ClassicFeature(
        "Sivic, Zisserman, Video Google, ICCV 2003", _describe, fit=_fit, project=partial(_project, bm25=bm25)
    )
    for bm25 in (False, True)
)
