import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aeret.errors import UsageError
from aeret.retrieval.text.grammar import parse
from aeret.retrieval.text.scene import Relation, Scene, Thing
from aeret.retrieval.text.synonyms import SYNONYMS
from aeret.retrieval.text.vocabulary import Vocabulary

NAMES = ("person", "dog", "hot dog", "traffic light", "car", "couch", "knife", "bus", "bicycle", "kite", "scissors")
PERSON, DOG, HOT_DOG, LIGHT, CAR, COUCH, KNIFE, BUS, BICYCLE, KITE, SCISSORS = range(len(NAMES))
WORDS = Vocabulary.of(NAMES)


def scene(*things: Thing | int, relations: tuple[Relation, ...] = (), absent: tuple[int, ...] = ()) -> Scene:
    return Scene(tuple(Thing(each) if isinstance(each, int) else each for each in things), relations, absent)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("person left of dog", scene(PERSON, DOG, relations=(Relation(0, "left", 1),))),
        ("A person to the left of the DOG", scene(PERSON, DOG, relations=(Relation(0, "left", 1),))),
        ("a dog at the left of a car", scene(DOG, CAR, relations=(Relation(0, "left", 1),))),
        ("two cars below traffic light", scene(Thing(CAR, 2), LIGHT, relations=(Relation(0, "below", 1),))),
        ("3 traffic-lights", scene(Thing(LIGHT, 3))),
        ("dog on couch", scene(DOG, COUCH, relations=(Relation(0, "on", 1),))),
        ("person on top of a car", scene(PERSON, CAR, relations=(Relation(0, "on", 1),))),
        ("dog on the left", scene(Thing(DOG, places=("left",)))),
        ("person above and kite", scene(Thing(PERSON, places=("top",)), KITE)),
        ("kite above person", scene(KITE, PERSON, relations=(Relation(0, "above", 1),))),
        ("a car at the left", scene(Thing(CAR, places=("left",)))),
        ("big person in the middle", scene(Thing(PERSON, size="big", places=("middle",)))),
        ("small bus at the top left", scene(Thing(BUS, size="small", places=("top", "left")))),
        ("no dog", scene(absent=(DOG,))),
        ("people without a dog and no kites", scene(PERSON, absent=(DOG, KITE))),
        ("a hot dog, knives; and buses", scene(HOT_DOG, KNIFE, BUS)),
        ("bikes with a pair", None),
        ("bike and sofa", scene(BICYCLE, COUCH)),
        ("men near scissors", scene(PERSON, SCISSORS, relations=(Relation(0, "near", 1),))),
        ("person left of dog and dog left of car", scene(
            PERSON, DOG, DOG, CAR, relations=(Relation(0, "left", 1), Relation(2, "left", 3)))),
        ("person left of dog and the dog left of car", scene(
            PERSON, DOG, CAR, relations=(Relation(0, "left", 1), Relation(1, "left", 2)))),
        ("person is left of a dog is on a couch", scene(
            PERSON, DOG, COUCH, relations=(Relation(0, "left", 1), Relation(1, "on", 2)))),
    ],
)  # fmt: skip
def test_what_a_text_says(text: str, expected: Scene | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="'pair' is not a category"):
            parse(text, WORDS)
    else:
        assert parse(text, WORDS) == expected


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "empty"),
        ("persn left of dog", 1, "did you mean 'person'"),
        ("person left of trafic light", 16, "did you mean 'traffic light'"),
        ("dog lft of car", 5, "did you mean 'left'"),
        ("dog left of", 12, "end of the query"),
        ("left of dog", 1, "name of a category"),
        ("dog and", 8, "name of a category"),
        ("0 dogs", 1, "between 1 and 20"),
        ("dog, no dog", 1, "both requested and excluded"),
        ("a dog and the dog left of the dog", 27, "to itself"),
        ("dog is car", 8, "a place or a relation"),
    ],
)
def test_mistakes_are_pointed_at(text: str, column: int, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, WORDS)
    said = str(caught.value)
    assert f"column {column}:" in said and message in said
    assert said.splitlines()[-1] == "  " + " " * (column - 1) + "^"


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                *NAMES,
                "dogs",
                "left",
                "of",
                "the",
                "a",
                "two",
                "on",
                "top",
                "is",
                "and",
                "no",
                "big",
                "in",
                "middle",
                "above",
                ",",
                "with",
                "zebra",
                "to",
            ]
        ),
        max_size=8,
    )
)
@example(["dog", "is", "is", "dog"])
def test_every_text_is_read_or_refused_in_words(words: list[str]) -> None:  # fmt: skip
    try:
        found = parse(" ".join(words), WORDS)
    except UsageError as error:
        assert "column" in str(error)
    else:
        assert found.things or found.absent
        assert all(each.first != each.second for each in found.relations)


@given(st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(["left of", "above", "on", "in", "near"]))
def test_a_reading_is_itself_a_query(first: str, second: str, relation: str) -> None:
    whole = parse(f"{first} {relation} {second}", WORDS)
    if first != second:
        assert parse(whole.reading(NAMES), WORDS) == whole


def test_names_go_before_plurals_and_synonyms() -> None:
    words = Vocabulary.of(("plane", "airplane", "sofa", "glass", "glasses"))
    assert [thing.category for thing in parse("planes, couch, glasses, glass", words).things] == [0, 2, 4, 3]
    assert parse("aeroplane", words).things == (Thing(1),)


def test_a_synonym_of_what_the_collection_lacks_is_unknown() -> None:
    with pytest.raises(UsageError, match="not a category"):
        parse("bike", Vocabulary.of(("person", "dog")))


def test_synonyms_are_no_plurals_and_have_targets() -> None:
    assert all(targets and word == word.lower() for word, targets in SYNONYMS.items())


@pytest.mark.parametrize("names", [(), ("dog", "Dog")])
def test_names_must_differ(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="distinct category names"):
        Vocabulary.of(names)
