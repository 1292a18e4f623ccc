"""Where a lab meets the exercises: right answers, predictions that a query scores, and how exercises are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

from kanslib import notices
from kanslib.exceptions import KanslibError, NotRecordedError
from kanslib.exercises.session import PendingPredictions, display_text
from kanslib.i18n import tr
from kanslib.lab.queries import QueryLog
from kanslib.notices import in_notebook

if TYPE_CHECKING:
    from markupsafe import Markup

    from kanslib.backends.base import Backend
    from kanslib.exercises.exercise import Exercise
    from kanslib.exercises.lab_queries import LabQueries
    from kanslib.exercises.misconceptions import ExpectedAnswer
    from kanslib.exercises.session import ExerciseSession, ExerciseView
    from kanslib.recording.clock import Clock

Guess = object  # whatever a learner answers: a name, names, a number, a function; `None` is no guess


@cache
def kernel_predictions() -> PendingPredictions:
    """Return the predictions that wait in this kernel: whichever of its labs makes the query scores them."""
    return PendingPredictions()


class Learning:
    """What a learner does with a lab beside asking it.

    `predictions`: those that wait for their query; None where the queries of this lab score nothing.
    """

    def __init__(
        self, lab: LabQueries, backend: Backend, story: str, log: QueryLog, predictions: PendingPredictions | None
    ) -> None:
        self._lab, self._backend, self._story, self._log, self._predictions = lab, backend, story, log, predictions
        log.on_query = self.score

    @cached_property
    def session(self) -> ExerciseSession:
        """The exercises of this lab; the learner's progress is read when it is first needed."""
        from kanslib.exercises.catalog import CATALOG
        from kanslib.exercises.progress import default_path, load
        from kanslib.exercises.session import ExerciseSession

        pending = PendingPredictions() if self._predictions is None else self._predictions
        return ExerciseSession(
            CATALOG, load(default_path()), pending, self.judge_from_here, self.options, self.display,
            lambda: self._log.counts,
        )  # fmt: skip

    def display(self, views: Sequence[ExerciseView], html: Markup, text: str) -> None:
        """Show exercises: forms where a kernel runs, HTML and text elsewhere.

        A static page of a recorded lab has the solutions, folded. A live cluster is not asked for them.
        """
        if not in_notebook():  # ipywidgets takes half a second to import
            return display_text(views, html, text)
        from kanslib.exercises.forms import display_forms

        is_recorded = self._backend.provenance().source == "recorded"
        return display_forms(views, [view.paper_html() for view in views] if is_recorded else [html], text)

    def score(self, query: str) -> None:
        """Score the predictions that a query answers, and show what came of them; a diagnosis offers more after it."""
        if self._predictions and self._predictions.scored_by(query):
            for feedback in self.session.score_predictions(query):
                notices.display_html(str(feedback), feedback.html())
        if "session" in vars(self):  # which reads a file when it is first asked for
            self.session.offer_again()

    def judge_from_here(self) -> Callable[[Exercise], ExpectedAnswer]:
        """Return how to find the right answer to what is asked now and may be answered when the clock has moved.

        The moment of asking counts where the lab can stand there again and has an answer; else that of answering.
        """
        position = self._backend.position()

        def judge(exercise: Exercise) -> ExpectedAnswer:
            try:
                return self.expected_answer(exercise, position)
            except KanslibError:
                if position is None:
                    raise
            return self.expected_answer(exercise)

        return judge

    def expected_answer(self, exercise: Exercise, position: Clock | None = None) -> ExpectedAnswer:
        """Return the right answer at a clock's position, else now. Raise NotRecordedError where it does not count.

        What another backend had to answer does not count, nor what another story would.
        """
        if not self._backend.provenance().checkable:
            raise NotRecordedError(
                tr("an answer of this backend to {id!r}", id=exercise.id),
                hint=tr("what a recording answers in place of another backend is for looking, not for checking"),
            )
        if exercise.story not in ("", self._story):
            raise NotRecordedError(
                tr("{id} in the story {story!r}", id=exercise.id, story=self._story),
                hint=f"kanslib.open_lab(story={exercise.story!r})",
            )
        with self._log.uncounted(), self._backend.isolated(position):
            expected = exercise.expected_answer(self._lab)
        if expected.diagnosis is None:
            return expected
        return replace(expected, diagnosis=replace(expected.diagnosis, queries=frozenset(self._log.counts)))

    def options(self, options: Callable[[LabQueries], list[str]]) -> list[str]:
        """Return the names that a form offers; that is no query of the learner's."""
        with self._log.uncounted():
            return options(self._lab)
