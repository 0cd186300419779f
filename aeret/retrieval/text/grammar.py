"""Parse text queries by recursive descent.

::

    query    = clause, { separator, clause } ;
    separator = "and" | "with" | "," | ";" ;
    clause   = negation | chain ;
    negation = ( "no" | "without" ), [ article ], name ;            (* "without" also needs no separator before it *)
    chain    = thing, { [ "is" | "are" ], relation, thing } ;       (* a relation joins its two neighbours *)
    thing    = [ article | "the" | count ], { size }, name, { [ "is" | "are" ], place } ;
    article  = "a" | "an" | "some" ;
    count    = "one" | "two" | ... | "ten" | digit, { digit } ;
    size     = "big" | "large" | "huge" | "small" | "little" | "tiny" ;
    relation = [ start ], ( "left" | "right" ), "of" | "above" | "over" | "below" | "under" | "beneath" | "underneath"
             | "on" | "on top of" | "in" | "inside" | "near" | "beside" | "by" | "next to" | "close to" ;
    place    = [ start ], side | "above" | "below" ;                (* the last two only if no thing follows *)
    start    = ( "at" | "on" | "in" | "to" ), [ "the" ] ;
    side     = "left" | "right" | "top" | "bottom" | "middle" | "centre" | "center" ;
    name     = a category of the collection, singular or plural, or a synonym; the longest match ;

Each mention is a new object, except ``the NAME``, which refers to the last object of that name
("person left of a dog and the dog on a couch").
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from aeret.errors import UsageError
from aeret.retrieval.text.scene import Relation, Scene, Thing
from aeret.retrieval.text.vocabulary import Vocabulary

ARTICLES = ("a", "an", "some")
SEPARATORS = ("and", "with", ",", ";")
NEGATIONS = ("no", "without")
COUNTS = {
    word: number
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1
    )
}
MOST = 20
SIZES = {"big": "big", "large": "big", "huge": "big", "small": "small", "little": "small", "tiny": "small"}
SIDES = {
    "left": "left",
    "right": "right",
    "top": "top",
    "bottom": "bottom",
    "middle": "middle",
    "centre": "middle",
    "center": "middle",
}
_BEFORE = ((), *(start for word in ("at", "on", "in", "to") for start in ((word,), (word, "the"))))
RELATIONS: dict[tuple[str, ...], str] = {
    **{(*before, side, "of"): side for side in ("left", "right") for before in _BEFORE},
    ("above",): "above",
    ("over",): "above",
    ("below",): "below",
    ("under",): "below",
    ("beneath",): "below",
    ("underneath",): "below",
    ("on",): "on",
    ("on", "top", "of"): "on",
    ("in",): "in",
    ("inside",): "in",
    ("near",): "near",
    ("beside",): "near",
    ("by",): "near",
    ("next", "to"): "near",
    ("close", "to"): "near",
}
PLACES: dict[tuple[str, ...], str] = {(*before, word): place for word, place in SIDES.items() for before in _BEFORE}
ALONE = {"above": "top", "below": "bottom"}
_FIXED = {
    word
    for words in (*RELATIONS, *PLACES, ARTICLES, SEPARATORS, NEGATIONS, tuple(COUNTS), tuple(SIZES), ("the", "is"))
    for word in words
}


def parse(text: str, vocabulary: Vocabulary) -> Scene:
    """Parse a query into a scene.

    Args:
        text: the query; case is ignored.
        vocabulary: category names of the collection that is searched.

    Raises:
        UsageError: the text does not fit the grammar or has an unknown word; the message points at its column.

    Example:
        >>> parse("two dogs left of a person", Vocabulary.of(["person", "dog"])).reading(("person", "dog"))
        'at least 2 dog left of person'
    """
    words = [_Word(match.group(), match.start()) for match in re.finditer(r"[,;]|[^\s,;.!?-]+", text.lower())]
    return _Reader(text, words, vocabulary).query()


@dataclass(frozen=True)
class _Word:
    text: str
    start: int


@dataclass
class _Reader:
    text: str
    words: Sequence[_Word]
    vocabulary: Vocabulary
    at: int = 0
    things: list[Thing] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)

    def query(self) -> Scene:
        if not self.words:
            raise self._wrong("the query is empty; name what the photos show, for example 'person left of dog'")
        self._clause()
        while self.at < len(self.words):
            if self._next() not in SEPARATORS and self._next() != "without":
                raise self._unexpected("'and', a relation or the end")
            while self._next() in SEPARATORS:  # ", and"
                self.at += 1
            self._clause()
        wanted = {thing.category for thing in self.things}
        for row in self.absent:
            if row in wanted:
                raise self._wrong(f"{self.vocabulary.names[row]!r} is both requested and excluded", column=0)
        return Scene(tuple(self.things), tuple(dict.fromkeys(self.relations)), tuple(dict.fromkeys(self.absent)))

    def _clause(self) -> None:
        if self._next() in NEGATIONS:
            self.at += 1
            if self._next() in ARTICLES:
                self.at += 1
            self.absent.append(self._name())
            return
        thing = self._thing()
        while (kind := self._relation()) is not None:
            start = self._column()
            other = self._thing()
            if other == thing:
                raise self._wrong("an object cannot be related to itself", column=start)
            self.relations.append(Relation(thing, kind, other))
            thing = other

    def _thing(self) -> int:
        """Parse a thing and return its number."""
        count, known = 1, False
        if self._next() in ARTICLES:
            self.at += 1
        elif self._next() == "the":
            self.at, known = self.at + 1, True
        elif self._next() in COUNTS or self._next().isdecimal():
            count = COUNTS.get(self._next()) or int(self._next())
            if not 1 <= count <= MOST:
                raise self._wrong(f"a count must be between 1 and {MOST}; write 'no' to exclude a category")
            self.at += 1
        size = ""
        while self._next() in SIZES and not self._phrase(self.vocabulary.phrases, self.vocabulary.longest):
            size = SIZES[self._next()]
            self.at += 1
        row = self._name()
        same = [number for number, thing in enumerate(self.things) if thing.category == row]
        if known and same:
            number = same[-1]
        else:
            number = len(self.things)
            self.things.append(Thing(row, count))
        thing = self.things[number]
        self.things[number] = replace(thing, size=size or thing.size, places=thing.places + self._places())
        return number

    def _places(self) -> tuple[str, ...]:
        found: list[str] = []
        while True:
            verb = int(self._next() in ("is", "are"))
            self.at += verb
            length = self._phrase(PLACES, 3)
            alone = self._next() in ALONE and self._next(1) in ("", *SEPARATORS, "without")
            # "left of" is a relation, and so is "on" without a side after it.
            if alone or (length and not self._phrase(RELATIONS, 4) > length and self._next(length) != "of"):
                place = ALONE[self._next()] if alone else PLACES[self._key(length)]
                found += [place] if place not in found else []
                self.at += 1 if alone else length
                continue
            if verb and not self._phrase(RELATIONS, 4):
                raise self._unexpected("a place or a relation")
            return tuple(found)

    def _relation(self) -> str | None:
        length = self._phrase(RELATIONS, 4)
        if not length:
            return None
        kind = RELATIONS[self._key(length)]
        self.at += length
        return kind

    def _name(self) -> int:
        length = self._phrase(self.vocabulary.phrases, self.vocabulary.longest)
        if not length:
            raise self._unknown()
        row = self.vocabulary.phrases[self._key(length)]
        self.at += length
        return row

    def _phrase(self, phrases: object, longest: int) -> int:
        """Return the number of words in the longest matching phrase, or 0."""
        for length in range(min(longest, len(self.words) - self.at), 0, -1):
            if self._key(length) in phrases:  # type: ignore[operator]
                return length
        return 0

    def _key(self, length: int) -> tuple[str, ...]:
        return tuple(word.text for word in self.words[self.at : self.at + length])

    def _next(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.words[place].text if place < len(self.words) else ""

    def _column(self) -> int:
        return self.words[self.at].start if self.at < len(self.words) else len(self.text.rstrip())

    def _unknown(self) -> UsageError:
        word = self._next()
        if not word or word in SEPARATORS or word in _FIXED:
            return self._unexpected("the name of a category")
        pair = f"{word} {self._next(1)}".strip()
        near = self.vocabulary.suggestion(pair) or self.vocabulary.suggestion(word)
        names = ", ".join(self.vocabulary.names)
        hint = f"did you mean {near!r}?" if near else f"the collection has {names}"
        return self._wrong(f"{word!r} is not a category of this collection; {hint}")

    def _unexpected(self, expected: str) -> UsageError:
        word = self._next()
        near = difflib.get_close_matches(word, _FIXED, n=1) if word and word not in _FIXED else []
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return self._wrong(f"expected {expected}, got {repr(word) if word else 'the end of the query'}{hint}")

    def _wrong(self, what: str, column: int | None = None) -> UsageError:
        place = self._column() if column is None else column
        return UsageError(f"query, column {place + 1}: {what}.\n  {self.text}\n  {' ' * place}^")
