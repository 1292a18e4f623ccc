"""The minutes of the course are measured, and its paths are as long as chapter 00 and README promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kanslib.course import chapters
from tests.notebooks import minutes

CHAPTERS = chapters.shipped()
START, QUICK = chapters.pick(["00", "00q"])
WHOLE = [path for path in CHAPTERS if path != QUICK]
README = Path(__file__).parents[2] / "README.md"
TOLERANCE = 0.2


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_minutes_are_measured(chapter: Path) -> None:
    measured = minutes.sections(chapter)
    least, most = sum(one.least for one in measured), sum(one.most for one in measured)
    assert least * (1 - TOLERANCE) <= minutes.title(chapter) <= most * (1 + TOLERANCE)


def test_quarter_of_an_hour_is_one() -> None:
    assert minutes.title(QUICK) == 15
    assert _most([QUICK]) <= 15 * (1 + TOLERANCE)


def test_workshop_takes_two_hours() -> None:
    marked = [one for path in WHOLE for one in minutes.sections(path) if one.in_workshop]
    assert 100 <= sum(one.minutes for one in marked) <= 120
    assert all(any(one.in_workshop for one in minutes.sections(path)) for path in WHOLE)
    assert sum(one.least for one in marked) * (1 - TOLERANCE) <= 120


@pytest.mark.parametrize("text", [START, README], ids=["chapter 00", "README"])
def test_promised_hours_are_those_of_all_chapters(text: Path) -> None:
    promised = re.search(r"\*\*(\d+) to (\d+) hours\*\*", text.read_text())
    assert promised
    total = sum(map(minutes.title, WHOLE)) / 60
    assert int(promised[1]) <= total <= int(promised[2])
    assert "**15 minutes**" in text.read_text()
    assert "**2 hours**" in text.read_text()


def _most(paths: list[Path]) -> float:
    return sum(one.most for path in paths for one in minutes.sections(path))
