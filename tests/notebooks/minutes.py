"""The minutes that the chapters state, section by section, and those that their text, queries and exercises take."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from kanslib.exercises.catalog import CATALOG

_WORDS_A_MINUTE = 180
_QUERY, _GUESS = 0.25, 1.0  # minutes each
_EXERCISE, _QUIZ_QUESTION = (2.0, 4.0), (0.5, 1.0)  # at least, at most
_HEADER = re.compile(r"(## .+)\n\n\*(\d+) minutes?\*( · workshop)?(?:\n|\Z)")
_LINK_TARGET = re.compile(r"\]\([^)]*\)")
_IDS = re.compile(r'"([a-z0-9-]+)"')


@dataclass(frozen=True)
class Section:
    """A section of a chapter: its heading, the minutes that it states, and the least and most that it takes."""

    heading: str
    minutes: int
    in_workshop: bool
    least: float
    most: float


def title(chapter: Path) -> int:
    """Return the minutes that a chapter's first cell states."""
    found = re.search(r"^\*about (\d+) minutes", _cells(chapter)[0][1], re.MULTILINE)
    assert found, chapter
    return int(found[1])


def sections(chapter: Path) -> list[Section]:
    """Return the sections of a chapter; what stands above the first heading belongs to the first one."""
    found: list[Section] = []
    cells = _cells(chapter)
    starts = [place for place, (kind, text) in enumerate(cells) if kind == "markdown" and text.startswith("## ")]
    for first, end in zip([0, *starts[1:]], [*starts[1:], len(cells)], strict=True):
        header = next(text for kind, text in cells[first:end] if kind == "markdown" and text.startswith("## "))
        stated = _HEADER.match(header)
        assert stated, f"{chapter.name}: no *N minutes* line below {header.splitlines()[0]}"
        times = [_time(kind, text) for kind, text in cells[first:end]]
        least, most = sum(one for one, _ in times), sum(other for _, other in times)
        found.append(Section(stated[1], int(stated[2]), bool(stated[3]), least, most))
    return found


def _cells(chapter: Path) -> list[tuple[str, str]]:
    return [(one["cell_type"], "".join(one["source"])) for one in json.loads(chapter.read_text())["cells"]]


def _time(kind: str, text: str) -> tuple[float, float]:
    """Return the least and the most minutes that a cell takes."""
    if kind == "markdown":
        return (len(_LINK_TARGET.sub("]", text).split()) / _WORDS_A_MINUTE,) * 2
    guesses = sum(len(_IDS.findall(call)) for call in re.findall(r"\.(?:predict|predict_all)\(([^)]*)\)", text))
    exercises = len(re.findall(r"\.exercise\(", text))
    quizzes = re.findall(r'\.quiz\("(\w+)"\)', text)
    questions = sum((one.quiz and one.chapter in quizzes) or one.recalled_in in quizzes for one in CATALOG.values())
    if not guesses + exercises + questions:
        return _QUERY, _QUERY
    least, most = (
        guesses * _GUESS + exercises * an_exercise + questions * a_question
        for an_exercise, a_question in zip(_EXERCISE, _QUIZ_QUESTION, strict=True)
    )
    return least, most
