"""Describe photos by features from before learnt networks: floors that a network has to beat."""

from __future__ import annotations

from aeret.embeddings.classic.colour_histogram import COLOUR_HISTOGRAM
from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors, describe_batches
from aeret.embeddings.classic.hog import HOG
from aeret.embeddings.classic.lbp import LBP
from aeret.embeddings.classic.thumbnail_pca import THUMBNAIL_PCA
from aeret.embeddings.classic.visual_words import VISUAL_WORDS_BM25, VISUAL_WORDS_TFIDF

__all__ = ["CLASSIC_FEATURES", "ClassicFeature", "Photos", "Vectors", "describe_batches"]

CLASSIC_FEATURES: dict[str, ClassicFeature] = {
    "colour-histogram": COLOUR_HISTOGRAM,
    "hog": HOG,
    "lbp": LBP,
    "thumbnail-pca": THUMBNAIL_PCA,
    "visual-words-tfidf": VISUAL_WORDS_TFIDF,
    "visual-words-bm25": VISUAL_WORDS_BM25,
}
"""Name to feature; the names of ``embed.features`` but for ``cnn``."""
