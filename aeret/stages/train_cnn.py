"""``train-cnn``: from prepared photos and the trained mask encoder to the joint CNN."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aeret.progress import Progress
from aeret.settings import CnnSettings, Settings

NAME = "train-cnn"
SUMMARY = "Train the joint CNN: labels and layout code from the photo alone."
INPUTS = ("prepare", "encode-masks")
SECTIONS = ("seed", "cnn")
ROOMS = ("data", "losses", "models", "training", "rng.py")


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Train one arm into ``out``: a :class:`aeret.models.saved_joint.SavedJoint`, and ``training/`` with its history.

    The metrics, all on the validation part of *train*:

    - ``val_loss``, ``val_label_loss``, ``val_latent_loss``: of the epoch that was kept;
    - ``val_label_map``: mean over the categories that occur of the average precision of the label scores (not for
      ``latent-only``);
    - ``val_code_r2``: 1 - squared error of the predicted code over that of the mean code of the training photos, both
      summed over photos and dimensions; against each photo's own mask in every arm.

    The latent head of ``labels-only`` is fitted after the training, on embeddings that no longer change: see
    :mod:`aeret.models.read_out`.
    """
    from aeret.data.prepared import Prepared
    from aeret.models.joint import JointModel, code_target
    from aeret.models.saved import SavedEncoder
    from aeret.models.saved_joint import SavedJoint
    from aeret.training import clear, fit, precision

    cnn = settings.cnn
    prepared = Prepared.open(inputs["prepare"])
    encoder = SavedEncoder.load(inputs["encode-masks"])
    train, validation = prepared.split("train"), prepared.split("validation")
    with precision(cnn.training.mixed_precision):
        model = JointModel(
            cnn,
            len(prepared.categories),
            encoder.latent_size,
            settings.seed,
            code_target(encoder.keras_encoder, encoder.normaliser),
        )
    history = fit(
        model,
        _feed(train, cnn, encoder.encoding, settings.seed, training=True),
        _feed(validation, cnn, encoder.encoding, settings.seed, training=False) if len(validation) else None,
        cnn.training,
        out / "training",
        settings.seed,
        progress,
        title=f"train-cnn {cnn.arm}",
    )
    names = [category.name for category in prepared.categories]
    SavedJoint.save(out, model, names, encoder.latent_size)
    if not model.learns_latents:
        joint = SavedJoint.load(out)
        _read_out(joint, train, validation, inputs["encode-masks"], progress)
        SavedJoint.save(out, joint.model, names, encoder.latent_size)
    kept = history.rows[history.best_epoch - 1]
    metrics: dict[str, Any] = {name: value for name, value in kept.items() if "loss" in name}
    metrics |= _measure(SavedJoint.load(out), validation, inputs["encode-masks"], progress)
    clear(out / "training")
    return metrics | {
        "arm": cnn.arm,
        "backbone": cnn.backbone,
        "parameters": int(model.count_params()),
        "train_photos": len(train),
        "validation_photos": len(validation),
        "epochs": len(history.rows),
        "best_epoch": history.best_epoch,
        "stopped_early": history.stopped_early,
        "train_seconds": round(history.seconds, 1),
        "photos_per_second": round(history.examples_per_second, 1),
    }


def _feed(split: Any, cnn: CnnSettings, encoding: Any, seed: int, training: bool) -> Any:
    from aeret.training import JointFeed

    return JointFeed(
        split,
        cnn.input_size,
        cnn.training.batch_size,
        seed,
        training,
        encoding=None if cnn.arm == "labels-only" else encoding,
        flip=cnn.flip,
        crop=cnn.crop,
        colour=cnn.colour,
        shuffled=cnn.arm == "shuffled-latents",
    )


def _measure(joint: Any, validation: Any, encoded: Path, progress: Progress) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import average_precision_score

    from aeret.stages.encode_masks import CODES

    if not len(validation):
        return {}
    predicted = _predict(joint, validation, "measure on validation", progress)
    metrics: dict[str, float] = {}
    labels = np.asarray(validation.labels)
    occurs = labels.any(axis=0)
    if joint.model.learns_labels and occurs.any():
        score = average_precision_score(labels[:, occurs], predicted["label_scores"][:, occurs], average="macro")
        metrics["val_label_map"] = float(score)
    mean = np.load(encoded / CODES / "train.npy", mmap_mode="r").mean(axis=0, dtype=np.float64)
    true = np.load(encoded / CODES / "validation.npy").astype(np.float64)
    spread = ((true - mean) ** 2).sum()
    if spread > 0:
        metrics["val_code_r2"] = float(1 - ((predicted["code"] - true) ** 2).sum() / spread)
    return metrics


def _read_out(joint: Any, train: Any, validation: Any, encoded: Path, progress: Progress) -> None:
    import numpy as np

    from aeret.models.read_out import fit_read_out
    from aeret.stages.encode_masks import CODES

    pairs = []
    for split in (train, validation):
        if len(split):
            pairs.append(_predict(joint, split, f"embed {split.name}", progress)["embedding"])
            pairs.append(np.load(encoded / CODES / f"{split.name}.npy"))
    found = fit_read_out(*pairs)
    joint.model.get_layer("code").set_weights([found.kernel, found.bias])


def _predict(joint: Any, split: Any, title: str, progress: Progress) -> dict[str, Any]:
    import numpy as np

    count, block = len(split), 256
    found: dict[str, list[Any]] = {}
    with progress(title, count, unit="photo") as advance:
        for start in range(0, count, block):
            stop = min(start + block, count)
            for name, values in joint.predict(split.photos(slice(start, stop))).items():
                found.setdefault(name, []).append(values)
            advance(stop - start)
    return {name: np.concatenate(values) for name, values in found.items()}
