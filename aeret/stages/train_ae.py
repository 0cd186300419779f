"""Train the mask autoencoder on prepared masks (stage ``train-ae``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.progress import Progress
from aeret.settings import AutoencoderSettings, Settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from aeret.data.encodings import MaskEncoding
    from aeret.data.masks import MaskPlanes
    from aeret.data.prepared import PreparedSplit
    from aeret.models.principal import PrincipalComponents
    from aeret.models.saved import SavedEncoder

NAME = "train-ae"
SUMMARY = "Train the autoencoder of segmentation masks."
INPUTS = ("prepare",)
SECTIONS = ("seed", "autoencoder")

MARGIN = 0.03
"""Foreground IoU by which the autoencoder should beat PCA of the same size."""
_COMPONENT_MASKS = 20_000  # masks that principal components are fitted on, at most
_BLOCK = 128
_EXAMPLES = 12


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Train into ``out``: a :class:`aeret.models.saved.SavedEncoder` that does not normalise yet, ``training/`` with
    its history, and ``examples.npz``.

    ``examples.npz`` holds a dozen query masks drawn by the seed: ``true``, ``reconstructed`` and ``pca``, float16
    (k, h, w, channels) in [0, 1]; ``photo_ids`` int64 (k,); ``names`` of the channels.

    The metrics are those of :mod:`aeret.models.reconstruction` on the query masks, which trained and chose nothing;
    under ``floors`` the same for ``mean_mask`` and ``pca`` (of the same size, fitted on the masks the autoencoder
    learns from); under ``subsets`` both again for each subset of the queries.
    """
    import numpy as np

    from aeret.data.encodings import mask_encoding
    from aeret.data.prepared import Prepared
    from aeret.models.autoencoder import build_autoencoder
    from aeret.models.reconstruction import CONVENTIONS
    from aeret.models.saved import SavedEncoder
    from aeret.training import FitOptions, MaskFeed, clear, fit, precision

    chosen = settings.autoencoder
    prepared = Prepared.open(inputs["prepare"])
    encoding = mask_encoding(chosen.mask_encoding, prepared.categories)
    train, validation = prepared.split("train"), prepared.split("validation")
    components, fitted_on = _components(train.masks, encoding, chosen, settings.seed, progress)
    with precision(chosen.training.mixed_precision):
        model = build_autoencoder(chosen, prepared.mask_size, encoding.channels, settings.seed)
    model.start_from(components)

    def feed(split: PreparedSplit, training: bool) -> MaskFeed:
        batch = chosen.training.batch_size
        return MaskFeed(split.masks, encoding, batch, settings.seed, training, chosen.flip, chosen.crop)

    history = fit(
        model,
        feed(train, True),
        feed(validation, False) if len(validation) else None,
        chosen.training,
        out / "training",
        settings.seed,
        FitOptions(progress, f"train-ae {chosen.architecture}", "mask"),
    )
    SavedEncoder.of(model, prepared.mask_size, prepared.categories).save(out)
    saved = SavedEncoder.load(out)
    query = prepared.split("query")
    mean = _mean_mask(train.masks, encoding, progress)
    metrics = _evaluate(saved, components, mean, query, progress)
    rng_rows = _example_rows(len(query), settings.seed)
    np.savez_compressed(out / "examples.npz", **_examples(saved, components, query, rng_rows))  # type: ignore[arg-type]
    clear(out / "training")
    return metrics | {
        "verdict": _verdict(metrics, chosen),
        "measured_on": f"{len(query)} query masks",
        "pca_fitted_on": fitted_on,
        "pca_size": len(components.axes),
        "conventions": CONVENTIONS,
        "channels": encoding.channels,
        "latent_size": chosen.latent_size,
        "parameters": int(model.count_params()),
        "train_masks": len(train),
        "validation_masks": len(validation),
        "epochs": len(history.rows),
        "best_epoch": history.best_epoch,
        "stopped_early": history.stopped_early,
        history.monitor: float(history.best),
        "train_seconds": round(history.seconds, 1),
        "masks_per_second": round(history.examples_per_second, 1),
    }


def _components(
    planes: MaskPlanes, encoding: MaskEncoding, chosen: AutoencoderSettings, seed: int, progress: Progress
) -> tuple[PrincipalComponents, str]:
    """Fit PCA on what the autoencoder learns from: the training masks, and their mirror images where it sees them."""
    import numpy as np
    from scipy import sparse

    from aeret.models.principal import principal_components
    from aeret.rng import generator

    rows = np.arange(len(planes))
    if len(rows) > _COMPONENT_MASKS:
        rows = np.sort(generator(seed, "component-masks").choice(rows, _COMPONENT_MASKS, replace=False))
    parts, mirrored = [], []
    with progress("principal components of the masks", len(rows), unit="mask") as advance:
        for start in range(0, len(rows), _BLOCK):
            channels = encoding.encode(planes.dense(rows[start : start + _BLOCK]))
            parts.append(sparse.csr_array(channels.reshape(len(channels), -1)))
            if chosen.flip:
                mirrored.append(sparse.csr_array(channels[:, :, ::-1].reshape(len(channels), -1)))
            advance(len(channels))
        result = principal_components(sparse.vstack([*parts, *mirrored], "csr"), chosen.latent_size, seed)
    words = f"{len(rows)} training masks" + (" and their mirror images" if chosen.flip else "")
    return result, words


def _mean_mask(planes: MaskPlanes, encoding: MaskEncoding, progress: Progress) -> npt.NDArray[np.float32]:
    import numpy as np

    total = np.zeros((planes.size, planes.size, encoding.channels))
    with progress("mean mask", len(planes), unit="mask") as advance:
        for start in range(0, len(planes), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(planes)))
            total += encoding.encode(planes.dense(rows)).sum(axis=0, dtype=np.float64)
            advance(len(rows))
    mean: npt.NDArray[np.float32] = (total / max(len(planes), 1)).astype(np.float32)
    return mean


def _reconstruct(
    saved: SavedEncoder, components: PrincipalComponents, planes: MaskPlanes, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the true channels, the autoencoder's and PCA's, each float32 (b, h, w, channels)."""
    import numpy as np

    dense = planes.dense(rows)
    true = saved.encoding.encode(dense)
    flat = components.decode(components.encode(true.reshape(len(true), -1)))
    return true, saved.decode(saved.encode_masks(dense)), np.clip(flat, 0.0, 1.0).reshape(true.shape)


def _evaluate(
    saved: SavedEncoder,
    components: PrincipalComponents,
    mean: npt.NDArray[np.float32],
    split: PreparedSplit,
    progress: Progress,
) -> dict[str, Any]:
    import numpy as np

    from aeret.models.reconstruction import ReconstructionScore

    groups = {"": np.ones(len(split), np.bool_)}
    groups |= {name: inside for name, inside in split.subsets.items() if inside.any()}
    methods = ("autoencoder", "mean_mask", "pca")
    scores = {group: {method: ReconstructionScore(saved.encoding) for method in methods} for group in groups}
    with progress("reconstruct query masks", len(split), unit="mask") as advance:
        for start in range(0, len(split), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(split)))
            true, ours, theirs = _reconstruct(saved, components, split.masks, rows)
            found = dict(zip(methods, (ours, np.broadcast_to(mean, true.shape), theirs), strict=True))
            for group, inside in groups.items():
                part = inside[rows]
                for method in methods if part.any() else ():
                    scores[group][method].add(true[part], found[method][part])
            advance(len(rows))

    def result(group: str) -> dict[str, Any]:
        values = {method: score.values() for method, score in scores[group].items()}
        ours = values.pop("autoencoder")
        gain = ours["foreground_iou"] - values["pca"]["foreground_iou"]
        return ours | {"floors": values, "gain_over_pca": gain, "masks": int(groups[group].sum())}

    return result("") | {"subsets": {group: result(group) for group in groups if group}}


def _verdict(metrics: Mapping[str, Any], chosen: AutoencoderSettings) -> str:
    ours, floor = metrics["foreground_iou"], metrics["floors"]["pca"]["foreground_iou"]
    facts = f"Foreground IoU {ours:.3f}, PCA of the same size {floor:.3f}"
    if ours - floor >= MARGIN:
        return f"{facts}: beats it by {ours - floor:.3f} (at least {MARGIN} is asked)."
    if chosen.architecture == "dense":
        why = (
            "one hidden layer can at best learn the subspace that PCA computes, and its sigmoids cost some of it; "
            "architecture=conv starts from PCA"
        )
    elif not chosen.principal:
        why = "it started from random weights; principal=true starts it from PCA"
    elif chosen.corruption != "none" or chosen.sparsity:
        why = "denoising and sparsity trade reconstruction for a code that is easier to predict"
    else:
        why = f"it was trained for {chosen.training.epochs} epochs at width {chosen.width}; either may be too little"
    return f"{facts}: does not beat it by {MARGIN}. Likely why: {why}."


def _example_rows(count: int, seed: int) -> npt.NDArray[np.int64]:
    import numpy as np

    from aeret.rng import generator

    drawn: npt.NDArray[np.int64] = np.sort(generator(seed, "examples").permutation(count)[:_EXAMPLES])
    return drawn


def _examples(
    saved: SavedEncoder, components: PrincipalComponents, split: PreparedSplit, rows: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[Any]]:
    import numpy as np

    images = _reconstruct(saved, components, split.masks, rows)
    named = dict(zip(("true", "reconstructed", "pca"), (image.astype(np.float16) for image in images), strict=True))
    return {**named, "photo_ids": split.photo_ids[rows], "names": np.array(saved.encoding.names)}
