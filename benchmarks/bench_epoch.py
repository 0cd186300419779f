"""A training epoch from prepared arrays, against the bare train step on data already in memory.

aeret's epoch is all that ``fit`` does for one: photos from a memory-mapped file, crops, flips and colours of photos and
masks together, the encoded mask, the step, the rate of each step, the check for NaN, the checkpoint of all state and
the logs. The peer calls the compiled train step of the same model, with the same weights in the same place, on as many
batches of tensors in memory: of two equal models one was up to 3 % faster. Epochs come as ours, peer, peer, ours, so
that a machine that grows faster or slower favours neither; ``epoch / bare`` is the median of their ratios over one
training, five of the autoencoder (the bar is 1.05 or less), ``in CPU time`` the same of processor time, which
neighbours on the machine disturb less. Validation is in neither.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from aeret.data.masks import MaskPlanes
from aeret.data.transforms import crop_flip_photos
from aeret.progress import Step
from aeret.rng import generator
from aeret.settings import AutoencoderSettings, CnnSettings, TrainingSettings
from benchmarks.measure import Row, report, skipped

PHOTOS, BATCH, CATEGORIES, STORED, MASK = 2_560, 64, 80, 112, 32
ROUNDS = 4
FITS = 5
"""Trainings of the autoencoder, whose epochs are short: where its memory comes to lie moves the ratio by 2 %."""


def main() -> list[Row]:
    try:
        import tensorflow  # noqa: F401
    except ImportError:
        return [skipped("epoch", "TensorFlow is not installed")]
    with tempfile.TemporaryDirectory(prefix="aeret-epoch-") as folder:
        split = Prepared(Path(folder))
        return [
            joint_row(split, Path(folder), "resnet18-small", "bfloat16"),
            joint_row(split, Path(folder), "resnet18-small", "off"),
            joint_row(split, Path(folder), "alexnet-small-bn", "bfloat16"),
            autoencoder_row(split, Path(folder)),
        ]


class Prepared:
    """Photos in a mapped file, with about three and a half mask planes each, as COCO has."""

    def __init__(self, folder: Path) -> None:
        rng = generator(0, "bench", "epoch")
        np.save(folder / "photos.npy", rng.integers(0, 256, (PHOTOS, STORED, STORED, 3), dtype=np.uint8))
        self._mapped = np.load(folder / "photos.npy", mmap_mode="r")
        self.labels = rng.random((PHOTOS, CATEGORIES)) < 3.5 / CATEGORIES
        photo, category = np.nonzero(self.labels)
        offsets = np.searchsorted(photo, np.arange(PHOTOS + 1)).astype(np.int64)
        cells = np.zeros((len(photo), MASK, MASK), np.uint8)
        for mask, (y, x) in zip(cells, rng.integers(0, MASK // 2, (len(photo), 2)), strict=True):
            mask[y : y + MASK // 2, x : x + MASK // 2] = 1
        bits = np.packbits(cells.reshape(len(photo), -1), axis=1)
        self.masks = MaskPlanes(MASK, CATEGORIES, offsets, category.astype(np.int16), bits)

    def crops(self, positions: Any, boxes: Any, flips: Any, size: int, factors: Any = None) -> Any:
        """As :meth:`aeret.data.prepared.PreparedSplit.crops`."""
        return crop_flip_photos(self._mapped, positions, boxes, flips, size, factors)


def categories() -> list[Any]:
    from aeret.data.prepared import Category

    return [Category(number, f"c{number}", f"group {number % 12}") for number in range(CATEGORIES)]


def joint_row(split: Prepared, folder: Path, backbone: str, mixed: Any) -> Row:
    from aeret.data.encodings import mask_encoding
    from aeret.models.autoencoder import build_autoencoder
    from aeret.models.joint import JointModel, code_target
    from aeret.models.latents import identity
    from aeret.training import JointFeed, precision

    chosen = AutoencoderSettings(mask_encoding="supercategory")
    encoding = mask_encoding(chosen.mask_encoding, categories())
    encoder = build_autoencoder(chosen, MASK, encoding.channels, seed=0).encoder
    training = TrainingSettings(epochs=ROUNDS + 2, batch_size=BATCH, mixed_precision=mixed)
    settings = CnnSettings(backbone=backbone, training=training)

    def model() -> Any:
        with precision(mixed):
            target = code_target(encoder, identity(chosen.latent_size))
            return JointModel(settings, CATEGORIES, chosen.latent_size, 0, target)

    feed = JointFeed(
        split, settings.input_size, BATCH, 0, True, encoding, flip=True, crop=settings.crop, colour=settings.colour
    )
    name = f"joint CNN, {backbone}, {settings.input_size} px, {'float32' if mixed == 'off' else mixed}"
    return row(name, feed, [timed_fit(model(), feed, training, folder / f"{backbone}-{mixed}")])


def autoencoder_row(split: Prepared, folder: Path) -> Row:
    from aeret.data.encodings import mask_encoding
    from aeret.models.autoencoder import build_autoencoder
    from aeret.training import MaskFeed

    chosen = AutoencoderSettings(mask_encoding="supercategory", principal=False)
    encoding = mask_encoding(chosen.mask_encoding, categories())
    training = TrainingSettings(epochs=ROUNDS + 2, batch_size=BATCH)
    feed = MaskFeed(split.masks, encoding, BATCH, 0, True, flip=True)
    name = f"autoencoder, conv, {MASK} x {MASK} x {encoding.channels}, float32"
    fits = [
        timed_fit(
            build_autoencoder(chosen, MASK, encoding.channels, 0), feed, training, folder / f"autoencoder{number}"
        )
        for number in range(FITS)
    ]
    return row(name, feed, fits)


Times = tuple[list[tuple[float, float]], list[tuple[float, float]]]
"""Wall and processor seconds of epochs: ours, and the peer's beside them."""


def timed_fit(model: Any, feed: Any, training: TrainingSettings, folder: Path) -> Times:
    """Train a model, and run the peer's epochs between its own."""
    from aeret.training import FitOptions, fit

    bare: list[Callable[[], None]] = []
    starts: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    peers: list[tuple[float, float]] = []

    @contextmanager
    def watch(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Step]:
        # fit opens one bar an epoch: between two of them lies all of an epoch.
        if not starts:
            bare.append(bare_epoch(model, feed))
            bare[0]()  # traces
        else:
            ours.append(elapsed(starts[-1]))
            for _ in range(0 if len(ours) % 2 else 2):
                begin = now()
                bare[0]()
                peers.append(elapsed(begin))
        starts.append(now())
        yield lambda count: None

    fit(model, feed, None, training, folder, 0, FitOptions(watch))
    # The first epoch traces and compiles; the end of the last one is not seen.
    return ours[1:], peers


def row(name: str, feed: Any, fits: Sequence[Times]) -> Row:
    ours, peers = ([epoch for fit in fits for epoch in fit[side]] for side in (0, 1))
    wall, cpu = ([own[kind] / peer[kind] for own, peer in zip(ours, peers, strict=True)] for kind in (0, 1))
    photos = len(feed) * feed.batch_size
    return {
        "what": name,
        "aeret photos/s": photos / statistics.median(own[0] for own in ours),
        "peer photos/s": photos / statistics.median(peer[0] for peer in peers),
        "ratio": 1 / statistics.median(wall),
        "epoch / bare": statistics.median(wall),
        "range": f"{min(wall):.3f} to {max(wall):.3f}",
        "in CPU time": statistics.median(cpu),
    }


def bare_epoch(model: Any, feed: Any) -> Callable[[], None]:
    """Return a function that runs the train step of a compiled model on one epoch of tensors."""
    import keras
    import tensorflow as tf

    batches = [keras.tree.map_structure(tf.constant, feed.batch(0, index)) for index in range(len(feed))]
    step = tf.function(model.train_step, reduce_retracing=True)

    def run() -> None:
        model.reset_metrics()
        for batch in batches:
            losses = step(batch)
        float(losses["loss"])

    return run


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def elapsed(start: tuple[float, float]) -> tuple[float, float]:
    end = now()
    return end[0] - start[0], end[1] - start[1]


if __name__ == "__main__":
    report(__file__, main())
