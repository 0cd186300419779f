"""Losses as plain functions on ``keras.ops``, each a mean over the batch and over dimensions, in dict registries."""

import aeret.start_tensorflow  # first, so that TensorFlow starts quietly
