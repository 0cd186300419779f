"""Compute losses on ``keras.ops``, each a mean over the batch."""

import aeret.start_tensorflow  # first, so that TensorFlow starts quietly
