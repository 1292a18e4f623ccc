"""Learning in real JupyterLab: by mouse, by keyboard, over a restart, through time; axe-core looks on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Locator, Page

from kanslib.exercises.catalog import CATALOG

from . import jupyter

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not jupyter.CHROMIUM and not os.environ.get("CI"), reason="no Chromium on this machine"),
]
ARTEFACTS = Path(__file__).parent / "artefacts"


@pytest.fixture(scope="module")
def progress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A learner's file of its own for the kernels of this JupyterLab."""
    path = tmp_path_factory.mktemp("learner") / "progress.json"
    before = os.environ.get("KANS_PROGRESS")
    os.environ["KANS_PROGRESS"] = str(path)
    yield path
    os.environ["KANS_PROGRESS"] = before or ""


@pytest.fixture(scope="module")
def course(progress: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("course")
    with jupyter.running(directory) as address:
        write_function(next(directory.rglob("05-election.ipynb")), "write-the-election")
        yield address


def write_function(chapter: Path, exercise: str) -> None:
    """Write an exercise's solution into the cell of a chapter where its stub is."""
    notebook = json.loads(chapter.read_text())
    stub = CATALOG[exercise].starter.partition("(")[0] + "("
    cell = next(one for one in notebook["cells"] if one["cell_type"] == "code" and stub in "".join(one["source"]))
    cell["source"] = [CATALOG[exercise].solution]
    chapter.write_text(json.dumps(notebook))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with jupyter.chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(12_000)
    yield page
    shot(page, f"end-{request.node.name}")
    page.close()


def outcomes(progress: Path) -> dict[str, str]:
    if not progress.exists():
        return {}
    return {name: entry["outcome"] for name, entry in json.loads(progress.read_text())["entries"].items()}


def form(page: Page, question: str) -> Locator:
    """The form that asks a question, scrolled into view."""
    jupyter.scroll_to(page, f".kans-form .kans-question:has-text({json.dumps(question)})")
    return page.locator(".widget-vbox", has=page.locator(".kans-question", has_text=question)).last


def shot(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def answer(asked: Locator, choice: str, state: str) -> None:
    """Choose and check until the form has a state: of some hundred clicks ipywidgets loses one right after a redraw."""
    for _ in range(3):
        asked.get_by_label(choice).click()
        asked.get_by_role("button", name="Check").click()
        with suppress(Error):
            return asked.locator(".kans-state", has_text=state).wait_for(timeout=6000)
    raise AssertionError(f"the form does not say {state!r}")


def test_exercise_form_answered_by_mouse(course: str, page: Page, progress: Path) -> None:
    jupyter.run_all(page, course, "03-arp")
    assert outcomes(progress) == {}
    asked = form(page, "Whose MAC address stands in the answer for a VIP?")
    asked.get_by_role("button", name="Check").click()
    asked.get_by_text("Choose one.").wait_for()
    asked.get_by_label("a virtual one that moves along with the VIP").click()
    asked.get_by_role("button", name="Check").click()
    asked.get_by_text("VRRP, the protocol of Keepalived").wait_for()
    asked.get_by_label("a virtual one that moves along with the VIP ✗ not right").wait_for()
    asked.get_by_role("button", name="Hint").click()
    asked.get_by_text("What would have to change at a failover").wait_for()
    answer(asked, "that of the leader's own network card", "right, after help")
    asked.get_by_label("that of the leader's own network card ✓ right").wait_for()
    shot(page, "answer-by-mouse")
    assert outcomes(progress) == {"whose-mac": "right after help"}


def test_exercise_form_every_answer_kind_by_keyboard_and_after_restart(course: str, page: Page, progress: Path) -> None:
    jupyter.run_all(page, course, "05-election")
    answer_with_a_function(page)
    answer_with_a_slider(page)
    answer_with_ticks(page)
    answer_by_keyboard(page)
    shot(page, "answer-by-keyboard")
    mine = ("write-the-election", "addresses-for-a-newcomer", "candidates-of-svc1", "does-a-cordon-move-it")
    done = outcomes(progress)
    assert [done[name] for name in mine] == ["right"] * 4

    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel and Run All Cells")).first.click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    page.wait_for_timeout(2000)
    jupyter.settled(page)
    asked = form(page, "You cordon the leader (kubectl cordon).")
    assert asked.locator(".kans-state").inner_text() == "✓ right"
    shot(page, "after-a-restart")
    assert outcomes(progress) == done


def answer_with_a_function(page: Page) -> None:
    written = form(page, "Write the election: a function")
    written.get_by_role("button", name="Check").click()
    written.locator(".kans-feedback", has_text="✓ right").wait_for()


def answer_with_a_slider(page: Page) -> None:
    guess = form(page, "joins. About how many of the pool's addresses")
    guess.get_by_role("button", name="Check").click()
    guess.get_by_text("not answered yet", exact=True).wait_for()
    guess.get_by_text("Move the slider.").wait_for()
    guess.get_by_role("slider", name="addresses").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    guess.get_by_role("button", name="Check").click()
    guess.locator(".kans-feedback", has_text="✓ right").wait_for()


def answer_with_ticks(page: Page) -> None:
    ticks = form(page, "Which nodes are candidates for svc1?")
    for box in ticks.get_by_role("checkbox").all():
        box.check()
    ticks.get_by_role("button", name="Check").click()
    ticks.get_by_text("but a label can exclude a node").wait_for()
    ticks.get_by_label("myk8s-control-plane").uncheck()
    ticks.get_by_role("button", name="Check").click()
    ticks.locator(".kans-feedback", has_text="✓ right").wait_for()


def answer_by_keyboard(page: Page) -> None:
    asked = form(page, "You cordon the leader (kubectl cordon).")
    asked.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    focus = "document.activeElement.innerText || document.activeElement.type"
    way = []
    for _ in range(4):
        page.keyboard.press("Tab")
        way.append(page.evaluate(focus))
    assert way == ["Check", "Hint", "Solution", "radio"]  # and on to the next question
    for _ in range(3):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    asked.locator(".kans-feedback", has_text="✓ right").wait_for()


def test_prediction_scored_by_query(course: str, page: Page, progress: Path) -> None:
    jupyter.run_all(page, course, "00-start-here")
    asked = form(page, "The leader of svc1 dies. Which share of the requests to svc1 fails")
    asked.get_by_label("nearly all").click()
    asked.get_by_role("button", name="Write it down").click()
    asked.get_by_text("Written down. Now look.").wait_for()
    jupyter.scroll_to(page, ".jp-CodeCell:has-text('lab.kill_node')")
    jupyter.run_from(page, "lab.kill_node", cells=2)
    page.get_by_text("Requests fail without exception only until another node leads.").last.wait_for()
    shot(page, "prediction-scored")
    asked = form(page, "The leader of svc1 dies. Which share of the requests to svc1 fails")
    asked.locator(".kans-state", has_text="✗ not right").wait_for()
    asked.get_by_label("nearly all ✗ not right").wait_for()
    asked.get_by_label("about half ✓ right").wait_for()
    assert outcomes(progress)["share-of-failed-requests"] == "wrong"


def test_diagnosis_form_by_keyboard(course: str, page: Page, progress: Path) -> None:
    jupyter.run_all(page, course, "08-broken-labs")
    asked = form(page, "svc1, svc2 and svc3 have the addresses of yesterday.")
    for part, choice in (
        ("cause", "no L2Advertisement covers the pool"), ("fix", "apply an L2Advertisement for the pool"),
        ("evidence", "lab.election(…)"),
    ):  # fmt: skip
        box = asked.get_by_label(part)
        box.focus()
        for _ in range(20):
            if box.evaluate("one => one.options[one.selectedIndex].text").replace("\xa0", " ") == choice:
                break
            page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    asked.get_by_text("The addresses stay, because the controller gave them").wait_for()
    shot(page, "diagnosis")
    assert outcomes(progress)["case-1"] == "right"


def test_time_machine_by_keyboard_axe_clean(course: str, page: Page) -> None:
    jupyter.run_all(page, course, "06-failover")
    jupyter.scroll_to(page, ".kans-time-controls")
    walk_through_time(page)
    assert serious(page) == {}
    jupyter.choose_theme(page, "JupyterLab Dark")
    assert serious(page) == {}


def walk_through_time(page: Page) -> None:
    machine = page.locator(".kans-time").last
    headline = machine.locator(".kans-time-headline")
    assert machine.get_by_role("button", name="before").is_disabled()
    machine.get_by_role("button", name="next").focus()
    for _ in range(2):
        page.keyboard.press("Enter")
        page.wait_for_timeout(1200)
    assert "leader svc1: myk8s-worker2" in headline.inner_text()
    assert "the API still says Ready" in machine.inner_text()
    certain = machine.locator(".kans-path svg[aria-label*=': always to ']")
    for _ in range(20):
        if certain.count():  # the dead endpoint is out of the rules
            break
        page.keyboard.press("Enter")
        page.wait_for_timeout(900)
    assert certain.count()
    assert "NotReady" in machine.inner_text()
    shot(page, "time-machine")
    slider = machine.get_by_role("slider", name="seconds")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1500)
    assert "opening" in headline.inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1500)
    assert "kill-node" in headline.inner_text()
    click_in_timeline(page, 60)
    assert headline.inner_text().startswith(("59.", "60."))


def click_in_timeline(page: Page, seconds: float) -> None:
    """Click in the timeline, far from the handle, where the axis says so many seconds."""
    ticks = {
        int(words): box["x"] + box["width"] / 2
        for one in page.locator(".kans-strip text").all()
        if (words := one.text_content() or "").isdigit() and (box := one.bounding_box())
    }
    second = (ticks[max(ticks)] - ticks[0]) / max(ticks)
    lanes = page.locator(".kans-strip").last.bounding_box()
    assert lanes
    page.mouse.click(ticks[0] + seconds * second, lanes["y"] + lanes["height"] / 2)
    page.wait_for_timeout(1500)


def serious(page: Page) -> dict[str, Any]:
    """What axe-core finds in a chapter's text and outputs, from its top to its end; JupyterLab's own parts left out."""
    found: dict[str, Any] = {}
    ours = {"include": [[".jp-OutputArea-output"], [".jp-RenderedMarkdown"]]}
    for _ in jupyter.scrolled(page):
        for one in Axe().run(page, context=ours).response["violations"]:
            if one["impact"] in ("serious", "critical"):
                found[one["id"]] = [one["help"], *(node["html"][:160] for node in one["nodes"][:3])]
    return found
