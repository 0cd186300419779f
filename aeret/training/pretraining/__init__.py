"""Pretrain a backbone on photos alone: one file a kind, one line here.

Each kind trains through :func:`aeret.training.fit` and returns weights by the name of the layer.
"""

from collections.abc import Callable

from aeret.training.pretraining.gan import pretrain_gan
from aeret.training.pretraining.layer_wise import pretrain_layer_wise
from aeret.training.pretraining.pretrained import Pretrained

PRETRAININGS: dict[str, Callable[..., Pretrained]] = {"layer-wise": pretrain_layer_wise, "gan": pretrain_gan}
"""Name, as in ``cnn.pretraining`` -> what does it."""

__all__ = ["PRETRAININGS", "Pretrained"]
