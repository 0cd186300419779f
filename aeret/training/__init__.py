"""Training: feeds of batches in, a trained network and its history out.

``feeds`` cut reproducible batches from prepared data; ``fit`` runs the epochs; ``schedules`` and ``optimizers`` say how
a step is taken; ``selection`` picks the epoch to keep; ``checkpoint`` lets a killed run continue where it stopped.
Nothing here knows what a network computes: a model brings its own loss in ``compute_loss``.
"""

import aeret.start_tensorflow  # first, so that TensorFlow starts quietly
from aeret.training.checkpoint import clear
from aeret.training.feeds import Feed, JointFeed, MaskFeed
from aeret.training.fit import History, fit
from aeret.training.precision import precision

__all__ = ["Feed", "History", "JointFeed", "MaskFeed", "clear", "fit", "precision"]
