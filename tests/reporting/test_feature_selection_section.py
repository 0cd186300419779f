"""The section of feature selection: what is drawn, tabled and said."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd

from aeret.evaluation.feature_selection import TECHNIQUES
from aeret.evaluation.feature_selection.result import FeatureSelection
from aeret.reporting.plots.feature_selection import feature_selection
from aeret.reporting.report import Figure, Notice, Table
from aeret.reporting.sections.feature_selection import remark, report, section

COUNTS = (1, 4, 16, 64)


def found(*datasets: str, orders: tuple[str, ...] = tuple(TECHNIQUES)) -> FeatureSelection:
    rows = []
    for dataset in datasets:
        for order in orders:
            for count in COUNTS:
                mean = 1 - (0.8 if order == "sequential" else 0.6) * (1 - count / 64)
                band = (0.05, mean - 0.1, mean + 0.1, 9) if order == "random" and count < 64 else (np.nan,) * 3 + (1,)
                rows.append((dataset, order, count, mean, *band))
    names = ["dataset", "order", "dimensions", "mean", "sd", "low", "high", "repetitions"]
    known = {"variables": "pixels", "value": "accuracy", "total": 64, "floor": 0.1}
    subjects = {
        name: known | {"title": f"Of {name}", "facts": {"n": 5, "l2": 0.1, "by": "cosine"}} for name in datasets
    }
    return FeatureSelection(pd.DataFrame(rows, columns=names), {}, subjects)


def test_a_section_has_a_figure_with_its_numbers_and_a_table_for_each_dataset() -> None:
    both = section(found("digits", "embedding"))
    figures = [block for block in both.blocks if isinstance(block, Figure)]
    assert [figure.title for figure in figures] == ["Of digits", "Of embedding"]
    data = figures[0].data
    assert data is not None and len(data.rows) == len(TECHNIQUES) * len(COUNTS)
    table = next(block for block in both.blocks if isinstance(block, Table))
    assert [column.title for column in table.columns] == ["technique", "1", "4", "16", "64", "for 95%"]
    assert table.row_kinds[list(TECHNIQUES).index("random")] == "floor"
    report(found("digits", "embedding"), "seed 0")  # ids are unique in the page


def test_the_remark_says_what_was_measured() -> None:
    words = remark(found("digits"))
    # Random is at 0.55 with 16 and at 1 with all 64.
    assert "with 64 pixels the mean is past it, and with all of them 1.000" in words
    assert "by up to 0.197 (at 1)" in words and "is not seen here" in words
    assert remark(found("embedding")) == "" == remark(found("digits", orders=("random", "lasso")))
    notices = [block for block in section(found("embedding")).blocks if isinstance(block, Notice)]
    assert not notices


def test_the_plot_has_a_panel_a_kind_and_leaves_out_what_was_not_asked_for() -> None:
    curves = found("digits").curves

    def texts(frame: pd.DataFrame) -> list[str | None]:
        drawn = feature_selection(frame, 0.1, "pixels", "accuracy", "fig")
        assert drawn == feature_selection(frame, 0.1, "pixels", "accuracy", "fig")
        assert "nan" not in re.sub(r">[^<]*<", "", drawn)
        root = ElementTree.fromstring(drawn)
        return [element.text for element in root.iter() if element.tag.endswith("}text")]

    whole = texts(curves)
    assert {"filters", "wrappers", "embedded", *TECHNIQUES} - {"random"} <= set(whole)
    assert whole.count("random, 95 %") == 4
    two = texts(curves[curves["order"].isin(["random", "lasso"])])
    assert "embedded" in two and "filters" not in two
    assert "random, 95 %" in texts(curves[curves["order"] == "random"])
