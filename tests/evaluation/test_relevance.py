from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from aeret.data.masks import MaskPlanes
from aeret.errors import UnknownNameError, UsageError
from aeret.evaluation.relevance import RELEVANCES, Truth, relevance

Pack = Callable[[np.ndarray], MaskPlanes]


def slow_gain(rule: str, a: np.ndarray, b: np.ndarray) -> float:
    """Gain of two photos from dense masks bool (size, size, c), by the definition."""
    own, other = a.any(axis=(0, 1)), b.any(axis=(0, 1))
    either, both = int((own | other).sum()), int((own & other).sum())
    if rule == "any":
        return float(both > 0)
    if not either:
        return 0.0
    if rule == "jaccard":
        return both / either
    overlaps = [(a[..., c] & b[..., c]).sum() / (a[..., c] | b[..., c]).sum() for c in np.flatnonzero(own | other)]
    return float(np.mean(overlaps))


@pytest.mark.parametrize("rule", sorted(RELEVANCES))
@pytest.mark.parametrize(("size", "categories"), [(8, 5), (9, 70), (16, 130)])
def test_gains_are_those_of_the_definition(rule: str, size: int, categories: int, pack: Pack, masks: Callable) -> None:  # type: ignore[type-arg]
    asked, searched = masks(6, 0, size, categories), masks(11, 1, size, categories)
    asked[0] = False  # a photo without any mask
    searched[0] = False
    searched[4] = asked[3]
    exclude = np.array([-1, 3, -1, -1, 10, -1])
    labels = asked.any(axis=(1, 2)), searched.any(axis=(1, 2))
    bound = relevance(rule, Truth(*labels, exclude, pack(asked), pack(searched)))
    expected = np.array([[slow_gain(rule, a, b) for b in searched] for a in asked])
    expected[1, 3] = expected[4, 10] = 0
    rows = np.array([5, 0, 1, 4, 3])
    np.testing.assert_allclose(bound.gains(rows), expected[rows], rtol=1e-6)
    ranked = np.random.default_rng(0).integers(0, 11, (5, 4))
    ranked[2, 1] = 3
    np.testing.assert_allclose(bound.at(rows, ranked), np.take_along_axis(expected[rows], ranked, 1), rtol=1e-6)
    assert bound.gains(rows)[4, 4] == 1  # identical photos


def test_layout_by_hand(pack: Pack) -> None:
    # One category: 2x2 cells against 2x1 of them: IoU 1/2; a second category in one photo only halves it.
    a, b = np.zeros((4, 4, 2), bool), np.zeros((4, 4, 2), bool)
    a[:2, :2, 0] = True
    b[:2, :1, 0] = True
    truth = Truth(a[None].any(axis=(1, 2)), b[None].any(axis=(1, 2)), np.array([-1]), pack(a[None]), pack(b[None]))
    assert relevance("layout", truth).gains(np.array([0]))[0, 0] == 0.5
    b[3, 3, 1] = True
    truth = Truth(a[None].any(axis=(1, 2)), b[None].any(axis=(1, 2)), np.array([-1]), pack(a[None]), pack(b[None]))
    assert relevance("layout", truth).gains(np.array([0]))[0, 0] == 0.25


def test_parts_that_do_not_fit_are_refused(pack: Pack, masks: Callable) -> None:  # type: ignore[type-arg]
    labels, self_rows = np.ones((2, 3), bool), np.array([-1, -1])
    with pytest.raises(UnknownNameError, match="Did you mean 'jaccard'"):
        relevance("jacard", Truth(labels, labels, self_rows))
    with pytest.raises(UsageError, match="same categories"):
        relevance("any", Truth(labels, labels[:, :2], self_rows))
    with pytest.raises(UsageError, match="exclude has 1 rows"):
        relevance("any", Truth(labels, labels, self_rows[:1]))
    with pytest.raises(UsageError, match="needs the masks"):
        relevance("layout", Truth(labels, labels, self_rows))
    two, other = pack(masks(2, 0, 8, 3)), pack(masks(2, 0, 16, 3))
    with pytest.raises(UsageError, match=r"8 cells .* 16 cells"):
        relevance("layout", Truth(labels, labels, self_rows, two, other))
    with pytest.raises(UsageError, match="gallery_masks has 3 rows"):
        relevance("layout", Truth(labels, labels, self_rows, two, pack(masks(3, 0, 8, 3))))
