"""Exercises and predictions as a notebook holds them: shown, checked, helped with, recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    OutcomeMark,
    assess,
    assess_blank,
    explain_solution,
    format_answer,
    is_blank,
    letter,
    parse_answer,
)
from kanslib.exercises.messages import translate
from kanslib.exercises.misconceptions import ExpectedAnswer
from kanslib.exercises.progress import Progress
from kanslib.i18n import tr, tr_later, tr_plural
from kanslib.palette import BLUE, GREY, bar_style

if TYPE_CHECKING:
    from kanslib.answer import Printer
    from kanslib.exercises.lab_queries import LabQueries

View = TypeVar("View", bound="ExerciseView")
Display = Callable[[Sequence["ExerciseView"], Markup, str], None]  # of views, their HTML and their text
# Words stand beside every colour. A chip names the state at the right of its question.
_STYLE = """
.kans-question{display:flex;flex-wrap:wrap;gap:.2em 1em;align-items:start;justify-content:space-between}
.kans-question>div{flex:1 1 16em;font-weight:600}
.kans-state{flex:none;margin-left:auto;padding:0 .7em;font-size:11px;line-height:18px;\
border:2px solid;border-radius:11px}
.kans-question pre,.kans-feedback pre{font-family:monospace}
.kans-question pre{flex-basis:100%;margin:.2em 0}
.kans-choices{margin:.3em 0;padding-left:2em;list-style:lower-alpha}
.kans-feedback pre{margin:.4em 0;overflow-x:auto}
"""


LOOK_FIRST = tr_later("Ask this cluster something first. The causes come after your first query.")


def display_text(_views: Sequence[ExerciseView], html: Markup, text: str) -> None:
    """Show exercises where no form can be shown, as HTML and as text."""
    from IPython.display import display

    display({"text/html": html, "text/plain": text}, raw=True)


@dataclass(frozen=True)
class Feedback:
    """Words to a learner under a head: `str()` of it is plain text, a notebook shows it beside a coloured bar.

    `code`: what the learner could have written. `marks`: which choices are right (True) and which wrong, by their key.
    """

    words: str
    head: str = ""
    outcome: AnswerOutcome = AnswerOutcome.NOT_TRIED
    code: str = ""
    marks: Mapping[str, bool] = field(default_factory=dict)

    @property
    def colour(self) -> str:
        """The colour of the bar."""
        return OUTCOME_MARKS[self.outcome].colour

    def __str__(self) -> str:
        text = f"{self.head}: {self.words}" if self.head else self.words
        return f"{text}\n\n{self.code}" if self.code else text

    def __contains__(self, text: str) -> bool:
        return text in str(self)

    def html(self) -> Markup:
        """Return the words beside a bar, announced to screen readers."""
        head = [h.b[self.head], h.br] if self.head else []
        bar = h.div(".kans-feedback", role="status", style=bar_style(self.colour))
        code = h.pre(tabindex=0)[self.code] if self.code else None
        return Markup(bar[head, _with_line_breaks(self.words), code])

    def _repr_html_(self) -> Markup:
        return self.html()

    def _repr_pretty_(self, printer: Printer, _cycle: bool) -> None:
        printer.text(str(self))


def format_feedback(assessment: Assessment, notice: str = "") -> Feedback:
    """Return an assessment as feedback; `notice` says what happened to the progress file."""
    mark = OUTCOME_MARKS[assessment.outcome]
    words = tr(mark.words)
    head = words.capitalize() if assessment.outcome is AnswerOutcome.NOT_TRIED else f"{mark.sign} {words}"
    return Feedback("\n".join(filter(None, (assessment.words, notice))), head, assessment.outcome)


def place_hint(place: str) -> Feedback:
    """Return the hint of a diagnosis that names a place where the cause shows and the learner has not looked."""
    return Feedback(tr("You have not looked at {place} yet.", place=place), tr("Hint"))


def _with_line_breaks(words: str) -> Markup:
    return Markup("<br>").join(words.split("\n"))


def _list_choices(choices: Sequence[Choice], offered: Collection[Choice] | None = None) -> list[str]:
    """Return choices with their letters; of `choices` only those that are offered."""
    shown = choices if offered is None else offered
    return [f"  {letter(place)}) {choice.text}" for place, choice in enumerate(choices) if choice in shown]


class ExerciseView:
    """One exercise on a lab: `.check(answer)`, `.hint()`, `.solution()`. Showing it asks the question."""

    def __init__(
        self,
        exercise: Exercise,
        expected_answer: Callable[[], ExpectedAnswer],
        progress: Progress,
        options: Callable[[], list[str]] = list,
        display: Display = display_text,
        queries: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.exercise, self.expected_answer = exercise, expected_answer
        self._progress, self._options, self._display, self._queries = progress, options, display, queries
        self._hints_given, self._has_named_place = 0, False
        self._on_result: list[Callable[[Feedback], None]] = []  # of a prediction
        self.on_query: Callable[[], None] | None = None  # of a diagnosis that a form shows

    def options(self) -> list[str]:
        """Return the names that a form offers; none where the lab cannot list them now."""
        try:
            return self._options()
        except KanslibError:
            return []

    def offered(self) -> Mapping[str, tuple[Choice, ...]]:
        """Return the choices of a diagnosis by part: those that the learner's queries can have shown."""
        return self.exercise.offer(self._queries()) if self.exercise.offer else self.exercise.parts

    @property
    def question(self) -> str:
        """The question, with its choices in letters."""
        lines = [self.exercise.question, *_list_choices(self.exercise.choices)]
        for part, choices in self.offered().items():
            lines += [f"{tr(part)}:", *_list_choices(self.exercise.parts[part], choices)]
        if self.exercise.parts and not self.offered():
            lines.append(tr(LOOK_FIRST))
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
            return Assessment(AnswerOutcome.NOT_TRIED, tr("This cannot be checked at this moment. {exc}", exc=exc))

    def judge(self, answer: object, expected: ExpectedAnswer) -> Assessment:
        """Judge an answer against the expected one and record the result."""
        record = self._progress.of(self.exercise.id)
        assessment = assess(self.exercise, answer, expected, record.saw_solution or record.hints > 0)
        misconception = assessment.misconception.id if assessment.misconception else ""
        self._progress.record_try(self.exercise.id, assessment.outcome, misconception)
        return assessment

    def submit(self, answer: object) -> Feedback:
        """Take an answer from a form or a quiz."""
        assessment = self.assess(answer)
        feedback = format_feedback(assessment, self._progress.notice)
        if assessment.outcome is AnswerOutcome.NOT_TRIED:
            return feedback
        return replace(feedback, marks=self._marks(answer, is_right=assessment.is_right))

    def _marks(self, answer: object, *, is_right: bool) -> dict[str, bool]:
        """Return how a form marks an answer: a choice as right or wrong, the names of a right answer as right."""
        if self.exercise.kind == "choice":
            return {str(parse_answer(self.exercise, answer)): is_right}
        if self.exercise.kind == "names" and is_right:
            parsed = parse_answer(self.exercise, answer)
            return dict.fromkeys(parsed, True) if isinstance(parsed, frozenset) else {}
        return {}

    def check(self, answer: object = None, /, **parts: object) -> Feedback:
        """Return whether an answer is right, and if not, what may have led to it.

        A diagnosis is given in its parts: `.check(cause=…, fix=…, evidence=…)`.
        """
        return self.submit(parts or answer)

    def hint(self) -> Feedback:
        """Return the next hint, from vague to near; before a diagnosis has one, where the learner has to look first."""
        if not self._has_named_place and (place_name := self._find_unseen_place()):
            self._has_named_place = True
            self._progress.record_help(self.exercise.id, hints=1)
            return place_hint(place_name)
        hints = self.exercise.hints
        place = min(self._hints_given, len(hints) - 1)
        self._hints_given += 1
        self._progress.record_help(self.exercise.id, hints=place + 1)
        more = (
            tr_plural("{n} more", "{n} more", len(hints) - place - 1)
            if place + 1 < len(hints)
            else tr("the last one; the solution tells all")
        )
        return Feedback(hints[place], tr("Hint {place} ({more})", place=place + 1, more=more))

    def _find_unseen_place(self) -> str:
        """Return where the cause shows and the learner has not looked; empty for nowhere, and where nobody can tell."""
        try:
            facts = self.expected_answer().diagnosis if self.exercise.places else None
        except KanslibError:
            return ""
        if facts is None or facts.proofs & facts.queries:
            return ""
        unseen = (
            name for name, queries in self.exercise.places.items()
            if facts.proofs & set(queries) and not facts.queries & set(queries)
        )  # fmt: skip
        return next(unseen, "")

    def solution(self) -> Feedback:
        """Return the right answer of this lab, and why."""
        try:
            feedback = self.explain()
        except KanslibError as exc:
            return Feedback(tr("It cannot be worked out at this moment. {exc}", exc=exc), tr("Solution"))
        self._progress.record_help(self.exercise.id, solution=True)
        return feedback

    def explain(self) -> Feedback:
        """Return the solution without recording that it was seen. KanslibError where this moment has no answer."""
        expected = self.expected_answer()
        marks = {} if self.exercise.kind == "code" else self._marks(expected.value, is_right=True)
        words = explain_solution(self.exercise, expected)
        return Feedback(words, tr("Solution"), AnswerOutcome.RIGHT, self.exercise.solution, marks)

    def __repr__(self) -> str:
        parts = ", ".join(f"{part}=…" for part in self.exercise.parts) or "answer"
        return f"{self.question}\n→ .check({parts}), .hint(), .solution()"

    def _state(self) -> OutcomeMark:
        """Return what came of the exercise so far."""
        mark = OUTCOME_MARKS[self._progress.of(self.exercise.id).outcome]
        return mark._replace(sign="") if mark is OUTCOME_MARKS[AnswerOutcome.NOT_TRIED] else mark

    def question_html(self) -> Markup:
        """Return the question and its state, as a form shows them above its own choices."""
        state = self._state()
        chip = h.span(".kans-state", style=f"border-color:{state.colour}")[f"{state.sign} {tr(state.words)}".strip()]
        starter = h.pre[self.exercise.starter] if self.exercise.starter else None
        question = h.div(".kans-question")[h.div[self.label(), self.exercise.question], chip, starter]
        return Markup(h.fragment[h.style[Markup(_STYLE)], question])

    def label(self) -> str:
        """Return what stands in front of the question."""
        return ""

    def _repr_html_(self) -> Markup:
        names = self.options() if self.exercise.kind == "names" else []
        groups = {"": self.exercise.choices or [Choice(name, name) for name in names], **self.offered()}
        choices = [
            [h.div[tr(part)] if part else None, h.ol(".kans-choices")[(h.li[choice.text] for choice in listed)]]
            for part, listed in groups.items()
            if listed
        ]
        scale = self.exercise.scale
        numbers = (
            h.div[
                tr(
                    "a number from {least:g} to {most:g} {unit}",
                    least=scale[0],
                    most=scale[1],
                    unit=self.exercise.unit,
                ).strip()
            ]
            if scale
            else None
        )
        look = h.div[tr(LOOK_FIRST)] if self.exercise.parts and not self.offered() else None
        return Markup(h.div(style=bar_style(BLUE))[self.question_html(), choices, numbers, look])

    def paper_html(self) -> Markup:
        """Return the question with its solution folded below it: for paper, where nobody can answer."""
        try:
            solution = self.explain()
        except KanslibError:  # the cells below show it
            return self._repr_html_()
        folded = h.details[h.summary[solution.head], replace(solution, head="").html()]
        return Markup(h.fragment[self._repr_html_(), folded])

    def _ipython_display_(self) -> None:
        self._display([self], self._repr_html_(), repr(self))


class RecalledView(ExerciseView):
    """An exercise of an earlier chapter, which a later quiz asks again."""

    @property
    def question(self) -> str:
        """The question, with the chapter that it comes from."""
        return f"{self.label()}{super().question}"

    def label(self) -> str:
        """Return the chapter that the question comes from."""
        return tr("From chapter {chapter}.", chapter=self.exercise.chapter) + " "


class Prediction(ExerciseView):
    """A guess before a query: kept until the query is made, then scored."""

    guess: object = None
    result: Feedback | None = None  # of this guess, or of an earlier one of this kernel

    def answer(self, guess: object) -> Feedback:
        """Keep the guess. It is scored by the query that shows the answer, and not before."""
        if is_blank(guess):
            return Feedback(
                tr("No guess yet. Expected: an answer to “{question}”", question=self.exercise.question),
                tr("Not answered yet"),
            )
        try:
            parse_answer(self.exercise, guess)
        except AnswerFormatError as exc:
            return Feedback(str(exc), tr("Not answered yet"))
        self.guess, self.result = guess, None
        return Feedback(tr("Written down. Now look."), tr("Your prediction"))

    def submit(self, answer: object) -> Feedback:
        """Take a guess from a form or a quiz."""
        return self.answer(answer)

    def when_scored(self, show: Callable[[Feedback], None]) -> None:
        """Call `show` with the result as soon as a query scores the guess."""
        self._on_result.append(show)

    def settle(self, result: Feedback) -> None:
        """Take the result of the guess, and show it where the question stands."""
        self.result = result
        for show in self._on_result:
            show(result)

    def score(self, expected: ExpectedAnswer) -> Feedback | None:
        """Judge the guess and record the result; None where it cannot be judged."""
        assessment = self.judge(self.guess, expected)
        if assessment.outcome is AnswerOutcome.NOT_TRIED:
            return None
        mark = OUTCOME_MARKS[assessment.outcome]
        guess = format_answer(self.exercise, parse_answer(self.exercise, self.guess))
        words = assessment.words  # of the guess, so they stand next to it
        if not assessment.is_right:
            words += "\n" + tr("Right is: {answer}.", answer=format_answer(self.exercise, expected.value))
        marks = self._marks(self.guess, is_right=assessment.is_right) | self._marks(expected.value, is_right=True)
        head = tr("{sign} Your prediction: {guess}", sign=mark.sign, guess=guess)
        return Feedback(words, head, assessment.outcome, marks=marks)

    def label(self) -> str:
        """Return that a guess is asked for."""
        return tr("Predict.") + " "

    def _state(self) -> OutcomeMark:
        if self.result is None:
            return OutcomeMark("", tr_later("no guess yet") if self.guess is None else tr_later("written down"), GREY)
        mark = OUTCOME_MARKS[self.result.outcome]
        return mark._replace(words=tr_later("not right")) if self.result.outcome is AnswerOutcome.WRONG else mark

    def paper_html(self) -> Markup:
        """Return the question; the cells below it show the answer."""
        return self._repr_html_()

    def __repr__(self) -> str:
        result = f"\n{self.result}" if self.result else ""
        return f"{tr('Predict.')} {self.question}\n{tr('→ .answer(guess), then look')}{result}"


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
        return Feedback("\n".join(lines), tr_plural("{n} question", "{n} questions", len(self.views)))

    def __repr__(self) -> str:
        questions = "\n".join(f"{place}. {view.question}" for place, view in enumerate(self.views, 1))
        return f"{questions}\n→ .check(answer, answer, …)"

    def _repr_html_(self) -> Markup:
        return Markup(h.fragment[(view._repr_html_() for view in self.views)])

    def _ipython_display_(self) -> None:
        self._display(self.views, self._repr_html_(), repr(self))


class PendingPredictions:
    """The predictions that wait for their query. All labs of a kernel share one: any of them may make the query."""

    def __init__(self) -> None:
        self._by_name: dict[str, Prediction] = {}
        self._results: dict[str, Feedback] = {}

    @property
    def names(self) -> list[str]:
        """The exercises that were predicted and not scored yet."""
        return list(self._by_name)

    def add(self, prediction: Prediction) -> None:
        """Keep a prediction, in place of an earlier one of the same exercise, whose result it takes over."""
        if prediction.guess is None:
            prediction.result = self._results.get(prediction.exercise.id)
        self._by_name[prediction.exercise.id] = prediction

    def settle(self, prediction: Prediction, result: Feedback) -> None:
        """Give a prediction its result, and let it wait no longer."""
        del self._by_name[prediction.exercise.id]
        self._results[prediction.exercise.id] = result
        prediction.settle(result)

    def scored_by(self, query: str) -> list[Prediction]:
        """Return the predictions with a guess that this query scores."""
        return [one for one in self._by_name.values() if query in one.exercise.scored_by and one.guess is not None]


class ExerciseSession:
    """The exercises of a lab: creates their views, and scores the pending predictions.

    expected_at: returns how to find an expected answer for a question that is asked at this moment
    list_options: asks the lab for the names that a form offers
    queries: returns what the learner has asked this lab
    """

    def __init__(
        self,
        catalog: Mapping[str, Exercise],
        progress: Progress,
        pending: PendingPredictions,
        expected_at: Callable[[], Callable[[Exercise], ExpectedAnswer]],
        list_options: Callable[[Callable[[LabQueries], list[str]]], list[str]],
        display: Display = display_text,
        queries: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.catalog, self.progress, self.pending = catalog, progress, pending
        self._expected_at, self._list_options, self._display = expected_at, list_options, display
        self._queries = queries
        self._diagnoses: dict[str, ExerciseView] = {}  # those that were shown last

    def create_view(self, kind: type[View], name: str) -> View:
        """Return the view of an exercise, asked at this moment. UnknownNameError lists the exercises."""
        if name not in self.catalog:
            raise UnknownNameError("exercise", name, self.catalog)
        original, expected_answer = self.catalog[name], self._expected_at()
        exercise = translate(original)

        def options() -> list[str]:
            return self._list_options(exercise.options) if exercise.options else []

        view = kind(
            exercise, lambda: expected_answer(original), self.progress, options, self._display, self._queries
        )  # fmt: skip
        if exercise.offer:
            self._diagnoses[name] = view
        return view

    def offer_again(self) -> None:
        """Offer in each form of a diagnosis what the learner can have seen by now."""
        for view in self._diagnoses.values():
            if view.on_query:
                view.on_query()

    def exercise(self, name: str) -> ExerciseView:
        """Return one exercise by its id."""
        return self.create_view(ExerciseView, name)

    def quiz(self, chapter: str) -> Quiz:
        """Return the summary quiz of a chapter, with a question of an earlier one.

        UnknownNameError lists the chapters that have a quiz.
        """
        number = str(chapter).zfill(2)[:2]
        names = [name for name, one in self.catalog.items() if one.quiz and one.chapter == number]
        if not names:
            raise UnknownNameError("quiz", chapter, sorted({one.chapter for one in self.catalog.values() if one.quiz}))
        again = [name for name, one in self.catalog.items() if one.recalled_in == number]
        own, recalled = map(self.exercise, names), (self.create_view(RecalledView, name) for name in again)
        return Quiz([*own, *recalled], self._display)

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
            prediction = self.create_view(type(pending), pending.exercise.id)  # judged by what this lab shows
            prediction.guess = pending.guess
            try:
                feedback = prediction.score(prediction.expected_answer())
            except KanslibError:
                continue
            if feedback is not None:
                self.pending.settle(pending, feedback)
                scored.append(feedback)
        return scored
