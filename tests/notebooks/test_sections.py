"""Sections run in any order: each stands at its own moment. What the learner wrote above may be missing, acts not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kanslib.course import chapters

Section = tuple[str, list[str]]


def sections(chapter: Path) -> list[Section]:
    """The headings of a chapter with their code cells, those without code left out."""
    found: list[Section] = [("", [])]
    for cell in json.loads(chapter.read_text())["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and text.startswith("## "):
            found.append((text.splitlines()[0], []))
        elif cell["cell_type"] == "code":
            found[-1][1].append(text)
    return [section for section in found if section[1]]


ALONE = [
    pytest.param(chapter, number, id=f"{chapter.stem}{heading[2:]}")
    for chapter in chapters.shipped()
    for number, (heading, _) in enumerate(sections(chapter))
    if number
]


@pytest.mark.slow
@pytest.mark.parametrize(("chapter", "number"), ALONE)
def test_section_runs_after_first_section(chapter: Path, number: int) -> None:
    (_, first), (_, cells) = sections(chapter)[0], sections(chapter)[number]
    names: dict[str, Any] = {}
    missing = None
    try:
        for cell in [*first, *cells]:
            exec(compile(cell, chapter.name, "exec"), names)
    except NameError as exc:
        missing = exc.name
    assert missing in {None, "candidates", "elect", "rank", "leader", "observed", "services"}
