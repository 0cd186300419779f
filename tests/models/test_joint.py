"""The joint model: its arms, its losses, its target, and the form it takes on disk."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from aeret.errors import DataError, UnknownNameError, UsageError
from aeret.losses.labels import LABEL_LOSSES
from aeret.losses.latent import LATENT_LOSSES
from aeret.models.joint import JointModel, code_target
from aeret.models.saved_joint import SavedJoint
from aeret.settings import CnnSettings
from aeret.training import precision

PHOTOS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 2, (6, 4)).astype(np.float32)
MASKS = np.random.default_rng(2).random((6, 2, 2, 3)).astype(np.float32)


def settings(**changes) -> CnnSettings:
    return CnnSettings(**{"backbone": "alexnet-small", "input_size": 32, "embedding_size": 8, **changes})


def target(masks):
    return keras.ops.mean(masks, axis=(1, 2)) * 2


def joint(arm="joint", seed=0, **changes) -> JointModel:
    return JointModel(settings(arm=arm, **changes), 4, 3, seed, target)


def losses(model: JointModel) -> dict[str, float]:
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    values = model.test_on_batch(PHOTOS, {"labels": LABELS, "masks": MASKS}, return_dict=True)
    return {name: float(value) for name, value in values.items()}


def values(model) -> dict[str, np.ndarray]:
    return {variable.path: variable.numpy().copy() for variable in model.weights}


def test_loss_is_label_loss_plus_lambda_times_latent_loss():
    model = joint(latent_weight=2.5)
    outputs = {name: keras.ops.convert_to_numpy(value) for name, value in model(PHOTOS).items()}
    code = 2 * MASKS.mean((1, 2))
    label = float(LABEL_LOSSES["bce"](LABELS, outputs["label_logits"], 0.0))
    latent = float(np.mean((outputs["code"] - code) ** 2))
    found = losses(model)
    assert found == {
        "loss": pytest.approx(label + 2.5 * latent, rel=1e-5),
        "label_loss": pytest.approx(label, rel=1e-5),
        "latent_loss": pytest.approx(latent, rel=1e-5),
    }


def test_contrastive_weight_adds_a_contrastive_loss_under_lambda():
    model = joint(latent_weight=2.5, contrastive_weight=0.5, temperature=0.2)
    outputs = {name: keras.ops.convert_to_numpy(value) for name, value in model(PHOTOS).items()}
    code = 2 * MASKS.mean((1, 2))
    unit, predicted = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (code, outputs["code"]))
    cosines = np.exp(predicted @ unit.T / 0.2)
    own = np.diagonal(cosines)
    contrastive = -np.log(own / cosines.sum(0) * own / cosines.sum(1)).mean() / 2
    latent = float(np.mean((outputs["code"] - code) ** 2) + 0.5 * contrastive)
    found = losses(model)
    assert found["latent_loss"] == pytest.approx(latent, rel=1e-4)
    assert found["loss"] == pytest.approx(found["label_loss"] + 2.5 * latent, rel=1e-4)


def test_reduce_channels_narrows_the_map_before_it_is_pooled():
    model = joint(reduce_channels=5, pooling="flat")
    # alexnet-small makes a map of 1 x 1 x 128 of 32 px.
    assert model.get_layer("reduce").kernel.shape == (1, 1, 128, 5)
    assert model.get_layer("embedding").kernel.shape == (5, 8)
    assert joint(pooling="flat").get_layer("embedding").kernel.shape == (128, 8)


def test_embedding_norm_normalises_before_the_relu():
    model = joint(embedding_norm=True)
    model.get_layer("embedding_norm").beta.assign(np.linspace(-1, 1, 8))
    found = keras.ops.convert_to_numpy(model(PHOTOS, training=True)["embedding"])
    pooled = keras.Model(model.input, model.get_layer("pool").output)(PHOTOS)
    linear = keras.ops.convert_to_numpy(pooled) @ model.get_layer("embedding").kernel.numpy()
    normal = (linear - linear.mean(0)) / np.sqrt(linear.var(0) + model.get_layer("embedding_norm").epsilon)
    np.testing.assert_allclose(found, np.maximum(normal + np.linspace(-1, 1, 8), 0), atol=1e-3)


@pytest.mark.parametrize("pooling", ["gap", "gem", "flat"])
def test_outputs(pooling):
    outputs = joint(pooling=pooling)(PHOTOS)
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {"embedding": (6, 8), "label_logits": (6, 4), "code": (6, 3)}
    assert float(keras.ops.min(outputs["embedding"])) >= 0


@pytest.mark.parametrize("latent_loss", LATENT_LOSSES)
@pytest.mark.parametrize("label_loss", LABEL_LOSSES)
def test_every_loss_is_reported(latent_loss, label_loss):
    found = losses(joint(latent_loss=latent_loss, label_loss=label_loss, label_smoothing=0.1))
    assert found["loss"] == pytest.approx(found["label_loss"] + found["latent_loss"], rel=1e-5)


def test_arms_start_from_the_same_weights():
    weights = [values(joint(arm)) for arm in ("joint", "labels-only", "latent-only", "shuffled-latents")]
    for other in weights[1:]:
        assert weights[0].keys() == other.keys()
        for name, value in weights[0].items():
            np.testing.assert_array_equal(value, other[name])
    assert not all(np.array_equal(value, values(joint(seed=1))[name]) for name, value in weights[0].items())


@pytest.mark.parametrize(
    ("arm", "still", "reported"),
    [
        ("joint", set(), {"loss", "label_loss", "latent_loss"}),
        ("labels-only", {"code"}, {"loss", "label_loss"}),
        ("latent-only", {"label_logits"}, {"loss", "latent_loss"}),
    ],
)
def test_an_arm_trains_its_own_heads_only(arm, still, reported):
    model = joint(arm)
    before = values(model)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    y = {"labels": LABELS} if arm == "labels-only" else {"labels": LABELS, "masks": MASKS}
    found = model.train_on_batch(PHOTOS, y, return_dict=True)
    moved = {name.split("/")[0] for name, value in values(model).items() if not np.array_equal(value, before[name])}
    assert {"label_logits", "code"} - moved == still
    assert {"conv1", "embedding"} <= moved
    assert set(found) == reported


def test_penalties_count_in_training_only():
    model = joint()
    plain = losses(model)["loss"]
    kernel = model.get_layer("embedding").kernel
    kernel.regularizer = keras.regularizers.L2(0.5)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    y = {"labels": LABELS, "masks": MASKS}
    penalty = 0.5 * float(np.sum(kernel.numpy() ** 2))
    assert model.train_on_batch(PHOTOS, y, return_dict=True)["loss"] == pytest.approx(plain + penalty, rel=1e-5)
    assert model.test_on_batch(PHOTOS, y, return_dict=True)["loss"] == pytest.approx(plain, rel=1e-5)


def test_heads_stay_float32_under_mixed_precision():
    with precision("bfloat16"):
        model = joint()
    assert keras.config.dtype_policy().name == "float32"
    assert {keras.backend.standardize_dtype(value.dtype) for value in model(PHOTOS).values()} == {"float32"}
    assert model.get_layer("conv2").compute_dtype == "bfloat16"


def test_a_latent_arm_without_target_says_so():
    model = JointModel(settings(), 4, 3, 0)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False, run_eagerly=True)
    with pytest.raises(UsageError, match=r"'joint' learns codes.*target"):
        model.test_on_batch(PHOTOS, {"labels": LABELS, "masks": MASKS})


def test_unknown_backbone_suggests():
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18'"):
        JointModel(settings().model_copy(update={"backbone": "resnet81"}), 4, 3, 0)


@pytest.mark.parametrize("after", [None, "l2", "clip"])
@pytest.mark.parametrize("matrix", [False, True])
def test_code_target_is_the_normalised_code(after, matrix):
    encoder = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(5)])
    rng = np.random.default_rng(4)
    shift = rng.normal(size=5).astype(np.float32)
    scale = rng.normal(size=(5, 3) if matrix else 5).astype(np.float32)
    code = keras.ops.convert_to_numpy(encoder(MASKS)) - shift
    code = code @ scale if matrix else code * scale
    if after == "l2":
        code /= np.linalg.norm(code, axis=1, keepdims=True)
    elif after == "clip":
        code = code.clip(0, 1)
    made = code_target(encoder, SimpleNamespace(affine=lambda: (shift, scale, after)))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(made(MASKS)), code, rtol=1e-4, atol=1e-5)
    assert encoder.trainable_variables == []


class TestSaved:
    def test_round_trip_predicts_the_same(self, tmp_path):
        model = joint(dropout=0.5, pooling="gem")
        SavedJoint.save(tmp_path, model, ["a", "b", "c", "d"], 3)
        saved = SavedJoint.load(tmp_path)
        found = saved.predict(PHOTOS.astype(np.uint8), batch_size=4)
        for name, output in (("embedding", "embedding"), ("label_scores", "label_logits"), ("code", "code")):
            expected = keras.ops.convert_to_numpy(model(PHOTOS, training=False)[output])
            np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)
            assert found[name].dtype == np.float32
        assert saved.categories == ("a", "b", "c", "d")
        assert saved.settings == model.settings

    def test_photos_are_resized(self, tmp_path):
        SavedJoint.save(tmp_path, joint(), "abcd", 3)
        saved = SavedJoint.load(tmp_path)
        flat = np.full((1, 48, 48, 3), 90, np.uint8)
        large, small = saved.predict(flat), saved.predict(flat[:, :32, :32])
        np.testing.assert_allclose(large["code"], small["code"], atol=1e-5)

    def test_wrong_photos(self, tmp_path):
        SavedJoint.save(tmp_path, joint(), "abcd", 3)
        with pytest.raises(UsageError, match=r"uint8 photos.*float32"):
            SavedJoint.load(tmp_path).predict(PHOTOS)

    def test_no_photos(self, tmp_path):
        SavedJoint.save(tmp_path, joint(), "abcd", 3)
        assert SavedJoint.load(tmp_path).predict(np.empty((0, 32, 32, 3), np.uint8))["embedding"].shape == (0, 8)

    def test_missing_and_damaged(self, tmp_path):
        with pytest.raises(DataError, match=r"joint\.json: is missing"):
            SavedJoint.load(tmp_path)
        SavedJoint.save(tmp_path, joint(), "abcd", 3)
        record = json.loads((tmp_path / "joint.json").read_text())
        record["settings"]["embedding_size"] = 9
        (tmp_path / "joint.json").write_text(json.dumps(record))
        with pytest.raises(DataError, match="another version"):
            SavedJoint.load(tmp_path)
        (tmp_path / "weights.npz").write_bytes(b"PK\x03\x04 cut")
        with pytest.raises(DataError, match="no joint CNN"):
            SavedJoint.load(tmp_path)
