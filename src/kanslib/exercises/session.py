"""Exercises and predictions as a notebook holds them: shown, checked, helped with, recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import htpy as h
from markupsafe import Markup

from kanslib.exceptions import AnswerFormatError, KanslibError, UnknownNameError
from kanslib.exercises.exercise import (
    OUTCOME_MARKS,
    AnswerOutcome,
    Assessment,
    Choice,
    Exercise,
    assess,
    assess_blank,
    explain_solution,
    format_answer,
    is_blank,
    letter,
    parse_answer,
)
from kanslib.exercises.misconceptions import ExpectedAnswer
from kanslib.exercises.progress import Progress
from kanslib.palette import BLUE, bar_style

if TYPE_CHECKING:
    from kanslib.answer import Printer
    from kanslib.exercises.lab_queries import LabQueries

View = TypeVar("View", bound="ExerciseView")
MimeBundle = dict[str, object]  # what a cell shows, by MIME type
Display = Callable[[Sequence["ExerciseView"], Markup, str], MimeBundle]  # of views, their HTML and their text


def display_text(_views: Sequence[ExerciseView], html: Markup, text: str) -> MimeBundle:
    """Return what a cell shows where no form can be shown: HTML and text."""
    return {"text/html": html, "text/plain": text}


@dataclass(frozen=True)
class Feedback:
    """Words to a learner under a head: `str()` of it is plain text, a notebook shows it beside a coloured bar."""

    words: str
    head: str = ""
    colour: str = OUTCOME_MARKS[AnswerOutcome.NOT_TRIED].colour

    def __str__(self) -> str:
        return f"{self.head}: {self.words}" if self.head else self.words

    def __contains__(self, text: str) -> bool:
        return text in str(self)

    def html(self) -> Markup:
        """Return the words beside a bar, announced to screen readers."""
        head = [h.b[self.head], h.br] if self.head else []
        bar = h.div(".kans-feedback", role="status", style=bar_style(self.colour))
        return Markup(bar[head, _with_line_breaks(self.words)])

    def _repr_html_(self) -> Markup:
        return self.html()

    def _repr_pretty_(self, printer: Printer, _cycle: bool) -> None:
        printer.text(str(self))


def format_feedback(assessment: Assessment, notice: str = "") -> Feedback:
    """Return an assessment as feedback; `notice` says what happened to the progress file."""
    mark = OUTCOME_MARKS[assessment.outcome]
    return Feedback("\n".join(filter(None, (assessment.words, notice))), f"{mark.sign} {mark.words}", mark.colour)


def _with_line_breaks(words: str) -> Markup:
    return Markup("<br>").join(words.split("\n"))


def _list_choices(choices: Sequence[Choice]) -> list[str]:
    return [f"  {letter(place)}) {choice.text}" for place, choice in enumerate(choices)]


class ExerciseView:
    """One exercise on a lab: `.check(answer)`, `.hint()`, `.solution()`. Showing it asks the question."""

    def __init__(
        self,
        exercise: Exercise,
        expected_answer: Callable[[], ExpectedAnswer],
        progress: Progress,
        options: Callable[[], list[str]] = list,
        display: Display = display_text,
    ) -> None:
        self.exercise, self.expected_answer = exercise, expected_answer
        self._progress, self._options, self._display = progress, options, display
        self._hints_given = 0

    def options(self) -> list[str]:
        """Return the names that a form offers; none where the lab cannot list them now."""
        try:
            return self._options()
        except KanslibError:
            return []

    @property
    def question(self) -> str:
        """The question, with its choices in letters."""
        lines = [self.exercise.question, *_list_choices(self.exercise.choices)]
        for part, choices in self.exercise.parts.items():
            lines += [f"{part}:", *_list_choices(choices)]
        if self.exercise.starter:
            lines += ["", self.exercise.starter]
        return "\n".join(lines)

    def assess(self, answer: object) -> Assessment:
        """Judge an answer and record the result. What cannot be checked at this moment is not tried."""
        if is_blank(answer):
            return assess_blank(self.exercise)
        try:
            return self.judge(answer, self.expected_answer())
        except KanslibError as exc:
            return Assessment(AnswerOutcome.NOT_TRIED, f"This cannot be checked at this moment. {exc}")

    def judge(self, answer: object, expected: ExpectedAnswer) -> Assessment:
        """Judge an answer against the expected one and record the result."""
        record = self._progress.of(self.exercise.id)
        assessment = assess(self.exercise, answer, expected, record.saw_solution or record.hints > 0)
        misconception = assessment.misconception.id if assessment.misconception else ""
        self._progress.record_try(self.exercise.id, assessment.outcome, misconception)
        return assessment

    def submit(self, answer: object) -> Feedback:
        """Take an answer from a form or a quiz."""
        return format_feedback(self.assess(answer), self._progress.notice)

    def check(self, answer: object = None, /, **parts: object) -> Feedback:
        """Return whether an answer is right, and if not, what may have led to it.

        A diagnosis is given in its parts: `.check(cause=…, fix=…, evidence=…)`.
        """
        return self.submit(parts or answer)

    def hint(self) -> Feedback:
        """Return the next hint, from vague to near."""
        hints = self.exercise.hints
        place = min(self._hints_given, len(hints) - 1)
        self._hints_given += 1
        self._progress.record_help(self.exercise.id, hints=place + 1)
        more = f"{len(hints) - place - 1} more" if place + 1 < len(hints) else "the last one; .solution() tells all"
        return Feedback(hints[place], f"Hint {place + 1} ({more})")

    def solution(self) -> Feedback:
        """Return the right answer of this lab, and why."""
        try:
            words = explain_solution(self.exercise, self.expected_answer())
        except KanslibError as exc:
            return Feedback(f"It cannot be worked out at this moment. {exc}", "Solution")
        self._progress.record_help(self.exercise.id, solution=True)
        return Feedback(words, "Solution")

    def __repr__(self) -> str:
        return f"{self.question}\n→ .check(answer), .hint(), .solution()"

    def _mark_html(self) -> h.Element:
        """Return the mark of what came of the exercise so far: a sign, and words for a screen reader."""
        mark = OUTCOME_MARKS[self._progress.of(self.exercise.id).outcome]
        return h.span(role="img", aria_label=mark.words)[mark.sign]

    def _help_html(self) -> list[h.Node]:
        return ["answer with ", h.code[".check(…)"], "; ", h.code[".hint()"], " and ", h.code[".solution()"], " help"]

    def question_html(self) -> Markup:
        """Return the question alone, as a form shows it above its own choices."""
        starter = h.pre[self.exercise.starter] if self.exercise.starter else None
        return Markup(h.div(".kans-question")[self._mark_html(), " ", self.exercise.question, starter])

    def _repr_html_(self) -> Markup:
        question = _with_line_breaks(self.question.replace("  ", "\N{EM SPACE}"))
        bar = h.div(".kans-question", style=bar_style(BLUE))
        return Markup(bar[self._mark_html(), " ", question, h.br, h.small[self._help_html()]])

    def _repr_mimebundle_(self, **_options: object) -> MimeBundle:
        return self._display([self], self._repr_html_(), repr(self))


class Prediction(ExerciseView):
    """A guess before a query: kept until the query is made, then scored."""

    guess: object = None

    def answer(self, guess: object) -> Feedback:
        """Keep the guess. It is scored by the query that shows the answer, and not before."""
        if is_blank(guess):
            return Feedback(f"No guess yet. Expected: an answer to “{self.exercise.question}”", "○ not tried")
        try:
            parse_answer(self.exercise, guess)
        except AnswerFormatError as exc:
            return Feedback(str(exc), "○ not tried")
        self.guess = guess
        return Feedback("Written down. Now look.", "Your prediction")

    def submit(self, answer: object) -> Feedback:
        """Take a guess from a form or a quiz."""
        return self.answer(answer)

    def score(self, expected: ExpectedAnswer) -> Feedback | None:
        """Judge the guess and record the result; None where it cannot be judged."""
        assessment = self.judge(self.guess, expected)
        if assessment.outcome is AnswerOutcome.NOT_TRIED:
            return None
        mark = OUTCOME_MARKS[assessment.outcome]
        guess = format_answer(self.exercise, parse_answer(self.exercise, self.guess))
        answer = "" if assessment.is_right else f"Here: {format_answer(self.exercise, expected.value)}. "
        return Feedback(answer + assessment.words, f"{mark.sign} Your prediction: {guess}", mark.colour)

    def _mark_html(self) -> h.Element:
        return h.b["Predict."]

    def _help_html(self) -> list[h.Node]:
        if self.guess is not None:
            return [f"Your guess: {self.guess}. Now look."]
        call = f"lab.predict({self.exercise.id!r}, guess='…')"
        return ["write your guess into the cell, ", h.code[call], ", run it, and look"]

    def __repr__(self) -> str:
        return f"Predict. {self.question}\n→ .answer(guess), then look"


class Quiz:
    """Several questions at once: a chapter's summary, or predictions. Showing it asks them."""

    def __init__(self, views: Sequence[ExerciseView], display: Display = display_text) -> None:
        self.views, self._display = tuple(views), display

    def check(self, *answers: object) -> Feedback:
        """Take answers to the questions, in order; what is left out is not tried. Predictions are kept."""
        lines = []
        for place, view in enumerate(self.views):
            answer = answers[place] if place < len(answers) else None
            lines.append(f"{place + 1}. {view.submit(answer)}")
        return Feedback("\n".join(lines), f"{len(self.views)} questions")

    def __repr__(self) -> str:
        questions = "\n".join(f"{place}. {view.question}" for place, view in enumerate(self.views, 1))
        return f"{questions}\n→ .check(answer, answer, …)"

    def _repr_html_(self) -> Markup:
        questions = (h.fragment[h.p[h.b[f"{place}."]], view._repr_html_()] for place, view in enumerate(self.views, 1))
        return Markup(h.fragment[questions])

    def _repr_mimebundle_(self, **_options: object) -> MimeBundle:
        return self._display(self.views, self._repr_html_(), repr(self))


class PendingPredictions:
    """The predictions that wait for their query. All labs of a kernel share one: any of them may make the query."""

    def __init__(self) -> None:
        self._by_name: dict[str, Prediction] = {}

    @property
    def names(self) -> list[str]:
        """The exercises that were predicted and not scored yet."""
        return list(self._by_name)

    def add(self, prediction: Prediction) -> None:
        """Keep a prediction, in place of an earlier one of the same exercise."""
        self._by_name[prediction.exercise.id] = prediction

    def remove(self, prediction: Prediction) -> None:
        """Forget a prediction."""
        del self._by_name[prediction.exercise.id]

    def scored_by(self, query: str) -> list[Prediction]:
        """Return the predictions with a guess that this query scores."""
        return [one for one in self._by_name.values() if query in one.exercise.scored_by and one.guess is not None]


class ExerciseSession:
    """The exercises of a lab: creates their views, and scores the pending predictions.

    expected_at: returns how to find an expected answer for a question that is asked at this moment
    list_options: asks the lab for the names that a form offers
    """

    def __init__(
        self,
        catalog: Mapping[str, Exercise],
        progress: Progress,
        pending: PendingPredictions,
        expected_at: Callable[[], Callable[[Exercise], ExpectedAnswer]],
        list_options: Callable[[Callable[[LabQueries], list[str]]], list[str]],
        display: Display = display_text,
    ) -> None:
        self.catalog, self.progress, self.pending = catalog, progress, pending
        self._expected_at, self._list_options, self._display = expected_at, list_options, display

    def create_view(self, kind: type[View], name: str) -> View:
        """Return the view of an exercise, asked at this moment. UnknownNameError lists the exercises."""
        if name not in self.catalog:
            raise UnknownNameError("exercise", name, self.catalog)
        exercise, expected_answer = self.catalog[name], self._expected_at()

        def options() -> list[str]:
            return self._list_options(exercise.options) if exercise.options else []

        return kind(exercise, lambda: expected_answer(exercise), self.progress, options, self._display)

    def exercise(self, name: str) -> ExerciseView:
        """Return one exercise by its id."""
        return self.create_view(ExerciseView, name)

    def quiz(self, chapter: str) -> Quiz:
        """Return the summary quiz of a chapter. UnknownNameError lists the chapters that have one."""
        number = str(chapter).zfill(2)[:2]
        names = [name for name, one in self.catalog.items() if one.quiz and one.chapter == number]
        if not names:
            raise UnknownNameError("quiz", chapter, sorted({one.chapter for one in self.catalog.values() if one.quiz}))
        return Quiz([self.exercise(name) for name in names], self._display)

    def predict(self, name: str, guess: object = None) -> Prediction:
        """Return a prediction by its id; with a guess, the guess is kept at once."""
        prediction = self.create_view(Prediction, name)
        if guess is not None:
            prediction.answer(guess)
        self.pending.add(prediction)
        return prediction

    def predict_all(self, names: Sequence[str]) -> Quiz:
        """Return several predictions at once."""
        return Quiz([self.predict(name) for name in names], self._display)

    def score_predictions(self, query: str) -> list[Feedback]:
        """Score the predictions that this query shows the answer of; what has no answer yet stays pending."""
        scored = []
        for pending in self.pending.scored_by(query):
            prediction = self.create_view(Prediction, pending.exercise.id)  # judged by what this lab shows
            prediction.guess = pending.guess
            try:
                feedback = prediction.score(prediction.expected_answer())
            except KanslibError:
                continue
            if feedback is not None:
                self.pending.remove(pending)
                scored.append(feedback)
        return scored
