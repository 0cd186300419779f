"""Reconstruction scores by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aeret.data.encodings import mask_encoding
from aeret.models.reconstruction import ReconstructionScore


@dataclass(frozen=True)
class Category:
    name: str
    supercategory: str = "things"


def test_categories_of_one_name_are_kept_apart() -> None:
    score = ReconstructionScore(mask_encoding("onehot", [Category("crane"), Category("crane"), Category("gull")]))
    true = np.zeros((1, 2, 2, 3), np.float32)
    true[0, 0, :, 0] = 1
    true[0, :, 0, 1] = 1
    found = true.copy()
    found[0, 0, 0, 0] = 0
    score.add(true, found)
    values = score.values()
    assert values["per_category_iou"] == {"crane": 0.5, "crane (2)": 1.0, "gull": None}
    assert values["category_iou"] == pytest.approx(0.75)
    assert values["foreground_iou"] == pytest.approx(3 / 4)


def test_a_numbered_name_is_never_one_that_is_there() -> None:
    names = ["x", "x", "x (2)", "x", "y", "x (2)"]
    score = ReconstructionScore(mask_encoding("onehot", [Category(name) for name in names]))
    found = score.values()["per_category_iou"]
    assert list(found) == ["x", "x (3)", "x (2)", "x (4)", "y", "x (2) (2)"]
