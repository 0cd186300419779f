"""Build the networks: mask autoencoder, backbones and joint CNN."""

import aeret.start_tensorflow  # first, so that TensorFlow starts quietly
