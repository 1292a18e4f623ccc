"""Every figure of every chapter in each program that shows notebooks, light and dark, on a desk and on a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from playwright.sync_api import Browser

from kanslib.cli.run import execute
from kanslib.course import chapters
from tests.browser import jupyter
from tests.gallery.faults import axe, faults
from tests.gallery.frontends import THEMES, Server, server

pytestmark = [
    pytest.mark.gallery,
    pytest.mark.skipif(not jupyter.CHROMIUM and not os.environ.get("CI"), reason="no Chromium on this machine"),
]
ARTEFACTS = Path(__file__).parent / "artefacts"
WIDTHS = (1440, 390)
FRONTENDS = ("jupyterlab", "nbclassic", "static")
CHAPTERS = {path.stem: path for path in chapters.pick(())}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("gallery")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with jupyter.chromium() as browser:
        yield browser


@cache
def executed(chapter: str) -> nbformat.NotebookNode:
    """A chapter with its outputs, once for all programs."""
    result, notebook = execute(CHAPTERS[chapter])
    assert result.error == ""
    assert isinstance(notebook, nbformat.NotebookNode)
    return notebook


def figures_by_cell(notebook: nbformat.NotebookNode) -> list[int]:
    """How many outputs of each code cell are figures."""
    return [
        sum(is_figure(output.get("data", {})) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def is_figure(data: nbformat.NotebookNode) -> bool:
    """Whether an output is a figure. The same for paper stands beside a widget, and counts in its place."""
    if "application/vnd.jupyter.widget-view+json" in data:
        return False
    return "image/svg+xml" in data or "kans-figure" in data.get("text/html", "")


@pytest.mark.parametrize(
    ("chapter", "frontend"),
    [
        pytest.param(chapter, frontend, id=f"{chapter}-{frontend}", marks=pytest.mark.xdist_group(chapter))
        for chapter in CHAPTERS
        for frontend in (*FRONTENDS, *(["notebook7"] if chapter == "06-failover" else []))
    ],
)
def test_chapter_figures_can_be_read(course: Server, browser: Browser, chapter: str, frontend: str) -> None:
    notebook = executed(chapter)
    wanted = figures_by_cell(notebook)
    found: list[str] = []
    with course.open(browser, frontend, notebook) as shown:
        for width in WIDTHS:
            for theme in THEMES:
                shown.show(theme, width)
                wrong, photographs = faults(shown.page, shown.selectors, wanted)
                if width == WIDTHS[0]:
                    wrong += axe(shown.page, shown.selectors)
                contact_sheet(f"{chapter}-{frontend}-{theme}-{width}", photographs)
                found += [f"{theme} {width}: {one}" for one in wrong]
    assert not found, "\n".join(found)


def contact_sheet(name: str, photographs: list[Image.Image]) -> None:
    """Put the figures of a chapter into one picture, one below the other."""
    if not photographs:
        return
    width = max(one.width for one in photographs)
    sheet = Image.new("RGB", (width, sum(one.height + 12 for one in photographs)), "#ff00ff")
    y = 0
    for one in photographs:
        sheet.paste(one, (0, y))
        y += one.height + 12
    ARTEFACTS.mkdir(exist_ok=True)
    sheet.save(ARTEFACTS / f"{name}.png")
