from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import pair_confusion_matrix

from aeret.errors import UsageError
from aeret.evaluation.pairs import LabelSets, PairCounts, label_oracle, pair_counts, relevant_pairs


def slow_counts(labels: np.ndarray, assignment: np.ndarray) -> PairCounts:
    counts = {(a, b): 0 for a in (True, False) for b in (True, False)}
    for i in range(len(labels)):
        for j in range(i):
            counts[bool((labels[i] & labels[j]).any()), bool(assignment[i] == assignment[j])] += 1
    return PairCounts(counts[True, True], counts[False, True], counts[True, False], counts[False, False])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(1, 140), st.integers(1, 8), st.floats(0, 0.6), st.integers(0, 10**6))
def test_counts_are_those_of_a_double_loop(photos: int, classes: int, k: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random((photos, classes)) < density / max(1, classes / 6)
    labels[photos // 2 :] = labels[: photos - photos // 2]  # repeated label sets
    assignment = rng.integers(0, k, photos) * 1000 - 5
    expected = slow_counts(labels, assignment)
    assert pair_counts(labels, assignment) == expected
    assert relevant_pairs(labels) == expected.tp + expected.fn
    assert pair_counts(labels, assignment, relevant=expected.tp + expected.fn) == expected
    assert pair_counts(labels, rng.permutation(9000)[assignment]) == expected  # renamed clusters


def test_more_groups_than_one_tile_and_one_block() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((1500, 80)) < 0.05
    assignment = rng.integers(0, 3, 1500)
    shared = (labels.astype(np.int32) @ labels.T.astype(np.int32)) > 0
    same = assignment[:, None] == assignment[None]
    upper = np.triu_indices(1500, 1)
    found = pair_counts(labels, assignment)
    assert found.tp == (shared & same)[upper].sum()
    assert found.fn == (shared & ~same)[upper].sum()
    assert found.fp == (~shared & same)[upper].sum()


def test_many_photos_with_one_label_set_and_sets_of_many_words() -> None:
    rng = np.random.default_rng(1)
    kinds = rng.random((9, 300)) < 0.02
    kinds[0] = False
    labels = kinds[rng.choice(9, 3000, p=np.array([2, 50, 20, 10, 8, 4, 3, 2, 1]) / 100)]
    assignment = rng.choice(np.array([-(2**62), 5, 2**62]), 3000)
    shared = (labels.astype(np.int32) @ labels.T.astype(np.int32)) > 0
    same = assignment[:, None] == assignment[None]
    upper = np.triu_indices(3000, 1)
    sets = LabelSets.made_of(labels)
    assert len(sets.labels) == len(np.unique(labels, axis=0))
    found = pair_counts(sets, assignment)
    assert found == pair_counts(labels, assignment, relevant_pairs(sets))
    assert (found.tp, found.fn) == ((shared & same)[upper].sum(), (shared & ~same)[upper].sum())
    assert found.tp + found.fp == same[upper].sum()


def test_sets_beyond_one_block_of_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.random.default_rng(2).random((700, 70)) < 0.06
    expected = pair_counts(labels, np.arange(700) % 2)
    monkeypatch.setattr("aeret.data.stats._BLOCK", 37)
    assert pair_counts(labels, np.arange(700) % 2) == expected


def test_single_labels_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    label, assignment = rng.integers(0, 5, 200), rng.integers(0, 7, 200)
    found = pair_counts(np.eye(5, dtype=bool)[label], assignment)
    (tn, fp), (fn, tp) = pair_confusion_matrix(label, assignment) // 2
    assert (found.tn, found.fp, found.fn, found.tp) == (tn, fp, fn, tp)
    assert found.kappa == pytest.approx(adjusted_rand_score(label, assignment))


def test_a_single_cluster_has_recall_one_and_f_of_the_base_rate() -> None:
    labels = np.random.default_rng(0).random((300, 10)) < 0.2
    found = pair_counts(labels, np.zeros(300, np.int32))
    assert found.recall == 1
    assert found.precision == pytest.approx(found.base_rate)
    assert found.f == pytest.approx(2 * found.base_rate / (1 + found.base_rate))
    assert found.kappa == 0


def test_values_by_hand_and_where_nothing_is_found() -> None:
    counts = PairCounts(tp=6, fp=2, fn=4, tn=88)
    assert (counts.precision, counts.recall) == (0.75, 0.6)
    assert counts.f == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    # Cohen's kappa from its own definition: observed 0.94, expected 0.08*0.10 + 0.92*0.90.
    assert counts.kappa == pytest.approx((0.94 - 0.836) / (1 - 0.836))
    nothing = PairCounts(0, 0, 3, 0)
    assert (nothing.precision, nothing.recall, nothing.f, nothing.kappa) == (0, 0, 0, 0)
    assert PairCounts(0, 0, 0, 0).base_rate == 0


def test_photos_without_labels_share_nothing() -> None:
    assert pair_counts(np.zeros((4, 3), bool), np.zeros(4, int)) == PairCounts(0, 6, 0, 0)


def test_the_oracle_joins_by_the_most_frequent_own_label() -> None:
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [1, 0, 1], [0, 0, 0]], bool)
    assert label_oracle(labels).tolist() == [0, 0, 1, 0, 3]


def test_misuse_is_explained() -> None:
    with pytest.raises(UsageError, match="must be bool"):
        relevant_pairs(np.zeros((3, 2)))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="3 photos need one cluster each"):
        pair_counts(np.zeros((3, 2), bool), np.zeros(2, int))


def test_real_coco_labels_hold_the_single_cluster_identity(real_data: Path) -> None:
    with np.load(real_data / "coco2017_labels" / "coco2017_val_boxes.npz") as boxes:
        photo, category = boxes["image_id"], boxes["category_id"]
    ids, rows = np.unique(photo, return_inverse=True)
    labels = np.zeros((len(ids), 91), bool)
    labels[rows, category] = True
    found = pair_counts(labels, np.zeros(len(ids), np.int32))
    shared = (labels.astype(np.float32) @ labels.T.astype(np.float32)) > 0
    assert found.tp == (int(shared.sum()) - len(ids)) // 2
    assert found.f == pytest.approx(2 * found.base_rate / (1 + found.base_rate))
    assert 0.50 < found.f < 0.55  # on COCO, one single cluster scores this
