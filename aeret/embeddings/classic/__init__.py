"""Describe photos by features from before learnt networks: floors that a network has to beat."""

from aeret import names
from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors, describe_batches
from aeret.registry import Registry

__all__ = ["CLASSIC_FEATURES", "ClassicFeature", "Photos", "Vectors", "describe_batches"]

CLASSIC_FEATURES: Registry[ClassicFeature] = Registry(names.CLASSIC_FEATURES)
"""Name to feature; the names of ``embed.features`` except ``cnn``."""
