"""Learning in real JupyterLab: by mouse, by keyboard, over a restart, through time; axe-core looks on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page

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
    with jupyter.running(tmp_path_factory.mktemp("course")) as address:
        yield address


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
    jupyter.scroll_to(page, f".kans-asked:has-text({json.dumps(question)})")
    return page.locator(".widget-vbox", has=page.locator(".kans-asked", has_text=question)).last


def shot(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def test_an_answer_by_mouse(course: str, page: Page, progress: Path) -> None:
    jupyter.run_all(page, course, "03-arp")
    assert outcomes(progress) == {}
    asked = form(page, "Whose MAC address stands in the answer for a VIP?")
    asked.get_by_role("button", name="Check").click()
    asked.get_by_text("Not tried yet").wait_for()
    asked.get_by_label("a virtual one that moves along with the VIP").click()
    asked.get_by_role("button", name="Check").click()
    asked.get_by_text("Keepalived can do that").wait_for()
    asked.get_by_role("button", name="Hint").click()
    asked.get_by_text("What would have to change at a failover").wait_for()
    asked.get_by_label("that of the leader's own network card").click()
    asked.get_by_role("button", name="Check").click()
    asked.get_by_text("right, after help").wait_for()
    shot(page, "answer-by-mouse")
    assert outcomes(progress) == {"whose-mac": "right after help"}


def test_an_answer_by_keyboard_and_after_a_restart_it_is_still_there(course: str, page: Page, progress: Path) -> None:
    jupyter.run_all(page, course, "05-election")
    asked = form(page, "You cordon the leader (kubectl cordon).")
    asked.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    asked.get_by_text("✓ right").wait_for()
    assert outcomes(progress)["does-a-cordon-move-it"] == "right"
    shot(page, "answer-by-keyboard")

    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).first.click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    page.wait_for_timeout(3000)
    jupyter.run_all(page, course, "05-election")
    asked = form(page, "You cordon the leader (kubectl cordon).")
    assert asked.locator(".kans-asked [role=img]").get_attribute("aria-label") == "right"
    shot(page, "after-a-restart")


def test_ticks_a_slider_and_a_function_of_ones_own(course: str, page: Page, progress: Path) -> None:
    jupyter.run_all(page, course, "05-election")
    written = form(page, "Write the election: a function")
    written.get_by_role("button", name="Check").click()
    written.get_by_text("✓ right").wait_for()
    ticks = form(page, "Which nodes are candidates for svc1?")
    for box in ticks.get_by_role("checkbox").all():
        box.check()
    ticks.get_by_role("button", name="Check").click()
    ticks.get_by_text("but a label can take a node out of the race").wait_for()
    ticks.get_by_label("myk8s-control-plane").uncheck()
    ticks.get_by_role("button", name="Check").click()
    ticks.get_by_text("✓ right").wait_for()
    guess = form(page, "joins. About how many of the pool's addresses")
    guess.get_by_role("button", name="Check").click()
    guess.get_by_text("Not tried yet").wait_for()
    guess.get_by_role("slider").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.wait_for_timeout(500)
    guess.get_by_role("button", name="Check").click()
    guess.get_by_text("✓ right").wait_for()
    shot(page, "ticks-and-slider")
    done = outcomes(progress)
    mine = ("write-the-election", "candidates-of-svc1", "addresses-for-a-newcomer")
    assert [done[name] for name in mine] == ["right"] * 3


def test_a_prediction_is_scored_by_the_look(course: str, page: Page, progress: Path) -> None:
    jupyter.run_all(page, course, "00-start-here")
    asked = form(page, "A leader is killed. How long until the other speakers agree")
    asked.get_by_label("about a minute").click()
    asked.get_by_role("button", name="Write it down").click()
    asked.get_by_text("Written down. Now look.").wait_for()
    jupyter.scroll_to(page, ".jp-CodeCell:has-text('lab.kill_node')")
    jupyter.run_from(page, "lab.kill_node", cells=2)
    page.get_by_text("That is what clients felt, and the lesson says it.").wait_for()
    shot(page, "prediction-scored")
    assert outcomes(progress)["seconds-until-declared-dead"] == "wrong"


def test_a_diagnosis_by_keyboard(course: str, page: Page, progress: Path) -> None:
    jupyter.run_all(page, course, "08-broken-labs")
    asked = form(page, "svc1, svc2 and svc3 have addresses, as they had yesterday.")
    for part, choice in (
        ("cause", "no L2Advertisement covers the pool"), ("fix", "apply an L2Advertisement for the pool"),
        ("evidence", "lab.election(…)"),
    ):  # fmt: skip
        box = asked.get_by_label(part)
        box.focus()
        for _ in range(20):
            if box.evaluate("one => one.options[one.selectedIndex].text") == choice:
                break
            page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    asked.get_by_text("The addresses stay, because the controller gave them").wait_for()
    shot(page, "diagnosis")
    assert outcomes(progress)["case-1"] == "right"


def test_the_time_machine_by_keyboard(course: str, page: Page) -> None:
    jupyter.run_all(page, course, "06-failover")
    jupyter.scroll_to(page, ".kans-scene")
    machine = page.locator(".widget-vbox", has=page.locator(".kans-scene")).last
    assert machine.get_by_role("button", name="before").is_disabled()
    step = machine.get_by_role("button", name="next")
    step.focus()
    for _ in range(2):
        page.keyboard.press("Enter")
        page.wait_for_timeout(1200)
    assert "leader svc1: myk8s-worker2" in machine.locator(".kans-scene > p").first.inner_text()
    assert "NotReady" not in machine.inner_text()
    for _ in range(8):
        page.keyboard.press("Enter")
        page.wait_for_timeout(900)
    assert "NotReady" in str(machine.locator("svg[aria-label*='nodes on one network']").get_attribute("aria-label"))
    shot(page, "time-machine")
    handle = machine.get_by_role("slider")
    handle.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1500)
    assert "opening" in machine.inner_text()


SERIOUS = {"serious", "critical"}


@pytest.mark.parametrize(("chapter", "theme"), [("03-arp", "Light"), ("06-failover", "Light"), ("06-failover", "Dark")])
def test_axe_finds_nothing_serious(course: str, page: Page, chapter: str, theme: str) -> None:
    jupyter.run_all(page, course, chapter)
    jupyter.choose_theme(page, f"JupyterLab {theme}")
    found: dict[str, Any] = {}
    for _ in jupyter.scrolled(page):
        # what JupyterLab itself draws around the notebook is not the course's
        ours = {"include": [[".jp-OutputArea-output"], [".jp-RenderedMarkdown"]]}
        for one in Axe().run(page, context=ours).response["violations"]:
            if one["impact"] in SERIOUS:
                found[one["id"]] = [one["help"], *(node["html"][:160] for node in one["nodes"][:3])]
    shot(page, f"axe-{chapter}-{theme}")
    jupyter.choose_theme(page, "JupyterLab Light")
    assert found == {}
