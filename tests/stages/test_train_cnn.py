"""The stage on forty photos of one coloured square each: every arm, and a run that is broken and goes on."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from aeret.data.prepared import Prepared
from aeret.models.autoencoder import build_autoencoder
from aeret.models.saved import SavedEncoder
from aeret.models.saved_joint import SavedJoint
from aeret.progress import silent
from aeret.settings import Settings
from aeret.stages import encode_masks, load_stage, prepare, train_cnn

from .poison import poisoned

MANIFEST = """
name: squares
description: one coloured square each
sources:
  all: {photos: photos, annotations: all.json}
splits:
  train: {source: all, part: "0:0.8"}
  query: {source: all, part: "0.8:1"}
  gallery: {source: all, part: "0.8:1"}
"""
SIDE = 32


def settings(manifest, **cnn) -> Settings:
    training = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-3, "mixed_precision": "bfloat16"}
    return Settings.model_validate(
        {
            "data": {
                "manifest": str(manifest),
                "photo_size": SIDE,
                "mask_size": 8,
                "validation_fraction": 0.3,
                "workers": 1,
            },
            "evaluation": {"clusters": 3},
            "autoencoder": {"architecture": "dense", "latent_size": 6, "mask_encoding": "onehot"},
            "cnn": {
                "backbone": "alexnet-small",
                "input_size": SIDE,
                "embedding_size": 16,
                "training": training | cnn.pop("training", {}),
                **cnn,
            },
        }
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("squares")
    (root / "photos").mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(60):
        category = number % 2
        photo = rng.integers(0, 60, (SIDE, SIDE, 3)).astype(np.uint8)
        y, x = rng.integers(0, SIDE - 16, 2).tolist()
        photo[y : y + 16, x : x + 16, category] = 250
        Image.fromarray(photo).save(root / "photos" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
        corners = [x, y, x + 16, y, x + 16, y + 16, x, y + 16]
        annotations.append(
            {"id": number, "image_id": number, "category_id": category, "segmentation": [corners], "iscrowd": 0}
            | {"area": 256, "bbox": [x, y, 16, 16]}
        )
    categories = [{"id": 0, "name": "red", "supercategory": "a"}, {"id": 1, "name": "green", "supercategory": "a"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "all.json").write_text(json.dumps(content))
    (root / "squares.yaml").write_text(MANIFEST)
    chosen = settings(root / "squares.yaml")
    folders = {name: root / name for name in ("prepare", "train-ae", "encode-masks")}
    for folder in folders.values():
        folder.mkdir()
    prepare.run(chosen, {}, folders["prepare"], silent)
    prepared = Prepared.open(folders["prepare"])
    SavedEncoder.of(build_autoencoder(chosen.autoencoder, 8, 2, seed=0), 8, prepared.categories).save(
        folders["train-ae"]
    )
    encode_masks.run(chosen, folders, folders["encode-masks"], silent)
    return folders | {"manifest": root / "squares.yaml"}


def run(inputs, out, **cnn):
    return train_cnn.run(settings(inputs["manifest"], **cnn), inputs, out, silent)


def assert_same_weights(first, second):
    with np.load(first / "weights.npz") as one, np.load(second / "weights.npz") as two:
        assert one.files == two.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name])


def test_is_a_stage():
    stage = load_stage("train-cnn")
    assert stage.INPUTS == ("prepare", "encode-masks")
    assert stage.SECTIONS == ("seed", "cnn")
    assert stage.SUMMARY.endswith(".")


def test_joint_learns_labels_and_codes(inputs, tmp_path):
    metrics = run(inputs, tmp_path, training={"epochs": 8})
    assert metrics["val_label_map"] > 0.9  # red or green: chance is 0.5
    assert metrics["val_code_r2"] > 0.1  # the mean code gives 0
    assert metrics["val_loss"] == pytest.approx(metrics["val_label_loss"] + metrics["val_latent_loss"], rel=1e-4)
    assert metrics["epochs"] == 8
    assert metrics["train_photos"] == len(Prepared.open(inputs["prepare"]).split("train"))
    json.dumps(metrics, allow_nan=False)
    saved = SavedJoint.load(tmp_path)
    assert saved.categories == ("red", "green")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["joint.json", "training", "weights.npz"]
    assert sorted(path.name for path in (tmp_path / "training").iterdir()) == ["history.csv", "tensorboard"]


@pytest.mark.parametrize(
    ("arm", "absent"),
    [("labels-only", None), ("latent-only", "val_label_map"), ("shuffled-latents", None)],
)
def test_control_arms_run_and_report_what_they_learnt(inputs, tmp_path, arm, absent):
    metrics = run(inputs, tmp_path, arm=arm, training={"epochs": 1})
    assert metrics["arm"] == arm
    assert {"val_code_r2", "val_label_map"} - metrics.keys() == ({absent} if absent else set())


def test_code_r2_is_worked_as_it_says(inputs, tmp_path):
    metrics = run(inputs, tmp_path, training={"epochs": 1})
    prepared, encoder = Prepared.open(inputs["prepare"]), SavedEncoder.load(inputs["encode-masks"])
    train, validation = prepared.split("train"), prepared.split("validation")
    true = encoder.encode(validation.masks, np.arange(len(validation)))
    mean = encoder.encode(train.masks, np.arange(len(train))).mean(0)
    predicted = SavedJoint.load(tmp_path).predict(validation.photos(slice(None)))["code"]
    expected = 1 - ((predicted - true) ** 2).sum() / ((mean - true) ** 2).sum()
    assert metrics["val_code_r2"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("arm", ["joint", "labels-only"])
def test_queries_and_gallery_teach_and_choose_nothing(inputs, tmp_path, arm):
    spoiled = inputs | {"prepare": poisoned(inputs["prepare"], tmp_path / "prepare")}
    spoiled["encode-masks"] = tmp_path / "encode-masks"
    shutil.copytree(inputs["encode-masks"], spoiled["encode-masks"])
    for name in ("query", "gallery"):
        path = spoiled["encode-masks"] / "codes" / f"{name}.npy"
        np.save(path, 100 - np.load(path))
    metrics = [run(one, tmp_path / str(number), arm=arm) for number, one in enumerate((inputs, spoiled))]
    for found in metrics:
        assert found.pop("train_seconds") > 0 and found.pop("photos_per_second") > 0
    assert metrics[0] == metrics[1]  # best epoch and validation losses among them
    assert_same_weights(tmp_path / "0", tmp_path / "1")


def test_shuffled_latents_differ_from_joint_in_the_masks_alone(inputs, tmp_path, monkeypatch):
    class Seen(Exception):
        pass

    def look(model, train, validation, *rest, **options):
        raise Seen(train, validation)

    monkeypatch.setattr("aeret.training.fit", look)
    feeds = []
    for arm in ("joint", "shuffled-latents"):
        with pytest.raises(Seen) as caught:
            run(inputs, tmp_path, arm=arm)
        feeds.append(caught.value.args)
    for joint, shuffled in zip(*feeds, strict=True):
        for index in range(len(joint)):
            (photos, targets), (same, others) = joint.batch(1, index), shuffled.batch(1, index)
            np.testing.assert_array_equal(photos, same)
            np.testing.assert_array_equal(targets["labels"], others["labels"])
            differ = (targets["masks"] != others["masks"]).any((1, 2, 3))
            assert differ.mean() > 0.5  # two photos may have the same square

    def whole(feed):
        masks = np.concatenate([feed.batch(0, index)[1]["masks"] for index in range(len(feed))])
        return sorted(mask.tobytes() for mask in masks)

    assert whole(feeds[0][1]) == whole(feeds[1][1])  # other photos' masks, each once


def test_a_broken_run_goes_on_to_the_same_model(inputs, tmp_path, monkeypatch):
    from aeret.training import JointFeed

    class Killed(Exception):
        pass

    run(inputs, tmp_path / "unbroken")
    original = JointFeed.batch

    def broken(self, epoch, index):
        if self.training and epoch == 2:
            raise Killed
        return original(self, epoch, index)

    monkeypatch.setattr(JointFeed, "batch", broken)
    with pytest.raises(Killed):
        run(inputs, tmp_path / "broken")
    monkeypatch.undo()
    run(inputs, tmp_path / "broken")
    assert_same_weights(tmp_path / "unbroken", tmp_path / "broken")
