"""What the course says of its clusters, each claim beside its check, chapter by chapter.

A claim quotes the words of a text cell or of an exercise, as they stand there, and checks them on a lab. `test_claims`
checks each on every backend that it speaks of, and finds sentences with numbers or with "always" that no claim quotes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kanslib.lab.lab import Lab

Check = Callable[[Lab], None]
BOTH = ("recorded", "simulated")


@dataclass(frozen=True)
class Claim:
    """Words of the course that hold in a story; `place`: the id of a cell or of an exercise.

    backends: where they hold; `check` asserts them on a lab of the story, which stands anywhere.
    """

    place: str
    quote: str
    check: Check
    story: str
    backends: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """Words of the course that no lab can check, and where they come from: a source file, a page, an RFC."""

    place: str
    quote: str
    source: str


@dataclass
class Claims:
    """The claims and facts of one chapter."""

    claims: list[Claim] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    def claim(self, place: str, *quotes: str, story: str, on: tuple[str, ...] = BOTH) -> Callable[[Check], Check]:
        """Add a claim: the words, and the function below, which asserts them on a lab."""

        def add(check: Check) -> Check:
            self.claims.extend(Claim(place, quote, check, story, on) for quote in quotes)
            return check

        return add

    def fact(self, place: str, *quotes: str, source: str) -> None:
        """Add words whose source is outside the course."""
        self.facts.extend(Fact(place, quote, source) for quote in quotes)
