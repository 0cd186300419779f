"""Mask autoencoders: channels of a mask in, a short code, and the channels again.

``dense`` is the seed paper's three layers, ``conv`` a convolutional one that starts from principal components;
``model`` trains either, ``corruption`` makes it denoising and ``sparsity`` sparse. A network is rebuilt from its
settings, and its variables are then read from disk (:mod:`aeret.models.saved`); nothing is pickled.
"""

from aeret.models.autoencoder.model import AUTOENCODERS, MaskAutoencoder, build_autoencoder

__all__ = ["AUTOENCODERS", "MaskAutoencoder", "build_autoencoder"]
