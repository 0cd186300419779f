"""Load backbone weights from ImageNet, another run or a Keras file.

Layers are matched by name and shape; heads in the file are ignored. A Keras file is read as plain, untrusted arrays:
nothing in it is executed, and a file that refers to other files is refused.
"""

from __future__ import annotations

import importlib
import io
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt

from aeret.artifacts import system_error
from aeret.errors import DataError, ResourceError, RunError, UsageError
from aeret.models.backbones.pieces import DEVIATION, MEAN
from aeret.models.saved_joint import RECORD, SavedJoint
from aeret.models.variables import WEIGHTS
from aeret.registry import lookup

Layers = dict[str, list[npt.NDArray[Any]]]
"""Name of a layer -> its arrays, in the order of ``layer.weights``."""

_SHOWN = 5
_UNREADABLE = (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    EOFError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
_MEMBER = "model.weights.h5"
_UNPACKED = 4
"""A .keras file's weights may be so many times as large as the file: Keras does not compress them at all."""


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
        RunError: weights of ImageNet cannot be fetched.
        ResourceError: the disk is full of them.
        UnknownNameError: there are no weights of ImageNet for this backbone.
    """
    if weights == "imagenet":
        found = lookup(IMAGENET, backbone, "backbone with ImageNet weights")()
        assign_layers(model, names, found, f"ImageNet weights of {backbone}: does not fit cnn.backbone={backbone}")
        return
    names = tuple(names)
    with open_layers(Path(weights).expanduser(), names) as opened:
        assign_layers(model, names, opened, f"{weights}: does not fit cnn.backbone={backbone}")


def layers_of(model: Any, names: Iterable[str]) -> Layers:
    """Return copies of the weights of some layers of a model."""
    return {name: [weight.numpy().copy() for weight in model.get_layer(name).weights] for name in names}


def assign_layers(model: Any, names: Iterable[str], found: Mapping[str, list[Any]], problem: str) -> None:
    """Give layers of a model new weights, all or none.

    Args:
        model: the model.
        names: of its layers to change.
        found: their weights, arrays or datasets of :func:`open_layers`, which are read only where their shapes fit;
            what else is in it is passed over.
        problem: start of the message where they do not fit.

    Raises:
        DataError: a layer is missing, has other shapes, or values that are no numbers.
    """
    layers = [model.get_layer(name) for name in names]
    wrong: list[str] = []
    read: Layers = {}
    for layer in layers:
        wanted = [tuple(weight.shape) for weight in layer.weights]
        arrays = found.get(layer.name)
        if arrays is None:
            wrong.append(f"{layer.name}: expected {_words(wanted)}, the layer is not there")
        elif [array.shape for array in arrays] != wanted:
            wrong.append(f"{layer.name}: expected {_words(wanted)}, got {_words([array.shape for array in arrays])}")
        elif (values := _numbers(arrays)) is None:
            wrong.append(f"{layer.name}: expected finite floating-point numbers, got something else")
        else:
            read[layer.name] = values
    if wrong:
        listed = "; ".join(wrong[:_SHOWN]) + (f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else "")
        held = ", ".join(list(found)[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "") if found else "none"
        raise DataError(
            f"{problem}: {len(wrong)} of its {len(layers)} layers differ. {listed}. Layers given: {held}. "
            "Give weights of the same backbone (and, for bigru, of the same cnn.input_size)."
        )
    for layer in layers:
        for weight, array in zip(layer.weights, read[layer.name], strict=True):
            weight.assign(array)


def _numbers(arrays: list[Any]) -> list[npt.NDArray[Any]] | None:
    if any(array.dtype.kind != "f" for array in arrays):
        return None
    values = [np.asarray(array) for array in arrays]
    return values if all(np.isfinite(array).all() for array in values) else None


@contextmanager
def open_layers(path: Path, wanted: Collection[str] = ()) -> Iterator[Mapping[str, list[Any]]]:
    """Open the layers of a saved network: name -> its arrays, or datasets that are yet to be read.

    Args:
        path: as ``weights`` of :func:`load_backbone`, but for ``imagenet``.
        wanted: names of layers that must not occur twice.

    Raises:
        DataError: as there; also where reading the datasets fails.
    """
    if path.name in (RECORD, WEIGHTS):
        path = path.parent
    if path.is_dir():
        joint = SavedJoint.load(path)
        yield layers_of(joint.model, joint.model.backbone_layers)
        return
    if not path.name.endswith((".weights.h5", ".keras")):
        raise DataError(
            f"{path}: is no file of weights that cnn.weights can be; expected a folder that `aeret stage train-cnn` "
            "wrote, or a Keras file whose name ends in .weights.h5 or .keras."
        )
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; give cnn.weights a path that exists.")
    try:
        with path.open("rb") as raw, h5py.File(_unpacked(raw) if path.suffix == ".keras" else raw, "r") as file:
            walk = _Walk()
            walk.collect(file)
            twice = sorted(walk.twice.intersection(wanted))
            if twice:
                raise ValueError(f"it holds layer {twice[0]!r} twice")
            yield walk.found
    except DataError:
        raise
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: is damaged, or no weights that Keras 3 saved ({error}); save it again with model.save_weights() "
            "or model.save()."
        ) from None


def _unpacked(raw: Any) -> io.BytesIO:
    with zipfile.ZipFile(raw) as archive:
        size, whole = archive.getinfo(_MEMBER).file_size, raw.seek(0, io.SEEK_END)
        if size > _UNPACKED * whole:
            raise ValueError(f"its {whole:,} bytes would unpack to {size:,}")
        return io.BytesIO(archive.read(_MEMBER))


class _Walk:
    """Walks a file of Keras: every child of a group ``layers`` is a layer, whose group ``vars`` has its name."""

    def __init__(self) -> None:
        self.found: dict[str, list[Any]] = {}
        self.twice: set[str] = set()
        self._seen: set[int] = set()

    def collect(self, group: Any) -> None:
        """Add the layers below a group."""
        for key in group:
            child = self._child(group, key)
            if key == "layers":
                self._layers(child)
            elif isinstance(child, h5py.Group):
                self.collect(child)

    def _layers(self, layers: Any) -> None:
        for key in self._group(layers):
            self._layer(self._group(self._child(layers, key)))

    def _layer(self, layer: Any) -> None:
        arrays: list[Any] = []
        self._variables(layer, arrays)
        name = str(layer["vars"].attrs.get("name", "")) if "vars" in layer else ""
        if arrays:
            if name in self.found:
                self.twice.add(name)
            self.found.setdefault(name, arrays)

    def _variables(self, group: Any, arrays: list[Any]) -> None:
        """Append a layer's own datasets, then those of layers inside it; a model's layers are layers of their own."""
        if "vars" in group:
            own = self._group(self._child(group, "vars"))
            arrays.extend(self._dataset(self._child(own, key)) for key in sorted(own, key=int))
        # Keras counts the forward direction of a Bidirectional first; the file has them by the alphabet.
        for key in sorted(
            set(group) - {"vars", "layers", "seed_generator"}, key=lambda key: (key == "backward_layer", key)
        ):
            child = self._child(group, key)
            if isinstance(child, h5py.Group):
                self._variables(child, arrays)
        if "layers" in group:
            self._layers(self._child(group, "layers"))

    def _child(self, group: Any, key: str) -> Any:
        """Return a member that lies in this file, and was not met before: Keras writes no other, and no cycles."""
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise ValueError(f"{group.name}/{key} is a link to elsewhere")
        child = group[key]
        place = h5py.h5o.get_info(child.id).addr
        if place in self._seen:
            raise ValueError(f"{group.name}/{key} is a second link to one thing")
        self._seen.add(place)
        return child

    def _group(self, item: Any) -> Any:
        if not isinstance(item, h5py.Group):
            raise ValueError(f"{item.name} is no group")
        return item

    def _dataset(self, item: Any) -> Any:
        if not isinstance(item, h5py.Dataset):
            raise ValueError(f"{item.name} is no array")
        if item.external or item.is_virtual:
            raise ValueError(f"{item.name} has its values in another file")
        return item


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
        what = f"The ImageNet weights of {name} could not be fetched or read"
        failed = system_error(what, error) if isinstance(error, OSError) else None
        if isinstance(failed, ResourceError):
            raise failed from None
        raise RunError(
            f"{what} ({error}). Keras keeps them below ~/.keras (KERAS_HOME): connect this machine once, or copy that "
            "folder from one that has them; or give cnn.weights the path of a file of weights."
        ) from None


def _words(shapes: list[tuple[int, ...]]) -> str:
    return " ".join(map(str, shapes)) or "no weights"


IMAGENET: dict[str, Callable[[], Layers]] = {"vgg19": _vgg19, "resnet18": _resnet18}
"""Backbone -> its weights of ImageNet."""
