"""The texts of an exercise that a learner reads, for the catalogues. They are translated where they are shown."""

from __future__ import annotations

from collections.abc import Iterator

from kanslib.exercises.exercise import Exercise


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
