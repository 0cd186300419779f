"""Build mask autoencoders; one file an architecture."""

from aeret.models.autoencoder.model import AUTOENCODERS, MaskAutoencoder, build_autoencoder

__all__ = ["AUTOENCODERS", "MaskAutoencoder", "build_autoencoder"]
