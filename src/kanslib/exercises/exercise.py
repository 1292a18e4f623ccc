"""An exercise, how an answer to it is parsed, and how it is judged. Pure: the expected answer comes from the caller."""

from __future__ import annotations

import dis
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from types import CodeType
from typing import Literal, NamedTuple

from kanslib.exceptions import AnswerFormatError
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import Answer, Case, Effect, ExpectedAnswer, Function, Misconception, is_equal
from kanslib.i18n import listed, numeral, parted, tr, tr_later, tr_plural
from kanslib.palette import BLUE, GREEN, GREY, VERMILLION

Kind = Literal["choice", "number", "names", "code", "diagnosis"]
_MAX_LENGTH = 2000  # characters of an answer: more is not read
_PLACEHOLDERS = {"", "...", "?", "____", "your answer"}


class AnswerOutcome(StrEnum):
    """What can come of an answer."""

    NOT_TRIED = tr_later("not tried")
    WRONG = tr_later("wrong")
    RIGHT = tr_later("right")
    RIGHT_AFTER_HELP = tr_later("right after help")


class OutcomeMark(NamedTuple):
    """How an outcome is shown: a sign and words, never the colour alone."""

    sign: str
    words: str
    colour: str


OUTCOME_MARKS = {
    AnswerOutcome.NOT_TRIED: OutcomeMark("○", tr_later("not tried"), GREY),
    AnswerOutcome.WRONG: OutcomeMark("✗", tr_later("not yet"), VERMILLION),
    AnswerOutcome.RIGHT: OutcomeMark("✓", tr_later("right"), GREEN),
    AnswerOutcome.RIGHT_AFTER_HELP: OutcomeMark("(✓)", tr_later("right, after help"), BLUE),
}


@dataclass(frozen=True)
class Choice:
    """One of several answers: its key, which stays, and its text."""

    key: str
    text: str


@dataclass(frozen=True)
class Exercise:
    """A question with its answer, its hints and the misconceptions behind other answers.

    expected_answer: works the right answer out from a lab
    explanation: why; `{answer}` in it stands for the right answer
    tolerance: how far off a number may be, relative to the right one
    scored_by: the queries that score a prediction
    starter: the first lines of a function that the learner writes
    solution: such a function, whole
    story: the only story in which it can be asked; empty for any
    parts: of a diagnosis, the choices for its cause, its fix and its evidence, each by name
    quiz: whether it belongs to the chapter's summary
    options: the names that a form offers
    scale: a form's slider: from, to, step
    gives_away: regular expressions of what would give the answer away; no text or output above the question has one
        (searched in any case of letters, with one blank between words)
    recalled_in: the later chapter whose quiz asks it again
    places: of a diagnosis, where a learner can look (“the wire”), each with the queries that look there
    offer: of a diagnosis, the choices of each part that these queries could have shown; none before the first query
    """

    id: str
    chapter: str
    question: str
    kind: Kind
    expected_answer: Callable[[LabQueries], ExpectedAnswer]
    hints: tuple[str, ...]
    explanation: str
    misconceptions: tuple[Misconception, ...] = ()
    choices: tuple[Choice, ...] = ()
    tolerance: float = 0.0
    unit: str = ""
    scored_by: tuple[str, ...] = ()
    starter: str = ""
    solution: str = ""
    story: str = ""
    parts: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)
    quiz: bool = False
    options: Callable[[LabQueries], list[str]] | None = None
    scale: tuple[float, float, float] | None = None
    gives_away: tuple[str, ...] = ()
    recalled_in: str = ""
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    offer: Callable[[Collection[str]], Mapping[str, tuple[Choice, ...]]] | None = None


@dataclass(frozen=True)
class Assessment:
    """How an answer was judged, in words, and the misconception that it shows, if one was recognised."""

    outcome: AnswerOutcome
    words: str
    misconception: Misconception | None = None

    @property
    def is_right(self) -> bool:
        """True for a right answer, with or without help."""
        return self.outcome in (AnswerOutcome.RIGHT, AnswerOutcome.RIGHT_AFTER_HELP)


def is_blank(answer: object) -> bool:
    """Return True for no answer at all: None, an empty text or collection, a placeholder."""
    if answer is None or answer is Ellipsis:
        return True
    if isinstance(answer, str):
        return answer.strip().lower() in _PLACEHOLDERS
    return isinstance(answer, (list, tuple, set, frozenset, dict)) and not answer


def is_stub(exercise: Exercise, answer: object) -> bool:
    """Return True for a function that nobody has written: the starter, or one that returns None and does nothing."""
    code = getattr(answer, "__code__", None)
    if exercise.kind != "code" or not isinstance(code, CodeType):
        return False
    return _does_nothing(code) or _essence(code) == _essence_of_starter(exercise.starter)


def _does_nothing(code: CodeType) -> bool:
    """Return True for a body of `...`, `pass`, `return None` or a docstring."""
    steps = [(one.opname, one.argval) for one in dis.get_instructions(code) if one.opname not in ("RESUME", "NOP")]
    return steps in ([("RETURN_CONST", None)], [("LOAD_CONST", None), ("RETURN_VALUE", None)])


def _essence(code: CodeType) -> tuple[object, ...]:
    return code.co_code, code.co_consts, code.co_names


@cache
def _essence_of_starter(starter: str) -> tuple[object, ...]:
    """Return what the starter's function compiles to; nothing where the starter has none."""
    constants = compile(starter, "starter", "exec").co_consts
    return next((_essence(one) for one in constants if isinstance(one, CodeType)), ())


def parse_answer(exercise: Exercise, answer: object) -> Answer:
    """Return the answer in the form of the expected one. AnswerFormatError says what was expected."""
    if isinstance(answer, str) and len(answer) > _MAX_LENGTH:
        raise AnswerFormatError(
            tr(
                "that text is {number:,} characters long; expected {expected}",
                number=len(answer),
                expected=describe_format(exercise),
            )
        )
    parsers: dict[Kind, Callable[[Exercise, object], Answer]] = {
        "choice": _parse_choice, "number": _parse_number, "names": _parse_names, "code": _parse_function,
        "diagnosis": _parse_diagnosis,
    }  # fmt: skip
    return parsers[exercise.kind](exercise, answer)


def describe_format(exercise: Exercise) -> str:
    """Return what an answer should look like, in words."""
    if exercise.kind == "choice":
        return tr("one of its choices, by letter or in words")
    if exercise.kind == "number":
        if exercise.unit:
            return tr("a number of {unit}, e.g. 3.5", unit=exercise.unit)
        return tr("a number, e.g. 3.5")
    if exercise.kind == "code":
        return tr("a function")
    if exercise.kind == "diagnosis":
        return tr("{parts}: each one of its choices, by letter or in words", parts=listed(exercise.parts))
    return tr("a name or a list of names, e.g. ['svc1', 'svc2']")


def letter(place: int) -> str:
    """Return the letter of a choice by its place.

    >>> letter(0), letter(3)
    ('a', 'd')
    """
    return chr(ord("a") + place)


def _parse_choice(exercise: Exercise, answer: object) -> str:
    return _find_choice(exercise, exercise.choices, answer)


def _parse_diagnosis(exercise: Exercise, answer: object) -> dict[str, str]:
    """Return the key of the choice for each part."""
    parts = list(exercise.parts)
    if isinstance(answer, (list, tuple)) and len(answer) == len(parts):
        answer = dict(zip(parts, answer, strict=True))
    if not isinstance(answer, dict) or set(answer) != set(parts) or any(map(is_blank, answer.values())):
        raise AnswerFormatError(
            tr_plural(
                "a diagnosis has {n} part; expected {expected}",
                "a diagnosis has {n} parts; expected {expected}",
                len(parts),
                expected=describe_format(exercise),
            )
        )
    return {part: _find_choice(exercise, exercise.parts[part], answer[part]) for part in parts}


def _find_choice(exercise: Exercise, choices: Collection[Choice], answer: object) -> str:
    """Return the key of the choice that an answer names by letter, by key or by text."""
    if isinstance(answer, str):
        wanted = answer.strip().lower().strip("().")
        for place, choice in enumerate(choices):
            if wanted in (letter(place), choice.key.lower(), choice.text.lower().strip("().")):
                return choice.key
    raise AnswerFormatError(
        tr(
            "{answer} is none of the choices; expected {expected}",
            answer=_abridge(answer),
            expected=describe_format(exercise),
        )
    )


def _parse_number(exercise: Exercise, answer: object) -> float:
    number = math.nan
    try:
        if isinstance(answer, str):
            number = float(answer.strip().replace("%", "").removesuffix(exercise.unit).strip())
        elif isinstance(answer, (int, float)) and not isinstance(answer, bool):
            number = float(answer)
    except (ValueError, OverflowError):
        pass
    if not math.isfinite(number):
        raise AnswerFormatError(
            tr(
                "{answer} is no number; expected {expected}",
                answer=_abridge(answer),
                expected=describe_format(exercise),
            )
        )
    return number


def _parse_names(exercise: Exercise, answer: object) -> frozenset[str]:
    parts = answer.replace(",", " ").split() if isinstance(answer, str) else answer
    if not isinstance(parts, (list, tuple, set, frozenset)) or not all(isinstance(part, str) for part in parts):
        raise AnswerFormatError(
            tr(
                "{answer} holds no names; expected {expected}",
                answer=_abridge(answer),
                expected=describe_format(exercise),
            )
        )
    return frozenset(part.strip() for part in parts)


def _parse_function(exercise: Exercise, answer: object) -> Function:
    if not callable(answer):
        raise AnswerFormatError(
            tr(
                "{answer} cannot be called; expected {expected}",
                answer=_abridge(answer),
                expected=describe_format(exercise),
            )
        )
    return answer


def _abridge(answer: object) -> str:
    """Return an answer for an error's text; of what is no plain value, its type."""
    text = repr(answer) if isinstance(answer, (str, int, float, bool)) else f"a {type(answer).__name__}"
    return _shorten(text, 60)


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "…"


def assess(exercise: Exercise, answer: object, expected: ExpectedAnswer, was_helped: bool = False) -> Assessment:
    """Judge an answer. Never raises: an answer that cannot be parsed is not tried, and its words say why."""
    if is_blank(answer):
        return assess_blank(exercise)
    if is_stub(exercise, answer):
        return Assessment(AnswerOutcome.NOT_TRIED, tr("Not tried yet: your function has no body of its own."))
    try:
        parsed = parse_answer(exercise, answer)
    except AnswerFormatError as exc:
        return Assessment(AnswerOutcome.NOT_TRIED, str(exc))
    if callable(parsed):
        parsed = _with_own_arguments(parsed)
        parsed = _followed_by(parsed, expected.effect) if expected.effect else parsed
    mistake = _find_mistake(exercise, parsed, expected)
    if mistake is None:
        outcome = AnswerOutcome.RIGHT_AFTER_HELP if was_helped else AnswerOutcome.RIGHT
        solution = explain_solution(exercise, expected)
        if exercise.kind == "code":
            solution = f"{_right_in(len(expected.cases))} {solution}"
        return Assessment(outcome, solution)
    misconception = next((one for one in exercise.misconceptions if _recognises(one, parsed, expected)), None)
    if misconception is None:
        return Assessment(AnswerOutcome.WRONG, mistake)
    is_checked_twice = exercise.kind in ("code", "number")  # by its idea, and by what it gives
    words = f"{misconception.text}\n{mistake}" if is_checked_twice else misconception.text
    return Assessment(AnswerOutcome.WRONG, words, misconception)


def assess_blank(exercise: Exercise) -> Assessment:
    """Return the assessment of no answer at all."""
    return Assessment(
        AnswerOutcome.NOT_TRIED,
        tr("Not tried yet. An answer is {expected}.", expected=describe_format(exercise)),
    )


def explain_solution(exercise: Exercise, expected: ExpectedAnswer) -> str:
    """Return the right answer with its explanation."""
    words = exercise.explanation.replace("{answer}", format_answer(exercise, expected.value))
    return words[:1].upper() + words[1:]


def format_answer(exercise: Exercise, answer: object) -> str:
    """Return an expected answer's value, or an answer that was parsed, in words."""
    if isinstance(answer, str):
        choices = exercise.parts["cause"] if exercise.kind == "diagnosis" else exercise.choices
        return next((choice.text for choice in choices if choice.key == answer), answer)
    if isinstance(answer, (int, float)):
        return tr("{number:g} {unit}", number=answer, unit=exercise.unit) if exercise.unit else numeral(answer, "g")
    if isinstance(answer, (set, frozenset)):
        return listed(sorted(answer))
    return _abridge(answer)


def _with_own_arguments(function: Function) -> Function:
    """Return a learner's function that gets copies: a list that it sorts or empties is another case's, too."""
    return lambda *arguments: function(*deepcopy(arguments))


def _followed_by(function: Function, effect: Callable[[object], Effect]) -> Function:
    """Return a function that says what the manifests of the learner's function lead to."""
    return lambda *arguments: effect(function(*arguments))


def _recognises(misconception: Misconception, answer: Answer, expected: ExpectedAnswer) -> bool:
    try:
        return bool(misconception.recognise(answer, expected))
    except Exception:  # noqa: BLE001 (it may call the learner's function, which may do anything)
        return False


def _find_mistake(exercise: Exercise, answer: Answer, expected: ExpectedAnswer) -> str | None:
    """Return why an answer is wrong, in words; None when it is right."""
    if isinstance(answer, frozenset):
        return _compare_names(answer, expected.names)
    if isinstance(answer, (int, float)):
        difference, margin = answer - expected.number, exercise.tolerance * max(abs(expected.number), 1e-9)
        if abs(difference) <= margin + 1e-12:
            return None
        if difference > 0:
            return tr("{answer:g} is too much.", answer=answer)
        return tr("{answer:g} is too little.", answer=answer)
    if isinstance(answer, Mapping):
        return _find_diagnosis_mistake(exercise, answer, expected)
    if callable(answer):
        return _find_counterexample(answer, expected.cases)
    return None if answer == expected.value else tr("No. Look once more; a hint helps: .hint()")


def _compare_names(answer: frozenset[str], expected: frozenset[str]) -> str | None:
    if answer == expected:
        return None
    extra, missing = sorted(answer - expected), len(expected - answer)
    parts = [tr("not {names}", names=listed(extra))] if extra else []
    parts += [tr_plural("{n} is missing", "{n} are missing", missing)] if missing else []
    return tr("Not yet: {faults}.", faults=parted(parts))


def _find_diagnosis_mistake(exercise: Exercise, answer: Mapping[str, str], expected: ExpectedAnswer) -> str | None:
    """Return what is wrong with a diagnosis: its cause, its evidence or its fix; None when nothing is."""
    facts = expected.diagnosis
    if facts is None:
        raise TypeError(f"the expected answer of {exercise.id} has no facts about its causes")
    texts = {part: {one.key: one.text for one in exercise.parts[part]}[key] for part, key in answer.items()}
    if answer["cause"] != expected.value:
        return tr("Not that. What this cluster says to it: {findings}.", findings=facts.findings[answer["cause"]])
    if answer["evidence"] not in facts.proofs:
        return tr(
            "The cause is right, and {evidence} shows its effect at best. What shows the cause itself?",
            evidence=texts["evidence"],
        )
    if answer["evidence"] not in facts.queries:
        return tr(
            "The cause is right. But {evidence} is not among your queries in this lab: ask, then say so.",
            evidence=texts["evidence"],
        )
    if answer["fix"] not in facts.fixes:
        return tr("Cause and evidence are right. “{fix}” would leave the cause where it is.", fix=texts["fix"])
    return None


def _right_in(cases: int) -> str:
    return tr_plural("Right in {n} case.", "Right in {n} cases.", cases)


def _differ_in_blanks(result: object, expected: object) -> bool:
    return (
        isinstance(result, str) and isinstance(expected, str) and "".join(result.split()) == "".join(expected.split())
    )


def _find_counterexample(function: Function, cases: Sequence[Case]) -> str | None:
    """Return the first case in which a learner's function and the cluster differ, in words; None for none."""
    for place, (arguments, expected) in enumerate(cases):
        call = ", ".join(_shorten(repr(argument), 120) for argument in arguments)
        try:
            result = function(*arguments)
        except Exception as exc:  # noqa: BLE001 (the learner's function: whatever it raises is an answer)
            return tr(
                "Your function ended with {name}: {exc}, when called with ({call}).",
                name=type(exc).__name__,
                exc=str(exc)[:200],
                call=call,
            )
        if not is_equal(result, expected):
            return tr_plural(
                "Right in {right} of {n} case so far. Called with ({call}) it says {said}; "
                "the right result is {expected}.",
                "Right in {right} of {n} cases so far. Called with ({call}) it says {said}; "
                "the right result is {expected}.",
                place + 1,
                right=place,
                call=call,
                said=_shorten(repr(result), 120),
                expected=_shorten(repr(expected), 120),
            ) + (" " + tr("Only blanks differ.") if _differ_in_blanks(result, expected) else "")
    return None
