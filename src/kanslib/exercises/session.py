"""An exercise or a prediction as a notebook holds it: asked, checked, helped with, and noted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, TypeVar

from kanslib.exceptions import KanslibError, UnknownNameError
from kanslib.exercises.exercise import (
    AnswerOutcome,
    Assessment,
    Choice,
    Exercise,
    assess,
    explain_solution,
    format_answer,
    is_blank,
    parse_answer,
)
from kanslib.exercises.misconceptions import ExpectedAnswer
from kanslib.exercises.progress import Progress

# a word and a sign for each outcome: never the colour alone. The colours keep 3:1 on a light and a dark ground.
_SIGNS = {
    AnswerOutcome.NOT_TRIED: ("○", "not tried", "#7d7d7d"),
    AnswerOutcome.WRONG: ("✗", "not yet", "#d55e00"),
    AnswerOutcome.RIGHT: ("✓", "right", "#009e73"),
    AnswerOutcome.RIGHT_AFTER_HELP: ("✓", "right, after help", "#0072b2"),
}


Q = TypeVar("Q", bound="ExerciseView")


class Feedback(str):
    """Words to a learner; a notebook shows them beside a bar, a terminal as they are."""

    _head: str
    _colour: str

    def __new__(cls, words: str, head: str = "", colour: str = "#7d7d7d") -> Feedback:
        said = super().__new__(cls, f"{head}: {words}" if head else words)
        said._head, said._colour = head, colour
        said._words = words
        return said

    _words: str

    def html(self) -> str:
        """The words beside a bar, announced to screen readers."""
        head = f"<b>{escape(self._head)}</b><br>" if self._head else ""
        words = escape(self._words).replace("\n", "<br>")
        return (
            f'<div class="kans-said" role="status" style="border-left:6px solid {self._colour};padding:.2em .8em">'
            f"{head}{words}</div>"
        )

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))


def format_feedback(verdict: Assessment, note: str = "") -> Feedback:
    """A verdict in words, with its sign."""
    sign, head, colour = _SIGNS[verdict.outcome]
    return Feedback(verdict.words + (f"\n{note}" if note else ""), f"{sign} {head}", colour)


def _lettered(choices: Sequence[Choice]) -> list[str]:
    return [f"  {chr(97 + place)}) {choice.text}" for place, choice in enumerate(choices)]


class ExerciseView:
    """One exercise on a lab: `.check(answer)`, `.hint()`, `.solution()`. Showing it asks the question."""

    def __init__(
        self,
        exercise: Exercise,
        truth: Callable[[], ExpectedAnswer],
        progress: Progress,
        options: Callable[[], list[str]] = list,
    ) -> None:
        self.exercise, self._truth, self._progress, self._options = exercise, truth, progress, options
        self._given = 0
        self.truth: ExpectedAnswer | None = None  # by which the last answer was judged

    def options(self) -> list[str]:
        """The names that a form offers; none where the lab cannot say them now."""
        try:
            return self._options()
        except KanslibError:
            return []

    @property
    def question(self) -> str:
        """The question, with its choices in letters."""
        lines = [self.exercise.question]
        lines += _lettered(self.exercise.choices)
        for part, choices in self.exercise.parts.items():
            lines += [f"{part}:", *_lettered(choices)]
        if self.exercise.starter:
            lines += ["", self.exercise.starter]
        return "\n".join(lines)

    def assess(self, answer: Any) -> Assessment:
        """The answer judged and noted; what cannot be asked at this moment is not tried, and says what to do."""
        if is_blank(answer):
            return assess(self.exercise, answer, ExpectedAnswer(None))
        try:
            truth = self._truth()
        except KanslibError as exc:
            return Assessment(AnswerOutcome.NOT_TRIED, f"This cannot be checked at this moment. {exc}")
        self.truth = truth
        entry = self._progress.of(self.exercise.id)
        was_helped = entry.saw_solution or entry.hints > 0
        verdict = assess(self.exercise, answer, truth, was_helped)
        self._progress.record_try(
            self.exercise.id, verdict.outcome, verdict.misconception.id if verdict.misconception else ""
        )
        return verdict

    def check(self, answer: Any = None, /, **parts: Any) -> Feedback:
        """Say whether an answer is right, and if not, what may have led to it.

        A diagnosis is given in its parts: `.check(cause=…, fix=…, evidence=…)`.
        """
        return format_feedback(self.assess(parts or answer), self._progress.notice)

    def hint(self) -> Feedback:
        """The next hint, from vague to near."""
        hints = self.exercise.hints
        place = min(self._given, len(hints) - 1)
        self._given += 1
        self._progress.record_help(self.exercise.id, hints=place + 1)
        more = f"{len(hints) - place - 1} more" if place + 1 < len(hints) else "the last one; .solution() tells all"
        return Feedback(hints[place], f"Hint {place + 1} ({more})")

    def solution(self) -> Feedback:
        """The answer, worked out from this lab, and why."""
        try:
            truth = self._truth()
            words = explain_solution(self.exercise, truth)
        except KanslibError as exc:
            return Feedback(f"It cannot be worked out at this moment. {exc}", "Solution")
        self._progress.record_help(self.exercise.id, solution=True)
        return Feedback(words, "Solution")

    def __repr__(self) -> str:
        return f"{self.question}\n→ .check(answer), .hint(), .solution()"

    @property
    def _sign(self) -> str:
        """What came of it so far: a sign, and the word for who cannot see it."""
        sign, words, _ = _SIGNS[AnswerOutcome(self._progress.of(self.exercise.id).outcome)]
        return f'<span role="img" aria-label="{words}">{sign}</span>'

    def question_html(self) -> str:
        """The question alone, as a form shows it above its own choices."""
        asked = escape(self.exercise.question)
        starter = f"<pre>{escape(self.exercise.starter)}</pre>" if self.exercise.starter else ""
        return f'<div class="kans-asked">{self._sign} {asked}{starter}</div>'

    def _repr_html_(self) -> str:
        asked = escape(self.question).replace("\n", "<br>").replace("  ", "&emsp;")
        return (
            f'<div class="kans-asked" style="border-left:6px solid #0072b2;padding:.2em .8em">{self._sign} {asked}'
            "<br><small>answer with <code>.check(…)</code>; <code>.hint()</code> and <code>.solution()</code> help"
            "</small></div>"
        )

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        """A form in a notebook that lives; the question elsewhere."""
        return _shown([self], self._repr_html_(), repr(self))


class Prediction(ExerciseView):
    """A guess before a look: kept until the look happens, then scored."""

    guess: Any = None

    def question_html(self) -> str:
        """The question alone."""
        return f'<div class="kans-asked"><b>Predict.</b> {escape(self.exercise.question)}</div>'

    def answer(self, guess: Any) -> Feedback:
        """Write the guess down. It is scored by the look that shows the answer, and not before."""
        if is_blank(guess):
            return Feedback(f"No guess yet. Expected: an answer to “{self.exercise.question}”", "○ not tried")
        try:
            parse_answer(self.exercise, guess)
        except ValueError as exc:
            return Feedback(str(exc), "○ not tried")
        self.guess = guess
        return Feedback("Written down. Now look.", "Your prediction")

    def _repr_html_(self) -> str:
        asked = escape(self.question).replace("\n", "<br>").replace("  ", "&emsp;")
        said = (
            f"Your guess: {escape(str(self.guess))}. Now look."
            if self.guess is not None
            else (
                f"write your guess into the cell, <code>lab.predict({self.exercise.id!r}, '…')</code>, run it, and look"
            )
        )
        return (
            '<div class="kans-asked" style="border-left:6px solid #0072b2;padding:.2em .8em">'
            f"<b>Predict.</b> {asked}<br><small>{said}</small></div>"
        )

    def __repr__(self) -> str:
        return f"Predict. {self.question}\n→ .answer(guess), then look"


class Quiz:
    """Several questions at once: a chapter's summary, or predictions. Showing it asks them."""

    def __init__(self, quests: Sequence[ExerciseView]) -> None:
        self.views = tuple(quests)

    def check(self, *answers: Any) -> Feedback:
        """Answers to the questions, in order; what is left out is not tried. Predictions are written down."""
        lines = []
        for place, quest in enumerate(self.views):
            answer = answers[place] if place < len(answers) else None
            said = quest.answer(answer) if isinstance(quest, Prediction) else quest.check(answer)
            lines.append(f"{place + 1}. {said}")
        return Feedback("\n".join(lines), f"{len(self.views)} questions")

    def __repr__(self) -> str:
        asked = "\n".join(f"{place + 1}. {quest.question}" for place, quest in enumerate(self.views))
        return f"{asked}\n→ .check(answer, answer, …)"

    def _repr_html_(self) -> str:
        return "".join(f"<p><b>{place + 1}.</b></p>{one._repr_html_()}" for place, one in enumerate(self.views))

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return _shown(self.views, self._repr_html_(), repr(self))


def _shown(quests: Sequence[ExerciseView], html: str, words: str) -> dict[str, Any]:
    """What a cell shows of exercises: their forms where a kernel lives, and what stays of them elsewhere."""
    if "ipykernel" in sys.modules:
        from kanslib.exercises import forms

        if forms.in_a_notebook():
            return forms.mimebundle(forms.exercise_widgets(quests), html, words)
    return {"text/html": html, "text/plain": words}


_written: dict[str, Prediction] = {}  # guesses that wait for their look, whichever lab makes it


def is_waited_for(look: str) -> bool:
    """True when a guess waits for this look."""
    return any(look in made.exercise.scored_by and made.guess is not None for made in _written.values())


class ExerciseSession:
    """A lab's exercises: hands them out, keeps predictions until their look, notes what came of them."""

    def __init__(
        self,
        catalog: Mapping[str, Exercise],
        progress: Progress,
        asked: Callable[[], Callable[[Exercise], ExpectedAnswer]],
        ask: Callable[[Callable[[Any], list[str]]], list[str]],
    ) -> None:
        self.catalog, self.progress, self._asked, self._ask = catalog, progress, asked, ask

    def _known(self, name: str) -> Exercise:
        if name not in self.catalog:
            raise UnknownNameError("exercise", name, self.catalog)
        return self.catalog[name]

    def exercise(self, name: str) -> ExerciseView:
        """One exercise by its id."""
        return self._made(ExerciseView, name)

    def _made(self, kind: type[Q], name: str) -> Q:
        exercise = self._known(name)
        names = exercise.options
        options = (lambda: self._ask(names)) if names else list
        truth = self._asked()
        return kind(exercise, lambda: truth(exercise), self.progress, options)

    def quiz(self, chapter: str) -> Quiz:
        """The summary quiz of a chapter."""
        number = str(chapter).zfill(2)[:2]
        chosen = [name for name, one in self.catalog.items() if one.quiz and one.chapter == number]
        if not chosen:
            raise UnknownNameError("quiz", chapter, sorted({one.chapter for one in self.catalog.values() if one.quiz}))
        return Quiz([self.exercise(name) for name in chosen])

    def predict(self, name: str, guess: Any = None) -> Prediction:
        """One prediction by its id; with a guess, it is written down at once."""
        made = self._made(Prediction, name)
        if guess is not None:
            made.answer(guess)
        _written[name] = made
        return made

    def predict_all(self, names: Sequence[str]) -> Quiz:
        """Several predictions at once."""
        return Quiz([self.predict(name) for name in names])

    def queried(self, look: str) -> list[Feedback]:
        """Score the predictions that this look reveals; what cannot be told yet stays open."""
        scored = []
        for name, made in list(_written.items()):
            if look not in made.exercise.scored_by or made.guess is None:
                continue
            quest = self._made(Prediction, name)
            verdict = quest.assess(made.guess)  # by what this lab shows
            if verdict.outcome is AnswerOutcome.NOT_TRIED or quest.truth is None:
                continue
            del _written[name]
            sign, _, colour = _SIGNS[verdict.outcome]
            asked = made.exercise
            head = f"{sign} Your prediction: {format_answer(asked, parse_answer(asked, made.guess))}"
            seen = (
                f"Here: {format_answer(asked, quest.truth.value)}. " if verdict.outcome is AnswerOutcome.WRONG else ""
            )
            scored.append(Feedback(seen + verdict.words, head, colour))
        return scored
