"""The website's interactive parts in a real Chromium: they say what a lab says, by keyboard, mouse and touch."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from markupsafe import Markup
from playwright.sync_api import Browser, BrowserContext, Locator, Page

from kanslib.course import chapters
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.exercise import Assessment, Exercise, assess
from kanslib.exercises.misconceptions import ExpectedAnswer
from kanslib.exercises.session import Prediction
from kanslib.lab.lab import Lab
from tests.browser import jupyter
from tests.exercises.test_catalog import where_asked
from tests.types import OpenLab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not jupyter.CHROMIUM and not os.environ.get("CI"), reason="no Chromium on this machine"),
]
IN_CHAPTER = {"one-leader-under-bgp": ("bgp", "apply-bgp")}  # asked “at this moment”, which is another one there
SAMPLE = 150  # of the 2431 diagnoses of a case

# answer every question with choices, choice by choice, and return what its form says
_ANSWER_EACH_CHOICE = """async () => {
  const said = {}
  for (const form of document.querySelectorAll(".kans-ask[data-kind=choice]:not([data-guess])")) {
    const feedback = form.querySelector(".kans-feedback"), texts = []
    for (const input of form.querySelectorAll("input")) {
      feedback.replaceChildren()
      input.click()
      form.requestSubmit()
      while (!feedback.textContent) await new Promise(done => setTimeout(done))
      texts.push(feedback.innerText.replace("\\n", ": "))
    }
    said[form.dataset.exercise] = texts
  }
  return said
}"""
# return the verdicts of the other forms, with what is needed to read an answer's number
_JUDGE = """async numbers => {
  const found = []
  for (const form of document.querySelectorAll(".kans-ask:not([data-kind=code])")) {
    const {exercise, kind, guess} = form.dataset, inputs = [...form.querySelectorAll("input")]
    if (kind === "choice" && guess === undefined) continue
    const element = form.querySelector(":scope>.kans-data") ??
      document.querySelector(`[data-result="${exercise}"] .kans-data`)
    const sheet = await kans.dataOf(element)
    const judge = (number, isUnasked) => sheet.answers[number] < 0 ? null : kans.judge(sheet, number, isUnasked)
    const every = kind === "diagnosis" ? numbers : [...sheet.answers.keys()]
    found.push({
      exercise, kind, isGuess: guess !== undefined, keys: inputs.map(input => input.value),
      low: Number(inputs[0]?.min), step: Number(inputs[0]?.step),
      verdicts: every.map(number => judge(number, false)),
      unasked: kind === "diagnosis" ? every.map(number => judge(number, true)) : [],
    })
  }
  return found
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with jupyter.chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000}, offline=True)
    context.set_default_timeout(8000)
    yield context
    context.close()


def phone_of(browser: Browser) -> BrowserContext:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, offline=True)
    context.set_default_timeout(8000)
    return context


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    context = phone_of(browser)
    yield context
    context.close()


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))


def opened(context: BrowserContext, site: Path, name: str) -> Page:
    page = context.new_page()
    page.goto((site / f"{name}.html").as_uri())
    page.wait_for_function("document.body.classList.contains('kans-whole')")  # what is not laid out has no innerText
    return page


def form(page: Page, exercise: str) -> Locator:
    return page.locator(f".kans-ask[data-exercise={exercise}]").first


def state(asked: Locator) -> str:
    return asked.locator(".kans-state").inner_text()


def in_chapter(name: str, open_lab: OpenLab) -> Lab:
    """Return a lab where a chapter asks an exercise."""
    if name not in IN_CHAPTER:
        return where_asked(name, open_lab)
    story, moment = IN_CHAPTER[name]
    lab = open_lab(story)
    lab.at(moment)
    return lab


# ── the same answers as in a lab ──────────────────────────────────────────────────────────────────────────────


def test_every_choice_says_what_a_lab_says(site: Path, context: BrowserContext, open_lab: OpenLab) -> None:
    said: dict[str, list[str]] = {}
    for chapter in chapters.shipped():
        said |= opened(context, site, f"chapters/{chapter.stem}").evaluate(_ANSWER_EACH_CHOICE)
    assert len(said) > 30
    for name, texts in said.items():
        view = in_chapter(name, open_lab).exercise(name)
        assert texts == [str(view.check(choice.key)) for choice in CATALOG[name].choices], name


def test_every_other_answer_says_what_a_lab_says(site: Path, context: BrowserContext, open_lab: OpenLab) -> None:
    numbers = sorted(random.Random(1).sample(range(11 * 13 * 17), SAMPLE))
    found: list[dict[str, Any]] = []
    for chapter in chapters.shipped():
        found += opened(context, site, f"chapters/{chapter.stem}").evaluate(_JUDGE, numbers)
    assert {one["kind"] for one in found} == {"choice", "names", "number", "diagnosis"}
    for one in found:
        lab, exercise = in_chapter(one["exercise"], open_lab), CATALOG[one["exercise"]]
        expected = lab.exercise(exercise.id).expected_answer()
        if exercise.kind == "diagnosis":
            compare_diagnoses(one, exercise, expected, numbers)
        else:
            answers = list(map(answer_of(one), range(len(one["verdicts"]))))
            for answer, verdict in zip(answers, one["verdicts"], strict=True):
                compare(verdict, said_by_lab(lab, exercise, expected, answer, is_guess=one["isGuess"]), exercise.id)


def answer_of(found: Mapping[str, Any]) -> Callable[[int], object]:
    """Return how the number of an answer is read."""
    keys = found["keys"]
    readers: dict[str, Callable[[int], object]] = {
        "choice": lambda number: keys[number],
        "names": lambda number: [key for place, key in enumerate(keys) if number >> place & 1],
        "number": lambda number: round(found["low"] + number * found["step"], 6),
    }
    return readers[found["kind"]]


def said_by_lab(
    lab: Lab, exercise: Exercise, expected: ExpectedAnswer, answer: object, *, is_guess: bool
) -> tuple[Assessment, str, str]:
    """Return how a lab judges an answer, and the head and the words of its feedback."""
    assessment = assess(exercise, answer, expected)
    if not is_guess or answer == []:
        return assessment, "", assessment.words
    prediction = lab.predict(exercise.id, guess=answer)
    assert isinstance(prediction, Prediction)
    feedback = prediction.score(expected)
    assert feedback is not None
    return assessment, feedback.head.replace("(✓)", "✓"), feedback.words


def compare(verdict: Mapping[str, Any] | None, said: tuple[Assessment, str, str], name: str) -> None:
    assessment, head, words = said
    if verdict is None:
        assert assessment.outcome == "not tried", name
        return
    misconception = assessment.misconception.id if assessment.misconception else ""
    assert (verdict["isRight"], verdict["idea"]) == (assessment.is_right, misconception), name
    assert (verdict["head"], "\n".join(verdict["lines"])) == (head, words), name


def compare_diagnoses(
    found: Mapping[str, Any], exercise: Exercise, expected: ExpectedAnswer, numbers: list[int]
) -> None:
    parts = {part: [choice.key for choice in choices] for part, choices in exercise.parts.items()}
    assert expected.diagnosis is not None
    for place, number in enumerate(numbers):
        rest, answer = number, dict[str, str]()
        for part, keys in reversed(parts.items()):
            rest, at = divmod(rest, len(keys))
            answer[part] = keys[at]
        for verdicts, queries in (("verdicts", {answer["evidence"]}), ("unasked", set[str]())):
            facts = replace(expected, diagnosis=replace(expected.diagnosis, queries=frozenset(queries)))
            assessment = assess(exercise, answer, facts)
            compare(found[verdicts][place], (assessment, "", assessment.words), exercise.id)


# ── by keyboard, mouse and touch ──────────────────────────────────────────────────────────────────────────────


def test_choice_by_keyboard_is_kept_over_a_reload(site: Path, context: BrowserContext) -> None:
    page = opened(context, site, "chapters/03-arp")
    asked = form(page, "whose-mac")
    assert state(asked) == "not tried"
    asked.get_by_role("radio").first.focus()
    focus = "document.activeElement.innerText || document.activeElement.type"
    way = []
    for _ in range(3):
        page.keyboard.press("Tab")
        way.append(page.evaluate(focus))
    assert way == ["Check", "Hint", "Solution"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    asked.get_by_text("Choose one.").wait_for()
    asked.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")  # a form is sent from its fields, too
    asked.get_by_label("a virtual one that moves along with the VIP ✗ not right").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    asked.locator(".kans-feedback", has_text="✓ right").wait_for()
    assert state(asked) == "✓ right"
    assert page.locator("fieldset > legend", has_text="Whose MAC address").count() >= 1
    page.reload()
    page.wait_for_function("document.body.classList.contains('kans-whole')")
    again = form(page, "whose-mac")
    again.locator(".kans-state", has_text="✓ right").wait_for()
    again.scroll_into_view_if_needed()
    again.locator(".kans-feedback", has_text="✓ right").wait_for()
    assert again.locator(".kans-right input").is_checked()
    assert "1 of" in page.locator(".kans-chapters").last.inner_text()
    page.locator(".kans-squares a[href='#kans-whose-mac']").last.click()
    assert page.evaluate("document.querySelector(':target').dataset.exercise") == "whose-mac"


def test_names_hint_and_solution_by_mouse(site: Path, context: BrowserContext) -> None:
    page = opened(context, site, "chapters/05-election")
    asked = form(page, "candidates-of-svc1")
    asked.get_by_role("button", name="Check").click()
    asked.get_by_text("Tick one or more.").wait_for()
    asked.get_by_label("myk8s-control-plane").check()
    asked.get_by_role("button", name="Check").click()
    assert state(asked) == "✗ not yet"
    asked.get_by_role("button", name="Hint").click()
    asked.get_by_text("Hint 1").wait_for()
    asked.get_by_role("button", name="Solution").click()
    marked = asked.locator(".kans-right input")
    assert marked.evaluate_all("all => all.map(one => one.value)") == ["myk8s-worker", "myk8s-worker2", "myk8s-worker3"]
    written = form(page, "write-the-election")
    written.get_by_role("button", name="Solution").click()
    assert CATALOG["write-the-election"].solution in written.locator(".kans-feedback").inner_text()


def test_slider_by_touch_with_targets_of_44_px(site: Path, phone: BrowserContext) -> None:
    page = opened(phone, site, "chapters/05-election")
    asked = form(page, "addresses-for-a-newcomer")
    asked.get_by_role("button", name="Check").tap()
    asked.get_by_text("Move the slider.").wait_for()
    slider = asked.get_by_role("slider")
    box = slider.bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    assert asked.locator(".kans-readout").inner_text() in ("25 addresses", "26 addresses")
    asked.get_by_role("button", name="Check").tap()
    asked.locator(".kans-state", has_text="✗ not yet").wait_for()
    small = page.locator(".kans-ask :is(button,select,.kans-option,input[type=range])").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).filter(box => box.height < 44 || box.width < 44).length"
    )
    assert small == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_phone_shows_the_last_column_and_closes_the_list_of_sections(site: Path, phone: BrowserContext) -> None:
    page = opened(phone, site, "chapters/03-arp")
    page.locator(".toc-header-icon").tap()
    link = page.locator(".toc-tree a:visible").nth(3)
    box = link.bounding_box()
    assert box
    assert box["height"] >= 40
    link.tap()
    page.wait_for_function("!document.getElementById('__toc').checked")
    table = page.locator(".kans-table", has_text="HOLDER").first
    hidden = "one => one.scrollWidth - one.clientWidth"
    assert table.evaluate(hidden) <= 0
    assert table.evaluate("one => getComputedStyle(one).maskImage") == "none"
    cut = page.locator(".highlight pre").evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth)"
        ".map(one => getComputedStyle(one).maskImage.includes('gradient'))"
    )
    assert set(cut) == {True}
    chip = page.locator(".cell_output:has(.kans-table) .kans-provenance > small").first
    chip.tap()
    covered = chip.evaluate(
        "one => one.getBoundingClientRect().bottom - one.closest('.cell_output').querySelector('table')"
        ".getBoundingClientRect().top"
    )
    assert covered <= 0


def test_prediction_is_scored_where_the_cell_answers(site: Path, context: BrowserContext) -> None:
    page = opened(context, site, "chapters/03-arp")
    guess = form(page, "does-curl-survive")
    assert state(guess) == "no guess yet"
    right = page.evaluate(
        "() => JSON.parse(document.querySelector('[data-result=does-curl-survive] .kans-data').textContent)"
        ".solution.right[0]"
    )
    guess.locator(f"input:not([value='{right}'])").first.check()
    guess.get_by_role("button", name="Write it down").click()
    result = page.locator("[data-result=does-curl-survive] .kans-result")
    result.scroll_into_view_if_needed()
    result.get_by_text("Your prediction").wait_for()
    assert state(guess) == "✗ not right"
    assert "Right is: " in guess.locator(".kans-feedback").inner_text()
    assert guess.locator(".kans-right input").input_value() == right
    assert guess.locator(".kans-wrong").count() == 1
    page.reload()
    guess.scroll_into_view_if_needed()
    guess.get_by_text("Your prediction").wait_for()
    guess.locator(".kans-state", has_text="✗ not right").wait_for()
    assert guess.locator(".kans-wrong input").is_checked()
    page.evaluate("localStorage.removeItem('kanslib-answers')")  # as after a token from elsewhere
    page.reload()
    guess.scroll_into_view_if_needed()
    guess.locator(".kans-state", has_text="tried before").wait_for()
    assert guess.locator("input:checked").count() == 0


def test_diagnosis_rests_on_the_queries_of_the_reader(site: Path, context: BrowserContext) -> None:
    page = opened(context, site, "chapters/08-broken-labs")
    asked = form(page, "case-2")
    asked.scroll_into_view_if_needed()
    asked.get_by_role("button", name="Hint").click()
    asked.get_by_text("You have not looked at the events of the Service yet.").wait_for()
    asked.get_by_label("your query").select_option("lab.events('svc3')")
    asked.get_by_role("button", name="Ask").click()
    asked.locator(".kans-query-answer", has_text="AllocationFailed").wait_for()
    for part, key in (("cause", "pool exhausted"), ("fix", "restart"), ("evidence", "events")):
        asked.get_by_label(part).select_option(key)
    asked.get_by_role("button", name="Check").click()
    asked.get_by_text("would leave the cause where it is").wait_for()
    asked.get_by_label("fix").select_option("larger pool")
    asked.get_by_role("button", name="Check").click()
    asked.locator(".kans-state", has_text="right, after help").wait_for()


def test_forms_after_answers_have_no_axe_findings(site: Path, phone: BrowserContext) -> None:
    page = opened(phone, site, "chapters/03-arp")
    page.evaluate(_ANSWER_EACH_CHOICE)
    page.locator(".kans-ask [name=solution]").evaluate_all("all => all.forEach(one => one.click())")
    found = Axe().run(page, context=".kans-ask").response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []


def test_page_can_be_read_without_a_script(site: Path, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((site / "chapters/03-arp.html").as_uri())
    assert page.locator(".kans-without-script").is_visible()
    asked = form(page, "whose-mac")
    assert asked.locator("legend").is_visible()
    assert asked.locator(".kans-option").nth(2).is_visible()
    assert not asked.get_by_role("button").count()
    assert not asked.locator(".kans-state").is_visible()
    asked.locator("summary").click()
    assert asked.locator("details p").is_visible()
    context.close()


def test_printed_page_has_its_exercises_and_no_navigation(site: Path, context: BrowserContext) -> None:
    page = opened(context, site, "chapters/03-arp")
    page.emulate_media(media="print")
    asked = form(page, "whose-mac")
    assert asked.locator("legend").is_visible()
    assert asked.locator(".kans-option").nth(2).is_visible()
    for hidden in (".sidebar-drawer", ".toc-drawer", ".mobile-header", ".kans-here", ".kans-binder", "footer"):
        assert not page.locator(hidden).first.is_visible(), hidden
    assert not asked.get_by_role("button").count()


# ── progress ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_progress_is_carried_into_a_lab_and_back(site: Path, context: BrowserContext, open_lab: OpenLab) -> None:
    page = opened(context, site, "chapters/03-arp")
    asked = form(page, "whose-mac")
    asked.get_by_role("button", name="Hint").click()
    asked.get_by_role("radio").nth(1).check()
    asked.get_by_role("button", name="Check").click()
    page.locator(".kans-all a").click()
    page.get_by_role("button", name="Show the line to copy").click()
    page.locator(".kans-own-token:not([hidden])").wait_for()
    lab = open_lab("arp")
    records = lab.progress(token=page.get_by_label("The line with your progress").input_value()).table.set_index(
        "EXERCISE"
    )
    assert (records.OUTCOME["whose-mac"], records.TRIES["whose-mac"]) == ("right after help", 1)
    assert records.HINTS["whose-mac"] == 1
    lab.exercise("what-carries-the-traffic").check("nonsense")
    lab.exercise("what-carries-the-traffic").check("a")
    lab.exercise("what-carries-the-traffic").solution()
    page.get_by_label("A line from another device").fill("kans1.nonsense")
    page.get_by_role("button", name="Add it to my progress").click()
    page.get_by_text("That is no line with progress").wait_for()
    page.get_by_label("A line from another device").fill(lab.progress().token)
    page.get_by_role("button", name="Add it to my progress").click()
    page.get_by_text("Exercises added to your progress: 2.").wait_for()
    page.go_back()
    page.wait_for_function("document.body.classList.contains('kans-whole')")
    assert state(form(page, "what-carries-the-traffic")) != "not tried"
    page.goto((site / "progress.html").as_uri())
    page.get_by_role("button", name="Show the line to copy").click()
    page.locator(".kans-own-token:not([hidden])").wait_for()
    both = open_lab("arp").progress(token=page.get_by_label("The line with your progress").input_value()).table
    assert both.equals(lab.progress().table)


def test_browser_that_keeps_nothing_says_so(site: Path, context: BrowserContext) -> None:
    context.add_init_script(
        "Object.defineProperty(globalThis, 'localStorage', {get() { throw new DOMException('', 'SecurityError') }})"
    )
    page = opened(context, site, "chapters/03-arp")
    asked = form(page, "whose-mac")
    asked.get_by_role("radio").nth(1).check()
    asked.get_by_role("button", name="Check").click()
    assert state(asked) == "✓ right"
    page = opened(context, site, "progress")
    page.get_by_text("This browser keeps nothing for this page.").wait_for()


# ── the time machine, and rules ───────────────────────────────────────────────────────────────────────────────


def test_time_machine_shows_what_a_lab_shows(site: Path, context: BrowserContext, open_lab: OpenLab) -> None:
    page = opened(context, site, "chapters/06-failover")
    machine, in_lab = page.locator("[data-time-machine]"), open_lab("failover").time_machine()
    machine.scroll_into_view_if_needed()
    slider = machine.get_by_role("slider", name="seconds")
    slider.wait_for()
    stops = sorted({stop.at for stop in in_lab.timeline.stops})
    for seconds in (0.0, 7.8, 13.1, 13.2, 30.0, 43.9, 60.0, 150.0, 173.1, 206.4, stops[-1]):
        slider.evaluate("(one, at) => { one.value = at; one.dispatchEvent(new Event('input')) }", seconds)
        scene = in_lab.at(seconds)
        said = Markup(in_lab.timeline.headline(seconds, scene.latest)).striptags()
        assert machine.locator(".kans-time-headline").inner_text() == said
        leaders = " · ".join(f"{row['SERVICE']} {row['LEADER BY THE API']}" for row in scene.addresses)
        assert machine.locator(".kans-time-now").inner_text() == f"Leaders now: {leaders}"
        lines = machine.locator(".kans-map .kans-words div").all_text_contents()
        assert lines == scene.map.describe().splitlines(), seconds
        cells = machine.locator(".kans-addresses td").all_text_contents()
        remembered = [cell.removeprefix("≠ ") for cell in cells[2::3]]
        assert remembered == [row["CLIENT REMEMBERS"] for row in scene.addresses]
        shown = machine.locator(".kans-path svg[aria-label]").first
        path = shown.get_attribute("aria-label") if scene.trace else machine.locator(".kans-path p").inner_text()
        assert path == scene.trace_summary


def test_time_machine_by_keyboard_and_mouse_flashes_changes(site: Path, context: BrowserContext) -> None:
    page = opened(context, site, "chapters/06-failover")
    machine = page.locator("[data-time-machine]")
    machine.scroll_into_view_if_needed()
    slider, headline = machine.get_by_role("slider", name="seconds"), machine.locator(".kans-time-headline")
    machine.get_by_role("button", name="next").focus()
    page.keyboard.press("Tab")  # no other stop is between the buttons and the slider
    assert slider.evaluate("one => one === document.activeElement")
    page.keyboard.press("ArrowRight")
    headline.get_by_text("7.8 s").wait_for()
    assert machine.get_by_role("button", name="before").is_enabled()
    page.keyboard.press("ArrowRight")
    headline.get_by_text("13.2 s").wait_for()
    headline.get_by_text("s after kill-node").wait_for()
    changed = machine.locator(".kans-map .kans-changed").evaluate_all(
        "all => [...new Set(all.map(one => one.dataset.name))]"
    )
    assert {"svc1", "svc2"} <= set(changed)
    assert "myk8s-worker2" not in changed  # its state is as before; what it leads is told by its Services
    page.keyboard.press("ArrowUp")
    headline.get_by_text("13.3 s").wait_for()
    page.keyboard.press("Home")
    headline.get_by_text("opening").wait_for()
    instant = 'one => one.scrollIntoView({behavior: "instant"})'
    machine.evaluate(instant)
    bottom, top = machine.evaluate(
        "one => [one.querySelector('.kans-time-controls').getBoundingClientRect().bottom,"
        " one.querySelector('.kans-strip').getBoundingClientRect().top]"
    )
    assert bottom <= top + 1  # the buttons cover nothing
    machine.locator(".kans-table-place").evaluate(instant)
    assert machine.locator(".kans-time-controls").evaluate("one => one.getBoundingClientRect().top") >= 0  # they stay
    machine.evaluate(instant)
    box = slider.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    middle = page.evaluate("one => one.max / 2", slider.element_handle())
    assert abs(float(headline.inner_text().partition(" ")[0]) - middle) < 2
    found = Axe().run(page, context="[data-time-machine]").response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []


def test_rule_is_shown_by_pointer_focus_and_touch(site: Path, browser: Browser, context: BrowserContext) -> None:
    page = opened(context, site, "chapters/04-iptables")
    rule = page.locator(".kans-rule:visible").first
    raw = rule.locator(".kans-raw")
    visibility = "one => getComputedStyle(one).visibility"
    assert raw.evaluate(visibility) == "hidden"
    rule.locator(".kans-highlight").hover()
    assert raw.evaluate(visibility) == "visible"
    page.keyboard.press("Escape")
    assert raw.evaluate(visibility) == "hidden"
    page.mouse.move(0, 0)
    rule.focus()
    assert raw.evaluate(visibility) == "visible"
    assert rule.evaluate("one => getComputedStyle(one).outlineStyle") == "none"  # one frame, around the rule alone
    assert rule.locator(".kans-highlight").evaluate("one => getComputedStyle(one).stroke") != "none"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.matches('.kans-rule')")
    assert raw.evaluate(visibility) == "hidden"
    page.keyboard.press("Tab")  # a drawing is one stop
    assert not page.evaluate("document.activeElement.matches('.kans-rule')")
    page.keyboard.press("Shift+Tab")
    assert rule.evaluate("one => one.nextElementSibling !== null && document.activeElement !== one")
    touched = phone_of(browser)
    page = opened(touched, site, "chapters/04-iptables")
    rule = page.locator(".kans-rule:visible").first
    rule.locator(".kans-highlight").tap()
    assert rule.locator(".kans-raw").evaluate(visibility) == "visible"
    touched.close()
