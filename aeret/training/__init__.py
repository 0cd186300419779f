"""Train networks on reproducible feeds; a model brings its own loss in ``compute_loss``."""

import aeret.start_tensorflow  # first, so that TensorFlow starts quietly
from aeret.training.checkpoint import clear
from aeret.training.feeds import Feed, JointFeed, MaskFeed
from aeret.training.fit import FitOptions, History, fit
from aeret.training.precision import precision

__all__ = ["Feed", "FitOptions", "History", "JointFeed", "MaskFeed", "clear", "fit", "precision"]
