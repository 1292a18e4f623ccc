"""Forms without a browser: what a button shows, and how choices are marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.forms import create_form
from tests.types import OpenLab


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))
    predicted = replace(CATALOG["leader-of-svc1"], scored_by=("leader",))  # whatever a chapter predicts today
    monkeypatch.setitem(CATALOG, "leader-of-svc1", predicted)


def widgets(box: ipywidgets.Widget, kind: type[ipywidgets.Widget]) -> list[Any]:
    """Return the widgets of a kind in a form."""
    inner = [found for child in getattr(box, "children", ()) for found in widgets(child, kind)]
    return [*([box] if type(box) is kind else []), *inner]


def click(form: ipywidgets.Widget, name: str) -> str:
    """Click a button and return the feedback below it."""
    next(button for button in widgets(form, ipywidgets.Button) if button.description == name).click()
    return str(widgets(form, ipywidgets.HTML)[-1].value)


@pytest.mark.parametrize(
    ("story", "name", "words"),
    [
        ("arp", "whose-mac", "Choose one."),
        ("election", "addresses-for-a-newcomer", "Move the slider."),
        ("election", "candidates-of-svc1", "Tick one or more."),
        ("election", "write-the-election", "This notebook has no function &#39;elect&#39; yet."),
        ("case-1", "case-1", "Ask this cluster something first."),
    ],
)
def test_form_check_untouched_says_what_to_do(open_lab: OpenLab, story: str, name: str, words: str) -> None:
    said = click(create_form(open_lab(story).exercise(name)), "Check")
    assert "Not answered yet" in said
    assert words in said


def test_form_marks_wrong_choice_and_right_one(open_lab: OpenLab) -> None:
    form = create_form(open_lab("arp").exercise("whose-mac"))
    (radio,) = widgets(form, ipywidgets.RadioButtons)
    virtual, card, pod = (text for text, _ in radio.options)
    radio.value = "virtual"
    click(form, "Check")
    assert [text for text, _ in radio.options] == [f"{virtual} ✗ not right", card, pod]
    click(form, "Solution")
    assert [text for text, _ in radio.options] == [f"{virtual} ✗ not right", f"{card} ✓ right", pod]
    assert radio.value == "virtual"
    assert {"kans-wrong-1", "kans-right-2"} <= set(radio._dom_classes)  # noqa: SLF001 (ipywidgets has no other way to ask)


def test_form_slider_says_that_it_is_untouched(open_lab: OpenLab) -> None:
    form = create_form(open_lab("election").exercise("addresses-for-a-newcomer"))
    (slider,), (label,) = widgets(form, ipywidgets.FloatSlider), widgets(form, ipywidgets.Label)
    assert label.value == "not answered yet"
    slider.value = 13
    assert label.value == "13 addresses"
    assert "right" in click(form, "Check")


def test_form_of_prediction_shows_its_result(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    form = create_form(lab.predict("leader-of-svc1"))
    boxes = {box.description: box for box in widgets(form, ipywidgets.Checkbox)}
    boxes["myk8s-worker2"].value = True
    assert "Written down" in click(form, "Write it down")
    lab.leader("svc1")
    question, feedback = widgets(form, ipywidgets.HTML)
    assert "✗ not right" in question.value
    assert "Your prediction: myk8s-worker2" in feedback.value
    assert boxes["myk8s-worker"].description == "myk8s-worker ✓ right"


def test_form_offers_causes_after_queries(open_lab: OpenLab) -> None:
    lab = open_lab("case-1")
    form = create_form(lab.exercise("case-1"))
    cause, fix, evidence = widgets(form, ipywidgets.Dropdown)
    assert len(cause.options) == 1
    lab.arp_scan()
    assert [text for text, _ in evidence.options] == ["(choose)", "lab.arp_scan()"]
    cause.value = few = cause.options[1][1]
    lab.election("svc1")
    assert 6 < len(cause.options) < 11
    assert len(fix.options) > 3
    assert cause.value == few
    assert "Choose the fix and the evidence." in click(form, "Check")
