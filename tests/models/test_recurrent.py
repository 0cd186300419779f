"""The recurrent backbone: what each direction has seen."""

import keras
import numpy as np

from aeret.models.backbones import BACKBONES

SIDE = 16


def test_each_direction_reads_the_rows_in_its_order():
    model = BACKBONES["bigru"].build(SIDE, seed=0)
    first = keras.Model(model.input, model.get_layer("gru1").output)
    photos = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.float32)
    changed = photos.copy()
    changed[:, 5] = 255 - changed[:, 5]
    one, other = (keras.ops.convert_to_numpy(first(each))[0] for each in (photos, changed))
    differs = one != other
    down, up = differs[:, :128].any(1), differs[:, 128:].any(1)
    assert not down[:5].any() and down[5:].all()
    assert up[:6].all() and not up[6:].any()


def test_the_directions_start_apart():
    model = BACKBONES["bigru"].build(SIDE, seed=0)
    kernels = [weight.numpy() for weight in model.weights if weight.path.endswith("/kernel")]
    assert len(kernels) == 4
    assert not np.array_equal(kernels[0], kernels[1]) and not np.array_equal(kernels[2], kernels[3])
