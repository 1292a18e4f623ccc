"""Wrong ideas as data: what an answer looks like that comes from one, and what to say to it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ExpectedAnswer:
    """The right answer as a lab gives it, and what else recognising a wrong idea needs to know (`facts`)."""

    value: Any
    facts: Mapping[str, Any] = field(default_factory=dict)


Recognise = Callable[[Any, ExpectedAnswer], bool]  # an understood answer, and the truth


@dataclass(frozen=True)
class Misconception:
    """A misconception: its id, what to say to it, where people were seen to hold it, how an answer shows it."""

    id: str
    text: str
    sources: str
    recognise: Recognise


def chose(key: str) -> Recognise:
    """The answer is this choice, and it is wrong.

    >>> chose("a")("a", Truth("b")), chose("a")("a", Truth("a"))
    (True, False)
    """
    return lambda answer, truth: bool(answer == key and truth.value != key)


def number(wrong: Callable[[ExpectedAnswer], float], within: float = 0.05) -> Recognise:
    """The answer is the number that a wrong calculation gives from the truth (relative tolerance `within`).

    >>> number(lambda truth: truth.value * 2)(1.0, Truth(0.5))
    True
    """

    def recognise(answer: Any, truth: ExpectedAnswer) -> bool:
        aim = wrong(truth)
        return bool(abs(answer - aim) <= within * max(abs(aim), 1e-9))

    return recognise


def between(low: float, high: float) -> Recognise:
    """The answer is a number in this range.

    >>> between(50, 70)(60, Truth(5))
    True
    """
    return lambda answer, _truth: bool(low <= answer <= high)


def names(fact: str) -> Recognise:
    """The answer is just the set of names that a wrong rule gives, which is among the facts.

    >>> names("alphabetic")(frozenset({"a"}), Truth({"b"}, {"alphabetic": {"a"}}))
    True
    """
    return lambda answer, truth: answer == frozenset(truth.facts[fact]) and answer != frozenset(truth.value)


def behaves(wrong: Callable[..., Any]) -> Recognise:
    """The answer is a function that says what a wrong rule says, on every case.

    >>> behaves(min)(lambda a, b: a if a < b else b, Truth([((1, 2), 2), ((4, 3), 4)]))
    True
    """
    return lambda answer, truth: all(answer(*given) == wrong(*given) for given, _ in truth.value)
