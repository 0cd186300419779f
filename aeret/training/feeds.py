"""Cut reproducible batches from prepared data, by (seed, epoch, index) alone.

A training feed draws a new order for each epoch and leaves out its last incomplete batch, which would upset batch
normalisation. A validation feed shows all examples in order, whole and unchanged.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

from aeret.data.transforms import colour_factors, crop_flip_masks, random_boxes, whole_boxes
from aeret.errors import UsageError
from aeret.rng import generator

if TYPE_CHECKING:
    from aeret.data.masks import MaskPlanes

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Batch = tuple[Any, Any]
"""(x, y): NumPy arrays, or dicts of them, whose first axis is the batch."""


class Encoding(Protocol):
    """What a feed needs of a mask encoding of :mod:`aeret.data.encodings`."""

    def encode(self, dense: Floats | Bytes) -> Floats:
        """Turn float32 (b, h, w, categories) coverage into float32 (b, h, w, channels)."""
        ...

    def unite(self, planes: MaskPlanes) -> MaskPlanes | None:
        """Make one plane a channel, once and for all; None where only :meth:`encode` can make the channels."""
        ...


class Photos(Protocol):
    """What a feed needs of a prepared split."""

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """Bool (n, categories)."""
        ...

    @property
    def masks(self) -> MaskPlanes:
        """The masks of the n photos."""
        ...

    def crops(
        self,
        positions: npt.NDArray[np.int64],
        boxes: Floats,
        flips: npt.NDArray[np.bool_],
        size: int,
        factors: Floats | None = None,
    ) -> Bytes:
        """Return uint8 (b, size, size, 3), as :func:`aeret.data.transforms.crop_flip_photos` of the photos."""
        ...


class Feed(keras.utils.PyDataset):
    """Base of all feeds; a subclass says what a batch holds.

    It is a ``keras.utils.PyDataset``, so ``model.fit`` and ``model.evaluate`` take it too (the epoch then advances by
    ``on_epoch_end``).

    Args:
        count: examples.
        batch_size: examples in a batch; fewer where there are fewer examples.
        seed: the run's seed.
        training: draw order and augmentation, or show all examples in order as they are.
    """

    def __init__(self, count: int, batch_size: int, seed: int, training: bool) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        if count < 1 or batch_size < 1:
            raise UsageError(f"a feed needs at least one example and batch_size >= 1, got {count} and {batch_size}.")
        self.examples = count
        self.batch_size = min(batch_size, count)
        self.seed = seed
        self.training = training
        self.epoch = 0
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.arange(count, dtype=np.int64))

    def __len__(self) -> int:
        """Return the batches of one epoch."""
        if self.training:
            return self.examples // self.batch_size
        return -(-self.examples // self.batch_size)

    def __getitem__(self, index: int) -> Batch:
        return self.batch(self.epoch, index)

    def on_epoch_end(self) -> None:
        """Go on to the next epoch (called by Keras)."""
        self.epoch += 1

    def batch(self, epoch: int, index: int) -> Batch:
        """Return batch ``index`` of ``epoch`` (both from 0); equal arguments give equal bytes."""
        raise NotImplementedError

    def rows(self, epoch: int, index: int) -> npt.NDArray[np.int64]:
        """Return int64 (b,): which examples batch ``index`` of ``epoch`` holds."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of a feed that has {len(self)}")
        if self.training and self._order[0] != epoch:
            # One assignment, because a prefetching thread may ask for another epoch at the same time.
            self._order = (epoch, generator(self.seed, "shuffle", epoch).permutation(self.examples))
        order = self._order[1]
        return order[index * self.batch_size : (index + 1) * self.batch_size]

    def rng(self, epoch: int, index: int) -> np.random.Generator:
        """Return the generator of one batch's augmentation."""
        return generator(self.seed, "augment", epoch, index)


def prefetch(feed: Feed, epoch: int, depth: int = 2) -> Iterator[Batch]:
    """Yield an epoch's batches in order, as tensors, while a thread prepares up to ``depth`` of them ahead."""

    def prepare(index: int) -> Batch:
        # The copy into tensors belongs here too: between two steps the processor would wait for it.
        x, y = feed.batch(epoch, index)
        tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
        return tensors, tensors if y is x else keras.tree.map_structure(keras.ops.convert_to_tensor, y)

    # Threads that the backend starts at its first tensor must not start in the feed: they would inherit its priority.
    keras.ops.convert_to_tensor(0)
    pool = ThreadPoolExecutor(1, thread_name_prefix="feed", initializer=_give_way)
    waiting: deque[Future[Batch]] = deque()
    try:
        for index in range(len(feed)):
            waiting.append(pool.submit(prepare, index))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _give_way() -> None:
    """Lower the priority of this thread alone: it takes what the step leaves idle.

    The threads of a step wait for each other. One that loses its core to the feed stalls them all, and the feed has the
    whole step for its work. Not by more than a little: with the lowest priority it would get next to nothing on a
    machine where other processes work too, and the step would wait for it.
    """
    if sys.platform == "linux":  # elsewhere priorities belong to processes
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(5, os.getpriority(os.PRIO_PROCESS, 0)))


class Channels:
    """The encoded masks of a collection, to be cut.

    Args:
        planes: the masks, one plane a category.
        encoding: makes channels of them.
        size: side of the result in cells.
    """

    def __init__(self, planes: MaskPlanes, encoding: Encoding, size: int) -> None:
        united = encoding.unite(planes)
        self.planes = planes if united is None else united
        self.encode = encoding.encode if united is None else None
        self.size = size

    def cut(
        self, rows: npt.NDArray[np.int64], boxes: Floats, flips: npt.NDArray[np.bool_], cropped: bool
    ) -> Floats | Bytes:
        """Return one box of each mask, mirrored where asked, (b, size, size, channels).

        Float32; but whole cells, where nothing is ``cropped`` or resized, are 0 or 1 and travel as uint8: a quarter of
        the memory, whose copies and page faults are most of what a batch costs.
        """
        if self.encode:
            return self.encode(crop_flip_masks(self.planes, rows, boxes, flips, self.size))
        whole = not cropped and self.size == self.planes.size
        out = np.empty((len(rows), self.size, self.size, self.planes.categories), np.uint8) if whole else None
        return crop_flip_masks(self.planes, rows, boxes, flips, self.size, out)


class MaskFeed(Feed):
    """Masks as input and target of the autoencoder: x = y = encoded coverage (b, size, size, channels).

    Float32, or uint8 where nothing is cropped or resized: see :meth:`Channels.cut`.

    Args:
        planes: the masks.
        encoding: turns coverage per category into channels.
        batch_size, seed, training: see :class:`Feed`.
        flip: mirror half of the masks (training only).
        crop: smallest side of a random crop as a share of the mask (training only); 1 means no crops.
        rows: int64 (n,) which masks; all when not given.
        size: side of the channels in cells; that of the stored masks when not given.
    """

    def __init__(
        self,
        planes: MaskPlanes,
        encoding: Encoding,
        batch_size: int,
        seed: int,
        training: bool,
        flip: bool = False,
        crop: float = 1.0,
        rows: npt.NDArray[np.int64] | None = None,
        size: int | None = None,
    ) -> None:
        self.channels = Channels(planes, encoding, size or planes.size)
        self.plane_rows = np.arange(len(planes.offsets) - 1) if rows is None else np.asarray(rows, np.int64)
        self.flip = flip
        self.crop = crop
        super().__init__(len(self.plane_rows), batch_size, seed, training)

    def batch(self, epoch: int, index: int) -> tuple[Floats | Bytes, Floats | Bytes]:
        """Return (channels, channels); see :meth:`Feed.batch`."""
        rows = self.rows(epoch, index)
        boxes, flips = _geometry(self, epoch, index, len(rows))
        channels = self.channels.cut(self.plane_rows[rows], boxes, flips, self.training and self.crop < 1)
        return channels, channels


class JointFeed(Feed):
    """Photos with their labels and masks, cropped and mirrored together.

    x is uint8 (b, photo_size, photo_size, 3); y is a dict of ``labels``, float32 (b, categories), and, where an
    ``encoding`` is given, ``masks`` (b, mask_size, mask_size, channels), float32 or uint8 as :meth:`Channels.cut` says:
    the mask of the *augmented* photo. Photo order and augmentation do not depend on whether masks are asked for, nor on
    ``shuffled``.

    Args:
        split: photos, labels and masks.
        photo_size: side of the photos in pixels.
        batch_size, seed, training: see :class:`Feed`.
        encoding: turns coverage per category into channels; None leaves the masks out.
        mask_size: side of the channels in cells; that of the stored masks when not given.
        flip: mirror half of the photos (training only).
        crop: smallest side of a random crop as a share of the photo (training only); 1 means no crops.
        colour: strength of :func:`aeret.data.transforms.colour_factors` (training only).
        shuffled: give each photo the mask of another one, by a permutation fixed by the seed: the control arm that
            keeps the distribution of codes and destroys what they say about the photo.
    """

    def __init__(
        self,
        split: Photos,
        photo_size: int,
        batch_size: int,
        seed: int,
        training: bool,
        encoding: Encoding | None = None,
        mask_size: int | None = None,
        flip: bool = False,
        crop: float = 1.0,
        colour: float = 0.0,
        shuffled: bool = False,
    ) -> None:
        self.split = split
        self.labels = np.asarray(split.labels)
        self.photo_size = photo_size
        self.channels = Channels(split.masks, encoding, mask_size or split.masks.size) if encoding else None
        self.flip = flip
        self.crop = crop
        self.colour = colour
        count = len(self.labels)
        self.mask_of = _strangers(count, seed, training) if shuffled else np.arange(count)
        super().__init__(count, batch_size, seed, training)

    def batch(self, epoch: int, index: int) -> tuple[Bytes, dict[str, Floats | Bytes]]:
        """Return (photos, {labels, masks}); see :meth:`Feed.batch`."""
        rows = self.rows(epoch, index)
        boxes, flips = _geometry(self, epoch, index, len(rows))
        factors = None
        if self.training and self.colour:
            factors = colour_factors(generator(self.seed, "colour", epoch, index), len(rows), self.colour)
        photos = self.split.crops(rows, boxes, flips, self.photo_size, factors)
        targets: dict[str, Floats | Bytes] = {"labels": self.labels[rows].astype(np.float32)}
        if self.channels is not None:
            targets["masks"] = self.channels.cut(self.mask_of[rows], boxes, flips, self.training and self.crop < 1)
        return photos, targets


def _strangers(count: int, seed: int, training: bool) -> npt.NDArray[np.int64]:
    """Return a permutation without fixed points: everyone gets the next one's in a random ring."""
    ring = generator(seed, "shuffled-latents", "train" if training else "validation").permutation(count)
    result = np.empty(count, np.int64)
    result[ring] = np.roll(ring, 1)
    return result


def _geometry(feed: MaskFeed | JointFeed, epoch: int, index: int, count: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    if not feed.training:
        return whole_boxes(count), np.zeros(count, np.bool_)
    rng = feed.rng(epoch, index)
    # Both are always drawn: switching flips off does not change the crops.
    boxes = random_boxes(rng, count, feed.crop)
    flips = rng.random(count) < 0.5
    return boxes, flips & feed.flip
