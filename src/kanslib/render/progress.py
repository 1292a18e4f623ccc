"""A learner's progress: a picture with a square for each exercise of each chapter, its words and its table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import htpy as h
from markupsafe import Markup

from kanslib.exercises.exercise import OUTCOME_MARKS, AnswerOutcome
from kanslib.render.answers import TabledAnswer
from kanslib.render.rows import Rows
from kanslib.render.svg import canvas, text

if TYPE_CHECKING:
    from kanslib.exercises.exercise import Exercise
    from kanslib.exercises.progress import ExerciseRecord, Progress


class ProgressReport(TabledAnswer):
    """Every exercise with its outcome: a picture in a notebook; `.table`, `.token`, `.path`, `.describe()`.

    `queries`: what was asked of the lab that made the report, and how often.
    """

    def __init__(self, progress: Progress, catalog: Mapping[str, Exercise], queries: Mapping[str, int]) -> None:
        self._progress, self._catalog, self.queries = progress, catalog, dict(queries)

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
        lines = []
        for chapter, records in self._by_chapter().items():
            outcomes = [record.outcome for record in records.values()]
            right = len(outcomes) - outcomes.count(AnswerOutcome.NOT_TRIED) - outcomes.count(AnswerOutcome.WRONG)
            tried = f", {wrong} tried" if (wrong := outcomes.count(AnswerOutcome.WRONG)) else ""
            lines.append(f"Chapter {chapter}: {right} of {len(outcomes)} right{tried}.")
        return "\n".join(lines)

    def svg(self) -> Markup:
        """Return the picture: a line for each chapter, a square with its sign for each exercise."""
        chapters = self._by_chapter()
        parts = []
        for place, (chapter, records) in enumerate(chapters.items()):
            y = 30 + 34 * place
            parts.append(text(10, y, f"chapter {chapter}"))
            for column, (name, record) in enumerate(records.items()):
                parts.append(_square(name, record, 96 + 34 * column, y))
        width, height = 110 + 34 * max(map(len, chapters.values())), 20 + 34 * len(chapters)
        return Markup(canvas(self.describe().replace("\n", " "), width, height, "font:14px sans-serif")[parts])

    def body_html(self) -> Markup:
        """Return the picture, its key and its words."""
        key = " · ".join(f"{mark.sign} {mark.words}" for mark in OUTCOME_MARKS.values())
        words = Markup("<br>").join(self.describe().split("\n"))
        notice = h.p[self._progress.notice] if self._progress.notice else None
        return Markup(h.div[self.svg(), h.br, h.small[key], h.p[words], notice])

    def __repr__(self) -> str:
        return self.describe() + (f"\n{self._progress.notice}" if self._progress.notice else "")


def _square(exercise: str, record: ExerciseRecord, x: int, y: int) -> h.Element:
    mark = OUTCOME_MARKS[record.outcome]
    return h.g[
        h.title[f"{exercise}: {record.outcome}"],
        h.rect(x=x, y=y - 20, width=28, height=28, rx=5, fill="none", stroke=mark.colour, stroke_width=3),
        text(x + 14, y, mark.sign, anchor="middle"),
    ]
