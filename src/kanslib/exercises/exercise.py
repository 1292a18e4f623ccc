"""What is asked, how an answer is understood, and how it is judged. Pure: the truth comes from whoever asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from kanslib.exceptions import AnswerFormatError
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception

Kind = Literal["choice", "number", "names", "code", "diagnosis"]
_LONGEST = 2000  # characters of an answer: more is not read
_PLACEHOLDERS = {"", "...", "?", "____", "your answer"}


class AnswerOutcome(Enum):
    """What can come of an answer."""

    NOT_TRIED = "not tried"
    WRONG = "wrong"
    RIGHT = "right"
    RIGHT_AFTER_HELP = "right after help"


@dataclass(frozen=True)
class Choice:
    """One of several answers: its key, which stays, and its words."""

    key: str
    text: str


@dataclass(frozen=True)
class Exercise:
    """A question with its answer, its hints and the wrong ideas behind other answers.

    `truth` works the right answer out from a lab: the key of a choice, a number, or a set of names; for `code` it gives
    the cases to try, as (arguments, expected). `because` explains, with `{truth}` for the answer. `within` is how far
    off a number may be, relative to the truth. `reveals`: the looks that score a prediction. `quiz`: it belongs to the
    chapter's summary. A form offers `options` of a lab for names, and a slider over `scale` (from, to, step).
    A `diagnosis` has `parts`: the choices for its cause, its fix and its evidence, each by name. `story`: the only one
    in which it can be asked.
    """

    id: str
    chapter: str
    question: str
    kind: Kind
    expected_answer: Callable[[Any], ExpectedAnswer]
    hints: tuple[str, ...]
    explanation: str
    misconceptions: tuple[Misconception, ...] = ()
    choices: tuple[Choice, ...] = ()
    tolerance: float = 0.0
    unit: str = ""
    scored_by: tuple[str, ...] = ()
    starter: str = ""
    story: str = ""
    parts: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)
    quiz: bool = False
    options: Callable[[Any], list[str]] | None = None
    scale: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Assessment:
    """How an answer was judged, in words; `idea` is the wrong idea that it shows, if one was recognised."""

    outcome: AnswerOutcome
    words: str
    misconception: Misconception | None = None


def is_blank(answer: Any) -> bool:
    """True for no answer at all: None, an empty text or collection, a placeholder."""
    if answer is None or answer is Ellipsis:
        return True
    if isinstance(answer, str):
        return answer.strip().lower() in _PLACEHOLDERS
    return isinstance(answer, (list, tuple, set, frozenset, dict)) and not answer


def parse_answer(exercise: Exercise, answer: Any) -> Any:
    """The answer in the form that the truth has. AnswerFormatError says what was expected."""
    if isinstance(answer, str) and len(answer) > _LONGEST:
        raise AnswerFormatError(f"that text is {len(answer):,} characters long; expected {expects(exercise)}")
    reader: dict[Kind, Callable[[Exercise, Any], Any]] = {
        "choice": _choice, "number": _number, "names": _names, "code": _code,
        "diagnosis": _diagnosis,
    }  # fmt: skip
    return reader[exercise.kind](exercise, answer)


def expects(exercise: Exercise) -> str:
    """What an answer should look like, in words."""
    if exercise.kind == "choice":
        letters = ", ".join(repr(chr(97 + place)) for place in range(len(exercise.choices)))
        return f"one of {letters}"
    if exercise.kind == "number":
        return f"a number{' of ' + exercise.unit if exercise.unit else ''}, e.g. 3.5"
    if exercise.kind == "code":
        return "a function"
    if exercise.kind == "diagnosis":
        return ", ".join(f"{part}=…" for part in exercise.parts) + ", each one of its choices, by letter or in words"
    return "a name or a list of names, e.g. ['svc1', 'svc2']"


def _choice(exercise: Exercise, answer: Any) -> str:
    """A choice by its letter, its key or its words."""
    return _chosen(exercise, exercise.choices, answer)


def _diagnosis(exercise: Exercise, answer: Any) -> dict[str, str]:
    """Every part of a diagnosis by the key of its choice."""
    parts = list(exercise.parts)
    if isinstance(answer, (list, tuple)) and len(answer) == len(parts):
        answer = dict(zip(parts, answer, strict=True))
    if not isinstance(answer, dict) or set(answer) != set(parts) or any(is_blank(said) for said in answer.values()):
        raise AnswerFormatError(f"a diagnosis has {len(parts)} parts; expected {expects(exercise)}")
    return {part: _chosen(exercise, exercise.parts[part], answer[part]) for part in parts}


def _chosen(exercise: Exercise, choices: Collection[Choice], answer: Any) -> str:
    if isinstance(answer, str):
        said = answer.strip().lower().strip("().")
        for place, choice in enumerate(choices):
            if said in (chr(97 + place), choice.key.lower(), choice.text.lower().strip("().")):
                return choice.key
    raise AnswerFormatError(f"{_shown(answer)} is none of the choices; expected {expects(exercise)}")


def _number(exercise: Exercise, answer: Any) -> float:
    if isinstance(answer, str):
        text = answer.strip().replace("%", "").removesuffix(exercise.unit).strip()
        try:
            answer = float(text)
        except ValueError:
            raise AnswerFormatError(f"{_shown(answer)} is no number; expected {expects(exercise)}") from None
    try:
        value = float("nan") if isinstance(answer, bool) or not isinstance(answer, (int, float)) else float(answer)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise AnswerFormatError(f"{_shown(answer)} is no number; expected {expects(exercise)}")
    return value


def _names(exercise: Exercise, answer: Any) -> frozenset[str]:
    parts: Collection[Any] = answer.replace(",", " ").split() if isinstance(answer, str) else answer
    if not isinstance(parts, (list, tuple, set, frozenset)) or not all(isinstance(part, str) for part in parts):
        raise AnswerFormatError(f"{_shown(answer)} holds no names; expected {expects(exercise)}")
    return frozenset(part.strip() for part in parts)


def _code(exercise: Exercise, answer: Any) -> Callable[..., Any]:
    if not callable(answer):
        raise AnswerFormatError(f"{_shown(answer)} cannot be called; expected {expects(exercise)}")
    return answer  # type: ignore[no-any-return]


def _shown(answer: Any) -> str:
    text = repr(answer) if isinstance(answer, (str, int, float, bool)) else f"a {type(answer).__name__}"
    return text if len(text) <= 60 else text[:57] + "…"


def assess(exercise: Exercise, answer: Any, truth: ExpectedAnswer, was_helped: bool = False) -> Assessment:
    """An answer judged against the truth. Never raises: what cannot be understood is not tried, and said so."""
    if is_blank(answer):
        return Assessment(AnswerOutcome.NOT_TRIED, f"Not tried yet. An answer is {expects(exercise)}.")
    try:
        said = parse_answer(exercise, answer)
    except AnswerFormatError as exc:
        return Assessment(AnswerOutcome.NOT_TRIED, str(exc))
    is_code = exercise.kind == "code"
    if is_code:
        wrong = _first_counterexample(said, truth.value)
    elif exercise.kind == "diagnosis":
        wrong = _misdiagnosed(exercise, said, truth)
    else:
        wrong = _mistake(exercise, said, truth.value)
    if wrong is None:
        outcome = AnswerOutcome.RIGHT_AFTER_HELP if was_helped else AnswerOutcome.RIGHT
        return Assessment(outcome, explain_solution(exercise, truth))
    idea = next((one for one in exercise.misconceptions if _recognises(one, said, truth)), None)
    words = wrong if idea is None else f"{idea.text}\n{wrong}" if is_code else idea.text
    return Assessment(AnswerOutcome.WRONG, words, idea)


def explain_solution(exercise: Exercise, truth: ExpectedAnswer) -> str:
    """The answer with its explanation."""
    words = exercise.explanation.replace("{truth}", format_answer(exercise, truth.value))
    return words[:1].upper() + words[1:]


def format_answer(exercise: Exercise, truth: Any) -> str:
    """A truth, or an answer that was understood, in words."""
    if exercise.kind == "choice":
        return next((choice.text for choice in exercise.choices if choice.key == truth), str(truth))
    if exercise.kind == "number":
        return f"{truth:g}{' ' + exercise.unit if exercise.unit else ''}"
    if exercise.kind == "names":
        return ", ".join(sorted(truth))
    if exercise.kind == "diagnosis":
        return next(choice.text for choice in exercise.parts["cause"] if choice.key == truth)
    return f"{len(truth)} cases"


def _recognises(idea: Misconception, said: Any, truth: ExpectedAnswer) -> bool:
    try:
        return bool(idea.recognise(said, truth))
    except Exception:  # a learner's function may do anything
        return False


def _mistake(exercise: Exercise, said: Any, truth: Any) -> str | None:
    """Why an understood answer is wrong, in words; None when it is right."""
    if exercise.kind == "number":
        room = exercise.tolerance * max(abs(truth), 1e-9)
        if abs(said - truth) <= room + 1e-12:
            return None
        return f"{said:g} is too {'much' if said > truth else 'little'}."
    if exercise.kind == "names":
        if said == frozenset(truth):
            return None
        more, fewer = sorted(said - set(truth)), len(set(truth) - said)
        parts = [f"not {', '.join(more)}"] if more else []
        parts += [f"{fewer} {'is' if fewer == 1 else 'are'} missing"] if fewer else []
        return "Not yet: " + "; ".join(parts) + "."
    return None if said == truth else "No. Look once more; a hint helps: .hint()"


def _misdiagnosed(exercise: Exercise, said: Mapping[str, str], truth: ExpectedAnswer) -> str | None:
    """What is wrong with a diagnosis: its cause, what it rests on, or its fix, in that order; None when nothing is."""
    facts, words = truth.facts, {part: {one.key: one.text for one in exercise.parts[part]} for part in said}
    if said["cause"] != truth.value:
        return f"Not that. What this cluster says to it: {facts['rulings'][said['cause']]}."
    evidence = words["evidence"][said["evidence"]]
    if said["evidence"] not in facts["proofs"]:
        return f"The cause is right, and {evidence} shows its effect at best. What shows the cause itself?"
    if said["evidence"] not in facts["looked"]:
        return f"The cause is right. But {evidence} is not among your looks in this lab: look, then say so."
    if said["fix"] not in facts["fixes"]:
        return f"Cause and evidence are right. “{words['fix'][said['fix']]}” would leave the cause where it is."
    return None


def _first_counterexample(function: Callable[..., Any], cases: Collection[tuple[tuple[Any, ...], Any]]) -> str | None:
    """The first case in which a learner's function says something else than the cluster did; None for none."""
    for place, (arguments, expected) in enumerate(cases):
        call = ", ".join(_short(argument) for argument in arguments)
        try:
            got = function(*arguments)
        except Exception as exc:  # it is the learner's: whatever it raises is an answer
            return f"Your function ended with {type(exc).__name__}: {str(exc)[:200]}, when called with ({call})."
        if not _alike(got, expected):
            return (
                f"Right in {place} of {place + 1} cases so far. Called with ({call}) it says {_short(got)}; "
                f"the cluster said {_short(expected)}."
            )
    return None


def _alike(got: Any, expected: Any) -> bool:
    try:
        if isinstance(expected, float):
            return math.isclose(float(got), expected, rel_tol=1e-6, abs_tol=1e-9)
        if isinstance(expected, (list, tuple)):
            return len(got) == len(expected) and all(map(_alike, got, expected))
        return bool(got == expected)
    except Exception:
        return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "…"
