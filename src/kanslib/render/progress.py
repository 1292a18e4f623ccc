"""A learner's progress: a picture with a square for each exercise of each chapter, its words and its table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import htpy as h
from markupsafe import Markup

from kanslib.exercises.exercise import OUTCOME_MARKS, AnswerOutcome
from kanslib.i18n import tr
from kanslib.render.figure import SIZES, WIDTHS, Drawing, Figure, text_width, wrap_text
from kanslib.render.figure.marks import text
from kanslib.render.rows import Rows

if TYPE_CHECKING:
    from kanslib.exercises.exercise import Exercise
    from kanslib.exercises.progress import ExerciseRecord, Progress


_MARGIN, _SQUARE, _PITCH = 4, 24, 28


class ProgressReport(Figure):
    """Every exercise with its outcome: a picture in a notebook; `.table`, `.token`, `.path`, `.describe()`.

    `queries`: what was asked of the lab that made the report, and how often. `ends`: the sentence (without its full
    stop) that says when this machine and the file of the progress are deleted; the report then shows the token.
    """

    def __init__(
        self, progress: Progress, catalog: Mapping[str, Exercise], queries: Mapping[str, int], ends: str = ""
    ) -> None:
        self._progress, self._catalog, self.queries, self._ends = progress, catalog, dict(queries), ends

    def rows(self) -> Rows:
        """Return one row an exercise: CHAPTER, EXERCISE, OUTCOME, TRIES, HINTS and SOLUTION SEEN."""
        return [
            {
                "CHAPTER": chapter, "EXERCISE": name, "OUTCOME": record.outcome.value, "TRIES": record.tries,
                "HINTS": record.hints, "SOLUTION SEEN": record.saw_solution,
            }
            for chapter, records in self._by_chapter().items()
            for name, record in records.items()
        ]  # fmt: skip

    def _by_chapter(self) -> dict[str, dict[str, ExerciseRecord]]:
        """Return the record of every exercise by its id, chapter by chapter."""
        chapters: dict[str, dict[str, ExerciseRecord]] = {}
        for name, exercise in self._catalog.items():
            chapters.setdefault(exercise.chapter, {})[name] = self._progress.of(name)
        return dict(sorted(chapters.items()))

    @property
    def token(self) -> str:
        """Return all records as one line; `lab.progress(token=…)` merges them on another machine."""
        return self._progress.token

    @property
    def path(self) -> Path | None:
        """Return the file with the records; None where they are not kept."""
        return self._progress.path

    def describe(self) -> str:
        """Return how many exercises are right, one line a chapter."""
        return "\n".join(
            tr("Chapter {chapter}: {right}.", chapter=chapter, right=_right(records))
            for chapter, records in self._by_chapter().items()
        )

    def drawing(self, width: int) -> Drawing:
        """Return a square with its sign for each exercise, chapter by chapter, and what the signs mean."""
        chapters = self._by_chapter()
        names = {
            chapter: tr("chapter {chapter}: {right}", chapter=chapter, right=_right(records))
            for chapter, records in chapters.items()
        }
        beside = max(map(text_width, names.values())) + 2 * SIZES.gap
        left = _MARGIN if width < WIDTHS[1] else beside  # at the left of its squares, or above them
        across = int((width - left) // _PITCH)
        y, parts = 0.0, []
        for chapter, records in chapters.items():
            if left == _MARGIN:
                y += SIZES.line + 4
            parts.append(text(_MARGIN, y - 5 if left == _MARGIN else y + 17, names[chapter]))
            for place, (name, record) in enumerate(records.items()):
                parts.append(_square(name, record, left + _PITCH * (place % across), y + _PITCH * (place // across)))
            y += _PITCH * -(-len(records) // across) + 4
        for words in wrap_text(
            " · ".join(f"{mark.sign} {tr(mark.words)}" for mark in OUTCOME_MARKS.values()), width - 8
        ):
            y += SIZES.line
            parts.append(text(_MARGIN, y, words))
        return Drawing(tr("Exercises and their outcomes, chapter by chapter"), y + SIZES.gap, parts)

    def body_html(self) -> Markup:
        """Return the picture, its words, where the records are not kept, why, and where they are deleted, the token."""
        notice = h.p[self._progress.notice] if self._progress.notice else None
        return Markup(h.fragment[super().body_html(), notice, self._token_html() if self._ends else None])

    def _token_html(self) -> h.Fragment:
        """Return the line that brings the records back; one click selects it."""
        style = "white-space:pre-wrap;overflow-wrap:anywhere;user-select:all;border:1px solid;padding:.5em"
        return h.fragment[h.p[self._farewell()], h.pre(".kans-token", style=style)[self._restoring_line()]]

    def _farewell(self) -> str:
        return tr(
            "{ends}. Copy this line now. In your next session, run it in a cell below the first one:", ends=self._ends
        )

    def _restoring_line(self) -> str:
        return f'lab.progress("{self.token}")'

    def __repr__(self) -> str:
        parts = [self.describe(), self._progress.notice]
        if self._ends:
            parts += [self._farewell(), self._restoring_line()]
        return "\n".join(filter(None, parts))


def _right(records: Mapping[str, ExerciseRecord]) -> str:
    """Return how many exercises are right, in words."""
    outcomes = [record.outcome for record in records.values()]
    right = len(outcomes) - outcomes.count(AnswerOutcome.NOT_TRIED) - outcomes.count(AnswerOutcome.WRONG)
    if wrong := outcomes.count(AnswerOutcome.WRONG):
        return tr("{right} of {number} right, {wrong} not yet", right=right, number=len(outcomes), wrong=wrong)
    return tr("{right} of {number} right", right=right, number=len(outcomes))


def _square(exercise: str, record: ExerciseRecord, x: float, y: float) -> h.Element:
    mark = OUTCOME_MARKS[record.outcome]
    frame = h.rect(
        x=f"{x + 1:g}", y=f"{y + 1:g}", width=_SQUARE - 2, height=_SQUARE - 2, rx=5, fill="none", stroke=mark.colour,
        stroke_width=2,
    )  # fmt: skip
    title = h.title[f"{exercise}: {tr(record.outcome.value)}"]
    return h.g[title, frame, text(x + _SQUARE / 2, y + 17, mark.sign, "middle")]
