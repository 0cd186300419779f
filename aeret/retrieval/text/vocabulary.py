"""Map singulars, plurals and synonyms to the categories of a collection."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from aeret.errors import UsageError
from aeret.retrieval.text.synonyms import IRREGULAR, SYNONYMS


@dataclass(frozen=True)
class Vocabulary:
    """Category names of one collection and the phrases that mean them."""

    names: tuple[str, ...]
    """Names in the order of label columns and mask planes."""

    @classmethod
    def of(cls, names: Sequence[str]) -> Vocabulary:
        """Build the vocabulary of category names.

        Raises:
            UsageError: no name is given, or two names differ in nothing but case, hyphens or underscores.
        """
        kept = tuple(names)
        if not kept or len({_plain(name) for name in kept}) != len(kept):
            raise UsageError(f"A vocabulary needs distinct category names; got {', '.join(kept) or 'none'}.")
        return cls(kept)

    @cached_property
    def phrases(self) -> dict[tuple[str, ...], int]:
        """Phrase, as a tuple of words, to category row; names win over plurals, plurals over synonyms."""
        found: dict[tuple[str, ...], int] = {}
        rows = {_plain(name): row for row, name in enumerate(self.names)}
        for phrase, row in rows.items():
            found[phrase] = row
        for phrase, row in rows.items():
            for many in _plurals(phrase):
                found.setdefault(many, row)
        for word, targets in SYNONYMS.items():
            row = next((rows[_plain(target)] for target in targets if _plain(target) in rows), -1)
            if row >= 0:
                for phrase in (_plain(word), *_plurals(_plain(word))):
                    found.setdefault(phrase, row)
        return found

    @cached_property
    def longest(self) -> int:
        """Number of words in the longest phrase."""
        return max(map(len, self.phrases))

    def suggestion(self, word: str) -> str:
        """Return the phrase most similar to ``word``, or an empty string."""
        near = difflib.get_close_matches(word, [" ".join(phrase) for phrase in self.phrases], n=1)
        return near[0] if near else ""


def _plain(name: str) -> tuple[str, ...]:
    return tuple(name.lower().replace("-", " ").replace("_", " ").split())


def _plurals(phrase: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    word = phrase[-1]
    if word in IRREGULAR:
        yield (*phrase[:-1], IRREGULAR[word])
    elif word.endswith(("s", "x", "z", "ch", "sh")):
        yield (*phrase[:-1], word + "es")
    elif word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        yield (*phrase[:-1], word[:-1] + "ies")
    else:
        yield (*phrase[:-1], word + "s")
    if word == "person":
        yield (*phrase[:-1], "persons")
