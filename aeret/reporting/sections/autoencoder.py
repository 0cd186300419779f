"""Build the section of the mask autoencoder: its reconstructions of unseen masks, beside their floors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from aeret.evaluation.result import Evaluation
from aeret.reporting.colours import colours_of
from aeret.reporting.inputs import Autoencoder, Maps, ReportInputs
from aeret.reporting.pictures import Painter
from aeret.reporting.plots.reconstruction import reconstruction_iou
from aeret.reporting.report import Block, Cell, Column, Fact, Facts, Figure, Gallery, Prose, Section, Strip, Table, Tile

_SHOWN = 10
_FLOORS = (("mean_mask", "floor: mean mask"), ("pca", "floor: PCA of the same size"))
_MEASURES = (("foreground_iou", "foreground IoU"), ("bce", "BCE per cell"), ("category_iou", "mean category IoU"))


def autoencoder_section(
    evaluation: Evaluation, inputs: ReportInputs, autoencoder: Autoencoder, colours: Mapping[str, str]
) -> Section:
    """Return the reconstruction measures beside code R2, the IoU per category and true beside reconstructed masks.

    Args:
        evaluation: has code R2.
        inputs: has the records of the stages, and tells whether lengths of codes are learnt.
        autoencoder: metrics and masks that are shown.
        colours: name in the maps to colour.
    """
    return Section("autoencoder", "Mask autoencoder", tuple(_blocks(evaluation, inputs, autoencoder, colours)))


def _blocks(
    evaluation: Evaluation, inputs: ReportInputs, autoencoder: Autoencoder, colours: Mapping[str, str]
) -> Iterator[Block]:
    if autoencoder.metrics.get("verdict"):
        yield Prose(str(autoencoder.metrics["verdict"]))
    frame = evaluation.query_by_layout
    whole = frame[frame["gallery"] == "all"]
    predicted = dict(zip(whole["subset"], whole["code_r2"].astype(float), strict=True))
    yield _measures(autoencoder.metrics, predicted)
    if predicted:
        yield _predictable(predicted, inputs)
    figure = _per_category(autoencoder.metrics)
    if figure is not None:
        yield figure
    if autoencoder.true is not None and autoencoder.reconstructed is not None:
        yield _examples(autoencoder, autoencoder.true, autoencoder.reconstructed, colours)


def _predictable(predicted: Mapping[str, float], inputs: ReportInputs) -> Facts:
    """Return code R2 on every held-out set that it was measured on."""
    facts = [
        Fact("query photos" if name == "all" else f"query photos of {name}", value, "measure")
        for name, value in predicted.items()
    ]
    record = inputs.records.get("train-cnn")
    held_out = None if record is None else record.metrics.get("val_code_r2")
    if held_out is not None:
        facts.append(Fact("validation part of train", held_out, "measure", "against the mean code of train"))
    caption = (
        "Code R2: the share of the variance of true mask codes that is predicted from photos that nothing was fitted "
        "to. 1 is perfect, 0 is the mean code, below 0 is worse."
    )
    if inputs.layouts is not None and not inputs.layouts.length_is_learnt:
        caption += " This run's latent loss teaches the direction of a code, not its length, which R2 punishes."
    return Facts("code-r2", "How well the code is predicted", facts, caption)


def _measures(metrics: Mapping[str, Any], predicted: Mapping[str, float]) -> Table:
    present = [(key, title) for key, title in _MEASURES if key in metrics]
    rows: list[tuple[Cell, ...]] = []
    kinds: list[str] = []
    for name, group in {"all": metrics, **metrics.get("subsets", {})}.items():
        found = (group.get(key) for key, _ in present)
        rows.append(("autoencoder", name, group.get("masks"), *found, predicted.get(name)))
        kinds.append("lead")
        for key, title in _FLOORS:
            floor = group.get("floors", {}).get(key)
            if floor:
                rows.append((title, name, group.get("masks"), *(floor.get(key) for key, _ in present), None))
                kinds.append("floor")
    columns = (
        Column("method", "method"),
        Column("masks_of", "masks of"),
        Column("masks", "masks", "count"),
        *(Column(key, title, "measure", bar=key != "bce") for key, title in present),
        Column("code_r2", "code R2", "measure", "Of the codes the CNN predicts from these photos; a floor has none."),
    )
    caption = (
        f"On {metrics.get('measured_on', 'held-out masks')}, which neither trained nor chose anything. A "
        "better reconstruction is not by itself a better target for the CNN: what counts is a code that is both "
        "informative and predictable from the photo, so read IoU beside code R2. Lower is better for BCE."
    )
    sentences = metrics.get("conventions", {})
    notes = [f"{title}: {sentences[key]}" for key, title in present if key in sentences]
    return Table.of_rows(
        "reconstruction", "Reconstruction", columns, rows, row_kinds=kinds, caption=caption, notes=notes
    )


def _per_category(metrics: Mapping[str, Any]) -> Figure | None:
    per_category = metrics.get("per_category_iou")
    if not per_category:
        return None
    found = {"iou": per_category}
    found |= {name: metrics.get("floors", {}).get(name, {}).get("per_category_iou") for name, _ in _FLOORS}
    series = {name: pd.Series(each, list(per_category), dtype=float) for name, each in found.items() if each}
    frame = pd.DataFrame(series).rename_axis("category").reset_index()
    if not frame["iou"].notna().any():
        return None
    caption = (
        "Where the dot is right of the bar, the autoencoder beats PCA with as many numbers. "
        "Large things are easy, small ones hard."
    )
    titles = {"iou": "IoU", "mean_mask": "mean mask", "pca": "PCA"}
    columns = (Column("category", "category"), *(Column(name, titles[name], "measure") for name in series))
    figure = Figure("category-iou", "Reconstruction by category", reconstruction_iou(frame, "iou"), caption)
    return figure.with_numbers(columns, frame)


def _examples(autoencoder: Autoencoder, true: Maps, reconstructed: Maps, colours: Mapping[str, str]) -> Gallery:
    true, reconstructed = true[:_SHOWN], reconstructed[:_SHOWN]
    names = autoencoder.names or tuple(f"channel {index}" for index in range(true.shape[-1]))
    pca = None if autoencoder.pca is None else autoencoder.pca[:_SHOWN]
    maps = [*true, *reconstructed, *(() if pca is None else pca)]
    painter = Painter(names, maps, [1.0] * len(maps), colours if autoencoder.names else colours_of(names))
    strips = [_strip("reconstructed-masks", "Autoencoder", true, reconstructed, painter)]
    if pca is not None:
        strips.append(_strip("reconstructed-pca", "PCA of the same size", true, pca, painter))
    caption = "Above the true mask, below what is left of it. Half transparent: probability 0.25 to 0.5."
    return Gallery("reconstructed", "True and reconstructed masks", strips, caption)


def _strip(name: str, title: str, true: Maps, again: Maps, painter: Painter) -> Strip:
    tiles = [
        Tile(painter.paint(mask, "true mask"), _overlap(mask, other), layout=painter.paint(other, "reconstructed mask"))
        for mask, other in zip(true, again, strict=True)
    ]
    return Strip(name, title, tiles, legend=painter.legend)


def _overlap(true: Maps, again: Maps) -> str:
    a, b = true >= 0.5, again >= 0.5
    union = np.count_nonzero(a | b)
    return f"IoU {np.count_nonzero(a & b) / union:.2f}" if union else "both empty"
