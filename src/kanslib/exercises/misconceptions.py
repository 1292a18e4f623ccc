"""The type of a misconception, and how an answer shows one. The catalog holds the words. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from kanslib.i18n import parted, tr

Function = Callable[..., object]  # a learner's
Answer = str | float | frozenset[str] | Mapping[str, str] | Function  # a learner's, once it was parsed
Case = tuple[tuple[object, ...], object]  # the arguments of a function, and what it has to return


@dataclass(frozen=True)
class Phrase:
    """A message of the catalogues and the values of its placeholders: `str()` shows it in the chosen language."""

    message: str
    values: Mapping[str, object]

    def __str__(self) -> str:
        return tr(self.message, **self.values)

    @property
    def english(self) -> str:
        """The same in English."""
        return self.message.format(**self.values)


def phrase(message: str, /, **values: object) -> Phrase:
    """Return a message with its values; it is marked with `tr_later`.

    >>> str(phrase("{service} is served", service="svc1"))
    'svc1 is served'
    """
    return Phrase(message, values)


@dataclass(frozen=True)
class Effect:
    """What a cluster makes of manifests: phrases, which are compared as they are, and shown in the chosen language.

    >>> Effect((phrase("{service} is served", service="svc1"), phrase("svc2 waits")))
    'svc1 is served; svc2 waits'
    """

    phrases: tuple[Phrase, ...]

    def __repr__(self) -> str:
        return repr(parted(map(str, self.phrases)))

    @property
    def english(self) -> str:
        """The same in English, which a misconception is recognised by."""
        return "; ".join(one.english for one in self.phrases)


@dataclass(frozen=True)
class DiagnosisFacts:
    """What judging a diagnosis needs: all `causes` at work, and what the cluster says to each possible one.

    `proofs` and `fixes` are those of the first cause; `queries` are the learner's in this lab, which adds them.
    """

    causes: tuple[str, ...]
    findings: Mapping[str, str]
    proofs: AbstractSet[str]
    fixes: AbstractSet[str]
    queries: AbstractSet[str] = frozenset()


@dataclass(frozen=True)
class ExpectedAnswer:
    """The right answer as a lab gives it, and what recognising a misconception needs.

    `value`: the key of a choice, a number, a set of names, or the cases to try a function with.
    `wrong_numbers`, `wrong_names`: the numbers and the sets of names that wrong rules give, each by a name.
    `effect`: of a function that returns manifests, what a cluster makes of them; this is compared then.
    """

    value: str | float | AbstractSet[str] | Sequence[Case]
    wrong_numbers: Mapping[str, float] = field(default_factory=dict)
    wrong_names: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    diagnosis: DiagnosisFacts | None = None
    effect: Callable[[object], Effect] | None = None

    @property
    def number(self) -> float:
        """The value of an answer that is a number."""
        if not isinstance(self.value, (int, float)):
            raise TypeError(f"the expected answer is no number: {self.value!r}")
        return self.value

    @property
    def names(self) -> frozenset[str]:
        """The value of an answer that is a set of names."""
        if not isinstance(self.value, AbstractSet):
            raise TypeError(f"the expected answer is no set of names: {self.value!r}")
        return frozenset(self.value)

    @property
    def cases(self) -> Sequence[Case]:
        """The value of an answer that is a function: the cases to try it with."""
        if not isinstance(self.value, (list, tuple)):
            raise TypeError(f"the expected answer has no cases: {self.value!r}")
        return self.value


Recognise = Callable[[Answer, ExpectedAnswer], bool]


@dataclass(frozen=True)
class Misconception:
    """A misconception: its id, what to say to it, where people were seen to hold it, how an answer shows it."""

    id: str
    text: str
    sources: str
    recognise: Recognise


@dataclass(frozen=True)
class WrongChoice:
    """Recognise the choice of this key, where it is wrong."""

    key: str

    def __call__(self, answer: Answer, expected: ExpectedAnswer) -> bool:
        """Return True for this choice, unless it is the right one."""
        return answer == self.key != expected.value


def is_choice(key: str) -> WrongChoice:
    """Recognise this choice, where it is wrong.

    >>> is_choice("a")("a", ExpectedAnswer("b")), is_choice("a")("a", ExpectedAnswer("a"))
    (True, False)
    """
    return WrongChoice(key)


def is_number(wrong: Callable[[ExpectedAnswer], float], tolerance: float = 0.05) -> Recognise:
    """Recognise the number that a wrong calculation gives, within a relative `tolerance`.

    >>> is_number(lambda expected: expected.number * 2)(1.0, ExpectedAnswer(0.5))
    True
    """

    def recognise(answer: Answer, expected: ExpectedAnswer) -> bool:
        target = wrong(expected)
        return isinstance(answer, (int, float)) and abs(answer - target) <= tolerance * max(abs(target), 1e-9)

    return recognise


def is_wrong_number(name: str, tolerance: float = 0.05) -> Recognise:
    """Recognise the number that a wrong rule gives, by its name among the expected answer's `wrong_numbers`.

    >>> is_wrong_number("nodes")(4.0, ExpectedAnswer(2.0, {"nodes": 4}))
    True
    """
    return is_number(lambda expected: expected.wrong_numbers[name], tolerance)


def is_wrong_names(name: str) -> Recognise:
    """Recognise the set of names that a wrong rule gives, by its name among the expected answer's `wrong_names`.

    >>> is_wrong_names("alphabetic")(frozenset({"a"}), ExpectedAnswer({"b"}, wrong_names={"alphabetic": {"a"}}))
    True
    """
    return lambda answer, expected: answer == expected.wrong_names[name] != expected.names


def behaves_like(wrong: Function) -> Recognise:
    """Recognise a function that returns in every case what a wrong one returns, numbers within a rounding error.

    >>> behaves_like(min)(lambda a, b: a if a < b else b, ExpectedAnswer([((1, 2), 2), ((4, 3), 4)]))
    True
    """
    return lambda answer, expected: (
        callable(answer) and all(is_equal(answer(*case), wrong(*case)) for case, _ in expected.cases)
    )


def leads_to(pattern: str) -> Recognise:
    """Recognise a function whose manifests have an effect, in every case, whose English has a regular expression.

    >>> waits = lambda name: Effect((phrase("{name} waits", name=name),))
    >>> leads_to("waits$")(waits, ExpectedAnswer([(("svc1",), Effect((phrase("svc1 is served"),)))]))
    True
    """

    def recognise(answer: Answer, expected: ExpectedAnswer) -> bool:
        effects = (answer(*case) for case, _ in expected.cases) if callable(answer) else ()
        found = [isinstance(one, Effect) and re.search(pattern, one.english) for one in effects]
        return bool(found) and all(found)

    return recognise


def is_equal(result: object, expected: object) -> bool:
    """Return True for equal values, numbers within a rounding error; a learner's value may be anything.

    >>> is_equal(0.1 + 0.2, 0.3), is_equal([1, 2], (1, 2)), is_equal(None, 0.3)
    (True, True, False)
    """
    try:
        if isinstance(expected, float):
            return math.isclose(float(result), expected, rel_tol=1e-6, abs_tol=1e-9)  # type: ignore[arg-type]
        if isinstance(expected, (list, tuple)):
            return len(result) == len(expected) and all(map(is_equal, result, expected))  # type: ignore[arg-type, call-overload]
        return bool(result == expected)
    except Exception:  # noqa: BLE001 (a learner's value may have an __eq__ that does anything)
        return False
