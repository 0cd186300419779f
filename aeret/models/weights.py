"""Weights from elsewhere for a backbone: of ImageNet, of another run, or of a Keras file.

Layers are matched by name and shape. Only the backbone's are taken; heads in the file are passed over. A Keras file is
read as plain arrays: nothing in it is executed, and no model is built of it.
"""

from __future__ import annotations

import importlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt

from aeret.errors import DataError, ResourceError, UsageError
from aeret.models.backbones.backbone import DEVIATION, MEAN
from aeret.models.saved_joint import RECORD, WEIGHTS, SavedJoint
from aeret.registry import lookup

Layers = dict[str, list[npt.NDArray[Any]]]
"""Name of a layer -> its arrays, in the order of ``layer.weights``."""

_SHOWN = 5
_UNREADABLE = (OSError, KeyError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


def load_backbone(model: Any, names: Iterable[str], weights: str, backbone: str) -> None:
    """Bring the backbone of a model to the weights that the setting ``cnn.weights`` names.

    Args:
        model: holds the backbone's layers.
        names: those of the backbone's layers that have weights.
        weights: ``imagenet``, or the path of an artifact of stage ``train-cnn``, of one of its two files, or of a
            ``.weights.h5`` or ``.keras`` file.
        backbone: its name in the registry.

    Raises:
        DataError: the file is missing, damaged, of another kind, or does not fit; the first layers that differ are
            listed.
        ResourceError: weights of ImageNet cannot be fetched.
        UnknownNameError: there are no weights of ImageNet for this backbone.
    """
    if weights == "imagenet":
        found, source = (
            lookup(IMAGENET, backbone, "backbone with ImageNet weights")(),
            f"ImageNet weights of {backbone}",
        )
    else:
        found, source = read_layers(Path(weights).expanduser()), weights
    assign_layers(model, names, found, f"{source}: does not fit cnn.backbone={backbone}")


def layers_of(model: Any, names: Iterable[str]) -> Layers:
    """Return copies of the weights of some layers of a model."""
    return {name: [weight.numpy().copy() for weight in model.get_layer(name).weights] for name in names}


def assign_layers(model: Any, names: Iterable[str], found: Mapping[str, list[npt.NDArray[Any]]], problem: str) -> None:
    """Give layers of a model new weights, all or none.

    Args:
        model: the model.
        names: of its layers to change.
        found: their weights; what else is in it is passed over.
        problem: start of the message where they do not fit.

    Raises:
        DataError: a layer is missing, has other shapes, or values that are no numbers.
    """
    layers = [model.get_layer(name) for name in names]
    wrong = []
    for layer in layers:
        wanted = [tuple(weight.shape) for weight in layer.weights]
        arrays = found.get(layer.name)
        if arrays is None:
            wrong.append(f"{layer.name}: expected {_words(wanted)}, the layer is not there")
        elif [array.shape for array in arrays] != wanted:
            wrong.append(f"{layer.name}: expected {_words(wanted)}, got {_words([array.shape for array in arrays])}")
        elif not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in arrays):
            wrong.append(f"{layer.name}: expected finite floating-point numbers, got something else")
    if wrong:
        listed = "; ".join(wrong[:_SHOWN]) + (f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else "")
        held = ", ".join(list(found)[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "") if found else "none"
        raise DataError(
            f"{problem}: {len(wrong)} of its {len(layers)} layers differ. {listed}. Layers given: {held}. "
            "Give weights of the same backbone (and, for bigru, of the same cnn.input_size)."
        )
    for layer in layers:
        for weight, array in zip(layer.weights, found[layer.name], strict=True):
            weight.assign(array)


def read_layers(path: Path) -> Layers:
    """Read the layers of a saved network.

    Args:
        path: as ``weights`` of :func:`load_backbone`, but for ``imagenet``.

    Raises:
        DataError: as there.
    """
    if path.name in (RECORD, WEIGHTS):
        path = path.parent
    if path.is_dir():
        joint = SavedJoint.load(path)
        return layers_of(joint.model, joint.model.backbone_layers)
    if not path.name.endswith((".weights.h5", ".keras")):
        raise DataError(
            f"{path}: is no file of weights that cnn.weights can be; expected a folder that `aeret stage train-cnn` "
            "wrote, or a Keras file whose name ends in .weights.h5 or .keras."
        )
    try:
        content = path.read_bytes()
        if path.suffix == ".keras":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                content = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(content), "r") as file:
            found: Layers = {}
            _collect(file, found)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; give cnn.weights a path that exists.") from None
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: is damaged, or no weights that Keras 3 saved ({error}); save it again with model.save_weights() "
            "or model.save()."
        ) from None
    return found


def _collect(group: Any, found: Layers) -> None:
    """Walk a file of Keras: every child of a group ``layers`` is a layer, whose group ``vars`` has its name."""
    for key, child in group.items():
        if not isinstance(child, h5py.Group):
            continue
        if key != "layers":
            _collect(child, found)
            continue
        for layer in child.values():
            arrays: list[npt.NDArray[Any]] = []
            _variables(layer, arrays)
            name = layer["vars"].attrs.get("name", "") if "vars" in layer else ""
            if arrays:
                found.setdefault(str(name), arrays)
            _collect(layer, found)


def _variables(group: Any, arrays: list[npt.NDArray[Any]]) -> None:
    """Append a layer's own arrays, then those of the layers inside it, but not of a model's layers."""
    if "vars" in group:
        own = group["vars"]
        arrays.extend(own[key][()] for key in sorted(own, key=int))
    # Keras counts the forward direction of a Bidirectional first; the file has them by the alphabet.
    for key in sorted(
        set(group) - {"vars", "layers", "seed_generator"}, key=lambda key: (key == "backward_layer", key)
    ):
        if isinstance(group[key], h5py.Group):
            _variables(group[key], arrays)


def _vgg19() -> Layers:
    model = _fetched("vgg19", lambda: keras.applications.VGG19(include_top=False, weights="imagenet"))
    return vgg19_layers(model)


def vgg19_layers(model: Any) -> Layers:
    """Return the layers of ``keras.applications.VGG19`` as the backbone ``vgg19`` has them.

    Keras's network reads BGR minus Caffe's means, the backbone RGB by :data:`MEAN` and :data:`DEVIATION`: the first
    convolution takes over the difference. Exact but for the outermost pixels, where the padding then stands for a
    colour up to half a grey level away.
    """
    found = {}
    for layer in model.layers:
        if layer.weights:
            group, number = layer.name.removeprefix("block").split("_conv")
            found[f"conv{group}_{number}"] = [weight.numpy() for weight in layer.weights]
    kernel, bias = found["conv1_1"]
    kernel = kernel[:, :, ::-1]
    caffe = np.array([123.68, 116.779, 103.939])
    shift = np.einsum("hwio,i->o", kernel, np.array(MEAN) - caffe)
    scaled = kernel * np.array(DEVIATION)[:, None]
    found["conv1_1"] = [scaled.astype(np.float32), (bias + shift).astype(np.float32)]
    return found


def _resnet18() -> Layers:
    try:
        hub = importlib.import_module("keras_hub")
    except ImportError:
        raise UsageError(
            "ImageNet weights of resnet18 come through keras-hub, which is not installed: `pip install keras-hub`, or "
            "give cnn.weights the path of a file of weights."
        ) from None
    return resnet18_layers(
        _fetched("resnet18", lambda: hub.models.ResNetBackbone.from_preset("resnet_18_imagenet", load_weights=True))
    )


def resnet18_layers(model: Any) -> Layers:
    """Return the layers of keras-hub's ``resnet_18_imagenet`` as the backbone ``resnet18`` has them."""
    parts = {"0": "shortcut", "1": "conv1", "2": "conv2"}
    found = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        *place, kind = layer.name.split("_")
        if place == ["conv1"]:
            name = "conv1"
        else:
            stack, block, part = place
            stage, letter = int(stack.removeprefix("stack")) + 1, "ab"[int(block.removeprefix("block"))]
            name = f"stage{stage}{letter}_{parts[part]}"
        found[name + ("_norm" if kind == "bn" else "")] = [weight.numpy() for weight in layer.weights]
    return found


def _fetched(name: str, build: Callable[[], Any]) -> Any:
    try:
        return build()
    except Exception as error:  # noqa: BLE001 - Keras's download raises nothing narrower
        raise ResourceError(
            f"The ImageNet weights of {name} could not be fetched or read ({error}). Keras keeps them below ~/.keras "
            "(KERAS_HOME): connect this machine once, or copy that folder from one that has them; or give cnn.weights "
            "the path of a file of weights."
        ) from None


def _words(shapes: list[tuple[int, ...]]) -> str:
    return " ".join(map(str, shapes)) or "no weights"


IMAGENET: dict[str, Callable[[], Layers]] = {"vgg19": _vgg19, "resnet18": _resnet18}
"""Backbone -> its weights of ImageNet."""
