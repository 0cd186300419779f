"""The autoencoders: PCA as their oracle, shapes, seeds, corruption and sparsity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from aeret.errors import UnknownNameError, UsageError
from aeret.models.autoencoder import AUTOENCODERS, build_autoencoder
from aeret.models.autoencoder.conv import DepthToSpace, SpaceToDepth
from aeret.models.autoencoder.corruption import CORRUPTIONS, Corruption
from aeret.models.autoencoder.sparsity import kl, l1
from aeret.models.principal import principal_components
from aeret.settings import AutoencoderSettings, TrainingSettings
from aeret.training import Feed, fit, precision

SIZE, CHANNELS = 8, 2


def settings_of(**changes: Any) -> AutoencoderSettings:
    return AutoencoderSettings(**{"latent_size": 4, "width": 4, **changes})


def masks(count: int = 48, size: int = SIZE, channels: int = CHANNELS) -> np.ndarray:
    """Rectangles."""
    rng = np.random.default_rng(0)
    result = np.zeros((count, size, size, channels), np.float32)
    for mask in result:
        y, x = rng.integers(0, size - 3, 2)
        height, width = rng.integers(2, 5, 2)
        mask[y : y + height, x : x + width, rng.integers(channels)] = 1
    return result


class Masks(Feed):
    def __init__(self, masks: np.ndarray, training: bool = True, batch_size: int = 16) -> None:
        super().__init__(len(masks), batch_size, 0, training)
        self.masks = masks

    def batch(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.masks[self.rows(epoch, index)]
        return chosen, chosen


def numpy(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def error(model: Any, x: np.ndarray) -> float:
    return float(np.mean((numpy(model(x)["output"]) - x) ** 2))


def test_tied_linear_autoencoder_reaches_the_error_of_pca() -> None:
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(64, 3)) @ rng.normal(size=(3, 64)) + 0.1 * rng.normal(size=(64, 64))).astype(np.float32)
    x = (x - x.mean(axis=0)).reshape(64, 8, 8, 1)
    settings = settings_of(architecture="dense", latent_size=2, tied=True, code="linear", output="identity", loss="mse")
    model = build_autoencoder(settings, 8, 1, seed=0)
    rate = keras.optimizers.schedules.CosineDecay(0.02, 300)
    model.compile(optimizer=keras.optimizers.Adam(rate), jit_compile=False)
    for _ in range(300):
        model.train_on_batch(x, x)
    values = np.linalg.svd(x.reshape(64, -1), compute_uv=False)
    best = (values[2:] ** 2).sum() / x.size
    assert error(model, x) >= best * (1 - 1e-4)
    assert error(model, x) <= best * 1.02


def test_tied_kernel_is_one_variable() -> None:
    free = build_autoencoder(settings_of(architecture="dense"), SIZE, CHANNELS, seed=0)
    tied = build_autoencoder(settings_of(architecture="dense", tied=True), SIZE, CHANNELS, seed=0)
    inputs = SIZE * SIZE * CHANNELS
    assert free.count_params() == 2 * inputs * 4 + inputs + 4
    assert tied.count_params() == inputs * 4 + inputs + 4
    code = np.eye(4, dtype=np.float32)
    kernel = tied.encoder.get_layer("code").kernel.numpy()
    np.testing.assert_allclose(numpy(tied.decoder(code)).reshape(4, -1), kernel.T, atol=1e-6)
    tied.encoder.get_layer("code").kernel.assign(2 * kernel)
    np.testing.assert_allclose(numpy(tied.decoder(code)).reshape(4, -1), 2 * kernel.T, atol=1e-6)


def test_dense_is_the_papers_unless_told_otherwise() -> None:
    model = build_autoencoder(settings_of(architecture="dense", output="identity", loss="mse"), SIZE, 1, seed=0)
    x = masks(3, channels=1)
    layer, back = model.encoder.get_layer("code"), model.decoder.get_layer("output")
    hidden = 1 / (1 + np.exp(-(x.reshape(3, -1) @ layer.kernel.numpy() + layer.bias.numpy())))
    np.testing.assert_allclose(numpy(model.encoder(x)), hidden, rtol=1e-5)
    expected = hidden @ back.kernel.numpy() + back.bias.numpy()
    np.testing.assert_allclose(numpy(model(x)["output"]).reshape(3, -1), expected, rtol=1e-4, atol=1e-5)


def test_conv_starts_at_the_solution_of_pca() -> None:
    x = masks()
    components = principal_components(x.reshape(len(x), -1), 4, seed=0)
    model = build_autoencoder(settings_of(output="identity", loss="mse"), SIZE, CHANNELS, seed=0)
    assert model.takes_components
    model.start_from(components)
    flat = components.decode(components.encode(x.reshape(len(x), -1)))
    pca = float(np.mean((flat - x.reshape(len(x), -1)) ** 2))
    # The convolutions of the encoder start small, not at zero, or they would not learn.
    assert error(model, x) == pytest.approx(pca, rel=0.05)


def test_conv_training_leaves_pca_behind_and_its_axes_alone(tmp_path: Path) -> None:
    x = masks()
    settings = settings_of()
    components = principal_components(x.reshape(len(x), -1), 4, seed=0)
    model = build_autoencoder(settings, SIZE, CHANNELS, seed=0)
    model.start_from(components)
    before = {variable.path: variable.numpy().copy() for variable in model.non_trainable_variables}
    training = TrainingSettings(epochs=15, batch_size=16, learning_rate=1e-2)
    history = fit(model, Masks(x), Masks(x, training=False), training, tmp_path, seed=0)
    flat = components.decode(components.encode(x.reshape(len(x), -1))).reshape(x.shape)

    def iou(found: np.ndarray) -> float:
        return float(((found >= 0.5) & (x > 0)).sum() / ((found >= 0.5) | (x > 0)).sum())

    assert iou(numpy(model.activate(model(x)["output"]))) > iou(flat) + 0.1
    assert history.column("val_iou")[-1] == pytest.approx(iou(numpy(model.activate(model(x)["output"]))), abs=0.05)
    axes = [path for path in before if "principal" in path]
    assert len(axes) == 2
    for variable in model.non_trainable_variables:
        if variable.path in axes:
            np.testing.assert_array_equal(variable.numpy(), before[variable.path])


def test_no_components_leave_the_other_axes_zero() -> None:
    x = np.repeat(masks(2), 2, axis=0)
    components = principal_components(x.reshape(4, -1), 4, seed=0)
    assert len(components.axes) == 1
    model = build_autoencoder(settings_of(), SIZE, CHANNELS, seed=0)
    model.start_from(components)
    assert np.isfinite(numpy(model(x)["output"])).all()


@pytest.mark.parametrize("size", [8, 9, 13, 32])
@pytest.mark.parametrize("name", AUTOENCODERS)
def test_every_architecture_keeps_its_contract(name: str, size: int) -> None:
    x = masks(3, size)
    models = [build_autoencoder(settings_of(architecture=name), size, CHANNELS, seed) for seed in (0, 0, 1)]
    outputs = [model(x) for model in models]
    assert numpy(outputs[0]["code"]).shape == (3, 4)
    assert numpy(outputs[0]["output"]).shape == x.shape
    assert numpy(outputs[0]["output"]).dtype == np.float32
    np.testing.assert_array_equal(numpy(outputs[0]["code"]), numpy(outputs[1]["code"]))
    assert np.abs(numpy(outputs[0]["code"]) - numpy(outputs[2]["code"])).max() > 1e-4
    shares = numpy(models[0].activate(outputs[0]["output"]))
    assert shares.min() >= 0 and shares.max() <= 1


def test_many_channels_are_narrowed() -> None:
    x = masks(2, channels=5)
    model = build_autoencoder(settings_of(), SIZE, 5, seed=0)
    assert numpy(model(x)["output"]).shape == x.shape
    assert tuple(model.decoder.get_layer("output").kernel.shape) == (1, 1, 8, 20)


@pytest.mark.parametrize("size", [4, 5])
def test_folding_cells_into_channels_and_back(size: int) -> None:
    x = np.arange(2 * size * size * 3, dtype=np.float32).reshape(2, size, size, 3)
    folded = numpy(SpaceToDepth()(x))
    assert folded.shape == (2, (size + 1) // 2, (size + 1) // 2, 12)
    np.testing.assert_array_equal(folded[0, 0, 0], np.concatenate([x[0, 0, 0], x[0, 0, 1], x[0, 1, 0], x[0, 1, 1]]))
    np.testing.assert_array_equal(numpy(DepthToSpace(size)(folded)), x)


def test_corruptions_by_their_statistics() -> None:
    x = np.full((64, 16, 16, 3), 0.5, np.float32)

    def damaged(kind: str, rate: float) -> np.ndarray:
        return numpy(Corruption(kind, rate, seed=1)(x, training=True))

    masked = damaged("masking", 0.3)
    assert set(np.unique(masked)) == {0.0, 0.5}
    assert (masked == 0).mean() == pytest.approx(0.3, abs=0.02)
    noisy = damaged("salt-pepper", 0.3)
    assert (noisy == 0).mean() == pytest.approx(0.15, abs=0.02)
    assert (noisy == 1).mean() == pytest.approx(0.15, abs=0.02)
    blocked = damaged("blocks", 0.25) == 0
    # One 8 x 8 square of 16 x 16 in every mask, the same in all channels, not always in the same place.
    assert (blocked.sum(axis=(1, 2)) == 64).all()
    assert (blocked[..., 0] == blocked[..., 2]).all()
    assert len(np.unique(blocked[..., 0].reshape(64, -1), axis=0)) > 20


@pytest.mark.parametrize("kind", [*CORRUPTIONS, "none"])
def test_corruption_is_seeded_and_for_training_only(kind: str) -> None:
    x = masks(8)
    first, second, other = (Corruption(kind, 0.4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(numpy(first(x, training=False)), x)
    once = numpy(first(x, training=True))
    np.testing.assert_array_equal(once, numpy(second(x, training=True)))
    assert once.shape == x.shape
    if kind != "none":
        assert (once != numpy(other(x, training=True))).any()
        assert (once != numpy(first(x, training=True))).any()


def test_the_clean_mask_is_the_target_of_a_corrupted_one() -> None:
    x = masks(16)
    model = build_autoencoder(settings_of(corruption="masking", corruption_rate=1.0), SIZE, CHANNELS, seed=0)
    np.testing.assert_allclose(
        numpy(model(x, training=True)["code"]), numpy(model(np.zeros_like(x))["code"]), atol=1e-6
    )


def test_sparsity_by_hand() -> None:
    code = np.array([[0.2, -0.4], [0.0, 0.8]], np.float32)
    assert float(numpy(l1(code, 0.05))) == pytest.approx(0.35)
    active = np.array([[0.1, 0.5], [0.3, 0.5]], np.float32)
    expected = [0.2 * np.log(0.2 / mean) + 0.8 * np.log(0.8 / (1 - mean)) for mean in (0.2, 0.5)]
    assert float(numpy(kl(active, 0.2))) == pytest.approx(np.mean(expected), rel=1e-5)


def test_sparsity_is_added_to_the_loss() -> None:
    x = masks(4)
    plain, sparse = (build_autoencoder(settings_of(sparsity=weight), SIZE, CHANNELS, seed=0) for weight in (0, 2.0))
    found = plain(x)
    added = float(numpy(sparse.compute_loss(x, x, sparse(x)))) - float(numpy(plain.compute_loss(x, x, found)))
    assert added == pytest.approx(2 * np.abs(numpy(found["code"])).mean(), rel=1e-3)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="dense"):
        build_autoencoder(settings_of().model_copy(update={"architecture": "dens"}), SIZE, CHANNELS, seed=0)
    with pytest.raises(UsageError, match=r"autoencoder\.code=sigmoid"):
        build_autoencoder(settings_of(sparsity=0.1, sparsity_kind="kl"), SIZE, CHANNELS, seed=0)
    with pytest.raises(UsageError, match=r"autoencoder\.output"):
        build_autoencoder(settings_of(output="identity", loss="bce"), SIZE, CHANNELS, seed=0)
    with pytest.raises(UsageError, match="at least 8 x 8"):
        build_autoencoder(settings_of(), 4, CHANNELS, seed=0)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_code_and_output_are_float32_under_mixed_precision(name: str) -> None:
    with precision("bfloat16"):
        model = build_autoencoder(settings_of(architecture=name), SIZE, CHANNELS, seed=0)
    found = model(masks(2))
    assert {str(numpy(found[part]).dtype) for part in ("code", "output")} == {"float32"}
