"""Every answer that a page offers to an exercise, judged as a lab judges it: what a page without a kernel needs."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

import msgspec

from kanslib.exercises.exercise import AnswerOutcome, Choice, Exercise, assess
from kanslib.exercises.misconceptions import ExpectedAnswer
from kanslib.exercises.progress import Progress
from kanslib.exercises.session import ExerciseView, Feedback, Prediction, format_feedback, place_hint
from kanslib.i18n import tr

_QUERY = re.compile(r"\b(?:lab|seen)\.\w+\(")
_MOST_NAMES = 12  # each more doubles the answers
_STEPS = 1000  # of a number without a scale: from 0 to a power of ten


class Words(msgspec.Struct, frozen=True):
    """A feedback: its head, its lines, and what the learner could have written."""

    head: str
    lines: Sequence[str]
    code: str = ""


class Solution(msgspec.Struct, frozen=True):
    """The solution, and the keys of the right choices."""

    words: Words
    right: Sequence[str] = ()


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """What comes of an answer: 1 for a right one, its misconception, and the places of its head and lines in `texts`.

    Predictions alone have a head of their own (else -1): it repeats the guess.
    """

    right: int
    misconception: str
    head: int
    lines: Sequence[int]


class Diagnosis(msgspec.Struct, frozen=True):
    """What a diagnosis needs beside its verdicts.

    asked: the queries that the page has made above the question
    unasked: as `answers`, for evidence whose query was not made
    offers: for each query, the choices of each part that it unlocks
    places: the hint of each place, with the queries that look there; those where the cause does not show are left out
    proofs: the queries that show the cause
    """

    asked: Sequence[str]
    unasked: Sequence[int]
    offers: Mapping[str, Mapping[str, Sequence[str]]]
    places: Sequence[tuple[Words, Sequence[str]]]
    proofs: Sequence[str]


class Sheet(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of an exercise that its form needs.

    `answers` holds for each possible answer the place of its verdict, -1 for none. Answers are numbered: a choice by
    its place, a number by its step, names by the sum of 2^place, a diagnosis by (cause · fixes + fix) · evidences +
    evidence.
    """

    texts: Sequence[str] = ()
    verdicts: Sequence[Verdict] = ()
    answers: Sequence[int] = ()
    hints: Sequence[Words] = ()
    solution: Solution | None = None
    diagnosis: Diagnosis | None = None


def scale_of(exercise: Exercise, expected: ExpectedAnswer) -> tuple[float, float, float]:
    """Return the numbers that a page takes: from, to, step. Without a scale: 0 to a power of ten in 1000 steps."""
    if exercise.scale:
        return exercise.scale
    end = 10.0 ** math.ceil(math.log10(max(2 * abs(expected.number), 1)))
    return 0.0, end, end / _STEPS


def possible_answers(exercise: Exercise, expected: ExpectedAnswer, names: Sequence[str]) -> Iterator[object]:
    """Yield each answer that a page can give, in the order of their numbers; None for one that cannot be checked.

    `names`: those that the form of a question for names offers.
    """
    if exercise.kind == "choice":
        yield from (choice.key for choice in exercise.choices)
    elif exercise.kind == "names" and len(names) <= _MOST_NAMES:
        for number in range(2 ** len(names)):
            yield [name for place, name in enumerate(names) if number >> place & 1] or None
    elif exercise.kind == "number":
        low, high, step = scale_of(exercise, expected)
        yield from (round(low + place * step, 6) for place in range(round((high - low) / step) + 1))
    elif exercise.kind == "diagnosis":
        for keys in product(*([choice.key for choice in choices] for choices in exercise.parts.values())):
            yield dict(zip(exercise.parts, keys, strict=True))


class _Texts:
    """Texts, each once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    def all(self) -> list[str]:
        return list(self._places)


def judge_all(view: ExerciseView, expected: ExpectedAnswer, names: Sequence[str]) -> Sheet:
    """Judge every answer that a page can give to an exercise or a prediction, and take its hints and its solution.

    `view` asks the question; nothing is recorded in its progress.
    """
    exercise, texts, verdicts = view.exercise, _Texts(), dict[Verdict, int]()
    all_asked, none_asked = _with_queries(exercise, expected)

    def judge(answer: object, facts: ExpectedAnswer) -> int:
        if answer is None:
            return -1
        verdict = _judge(view, answer, facts, texts)
        return verdicts.setdefault(verdict, len(verdicts))

    answers = [judge(one, all_asked) for one in possible_answers(exercise, expected, names)]
    diagnosis = None
    if exercise.kind == "diagnosis":
        unasked = [judge(one, none_asked) for one in possible_answers(exercise, expected, names)]
        diagnosis = _diagnosis(exercise, expected, unasked)
    alone = ExerciseView(exercise, lambda: none_asked, Progress(None))
    hints = [] if isinstance(view, Prediction) else _hints(alone, exercise)
    return Sheet(texts.all(), list(verdicts), answers, hints, _solution(alone), diagnosis)


def _with_queries(exercise: Exercise, expected: ExpectedAnswer) -> tuple[ExpectedAnswer, ExpectedAnswer]:
    """Return what is expected of a learner who has made every query, and of one who has made none."""
    facts = expected.diagnosis
    if facts is None:
        return expected, expected
    every = frozenset(choice.key for choice in exercise.parts["evidence"])
    asked, unasked = (replace(facts, queries=queries) for queries in (every, frozenset[str]()))
    return replace(expected, diagnosis=asked), replace(expected, diagnosis=unasked)


def _judge(view: ExerciseView, answer: object, expected: ExpectedAnswer, texts: _Texts) -> Verdict:
    assessment = assess(view.exercise, answer, expected)
    if assessment.outcome is AnswerOutcome.NOT_TRIED:
        raise ValueError(f"{view.exercise.id}: a page offers an answer that cannot be judged: {assessment.words}")
    head, feedback = -1, format_feedback(assessment)
    if isinstance(view, Prediction):
        guess = Prediction(view.exercise, lambda: expected, Progress(None))
        guess.guess = answer
        feedback = guess.score(expected) or feedback
        head = texts.place(feedback.head)
    misconception = assessment.misconception.id if assessment.misconception else ""
    lines = tuple(map(texts.place, feedback.words.split("\n")))
    return Verdict(int(assessment.is_right), misconception, head, lines)


def _hints(view: ExerciseView, exercise: Exercise) -> list[Words]:
    """Return the hints in their order, without those of a diagnosis that name a place."""
    found = [view.hint() for _ in range(len(exercise.hints) + len(exercise.places))]
    hints = [_words(hint) for hint in found if hint.words in exercise.hints][: len(exercise.hints)]
    if exercise.kind == "diagnosis":  # its form has queries to choose from
        return hints
    return [Words(one.head, [*one.lines, *_where_to_look(one.lines)], one.code) for one in hints]


def _where_to_look(lines: Sequence[str]) -> Iterator[str]:
    """Yield where the output of a query is that a hint names."""
    if any(_QUERY.search(line) for line in lines):
        yield tr("This page runs no query. Look for its recorded output here, or run it in a notebook.")


def _solution(view: ExerciseView) -> Solution:
    found = view.explain()
    return Solution(_words(found), [key for key, is_right in found.marks.items() if is_right])


def _words(feedback: Feedback) -> Words:
    return Words(feedback.head, feedback.words.split("\n"), feedback.code)


def _diagnosis(exercise: Exercise, expected: ExpectedAnswer, unasked: Sequence[int]) -> Diagnosis:
    facts = expected.diagnosis
    if facts is None:
        raise TypeError(f"the expected answer of {exercise.id} has no facts about its causes")
    offers = {query.key: _offer(exercise, [query.key]) for query in exercise.parts["evidence"]}
    places = [
        (_words(place_hint(name)), queries) for name, queries in exercise.places.items() if facts.proofs & set(queries)
    ]
    asked = [query for query in offers if query in facts.queries]
    return Diagnosis(asked, unasked, offers, places, sorted(facts.proofs))


def _offer(exercise: Exercise, queries: Collection[str]) -> dict[str, list[str]]:
    offered: Mapping[str, tuple[Choice, ...]] = exercise.offer(queries) if exercise.offer else exercise.parts
    return {part: [choice.key for choice in choices] for part, choices in offered.items()}
