"""The form of an exercise in a page without a kernel: the look and the words of the lab's forms, and their data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import htpy as h
from markupsafe import Markup

from kanslib.exercises.exercise import Choice
from kanslib.exercises.session import ExerciseView, Prediction
from kanslib.i18n import tr
from kanslib.site.page_words import WORDS
from kanslib.site.verdicts import Solution

NO_SCALE = (0.0, 0.0, 0.0)


def form_id(exercise: str, times: int = 1) -> str:
    """Return the id of an exercise's form in a page, the n-th one there.

    >>> form_id("whose-mac"), form_id("whose-mac", 2)
    ('kans-whose-mac', 'kans-whose-mac-2')
    """
    return f"kans-{exercise}" if times == 1 else f"kans-{exercise}-{times}"


@dataclass(frozen=True)
class PageForm:
    """One question in a page. `name`: of the form, once in a page. `names`: those that a question for names offers.

    `data`: the element with its sheet, None where it comes later in the page. `scale`: from, to and step of a number.
    `queries`: those that the reader may make in a diagnosis, and `answers`, the element with their answers.
    `solution` is folded below the question where no script runs; a prediction has none.
    """

    view: ExerciseView
    name: str
    names: Sequence[str] = ()
    scale: tuple[float, float, float] = NO_SCALE
    data: Markup | None = None
    solution: Solution | None = None
    queries: Sequence[str] = ()
    answers: Markup | None = None

    def html(self) -> Markup:
        """Return the question, the fields of its answer, the buttons, the place for feedback, and the data."""
        exercise = self.view.exercise
        is_guess = isinstance(self.view, Prediction)
        form = h.form(
            ".kans-ask", id=self.name, autocomplete="off", novalidate=True, data_exercise=exercise.id,
            data_kind=exercise.kind, data_guess="" if is_guess else None,
        )  # fmt: skip
        return Markup(
            form[
                h.span(".kans-state"),
                h.fieldset[h.legend[self.view.label(), exercise.question], list(self._fields())],
                h.div(".kans-actions")[
                    h.div(".kans-buttons", hidden=True)[list(self._buttons())], self._without_script()
                ],
                h.div(".kans-feedback", role="status"),
                self.data,
            ]
        )

    def _fields(self) -> Iterator[h.Node]:
        exercise = self.view.exercise
        if exercise.kind == "choice":
            yield [self._option("radio", choice) for choice in exercise.choices]
        elif exercise.kind == "names":
            yield [self._option("checkbox", Choice(name, name)) for name in self.names]
        elif exercise.kind == "number":
            yield self._number()
        elif exercise.kind == "diagnosis":
            yield self._ask() if self.queries else None
            yield h.p(".kans-note", role="status")
            yield [self._part(part, choices) for part, choices in exercise.parts.items()]
        else:
            yield h.pre(tabindex=0)[exercise.starter]
            yield h.p(".kans-note")[tr(WORDS["in_notebook"])]

    def _ask(self) -> h.Element:
        """Return a list of queries, a button that makes the chosen one, and the place of its answer."""
        options = [h.option(value=place)[code] for place, code in enumerate(self.queries)]
        return h.div(".kans-query")[
            h.select(aria_label=tr(WORDS["your_query"]))[h.option(value="")[tr(WORDS["your_query"])], options],
            h.button(type="button", name="ask")[tr(WORDS["ask"])],
            h.div(".kans-query-answer", role="status"),
            self.answers,
        ]

    def _option(self, kind: str, choice: Choice) -> h.Element:
        return h.label(".kans-option")[
            h.input(type=kind, name="answer", value=choice.key), h.span[choice.text], h.b(".kans-mark")
        ]

    def _number(self) -> h.Element:
        unit, (low, high, step) = self.view.exercise.unit, (f"{one:g}" for one in self.scale)
        is_slider = self.view.exercise.scale is not None
        field = h.input(
            type="range" if is_slider else "number", name="answer", min=low, max=high, step=step,
            value=low if is_slider else None, aria_label=unit or "answer", inputmode=None if is_slider else "decimal",
        )  # fmt: skip
        read = h.output(".kans-readout")[tr(WORDS["untouched"]) if is_slider else unit]
        return h.div(".kans-amount", data_unit=unit)[field, read]

    def _part(self, part: str, choices: Sequence[Choice]) -> h.Element:
        options = [h.option(value=choice.key, hidden=True, disabled=True)[choice.text] for choice in choices]
        return h.label(".kans-part")[
            h.span[part], h.select(name=part)[h.option(value="")[tr(WORDS["nothing_chosen"])], options]
        ]

    def _buttons(self) -> Iterator[h.Element]:
        if isinstance(self.view, Prediction):
            yield h.button(type="submit")[tr(WORDS["write_down"])]
            return
        if self.view.exercise.kind != "code":
            yield h.button(type="submit")[tr(WORDS["check"])]
        yield h.button(type="button", name="hint")[tr(WORDS["hint"])]
        yield h.button(type="button", name="solution")[tr(WORDS["solution"])]

    def _without_script(self) -> h.Node:
        """Return what stands in place of the buttons where no script runs, and on paper: the solution, folded."""
        if self.solution is None:
            return None
        words = self.solution.words
        lines = Markup("<br>").join(words.lines)
        return h.details(".kans-paper-solution")[
            h.summary[words.head], h.p[lines], h.pre(tabindex=0)[words.code] if words.code else None
        ]
