import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeret.errors import UsageError
from aeret.retrieval.mask_overlap import planes_of
from aeret.retrieval.text.evidence import evidence_distances, quantised_maps
from aeret.retrieval.text.grammar import parse
from aeret.retrieval.text.layout import Layout, compile_layout
from aeret.retrieval.text.search import code_distances, label_distances, rank
from aeret.retrieval.text.things import Things, things_of
from aeret.retrieval.text.truth import holds
from aeret.retrieval.text.typical import Typical, typical_of
from aeret.retrieval.text.vocabulary import Vocabulary

NAMES = ("person", "dog", "car", "couch")
WORDS = Vocabulary.of(NAMES)
TYPICAL = Typical(
    np.array([[0.5, 0.2], [0.2, 0.25], [0.3, 0.4], [0.4, 0.6]]),
    np.array([[0.5, 0.5], [0.6, 0.5], [0.6, 0.5], [0.6, 0.5]]),
    np.array([0.02, 0.02, 0.02, 0.02]),
    np.array([0.15, 0.08, 0.2, 0.3]),
)


def things(*photos: list[tuple[int, tuple[float, float, float, float]]]) -> Things:
    ordered = [sorted(photo) for photo in photos]
    offsets = np.cumsum([0, *map(len, ordered)])
    category = np.array([category for photo in ordered for category, _ in photo], np.int16)
    boxes = np.array([box for photo in ordered for _, box in photo], np.float32).reshape(-1, 4)
    return Things(offsets, category, boxes)


def truth(text: str, *photos: list[tuple[int, tuple[float, float, float, float]]]) -> list[bool]:
    return holds(parse(text, WORDS), things(*photos), TYPICAL).tolist()


LEFT, RIGHT = (0.4, 0.1, 0.6, 0.2), (0.4, 0.7, 0.6, 0.8)
HIGH, LOW = (0.0, 0.4, 0.2, 0.6), (0.7, 0.4, 0.9, 0.6)


def test_too_many_choices_are_said_and_not_taken_for_no(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = [(0, LEFT)] * 4 + [(1, LEFT)] * 3
    monkeypatch.setattr("aeret.retrieval.text.truth._MOST_CHOICES", 12)
    assert truth("person left of dog", crowd) == [False]  # all 12 tried
    monkeypatch.setattr("aeret.retrieval.text.truth._MOST_CHOICES", 11)
    with pytest.raises(UsageError, match="a photo of 7 things"):
        truth("person left of dog", crowd)
    assert truth("person left of dog", [(0, LEFT), (1, RIGHT)]) == [True]


def test_truth_by_hand() -> None:
    assert truth("person left of dog", [(0, LEFT), (1, RIGHT)], [(0, RIGHT), (1, LEFT)], [(0, LEFT)]) == [True, 0, 0]
    assert truth("person left of dog", [(0, HIGH), (1, (0.7, 0.5, 0.9, 0.7))]) == [False]  # more above than left
    assert truth("person above dog", [(0, HIGH), (1, LOW)], [(0, LOW), (1, HIGH)]) == [True, False]
    assert truth("dog on couch", [(1, (0.3, 0.4, 0.55, 0.6)), (3, (0.5, 0.2, 0.9, 0.9))], [(1, HIGH), (3, LOW)]) == [
        1,
        0,
    ]
    assert truth("dog in car", [(1, (0.4, 0.4, 0.5, 0.5)), (2, (0.3, 0.3, 0.6, 0.6))], [(1, LEFT), (2, LEFT)]) == [1, 0]
    assert truth("dog near car", [(1, LEFT), (2, (0.4, 0.25, 0.6, 0.4))], [(1, LEFT), (2, RIGHT)]) == [True, False]
    assert truth("dog at the left", [(1, LEFT)], [(1, RIGHT)]) == [True, False]
    assert truth("dog in the middle", [(1, (0.4, 0.4, 0.6, 0.6))], [(1, LEFT)]) == [True, False]
    assert truth("big dog", [(1, (0.1, 0.1, 0.6, 0.6))], [(1, LEFT)]) == [True, False]
    assert truth("two dogs", [(1, LEFT), (1, RIGHT)], [(1, LEFT)]) == [True, False]
    assert truth("dog and dog", [(1, LEFT), (1, RIGHT)], [(1, LEFT)]) == [True, False]
    assert truth("person without dog", [(0, LEFT)], [(0, LEFT), (1, RIGHT)], []) == [True, False, False]
    assert truth("no dog", [(0, LEFT)], [(1, RIGHT)], []) == [True, False, True]
    assert truth("person left of person", [(0, LEFT), (0, RIGHT)], [(0, LEFT)]) == [True, False]


def test_one_thing_must_carry_the_whole_chain() -> None:
    centre, far = (0.4, 0.4, 0.6, 0.5), (0.4, 0.8, 0.6, 0.9)
    chain = "person left of dog and the dog left of car"
    loose = "person left of dog and dog left of car"
    # One dog right of the person, another left of the car, none both.
    photo = [(0, centre), (1, far), (1, LEFT), (2, (0.4, 0.25, 0.6, 0.35))]
    assert truth(chain, photo, [(0, LEFT), (1, centre), (2, far)]) == [False, True]
    assert truth(loose, photo) == [True]


def test_each_of_a_number_needs_the_relation() -> None:
    cars = [(2, (0.7, 0.3, 0.8, 0.4)), (2, (0.7, 0.6, 0.8, 0.7))]
    assert truth("two cars below a person", [(0, HIGH), *cars], [(0, HIGH), cars[0], (2, (0.0, 0.8, 0.1, 0.9))]) == [
        1,
        0,
    ]
    assert truth("three cars below a person", [(0, HIGH), *cars]) == [False]
    assert truth("two cars below two people", [(0, HIGH), (0, (0.0, 0.3, 0.1, 0.5)), *cars]) == [True]


@pytest.mark.parametrize(
    "text",
    [
        "person left of dog",
        "person right of dog and a car at the top",
        "two cars below a person",
        "dog on couch",
        "dog in car",
        "dog near couch",
        "person left of dog and the dog on a couch and the couch left of a car",
        "person above dog and the dog above car",
        "three people at the left and a dog at the right",
        "person left of person",
        "couch and car and person and dog",
        "dog at the bottom right",
        "person in the middle",
        "three cars left of three couches",
        "five people above two dogs",
    ],
)
def test_a_compiled_layout_is_what_was_asked_for(text: str) -> None:
    scene = parse(text, WORDS)
    layout = compile_layout(scene, TYPICAL)
    assert (layout.boxes >= 0).all() and (layout.boxes <= 1).all()
    assert len(layout.boxes) == sum(thing.count for thing in scene.things)
    photo = [(int(row), tuple(box)) for row, box in zip(layout.categories, layout.boxes.tolist(), strict=True)]
    assert holds(scene, things(photo), TYPICAL).tolist() == [True]  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["left of", "right of", "above", "below"])), max_size=3)
)
def test_chains_of_directions_always_fit(chain: list[tuple[str, str]]) -> None:
    text = "".join(f"{name} {relation} " for name, relation in chain) + "dog"
    scene = parse(text, WORDS)
    layout = compile_layout(scene, TYPICAL)
    photo = [(int(row), tuple(box)) for row, box in zip(layout.categories, layout.boxes.tolist(), strict=True)]
    assert holds(scene, things(photo), TYPICAL).all()  # type: ignore[arg-type]


def test_contradictions_are_refused() -> None:
    with pytest.raises(UsageError, match="contradicts itself"):
        compile_layout(parse("person left of dog and the dog left of the person", WORDS), TYPICAL)
    with pytest.raises(UsageError, match="contradicts itself"):
        compile_layout(parse("dog at the left at the right", WORDS), TYPICAL)


def test_coverage_is_exact_area() -> None:
    layout = Layout(np.array([[0.25, 0.125, 0.75, 0.5]], np.float32), np.zeros(1, np.int64), np.array([1]))
    cells = layout.coverage(4, 2)
    assert cells.shape == (4, 4, 2)
    assert cells[..., 1].tolist() == [[0, 0, 0, 0], [0.5, 1, 0, 0], [0.5, 1, 0, 0], [0, 0, 0, 0]]
    assert not cells[..., 0].any()


def test_things_are_connected_parts_without_crumbs() -> None:
    dense = np.zeros((3, 16, 16, 2), bool)
    dense[0, 2:6, 1:5, 1] = True
    dense[0, 10:14, 8:16, 1] = True
    dense[0, 0, 15, 1] = True  # a crumb: 1 of 32 cells
    dense[2, 0:4, 0:4, 0] = dense[2, 4:8, 4:8, 0] = True  # touch at a corner: one thing
    found = things_of(planes_of(dense))
    assert found.offsets.tolist() == [0, 2, 2, 3]
    assert found.category.tolist() == [1, 1, 0]
    assert (found.boxes * 16).tolist() == [[2, 1, 6, 5], [10, 8, 14, 16], [0, 0, 8, 8]]


def test_typical_figures_are_medians_and_rare_categories_borrow() -> None:
    photos = [[(0, (0.0, 0.0, size, size / 2))] for size in (0.1, 0.2, 0.3, 0.4, 0.5)] + [[(1, (0.9, 0.9, 1.0, 1.0))]]
    found = typical_of(things(*photos), 3)
    assert found.sizes[0] == pytest.approx([0.3, 0.15])
    assert found.centres[0] == pytest.approx([0.15, 0.075])
    assert found.small[0] == pytest.approx(0.02) and found.big[0] == pytest.approx(0.08)
    assert (found.sizes[1] == found.sizes[2]).all() and found.sizes[1] == pytest.approx([0.25, 0.125])
    assert np.isfinite(typical_of(things([]), 2).sizes).all()


def test_label_distance_is_minus_log_chance() -> None:
    scores = np.array([[2.0, -1.0, 0.5, 0.0], [-800.0, 800.0, 0.0, 0.0]])
    chance = 1 / (1 + np.exp(-scores[0]))
    found = label_distances(parse("two people and person without dog", WORDS), scores)
    assert found[0] == pytest.approx(-np.log(chance[0] * (1 - chance[1])))
    assert found[1] == pytest.approx(1600)


def test_codes_take_the_nearest_variant() -> None:
    layouts, codes = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert code_distances(layouts, codes) == pytest.approx([0, 0, 1])
    assert code_distances(layouts, codes, "euclidean") == pytest.approx([2, 1, 2])
    with pytest.raises(UsageError, match="cosine or euclidean"):
        code_distances(layouts, codes, "dot")


def test_fusion_is_the_weighted_sum_of_standardised_parts() -> None:
    parts = {"labels": np.array([0.0, 1.0, 2.0]), "layout": np.array([9.0, 9.0, 0.0])}
    found = rank(parts, 9, {"labels": 1.0, "layout": 2.0})
    expected = (parts["labels"] - 1) / np.std(parts["labels"]) + 2 * (parts["layout"] - 6) / np.std(parts["layout"])
    assert found.ranking.rows.tolist() == [np.argsort(expected).tolist()]
    assert found.ranking.distances[0] == pytest.approx(np.sort(expected))
    assert rank({"labels": np.ones(4)}, 2).ranking.rows.tolist() == [[0, 1]]
    for weights, message in (({"labels": 1.0}, "layout"), ({"labels": 0, "layout": 0}, "not all 0")):
        with pytest.raises(UsageError, match=message):
            rank(parts, 2, weights)
    with pytest.raises(UsageError, match="n=0"):
        rank(parts, 0)


def _maps(*boxes: dict[int, tuple[int, int]], size: int = 16) -> np.ndarray:
    """One photo a dict: category to the corner of its 4 x 4 block."""
    maps = np.full((len(boxes), size, size, 4), 0.02, np.float32)
    for photo, each in enumerate(boxes):
        for category, (y, x) in each.items():
            maps[photo, y : y + 4, x : x + 4, category] = 0.9
    return maps


@pytest.mark.parametrize(
    ("text", "photos"),
    [  # the first is best, at any spot and the last worst
        ("person left of dog", [{0: (2, 0), 1: (3, 12)}, {}, {0: (2, 12), 1: (3, 0)}]),
        ("person right of dog", [{0: (9, 9), 1: (9, 3)}, {}, {0: (9, 3), 1: (9, 9)}]),
        ("person above dog", [{0: (0, 5), 1: (9, 5)}, {}, {0: (9, 5), 1: (0, 5)}]),
        ("person on couch", [{0: (4, 6), 3: (7, 6)}, {}, {0: (12, 12), 3: (0, 0)}]),
        ("person near dog", [{0: (4, 4), 1: (4, 8)}, {}, {0: (0, 0), 1: (12, 12)}]),
        ("person in car", [{0: (4, 4), 2: (4, 4)}, {}, {0: (0, 0), 2: (12, 12)}]),
        ("person at the left", [{0: (7, 0)}, {}, {0: (7, 12)}]),
    ],
)
def test_evidence_orders_decoded_masks(text: str, photos: list[dict[int, tuple[int, int]]]) -> None:
    far = evidence_distances(parse(text, WORDS), _maps(*photos), np.arange(4))
    assert np.argsort(far).tolist() == [0, 1, 2]


def test_evidence_of_size_and_of_large_maps() -> None:
    maps = _maps({0: (2, 2)}, {})
    maps[1, :12, :12, 0] = 0.9
    assert np.diff(evidence_distances(parse("big person", WORDS), maps, np.arange(4))) < 0
    assert np.diff(evidence_distances(parse("small person", WORDS), maps, np.arange(4))) > 0
    scene, small = parse("person left of dog", WORDS), _maps({0: (2, 0), 1: (3, 12)}, size=32)
    large = small.repeat(3, axis=1).repeat(3, axis=2)
    exact = evidence_distances(scene, small, np.arange(4))
    assert evidence_distances(scene, large, np.arange(4)) == pytest.approx(exact, rel=1e-5)


def test_evidence_of_no_map_is_that_of_chance() -> None:
    far = evidence_distances(parse("person left of dog", WORDS), np.zeros((1, 16, 16, 4), np.float32), np.arange(4))
    assert 0.2 < np.exp(-far[0]) < 0.3  # a quarter of all directions, less those nearer than a step


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_equal_codes_are_equally_far_in_any_gallery(similarity: str) -> None:
    rng = np.random.default_rng(3)
    code, layouts = (rng.standard_normal((1, 1000)).astype(np.float32) for _ in range(2))
    alone = code_distances(layouts, code, similarity)
    for copies in (2, 3, 50, 101):  # a matrix product sums these in other orders
        assert (code_distances(layouts, np.repeat(code, copies, axis=0), similarity) == alone).all()


def test_quantised_maps_are_a_quarter_of_the_bytes_and_give_the_same_evidence() -> None:
    maps = np.random.default_rng(8).random((20, 40, 40, 4), np.float32)
    kept = quantised_maps(maps)
    assert kept.dtype == np.uint8 and kept.shape == (20, 20, 20, 4)
    scene = parse("big person left of dog", WORDS)
    exact = evidence_distances(scene, maps, np.arange(4))
    assert evidence_distances(scene, kept, np.arange(4)) == pytest.approx(exact, rel=1e-3)
