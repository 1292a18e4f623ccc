"""How a chapter is made: short cells, text before each, no outputs, links that lead somewhere."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import kanslib
from kanslib.course import chapters
from kanslib.exercises.catalog import CATALOG
from kanslib.i18n import notebook_language
from tests.notebooks import minutes

CHAPTERS = chapters.shipped()
README = Path(__file__).parents[2] / "README.md"
# what only a recording can know: addresses, dates, counts of requests, seconds to the tenth
FROM_THE_WORLD = re.compile(r"172\.18\.|10\.200\.|10\.10\.\d|02:42:|2026-|\b\d+\.\d+ ?s\b|\b\d+ of \d+\b")


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def cells(chapter: Path) -> list[dict[str, Any]]:
    return list(json.loads(chapter.read_text())["cells"])


def code(chapter: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in cells(chapter) if cell["cell_type"] == "code"]


def prose(chapter: Path) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in cells(chapter) if cell["cell_type"] == "markdown")


def test_chapters_numbered_without_gap() -> None:
    numbers = [path.stem.split("-")[0] for path in CHAPTERS]
    assert numbers == ["00", "00q", *(f"{number:02}" for number in range(1, len(CHAPTERS) - 1))]


def test_chapter_cells_few_and_short(chapter: Path) -> None:
    lengths = [len(cell.splitlines()) for cell in code(chapter)]
    assert chapter.stem.startswith("08") or len(lengths) <= 30  # nine cases, three cells each
    assert median(lengths) <= 4
    assert max(lengths) <= 10


def test_chapter_text_before_each_cell(chapter: Path) -> None:
    kinds = [cell["cell_type"] for cell in cells(chapter)]
    assert kinds[0] == "markdown"
    assert "code" in kinds
    assert all(before == "markdown" for before, kind in pairwise(kinds) if kind == "code")


def test_chapter_no_output_committed(chapter: Path) -> None:
    run = [cell for cell in cells(chapter) if cell["cell_type"] == "code"]
    assert run
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in run)


def test_chapter_edition_equals_library(chapter: Path) -> None:
    assert json.loads(chapter.read_text())["metadata"]["kanslib"]["version"] == kanslib.__version__


def test_chapter_language_is_that_of_its_folder(chapter: Path) -> None:
    assert notebook_language(chapter) == chapter.parent.name


def test_chapter_cell_ids_unique(chapter: Path) -> None:
    ids = [cell["id"] for cell in cells(chapter)]
    assert len(set(ids)) == len(ids)


def test_chapter_no_recorded_numbers_in_text(chapter: Path) -> None:
    typed = FROM_THE_WORLD.findall("\n".join([*code(chapter), prose(chapter)]))
    assert typed == []


def test_chapter_code_asks_for_addresses_and_leaders(chapter: Path) -> None:
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", "\n".join(code(chapter)))


def asked_in(chapter: Path) -> list[str]:
    """The exercises that a chapter asks, by id: single ones, several at once, and those of its quiz."""
    text = "\n".join(code(chapter))
    named = [name for call in re.findall(r"\.(?:predict|predict_all|exercise)\(([^)]*)\)", text, re.DOTALL)
             for name in re.findall(r'"([a-z0-9-]+)"', call)]  # fmt: skip
    for number in re.findall(r'\.quiz\("(\d\d)"\)', text):
        named += [name for name, one in CATALOG.items() if one.quiz and one.chapter == number]
    return named


def test_chapter_has_prediction_and_next_step(chapter: Path) -> None:
    assert asked_in(chapter)
    assert re.search(r"\((0\d-[a-z-]+\.ipynb)\)", prose(chapter))


def test_chapter_own_exercises_and_quiz(chapter: Path) -> None:
    number = chapter.stem.split("-")[0]
    mine = {name for name, one in CATALOG.items() if one.chapter == number} - {"what-is-wrong"}
    asked = asked_in(chapter)
    assert set(asked) <= set(CATALOG)
    assert number in ("00", "00q") or set(asked) == mine
    assert len(asked) == len(set(asked))
    assert number in ("00", "00q", "08") or f'lab.quiz("{number}")' in code(chapter)[-3:]


def test_exercises_of_chapter_00_asked_there_or_in_fifteen_minutes() -> None:
    asked = [name for path in CHAPTERS[:2] for name in asked_in(path)]
    assert {name for name, one in CATALOG.items() if one.chapter == "00"} <= set(asked)
    assert len(asked) == len(set(asked))


def test_chapter_section_minutes_sum_up(chapter: Path) -> None:
    text = prose(chapter)
    headings = re.findall(r"^## .+", text, re.MULTILINE)
    sections = minutes.sections(chapter)
    assert [one.heading for one in sections] == headings
    assert minutes.title(chapter) == sum(one.minutes for one in sections)


def test_chapter_links_exist(chapter: Path) -> None:
    names = {path.name for path in CHAPTERS}
    assert set(re.findall(r"\]\((0\d[^)]*\.ipynb)\)", prose(chapter))) <= names


def test_chapter_does_not_open_itself_on_binder(chapter: Path) -> None:
    """Its reader may be there; README and a static page of the chapter have the link."""
    assert "mybinder.org/v2" not in prose(chapter)


def test_images_have_alt_text() -> None:
    texts = re.findall(r"!\[([^\]]*)\]", "\n".join([README.read_text(), *map(prose, CHAPTERS)]))
    assert texts
    assert all(len(text) > 5 for text in texts)
