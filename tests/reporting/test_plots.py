"""Plots: the same bytes for the same numbers, text as text, unique ids, the page's colours."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import synthetic_evaluation as synthetic

from aeret.reporting.plots.cluster_sizes import cluster_sizes
from aeret.reporting.plots.code_spectrum import code_spectrum
from aeret.reporting.plots.cutoffs import cutoff_lines
from aeret.reporting.plots.layout_against_labels import layout_against_labels
from aeret.reporting.plots.pr_curve import pr_curve
from aeret.reporting.plots.reconstruction import reconstruction_iou
from aeret.reporting.plots.training import quantities, training_curves

HISTORY = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "val_loss": [3.1, 2.2, 2.5], "seconds": [1, 1, 1]})
POINTS = pd.DataFrame(
    {"arm": ["joint", "joint", "labels-only"], "seed": [0, 1, 0], "x": [0.5, 0.6, 0.5], "y": [0.2, 0.21, 0.15]}
)


def _evaluation() -> object:
    gallery = synthetic.split()
    return synthetic.evaluation(gallery, np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32))


PLOTS: dict[str, Callable[[], str]] = {
    "pr": lambda: pr_curve(_evaluation().pr_curve, "pr"),  # type: ignore[attr-defined]
    "cutoffs": lambda: cutoff_lines(_evaluation().cutoffs, "cutoffs"),  # type: ignore[attr-defined]
    "sizes": lambda: cluster_sizes([5, 1, 9, 0], "sizes"),
    "spectrum": lambda: code_spectrum(np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.1, -2.0]), "spectrum"),
    "curves": lambda: training_curves(HISTORY, "curves"),
    "iou": lambda: reconstruction_iou(
        pd.DataFrame(
            {"category": list(synthetic.CATEGORIES), "iou": np.linspace(0.9, 0.1, 6), "pca": 0.4, "mean_mask": 0.1}
        ),
        "iou",
    ),
    "arms": lambda: layout_against_labels(POINTS, "arms", "jaccard", "layout"),
}


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_numbers_make_the_same_bytes(name: str) -> None:
    first = PLOTS[name]()
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path"}):
        assert PLOTS[name]() == first, "the user's matplotlib settings leak in"


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_svg_with_text_and_ids_of_its_own(name: str) -> None:
    text = PLOTS[name]()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "viewBox" in root.attrib
    assert "width" not in root.attrib, "the page decides how wide it is"
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(one.startswith(f"{name}-") for one in ids)
    used = re.findall(r"(?:href=\"|url\()#([^\")]+)", text)
    assert set(used) <= set(ids)
    assert [element for element in root.iter() if element.tag.endswith("}text")]
    assert "<metadata" not in text
    assert "var(--plot-" in text
    assert "#0072b2" not in re.sub(r"var\([^)]*\)", "", text), "a colour that does not follow the theme"


def test_category_names_are_drawn_as_they_are() -> None:
    text = PLOTS["iou"]()
    drawn = [element.text for element in ElementTree.fromstring(text).iter() if element.tag.endswith("}text")]
    assert "$x^2$ | *y*" in drawn
    assert "<script>alert(1)</script>" in drawn


def test_numbers_in_text_keep_their_digits() -> None:
    points = POINTS.assign(y=[0.1925, 0.195, 0.1935])
    text = layout_against_labels(points, "arms", "jaccard", "layout")
    drawn = [element.text for element in ElementTree.fromstring(text).iter() if element.tag.endswith("}text")]
    assert any(re.fullmatch(r"0\.\d{3,}", word or "") for word in drawn), "tick labels were cut to two decimals"


def test_the_loss_is_drawn_first_and_times_never() -> None:
    history = HISTORY.assign(code_loss=1.0, val_code_loss=1.0, learning_rate=0.1)
    assert quantities(history) == ["loss", "code_loss"]
    assert quantities(pd.DataFrame({"epoch": [1], "loss": [1.0]})) == ["loss"]


def test_a_history_of_one_epoch_and_an_all_nan_monitor_are_drawn() -> None:
    assert "<svg" in training_curves(HISTORY.head(1), "one")
    assert "kept epoch" not in training_curves(HISTORY.assign(val_loss=np.nan), "nan")
