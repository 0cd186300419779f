"""Set the Keras precision policy for one block of code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from aeret.registry import lookup

POLICIES = {"off": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Name in the settings -> Keras dtype policy; variables stay float32 in all of them."""


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Build models under the policy of ``TrainingSettings.mixed_precision``.

    A layer takes the policy when it is made, so the model must be built inside the block; it may be used outside.

    Raises:
        UnknownNameError: ``name`` is none of ``off``, ``bfloat16``, ``float16``.
    """
    policy = lookup(POLICIES, name, "mixed precision")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
