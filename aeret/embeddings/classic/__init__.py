"""Features from before learnt networks, as floors: a network that does not beat them has learnt nothing of use."""

from __future__ import annotations

from aeret.embeddings.classic.colour_histogram import COLOUR_HISTOGRAM
from aeret.embeddings.classic.describe import describe_batches
from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors
from aeret.embeddings.classic.hog import HOG
from aeret.embeddings.classic.lbp import LBP
from aeret.embeddings.classic.principal_axes import PrincipalAxes, fit_principal_axes
from aeret.embeddings.classic.thumbnail_pca import THUMBNAIL_PCA

__all__ = [
    "CLASSIC_FEATURES",
    "ClassicFeature",
    "Photos",
    "PrincipalAxes",
    "Vectors",
    "describe_batches",
    "fit_principal_axes",
]

CLASSIC_FEATURES: dict[str, ClassicFeature] = {
    "colour-histogram": COLOUR_HISTOGRAM,
    "hog": HOG,
    "lbp": LBP,
    "thumbnail-pca": THUMBNAIL_PCA,
}
"""Name to feature; the names of ``embed.features`` but for ``cnn``."""
