"""A small made-up evaluation with photos, so that reports can be tested without any model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from aeret.artifacts import Record
from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import Autoencoder, Layouts, ReportInputs, Training
from aeret.retrieval.ranking import Ranking

CATEGORIES = ("person", "dog", "bicycle", "kite", "<script>alert(1)</script>", "$x^2$ | *y*")
METHODS = ("cluster-first sequential", "cluster-first pooled", "exhaustive")


@dataclass
class MadeMasks:
    """Dense masks behind the interface of MaskPlanes."""

    planes: np.ndarray

    def dense(self, rows: Any) -> np.ndarray:
        return self.planes[np.asarray(rows)]


@dataclass
class MadeSplit:
    """A split whose arrays are in memory."""

    photo_ids: np.ndarray
    labels: np.ndarray
    masks: Any
    pixels: np.ndarray
    sizes: np.ndarray
    file_names: list[str] = field(default_factory=list)
    flags: dict[str, np.ndarray] = field(default_factory=dict)

    def photos(self, positions: Any) -> np.ndarray:
        return self.pixels[np.asarray(positions)]


def split(photos: int = 30, size: int = 32, cells: int = 8, seed: int = 0) -> MadeSplit:
    rng = np.random.default_rng(seed)
    labels = rng.random((photos, len(CATEGORIES))) < 0.35
    labels[:, 0] |= ~labels.any(axis=1)
    masks = np.zeros((photos, cells, cells, len(CATEGORIES)), np.uint8)
    for photo, category in zip(*np.nonzero(labels), strict=True):
        y, x = rng.integers(0, cells - 3, 2)
        masks[photo, y : y + 3, x : x + 3, category] = 1
    pixels = rng.integers(0, 255, (photos, size, size, 3), dtype=np.uint8)
    sizes = np.stack([np.full(photos, 60), rng.integers(40, 120, photos)], axis=1).astype(np.int32)
    names = [f"{photo}.jpg" for photo in range(photos)]
    flags = {"true_masks": np.arange(photos) < photos // 3}
    return MadeSplit(np.arange(photos) + 100, labels, MadeMasks(masks), pixels, sizes, names, flags)


def evaluation(gallery: MadeSplit, vectors: np.ndarray, clusters: int = 6, latent: bool = True) -> Evaluation:
    """Rank the gallery against itself for real; make up the aggregate numbers."""
    rng = np.random.default_rng(7)
    n = len(vectors)
    distance = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, : min(20, n - 1)]
    ranking = Ranking(
        order.astype(np.int64),
        np.take_along_axis(distance, order, axis=1).astype(np.float32),
        np.full(n, n - 1, np.int64),
        np.zeros(n, np.int64),
    )
    seeds = vectors[:clusters]
    assignment = np.linalg.norm(vectors[:, None] - seeds[None], axis=2).argmin(axis=1).astype(np.int32)
    sizes = np.bincount(assignment, minlength=clusters)
    near = np.linalg.norm(vectors[:, None] - seeds[None], axis=2)
    examples = [[int(row) for row in np.argsort(near[:, c]) if assignment[row] == c][:12] for c in range(clusters)]
    names = [
        "nDCG(rel=layout)@10",
        "nDCG(rel=jaccard)@10",
        "AP(rel=any)",
        "P(rel=any)@10",
        "P(rel=any,average=class)@10",
    ]
    base = dict(zip(names, (0.1943, 0.512, 0.733, 0.861, 0.2231), strict=True))
    measures = pd.DataFrame(
        {
            "method": method,
            "measure": name,
            "value": base[name] - 0.004 * place,
            "low": base[name] - 0.02,
            "high": base[name] + 0.02,
            "queries": n - 1,
            "skipped": 1,
            "floor_random": base[name] / 4,
            "floor_query_free": base[name] / 2,
        }
        for place, method in enumerate(METHODS)
        for name in names
    )
    cutoffs = pd.DataFrame(
        {
            "method": method,
            "n": k,
            "measure": part,
            "mean": top / k**0.2 - 0.01 * place if part == "P" else top * k / 10 - 0.001 * place,
            "sd": 0.004,
            "low": (top / k**0.2 if part == "P" else top * k / 10) - 0.012,
            "high": (top / k**0.2 if part == "P" else top * k / 10) + 0.008,
            "floor_random": top / 5,
            "floor_query_free": top / 3,
        }
        for place, method in enumerate(METHODS)
        for k in (2, 5, 8, 10)
        for part, top in (("P", 0.9), ("R", 0.09), ("R capped", 0.8), ("F", 0.15))
    )
    pairs = pd.DataFrame(
        {
            "name": ["this run", "single cluster", "random partition", "label oracle"],
            "clusters": [clusters, 1, clusters, len(CATEGORIES)],
            "tp": [90, 200, 40, 180],
            "fp": [40, 235, 70, 0],
            "fn": [110, 0, 160, 20],
            "tn": [195, 0, 165, 235],
            "precision": [0.692, 0.46, 0.364, 1.0],
            "recall": [0.45, 1.0, 0.2, 0.9],
            "f": [0.545, 0.63, 0.258, 0.947],
            "kappa": [0.29, 0.0, -0.02, 0.9],
        }
    )
    recall = np.linspace(0, 1, 101)
    by_layout = pd.DataFrame(
        {
            # The whole is not the first row: a report must look for it.
            "subset": ["true_masks", "true_masks", "all"],
            "gallery": ["true_masks", "all", "all"],
            "queries": [n // 3, n // 3, n],
            "candidates": [n // 3, n, n],
            "R@1": [0.15, 0.05, 0.06],
            "R@5": [0.31, 0.2, 0.19],
            "R@10": [0.481, 0.25, 0.274],
            "median_rank": [12.0, 44.5, 41.0],
            "code_r2": [0.12, 0.12, 0.132],
        }
    )
    for k in (1, 5, 10):
        by_layout[f"R@{k} low"], by_layout[f"R@{k} high"] = by_layout[f"R@{k}"] - 0.03, by_layout[f"R@{k}"] + 0.03
        by_layout[f"floor R@{k}"] = k / by_layout["candidates"]
    by_layout["floor median_rank"] = (by_layout["candidates"] + 1) / 2
    subsets = pd.DataFrame(
        {
            "subset": "true_masks",
            "gallery": where,
            "method": method,
            "measure": "nDCG(rel=layout)@10",
            "queries": n // 3,
            "value": value - 0.01 * (method == METHODS[2]),
            "low": value - 0.03,
            "high": value + 0.03,
            "floor_random": 0.05,
            "floor_query_free": floor,
        }
        for where, value, floor in (("all", 0.21, 0.09), ("true_masks", 0.177, 0.192))
        for method in (METHODS[2], METHODS[0])
    )
    per_query = pd.DataFrame({"photo_id": gallery.photo_ids})
    for name in names[:4]:
        per_query[name] = np.round(rng.random(n), 3)
    per_query.loc[0, names[:4]] = np.nan
    real = gallery.flags.get("true_masks", np.zeros(n, bool))
    # Two subsets of real masks, of which the larger counts, and a larger one that is not all real.
    per_query["subset:few"] = real & (np.arange(n) < n // 6)
    per_query["subset:true_masks"] = real
    per_query["subset:dogs"] = np.arange(n) % 2 == 0
    held = gallery.labels.sum(axis=0)
    per_class = pd.DataFrame(
        {
            "category": CATEGORIES,
            "queries": held[: len(CATEGORIES)],
            "prevalence": gallery.labels.mean(axis=0)[: len(CATEGORIES)],
            "P@10": np.linspace(0.9, 0.1, len(CATEGORIES)),
            "AP": np.linspace(0.8, 0.05, len(CATEGORIES)),
            "floor": np.linspace(0.6, 0.02, len(CATEGORIES)),
            "floor_ap": np.linspace(0.6, 0.02, len(CATEGORIES)),
        }
    )
    steps = ("exhaustive", METHODS[0], "compressed", "hashed", "re-ranked")
    lost = (0.0, -0.01, -0.012, -0.08, -0.02)
    sizes_of = (1032.0, 1048.0, 40.0, 16.0, 1040.0)
    waterfall = pd.DataFrame(
        {
            "step": step,
            "measure": name,
            "value": 0.5 + loss,
            "low": 0.45 + loss,
            "high": 0.55 + loss,
            "from_exact": loss,
            "from_exact_low": loss - 0.01 * (loss < 0),
            "from_exact_high": loss + 0.01 * (loss < 0),
            "bytes_per_photo": size,
        }
        for step, loss, size in zip(steps, lost, sizes_of, strict=True)
        for name in ("nDCG(rel=layout)@10", "nDCG(rel=jaccard)@10", "P(rel=any)@10")
    )
    class_losses = per_class[["category", "queries"]].assign(
        **{step: per_class["P@10"] + loss for step, loss in zip(steps, lost, strict=True)}
    )
    return Evaluation(
        facts={
            "n_queries": n,
            "n_gallery": n,
            "leave_one_out": True,
            "seed": 3,
            "lead": METHODS[0],
            "embedding_size": 8,
        },
        conventions={"AP": "Denominator is every relevant photo.", "self-match": "A photo is never its own <result>."},
        measures=measures,
        cutoffs=cutoffs,
        pairs=pairs,
        clusters={
            "k": clusters,
            "inertia": 12.5,
            "inertia_per_start": [12.5, 13.0],
            "sizes": sizes.tolist(),
            "empties": int((sizes == 0).sum()),
            "imbalance": 1.2,
            "examples": examples,
        },
        search=pd.DataFrame(
            {
                "method": METHODS,
                "share_scanned": [0.031, 0.035, 1.0],
                "probes": [1.4, 1.7, 0.0],
                "agreement_10": [0.81, 0.84, 1.0],
                "agreement_n": [0.7, 0.73, 1.0],
            }
        ),
        pr_curve=pd.DataFrame(
            {"recall": recall, "precision": 0.9 - 0.4 * recall, "floor": 0.5, "query_free": 0.7 - 0.2 * recall}
        ),
        per_class=per_class,
        per_query=per_query,
        query_by_layout=by_layout if latent else by_layout.iloc[:0],
        layout_subsets=subsets if latent else subsets.iloc[:0],
        waterfall=waterfall,
        class_losses=class_losses,
        spill=pd.DataFrame({"clusters": [1, 2, 3], "queries": [n - 5, 3, 2], "share": [(n - 5) / n, 3 / n, 2 / n]}),
        rankings=dict.fromkeys(METHODS, ranking),
        layout_ranks=rng.integers(1, n, n).astype(np.int32) if latent else np.zeros(0, np.int32),
        assignment=assignment,
        gallery_ids=gallery.photo_ids,
        timings={step: 0.1 + size / 1e4 for step, size in zip(steps, sizes_of, strict=True)},
    )


def material(gallery: MadeSplit, names: tuple[str, ...] = CATEGORIES, latent: bool = True) -> ReportInputs:
    rng = np.random.default_rng(5)
    n = len(gallery.photo_ids)
    # A blurred mask stands for what a decoder makes of a predicted code; the "code" is the photo's row.
    dense = gallery.masks.dense(np.arange(n)).astype(np.float32)
    blurred = sum(np.roll(dense, (y, x), (1, 2)) for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9 * 1.3
    true = np.zeros((n, 24), np.float32)
    true[:, 0] = np.arange(n)
    true[:, 1:] = rng.normal(size=(n, 23)) * np.exp(-np.arange(23) / 8)
    predicted = (true + 0.8 * rng.normal(size=true.shape) * np.exp(-np.arange(24) / 20)).astype(np.float32)
    predicted[:, 0] = true[:, 0]
    layouts = Layouts(
        names,
        lambda masks: masks.astype(np.float32),
        predicted,
        true,
        lambda codes: blurred[codes[:, 0].astype(int)].clip(0, 1),
    )
    epochs = np.arange(1, 13)
    history = pd.DataFrame(
        {
            "epoch": epochs,
            "learning_rate": 1e-3,
            "loss": 3 / epochs,
            "label_loss": 1 / epochs,
            "latent_loss": 2 / epochs,
            "val_loss": 3 / epochs + 0.01 * (epochs - 6.0) ** 2 + 0.2,
            "val_label_loss": 1 / epochs + 0.1,
            "val_latent_loss": 2 / epochs + 0.1,
            "seconds": 2.0,
        }
    )
    iou = dict(zip(names, np.linspace(0.8, 0.2, len(names)).tolist(), strict=True))
    floors = {
        "mean_mask": {"foreground_iou": 0.04, "bce": 0.031, "per_category_iou": dict.fromkeys(names, 0.02)},
        "pca": {"foreground_iou": 0.5, "bce": 0.019, "per_category_iou": {k: v * 0.9 for k, v in iou.items()}},
    }
    record = Record(
        stage="train-cnn",
        key="0123456789abcdef",
        settings={},
        sections=("cnn",),
        inputs={},
        sources={},
        code="fedcba9876543210",
        seed=3,
        started="2026-11-20T16:00:00+00:00",
        finished="2026-11-20T16:05:00+00:00",
        seconds=301.5,
        versions={"aeret": "0.1.0", "numpy": "2.4"},
        metrics={"val_code_r2": 0.141},
    )
    return ReportInputs(
        categories=names,
        queries=gallery,
        gallery=gallery,
        layouts=layouts if latent else None,
        autoencoder=Autoencoder(
            {
                "foreground_iou": 0.53,
                "bce": 0.017,
                "measured_on": "30 query masks",
                "per_category_iou": iou,
                "floors": floors,
            },
            dense[:8],
            blurred[:8],
            blurred[:8] * 0.8,
            names,
        ),
        trainings=(Training("train-ae", history[["epoch", "loss", "val_loss"]]), Training("train-cnn", history)),
        records={"prepare": record, "train-cnn": record},
        settings={
            "seed": 3,
            "data": {"manifest": "scenes", "photo_size": 112, "mask_size": 32},
            "cnn": {"arm": "joint" if latent else "labels-only", "backbone": "resnet18-small"}
            | {"latent_weight": 0.5, "latent_loss": "mse", "contrastive_weight": 0.25},
            "autoencoder": {"latent_size": 256, "mask_encoding": "onehot"},
        },
        date="2026-11-20T16:10:00+00:00",
        examples=3,
        warnings=("Masks of 24 687 annotations are not real: layout figures are against pseudo-masks.",),
    )
