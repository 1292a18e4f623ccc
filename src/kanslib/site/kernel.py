"""The part of the site's builder that runs in a chapter's kernel: exercises shown as forms of a page without a kernel.

`%load_ext kanslib.site.kernel` before a chapter's first cell; the environment variable KANS_SITE_DATA names the folder
of the site's scripts, into which large data go.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import htpy as h
from markupsafe import Markup

from kanslib.exceptions import KanslibError
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.misconceptions import ExpectedAnswer
from kanslib.exercises.progress import Progress
from kanslib.exercises.session import ExerciseView, Feedback, Prediction, Quiz
from kanslib.i18n import tr
from kanslib.lab.learning import kernel_predictions
from kanslib.lab.time_machine import TimeMachine
from kanslib.render.progress import ProgressReport
from kanslib.site.forms import NO_SCALE, PageForm, form_id
from kanslib.site.page_data import FOLDER_VARIABLE, PageData
from kanslib.site.progress import chapter_progress_html, page_progress_html
from kanslib.site.queries import answered_queries
from kanslib.site.time_machine import time_machine_html
from kanslib.site.verdicts import judge_all, scale_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Show exercises as a page without a kernel needs them, from now on. KanslibError where the folder is not named."""
    folder, formatters = os.environ.get(FOLDER_VARIABLE), shell.display_formatter
    if not folder or formatters is None:
        raise KanslibError(tr("the variable {name} has to name the folder of the site's scripts", name=FOLDER_VARIABLE))
    site, formatter = SiteKernel(PageData(Path(folder))), formatters.ipython_display_formatter
    formatter.for_type(ExerciseView, lambda view: site.show([view]))
    formatter.for_type(Quiz, site.show_quiz)
    formatter.for_type(ProgressReport, lambda _report: site.show_progress())
    formatter.for_type(TimeMachine, site.show_time_machine)
    shell.events.register("post_run_cell", lambda _result: site.retry())


def show_html(html: Markup, text: str = "") -> None:
    """Show HTML below the cell that runs."""
    from IPython.display import display

    display({"text/html": html, "text/plain": text}, raw=True)


@dataclass(frozen=True)
class EveryGuess:
    """In place of a learner's guess: all that a page offers. `show`: returns their data once a query has the answer."""

    show: Callable[[ExpectedAnswer], Markup]


class PagePrediction(Prediction):
    """A prediction in a page: the query that scores it leaves a place for the result below its cell."""

    def score(self, expected: ExpectedAnswer) -> Feedback | None:
        """Return the place where the page shows what came of the reader's guess."""
        if not isinstance(self.guess, EveryGuess):
            return super().score(expected)
        return ResultPlace("", code=self.exercise.id, data=self.guess.show(expected))


@dataclass(frozen=True)
class ResultPlace(Feedback):
    """Where the page shows the result of the prediction `code`, with the prediction's `data`."""

    data: Markup | None = None

    def html(self) -> Markup:
        """Return an empty place and the data."""
        place = h.div(".kans-result", role="status")
        return Markup(h.div(data_result=self.code)[place, self.data])


@dataclass
class SiteKernel:
    """The exercises of one chapter as its page shows them. `unanswered`: those that have no answer at their moment."""

    data: PageData
    unanswered: list[tuple[ExerciseView, Sequence[str]]] = field(default_factory=list)
    _times: Counter[str] = field(default_factory=Counter)  # that an exercise was shown

    def show(self, views: Sequence[ExerciseView]) -> None:
        """Show the forms of exercises."""
        show_html(Markup().join(map(self._form, views)), "\n".join(view.question for view in views))

    def show_quiz(self, quiz: Quiz) -> None:
        """Show several questions; below a chapter's summary, how far the reader is in this chapter."""
        self.show(quiz.views)
        if not any(isinstance(view, Prediction) for view in quiz.views):
            show_html(chapter_progress_html(CATALOG, quiz.views[0].exercise.chapter))

    def show_time_machine(self, machine: TimeMachine) -> None:
        """Show a time machine."""
        show_html(time_machine_html(machine, self.data), machine.describe())

    def _form(self, view: ExerciseView) -> Markup:
        exercise, name = view.exercise, self._next_id(view.exercise.id)
        names = view.options() if exercise.kind == "names" else []
        form = PageForm(view, name, names, exercise.scale or NO_SCALE)
        if isinstance(view, Prediction):
            self._await_query(view, names)
            return form.html()
        try:
            expected = view.expected_answer()
        except KanslibError:  # a later cell shows it
            self.unanswered.append((view, names))
            return form.html()
        sheet = judge_all(view, expected, names)
        scale = scale_of(exercise, expected) if exercise.kind == "number" else NO_SCALE
        form = replace(form, scale=scale, data=self.data.embed(sheet), solution=sheet.solution)
        if sheet.diagnosis and exercise.story:
            asked = answered_queries(exercise.story)
            form = replace(form, queries=[query.code for query in asked], answers=self.data.embed(asked))
        return form.html()

    def _next_id(self, exercise: str) -> str:
        self._times[exercise] += 1
        return form_id(exercise, self._times[exercise])

    def show_progress(self) -> None:
        """Show how far the reader is in what this page has asked so far, with a link to all of it."""
        show_html(page_progress_html({name: CATALOG[name] for name in self._times}))

    def _await_query(self, view: Prediction, names: Sequence[str]) -> None:
        """Let the query that scores a prediction leave its data."""
        waiting = PagePrediction(view.exercise, view.expected_answer, Progress(None))
        waiting.guess = EveryGuess(lambda expected: self.data.embed(judge_all(view, expected, names)))
        kernel_predictions().add(waiting)

    def retry(self) -> None:
        """Show the data of exercises whose answer the cell that has just run shows."""
        for view, names in list(self.unanswered):
            try:
                expected = view.expected_answer()
            except KanslibError:
                continue
            self.unanswered.remove((view, names))
            sheet = judge_all(view, expected, names)
            show_html(Markup(h.div(data_result=view.exercise.id)[self.data.embed(sheet)]))
