"""The texts of an exercise that a learner reads: for the catalogues, and an exercise in the chosen language."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from kanslib.exercises.exercise import Choice, Exercise
from kanslib.i18n import ENGLISH, language, tr


def texts(exercise: Exercise) -> Iterator[tuple[str, str]]:
    """Return each text of an exercise with what it is: its question, its choices, its hints and its feedback.

    Code stays as it is: the starter, the solution, and names that a form offers.
    """
    yield "question", exercise.question
    for choice in exercise.choices:
        yield f"choice {choice.key}", choice.text
    for part, choices in exercise.parts.items():
        yield "part of a diagnosis", part
        for choice in choices:
            yield f"{part} {choice.key}", choice.text
    for number, hint in enumerate(exercise.hints, 1):
        yield f"hint {number}", hint
    yield "explanation; {answer} is the right answer", exercise.explanation
    for misconception in exercise.misconceptions:
        yield f"feedback to {misconception.id}", misconception.text
    if exercise.unit:
        yield "unit", exercise.unit
    for place in exercise.places:
        yield "place to look at", place


def translate(exercise: Exercise) -> Exercise:
    """Return an exercise with its texts in the chosen language; what judges an answer stays."""
    if language() == ENGLISH:
        return exercise
    return replace(
        exercise,
        question=tr(exercise.question),
        choices=_translate_choices(exercise.choices),
        hints=tuple(map(tr, exercise.hints)),
        explanation=tr(exercise.explanation),
        misconceptions=tuple(replace(one, text=tr(one.text)) for one in exercise.misconceptions),
        unit=tr(exercise.unit),
        parts=_translate_parts(exercise.parts),
        places={tr(place): queries for place, queries in exercise.places.items()},
        offer=(lambda queries: _offer(exercise, queries)) if exercise.offer else None,
    )


def _offer(exercise: Exercise, queries: Collection[str]) -> Mapping[str, tuple[Choice, ...]]:
    return _translate_parts(exercise.offer(queries) if exercise.offer else {})


def _translate_parts(parts: Mapping[str, tuple[Choice, ...]]) -> dict[str, tuple[Choice, ...]]:
    return {part: _translate_choices(choices) for part, choices in parts.items()}


def _translate_choices(choices: Collection[Choice]) -> tuple[Choice, ...]:
    return tuple(replace(choice, text=tr(choice.text)) for choice in choices)
