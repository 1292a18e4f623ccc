"""A learner's progress: a picture with a square for each exercise of each chapter, its words and its table."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from kanslib.exercises.exercise import OUTCOME_MARKS, AnswerOutcome
from kanslib.render.answers import TabledAnswer
from kanslib.render.rows import Rows

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

    def svg(self) -> str:
        """Return the picture: a line for each chapter, a square with its sign for each exercise."""
        chapters = self._by_chapter()
        width = 110 + 34 * max(map(len, chapters.values()))
        parts = []
        for place, (chapter, records) in enumerate(chapters.items()):
            y = 30 + 34 * place
            parts.append(f'<text x="10" y="{y}" fill="currentColor">chapter {chapter}</text>')
            for column, (name, record) in enumerate(records.items()):
                mark = OUTCOME_MARKS[record.outcome]
                title = f"<title>{escape(name)}: {record.outcome}</title>"
                parts.append(
                    f'<g>{title}<rect x="{96 + 34 * column}" y="{y - 20}" width="28" height="28" rx="5" fill="none"'
                    f' stroke="{mark.colour}" stroke-width="3"/><text x="{110 + 34 * column}" y="{y}"'
                    f' text-anchor="middle" fill="currentColor">{mark.sign}</text></g>'
                )
        words = escape(self.describe().replace("\n", " "))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{words}" width="{width}"'
            f' height="{20 + 34 * len(chapters)}" style="font:14px sans-serif;max-width:100%">{"".join(parts)}</svg>'
        )

    def body_html(self) -> str:
        """Return the picture, its key and its words."""
        notice = f"<p>{escape(self._progress.notice)}</p>" if self._progress.notice else ""
        words = escape(self.describe()).replace("\n", "<br>")
        key = " · ".join(f"{mark.sign} {mark.words}" for mark in OUTCOME_MARKS.values())
        return f"<div>{self.svg()}<br><small>{key}</small><p>{words}</p>{notice}</div>"

    def __repr__(self) -> str:
        return self.describe() + (f"\n{self._progress.notice}" if self._progress.notice else "")
