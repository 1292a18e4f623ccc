"""Chapters in real JupyterLab, opened by `kans lab`, looked at through Chromium."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from . import jupyter

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not jupyter.CHROMIUM and not os.environ.get("CI"), reason="no Chromium on this machine"),
]
ARTEFACTS = Path(__file__).parent / "artefacts"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    directory = tmp_path_factory.mktemp("course")
    with jupyter.running(directory) as address:
        yield address, directory


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with jupyter.chromium() as browser:
        yield browser


def saved_outputs(page: Page, notebook: Path) -> list[dict[str, Any]]:
    """Every output of the notebook as JupyterLab saves it; on the page only what is in view exists."""
    page.keyboard.press("Control+s")
    page.wait_for_timeout(2000)
    cells = json.loads(notebook.read_text())["cells"]
    return [output for cell in cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize(
    ("chapter", "picture"),
    [
        ("06-failover", ".kans-drawing:visible svg[role=img]"),
        ("02-metallb", ".kans-drawing:visible svg[role=img]"),
        ("04-iptables", ".kans-drawing:visible svg[role=group]"),
    ],
)
def test_chapter_runs_and_shows_figures(course: tuple[str, Path], browser: Browser, chapter: str, picture: str) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    jupyter.run_all(page, course[0], chapter)
    outputs = saved_outputs(page, course[1] / f"{chapter}.ipynb")
    assert len(outputs) > 15
    assert [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"] == []
    jupyter.scroll_to(page, f".jp-OutputArea {picture}")
    box = page.locator(f".jp-OutputArea {picture}").first.bounding_box()
    assert box
    assert box["height"] > 100
    assert box["width"] > 400
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{chapter}.png")
    page.close()


def test_version_notice_in_old_notebook(course: tuple[str, Path], browser: Browser) -> None:
    address, directory = course
    notebook = json.loads((directory / "01-service-types.ipynb").read_text())
    notebook["metadata"]["kanslib"]["version"] = "0.0.1"
    (directory / "old.ipynb").write_text(json.dumps(notebook))
    page = browser.new_page()
    jupyter.run_all(page, address, "old")
    assert "the edition of kanslib 0.0.1" in page.locator(".jp-OutputArea").first.inner_text()
    page.close()


def test_trace_rule_shown_on_keyboard_focus(course: tuple[str, Path], browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    jupyter.run_all(page, course[0], "04-iptables")
    jupyter.scroll_to(page, ".jp-OutputArea .kans-drawing:visible svg[role=group]")
    steps = page.locator(".jp-OutputArea .kans-drawing:visible svg[role=group]").first.locator(".kans-rule")
    assert not steps.nth(1).locator(".kans-raw").is_visible()
    steps.nth(0).focus()
    page.keyboard.press("Tab")
    raw = steps.nth(1).locator(".kans-raw")
    raw.wait_for(state="visible", timeout=10_000)
    assert "-A KUBE-SERVICES" in " ".join(raw.locator("text").all_text_contents())
    page.close()
