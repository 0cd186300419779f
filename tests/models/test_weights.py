"""Weights from files: what fits is taken by name, what does not is refused with words."""

import errno
import sys
import types
import zipfile

import h5py
import keras
import numpy as np
import pytest

from aeret.errors import DataError, ResourceError, RunError, UnknownNameError, UsageError
from aeret.models import weights
from aeret.models.backbones import BACKBONES
from aeret.models.joint import JointModel
from aeret.models.saved_joint import SavedJoint
from aeret.models.weights import load_backbone, open_layers, resnet18_layers, vgg19_layers
from aeret.settings import CnnSettings

# Of Keras's own way of writing variables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDE = 32


def joint(seed=0, backbone="alexnet-small", **changes) -> JointModel:
    settings = CnnSettings(backbone=backbone, input_size=SIDE, embedding_size=8, **changes)
    return JointModel(settings, 4, 3, seed)


def load(model, path, backbone="alexnet-small"):
    load_backbone(model, model.backbone_layers, str(path), backbone)


def assert_same_backbone(one, other):
    for name in one.backbone_layers:
        for first, second in zip(one.get_layer(name).weights, other.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(first.numpy(), second.numpy())


@pytest.mark.parametrize("backbone", ["alexnet-small-bn", "bigru"])
@pytest.mark.parametrize("kind", ["artifact", "its file", "h5", "keras", "nested"])
def test_every_form_brings_the_backbone_and_no_head(tmp_path, kind, backbone):
    source, target = joint(1, backbone), joint(2, backbone)
    for name in source.backbone_layers:  # moving statistics too must come over
        for weight in source.get_layer(name).weights:
            weight.assign(np.random.default_rng(3).uniform(0.5, 1.5, weight.shape))
    if kind in ("artifact", "its file"):
        SavedJoint.save(tmp_path, source, "abcd", 3)
        path = tmp_path if kind == "artifact" else tmp_path / "weights.npz"
    elif kind == "h5":
        path = tmp_path / "source.weights.h5"
        source.save_weights(path)
    else:
        plain = keras.Model(source.input, source.output)
        if kind == "nested":
            photos = keras.Input((SIDE, SIDE, 3))
            plain = keras.Model(photos, plain(photos)["embedding"])
        path = tmp_path / "source.keras"
        plain.save(path)
    heads = [weight.numpy().copy() for weight in target.get_layer("embedding").weights]
    load(target, path, backbone)
    assert_same_backbone(source, target)
    for before, weight in zip(heads, target.get_layer("embedding").weights, strict=True):
        np.testing.assert_array_equal(before, weight.numpy())


def test_an_unfitting_file_lists_the_first_layers_that_differ(tmp_path):
    path = tmp_path / "other.weights.h5"
    joint(backbone="alexnet-small-bn").save_weights(path)
    target = joint()
    before = target.get_layer("conv1").kernel.numpy().copy()
    with pytest.raises(DataError, match=r"cnn\.backbone=alexnet-small: 5 of its 5 layers differ") as caught:
        load(target, path)
    assert "conv1: expected (5, 5, 3, 32) (32,), got (7, 7, 3, 64)" in str(caught.value)
    np.testing.assert_array_equal(before, target.get_layer("conv1").kernel.numpy())  # all or none


def test_absent_layers_and_values_that_are_no_numbers(tmp_path):
    path = tmp_path / "plain.weights.h5"
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(2, name="other")(inputs)).save_weights(path)
    with pytest.raises(DataError, match=r"conv1: expected .* the layer is not there.*Layers given: other"):
        load(joint(), path)
    broken = joint()
    broken.get_layer("conv3").bias.assign(np.full(192, np.nan))
    broken.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(DataError, match="conv3: expected finite"):
        load(joint(), tmp_path / "nan.weights.h5")


def test_files_that_are_bad_or_missing(tmp_path):
    good, target = tmp_path / "good.weights.h5", joint()
    target.save_weights(good)
    content = good.read_bytes()
    for name, part in {
        "cut.weights.h5": content[: len(content) // 2],
        "head.weights.h5": content[:100],
        "empty.weights.h5": b"",
        "words.weights.h5": b"not weights",
        "words.keras": b"not weights",
        "cut.keras": b"PK\x03\x04",
    }.items():
        (tmp_path / name).write_bytes(part)
        with pytest.raises(DataError, match=f"{name}: is damaged"):
            load(target, tmp_path / name)
    with pytest.raises(DataError, match=r"gone\.keras: there is no such file"):
        load(target, tmp_path / "gone.keras")
    with pytest.raises(DataError, match=r"notes\.txt: is no file of weights"):
        load(target, tmp_path / "notes.txt")
    with pytest.raises(DataError, match=r"joint\.json: is missing"):
        load(target, tmp_path)


def _elsewhere(layers, name):
    link = {"soft": h5py.SoftLink("/layers/one"), "external": h5py.ExternalLink("other.h5", "/")}
    if name in link:
        layers["two"] = link[name]
    elif name == "cycle":
        layers["one/again"] = layers["one"]
    else:
        del layers["one/vars/0"]
        if name == "storage":
            layers["one/vars"].create_dataset("0", (4, 2), "f4", external=[("/etc/hostname", 0, 32)])
        else:
            layout = h5py.VirtualLayout((4, 2), "f4")
            layout[:] = h5py.VirtualSource("other.h5", "values", (4, 2))
            layers["one/vars"].create_virtual_dataset("0", layout)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("soft", "is a link to elsewhere"),
        ("external", "is a link to elsewhere"),
        ("cycle", "is a second link"),
        ("storage", "in another file"),
        ("virtual", "in another file"),
    ],
)
def test_a_file_that_refers_to_others_is_refused(tmp_path, change, words):
    path = plain(tmp_path, "one")
    with h5py.File(path, "a") as file:
        _elsewhere(file["layers"], change)
    with pytest.raises(DataError, match=words), open_layers(path):
        pass


def plain(folder, *names):
    """A file as Keras writes it, of dense layers from 4 to 2."""
    path = folder / "plain.weights.h5"
    with h5py.File(path, "w") as file:
        for key, name in zip(("one", "two"), names, strict=False):
            group = file.create_group(f"layers/{key}/vars")
            group.attrs["name"] = name
            group["0"], group["1"] = np.ones((4, 2), np.float32), np.zeros(2, np.float32)
    return path


@pytest.fixture
def dense():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(2, name="a")(inputs))


def test_an_array_is_read_only_where_its_shape_is_the_wanted_one(tmp_path, dense):
    path = plain(tmp_path, "a", "other")
    with h5py.File(path, "a") as file:
        del file["layers/two/vars/0"]
        file["layers/two/vars"].create_dataset("0", (1 << 40, 1 << 20), "f4", chunks=(1024, 1024))
    load_backbone(dense, ("a",), str(path), "a")
    np.testing.assert_array_equal(dense.get_layer("a").kernel.numpy(), np.ones((4, 2)))
    with h5py.File(path, "a") as file:
        file["layers/two/vars"].attrs["name"] = "a"
        file["layers/one/vars"].attrs["name"] = "other"
    with pytest.raises(DataError, match=r"a: expected \(4, 2\) \(2,\), got \(1099511627776, 1048576\)"):
        load_backbone(dense, ("a",), str(path), "a")


def test_a_wanted_layer_that_occurs_twice_is_refused(tmp_path, dense):
    path = plain(tmp_path, "a", "a")
    with pytest.raises(DataError, match="it holds layer 'a' twice"):
        load_backbone(dense, ("a",), str(path), "a")
    load_backbone(dense, ("a",), str(plain(tmp_path, "a")), "a")


@pytest.mark.parametrize("place", ["layers", "layers/one", "layers/one/vars", "layers/one/vars/0"])
def test_an_array_where_a_group_belongs_and_the_other_way(tmp_path, place):
    path = plain(tmp_path, "a")
    with h5py.File(path, "a") as file:
        del file[place]
        if place.endswith("0"):
            file.create_group(place)
        else:
            file[place] = 1.0
    with pytest.raises(DataError, match="is no array" if place.endswith("0") else "is no group"), open_layers(path):
        pass


def test_a_packed_file_that_would_unpack_to_much_more_is_refused(tmp_path, dense):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(1 << 22))
    with pytest.raises(DataError, match=r"bytes would unpack to 4,194,304"):
        load_backbone(dense, ("a",), str(path), "a")


def test_a_file_without_names_of_layers_fits_nothing(tmp_path):
    path = tmp_path / "old.weights.h5"
    joint().save_weights(path)
    with h5py.File(path, "a") as file:
        file.visititems(lambda name, item: item.attrs.pop("name", None) and None)
    with pytest.raises(DataError, match="5 of its 5 layers differ"):
        load(joint(), path)


def test_imagenet_offline_says_what_to_do(monkeypatch):
    failure = Exception("URL fetch failure")

    def offline(**options):
        raise failure

    monkeypatch.setattr(keras.applications, "VGG19", offline)
    with pytest.raises(
        RunError, match=r"vgg19 could not be fetched.*URL fetch failure.*\.keras.*cnn\.weights"
    ) as caught:
        load_backbone(None, (), "imagenet", "vgg19")
    assert caught.value.exit_code == 1, "another backbone may have its weights"
    failure = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ResourceError, match=r"vgg19 could not be fetched.*No space left.*Free some space"):
        load_backbone(None, (), "imagenet", "vgg19")
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(UsageError, match="pip install keras-hub"):
        load_backbone(None, (), "imagenet", "resnet18")
    with pytest.raises(UnknownNameError, match="ImageNet weights"):
        load_backbone(None, (), "imagenet", "alexnet")


def test_vgg19_of_keras_gives_the_same_map():
    theirs = keras.applications.VGG19(include_top=False, weights=None)
    ours = BACKBONES["vgg19"].outline(SIDE)
    names = [layer.name for layer in ours.layers if layer.weights]
    weights.assign_layers(ours, names, vgg19_layers(theirs), "vgg19")
    photos = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.float32)
    expected = theirs(keras.applications.vgg19.preprocess_input(photos.copy())).numpy()
    found = keras.ops.convert_to_numpy(ours(photos))
    assert expected.std() > 0
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.max())

    def inner(model, inputs):
        first = next(layer for layer in model.layers if layer.weights)
        return np.maximum(keras.Model(model.input, first.output)(inputs).numpy()[:, 1:-1, 1:-1], 0)

    exact = inner(theirs, keras.applications.vgg19.preprocess_input(photos.copy()))
    np.testing.assert_allclose(inner(ours, photos), exact, atol=1e-3)  # of values around 100


def test_resnet18_of_keras_hub_is_mapped_by_name(monkeypatch):
    ours = BACKBONES["resnet18"].outline(SIDE)
    names = [layer.name for layer in ours.layers if layer.weights]
    theirs, parts = [], {"conv1": "1", "conv2": "2", "shortcut": "0"}
    for number, name in enumerate(names):
        kind = "bn" if name.endswith("_norm") else "conv"
        bare = name.removesuffix("_norm")
        if bare != "conv1":
            stage, part = bare.split("_")
            bare = f"stack{int(stage[5]) - 1}_block{'ab'.index(stage[6])}_{parts[part]}"
        values = [np.full(weight.shape, number, np.float32) for weight in ours.get_layer(name).weights]
        stored = [types.SimpleNamespace(numpy=lambda value=value: value) for value in values]
        theirs.append(types.SimpleNamespace(name=f"{bare}_{kind}", weights=stored))
    model = types.SimpleNamespace(layers=[types.SimpleNamespace(name="conv1_pad", weights=[]), *theirs])
    weights.assign_layers(ours, names, resnet18_layers(model), "resnet18")
    for number, name in enumerate(names):
        assert all((weight.numpy() == number).all() for weight in ours.get_layer(name).weights)

    backbone = types.SimpleNamespace(from_preset=lambda preset, **options: model)
    hub = types.SimpleNamespace(models=types.SimpleNamespace(ResNetBackbone=backbone))
    monkeypatch.setitem(sys.modules, "keras_hub", hub)
    load_backbone(ours, names, "imagenet", "resnet18")


def test_layers_inside_a_model_inside_a_model(tmp_path):
    inputs = keras.Input((4,))
    inner = keras.Model(inputs, keras.layers.Dense(2, name="deep")(inputs))
    outer = keras.Sequential([inputs, inner, keras.layers.Dense(3, name="top")])
    outer.save_weights(tmp_path / "x.weights.h5")
    with open_layers(tmp_path / "x.weights.h5") as found:
        shapes = {name: [array.shape for array in arrays] for name, arrays in found.items()}
    assert shapes == {"deep": [(4, 2), (2,)], "top": [(2, 3), (3,)]}
