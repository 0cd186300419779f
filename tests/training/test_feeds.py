"""Feeds: what a batch holds depends on (seed, epoch, index) and on nothing else."""

import os
import sys
import threading

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from aeret.data.masks import MaskPlanes
from aeret.data.transforms import crop_flip_photos
from aeret.errors import UsageError
from aeret.training import Feed, JointFeed, MaskFeed
from aeret.training.feeds import prefetch

COUNT, SIDE, CATEGORIES = 10, 16, 3


class Identity:
    """Channels are the categories."""

    def unite(self, planes):
        return planes


class Dense:
    """The same, made of what was cut."""

    def unite(self, planes):
        return None

    def encode(self, dense):
        return dense.copy()


class Split:
    """Photos whose red channel is the mask of category 0, at the photo's own resolution."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        dense = np.zeros((COUNT, SIDE, SIDE, CATEGORIES), np.uint8)
        for mask in dense:
            y, x = rng.integers(0, SIDE // 2, 2)
            mask[y : y + 8, x : x + 8, 0] = 1
            mask[..., 1] = rng.integers(0, 2)
        self.photos = np.repeat(dense[..., :1] * 255, 3, axis=3)
        self.labels = dense.any((1, 2))
        self.masks = pack(dense)
        self.dense = dense

    def crops(self, *where):
        return crop_flip_photos(self.photos, *where)


def pack(dense) -> MaskPlanes:
    photo, category = np.nonzero(dense.any((1, 2)))
    offsets = np.searchsorted(photo, np.arange(len(dense) + 1)).astype(np.int64)
    bits = np.packbits(dense[photo, :, :, category].reshape(len(photo), -1), axis=1)
    return MaskPlanes(dense.shape[1], dense.shape[3], offsets, category.astype(np.int16), bits)


def feed(training=True, seed=0, **options) -> JointFeed:
    defaults = {"encoding": Identity(), "flip": True, "crop": 0.6, "colour": 0.0}
    return JointFeed(Split(), SIDE, 4, seed, training, **(defaults | options))


def same(first, second) -> bool:
    (x, y), (u, v) = first, second
    return np.array_equal(x, u) and all(np.array_equal(y[name], v[name]) for name in y)


def test_a_batch_depends_on_seed_epoch_and_index_only():
    one, two = feed(colour=0.3), feed(colour=0.3)
    two.batch(4, 1)  # reading others first changes nothing
    assert same(one.batch(2, 1), two.batch(2, 1))
    assert not same(one.batch(2, 1), one.batch(3, 1))
    assert not same(one.batch(2, 1), one.batch(2, 0))
    assert not same(one.batch(2, 1), feed(colour=0.3, seed=1).batch(2, 1))


def test_an_epoch_shows_each_photo_at_most_once_in_whole_batches():
    train = feed()
    for epoch in range(3):
        rows = np.concatenate([train.rows(epoch, index) for index in range(len(train))])
        assert len(rows) == 8
        assert len(set(rows)) == 8
    assert not np.array_equal(train.rows(0, 0), train.rows(1, 0))


def test_validation_shows_all_photos_in_order_unchanged():
    split, validation = Split(), feed(training=False, colour=0.5)
    batches = [validation.batch(epoch, index) for epoch in (0, 5) for index in range(len(validation))]
    assert [len(x) for x, _ in batches[:3]] == [4, 4, 2]
    for half in (batches[:3], batches[3:]):
        assert_array_equal(np.concatenate([x for x, _ in half]), split.photos)
        assert_array_equal(np.concatenate([y["labels"] for _, y in half]), split.labels)
        assert_array_equal(np.concatenate([y["masks"] for _, y in half]), split.dense)


def test_photo_and_mask_move_together():
    """The red channel is category 0's mask: after crop and flip they must still agree."""
    train = feed()
    for index in range(len(train)):
        x, y = train.batch(0, index)
        assert x.dtype == np.uint8
        assert y["masks"].dtype == y["labels"].dtype == np.float32
        difference = np.abs(x[..., 0] / 255 - y["masks"][..., 0])
        # Triangle filter against exact area: they part by at most the blur of one cell at edges.
        assert difference.mean() < 0.06
        mirrored = np.abs(x[..., 0] / 255 - y["masks"][:, :, ::-1, 0])
        assert mirrored.mean() > 2 * difference.mean()


def test_flips_and_crops_can_be_switched_off():
    train = feed(flip=False, crop=1.0)
    x, y = train.batch(0, 0)
    rows = train.rows(0, 0)
    assert_array_equal(x, train.split.photos[rows])
    assert_array_equal(y["masks"], train.split.dense[rows])


def test_arms_see_the_same_photos():
    joint, labels_only, shuffled = feed(colour=0.2), feed(colour=0.2, encoding=None), feed(colour=0.2, shuffled=True)
    (x, y), (u, v), (s, t) = (each.batch(1, 0) for each in (joint, labels_only, shuffled))
    assert_array_equal(x, u)
    assert_array_equal(x, s)
    assert set(v) == {"labels"}
    assert_array_equal(y["labels"], t["labels"])
    assert not np.array_equal(y["masks"], t["masks"])


@pytest.mark.parametrize("training", [True, False])
def test_shuffled_masks_are_a_permutation_without_own(training):
    shuffled = feed(training=training, shuffled=True)
    assert sorted(shuffled.mask_of) == list(range(COUNT))
    assert not (shuffled.mask_of == np.arange(COUNT)).any()
    assert_array_equal(shuffled.mask_of, feed(training=training, shuffled=True).mask_of)


def test_channels_are_cut_from_planes_or_made_of_the_cut():
    (_, first), (_, second) = (feed(encoding=encoding()).batch(0, 1) for encoding in (Identity, Dense))
    assert_array_equal(first["masks"], second["masks"])


def test_mask_feed_gives_the_mask_as_input_and_target():
    split = Split()
    masks = MaskFeed(split.masks, Identity(), 4, 0, training=False, rows=np.array([7, 2, 5]))
    x, y = masks.batch(0, 0)
    assert x is y
    assert_array_equal(x, split.dense[[7, 2, 5]])
    assert x.dtype == np.uint8
    moved, _ = MaskFeed(split.masks, Identity(), 4, 0, training=True, flip=True, crop=0.5).batch(0, 0)
    assert moved.shape == (4, SIDE, SIDE, CATEGORIES)
    assert moved.dtype == np.float32
    assert 0 <= moved.min() < moved.max() <= 1


def test_a_batch_is_never_larger_than_the_data():
    assert len(MaskFeed(Split().masks, Identity(), 64, 0, training=True)) == 1


def test_nothing_to_train_on():
    with pytest.raises(UsageError, match="at least one example"):
        MaskFeed(Split().masks, Identity(), 4, 0, training=True, rows=np.array([], np.int64))


def test_keras_takes_a_feed():
    train = feed()
    assert isinstance(train, keras.utils.PyDataset)
    before = train[0]
    train.on_epoch_end()
    assert same(train[0], train.batch(1, 0))
    assert not same(before, train[0])
    with pytest.raises(IndexError):
        train[len(train)]


class Numbers(Feed):
    def __init__(self, bad=None):
        super().__init__(6, 1, 0, False)
        self.bad = bad
        self.made = []
        self.threads = set()

    def batch(self, epoch, index):
        self.made.append(index)
        if index == self.bad:
            raise ValueError("photo 3 is gone")
        self.threads.add(threading.current_thread().name)
        return np.array([index]), {"half": np.array([index / 2], np.float32)}


def test_prefetch_keeps_order_and_makes_tensors_ahead_in_a_thread():
    numbers = Numbers()
    batches = list(prefetch(numbers, 0))
    assert all(keras.ops.is_tensor(x) and keras.ops.is_tensor(y["half"]) for x, y in batches)
    assert [(int(x[0]), float(y["half"][0])) for x, y in batches] == [(index, index / 2) for index in range(6)]
    assert all(name.startswith("feed") for name in numbers.threads)


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
def test_the_feed_gives_way_to_the_step_and_to_nothing_else():
    class Priorities(Numbers):
        def batch(self, epoch, index):
            self.made.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return super().batch(epoch, index)

    numbers, own = Priorities(), os.getpriority(os.PRIO_PROCESS, 0)
    assert len(list(prefetch(numbers, 0))) == 6
    assert numbers.made[::2] == [max(5, own)] * 6
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_prefetch_turns_an_array_that_is_input_and_target_into_one_tensor():
    x, y = next(iter(prefetch(MaskFeed(Split().masks, Identity(), 4, 0, training=True), 0)))
    assert x is y


def test_prefetch_raises_where_the_feed_raises():
    seen = []
    with pytest.raises(ValueError, match="photo 3 is gone"):
        for index, _ in prefetch(Numbers(bad=3), 0):
            seen.append(int(index[0]))
    assert seen == [0, 1, 2]


def test_prefetch_left_early_stops():
    numbers = Numbers()
    batches = prefetch(numbers, 0, depth=1)
    next(batches)
    batches.close()
    assert len(numbers.made) <= 3
