"""A learner's progress: a picture of the chapters with a mark for each exercise, and the table behind it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Protocol

from kanslib.exercises.exercise import OUTCOME_MARKS, AnswerOutcome
from kanslib.render.answers import Rows, TabledAnswer


class _Entry(Protocol):
    @property
    def outcome(self) -> str: ...
    @property
    def tries(self) -> int: ...
    @property
    def hints(self) -> int: ...
    @property
    def saw_solution(self) -> bool: ...


class _Kept(Protocol):
    @property
    def path(self) -> Path | None: ...
    @property
    def notice(self) -> str: ...
    @property
    def token(self) -> str: ...
    def of(self, exercise: str) -> _Entry: ...


class _Asked(Protocol):
    @property
    def chapter(self) -> str: ...
    @property
    def question(self) -> str: ...


class ProgressReport(TabledAnswer):
    """What was tried and what came of it: shows as a picture; `.table`, `.token`, `.path`, `.describe()`."""

    def __init__(self, kept: _Kept, catalog: Mapping[str, _Asked]) -> None:
        self._kept, self._catalog = kept, catalog

    def rows(self) -> Rows:
        """Return one row an exercise: CHAPTER, EXERCISE, OUTCOME, TRIES, HINTS and SOLUTION SEEN."""
        rows = []
        for name, asked in sorted(self._catalog.items(), key=lambda item: item[1].chapter):
            entry = self._kept.of(name)
            rows.append(
                {
                    "CHAPTER": asked.chapter, "EXERCISE": name, "OUTCOME": entry.outcome, "TRIES": entry.tries,
                    "HINTS": entry.hints, "SOLUTION SEEN": entry.saw_solution,
                }
            )  # fmt: skip
        return rows

    @property
    def token(self) -> str:
        """All of it as one line: lab.progress(token=…) takes it in elsewhere."""
        return self._kept.token

    @property
    def path(self) -> Path | None:
        """The file that it is kept in."""
        return self._kept.path

    def describe(self) -> str:
        """How far, in words: one line a chapter."""
        lines = []
        for chapter, rows in self.table.groupby("CHAPTER"):
            done = int(rows.OUTCOME.str.startswith("right").sum())
            tried = int((rows.OUTCOME == "wrong").sum())
            lines.append(
                f"Chapter {chapter}: {done} of {len(rows)} right" + (f", {tried} tried" if tried else "") + "."
            )
        return "\n".join(lines)

    def svg(self) -> str:
        """A line for each chapter, a mark for each exercise in it; the mark says it without its colour, too."""
        groups = list(self.table.groupby("CHAPTER"))
        width = 110 + 34 * max(len(rows) for _, rows in groups)
        parts = []
        for place, (chapter, rows) in enumerate(groups):
            y = 30 + 34 * place
            parts.append(f'<text x="10" y="{y}" fill="currentColor">chapter {chapter}</text>')
            for column, row in enumerate(rows.itertuples()):
                sign, _, colour = OUTCOME_MARKS[AnswerOutcome(row.OUTCOME)]
                title = f"<title>{escape(str(row.EXERCISE))}: {row.OUTCOME}</title>"
                parts.append(
                    f'<g>{title}<rect x="{96 + 34 * column}" y="{y - 20}" width="28" height="28" rx="5" fill="none"'
                    f' stroke="{colour}" stroke-width="3"/><text x="{110 + 34 * column}" y="{y}" text-anchor="middle"'
                    f' fill="currentColor">{sign}</text></g>'
                )
        words = escape(self.describe().replace("\n", " "))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{words}" width="{width}"'
            f' height="{20 + 34 * len(groups)}" style="font:14px sans-serif;max-width:100%">{"".join(parts)}</svg>'
        )

    def body_html(self) -> str:
        """Return the picture, its key and its words."""
        notice = f"<p>{escape(self._kept.notice)}</p>" if self._kept.notice else ""
        words = escape(self.describe()).replace("\n", "<br>")
        key = " · ".join(f"{mark.sign} {mark.words}" for mark in OUTCOME_MARKS.values())
        return f"<div>{self.svg()}<br><small>{key}</small><p>{words}</p>{notice}</div>"

    def __repr__(self) -> str:
        return self.describe() + (f"\n{self._kept.notice}" if self._kept.notice else "")
