"""Every figure says in words and in a table what it shows, in colours that can be told from their ground."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from kanslib.exercises.session import Feedback
from kanslib.lab.lab import Lab
from kanslib.lab.observation import ARPObservation, BGPObservation, Observation
from kanslib.palette import PAPER, TOOLTIP
from kanslib.render.answers import TabledAnswer
from kanslib.render.arp_timeline import ARPTimeline
from kanslib.render.outage_timeline import OutageTimeline
from tests.contrast import contrast
from tests.types import OpenLab

LIGHT, DARK = "#ffffff", "#111111"  # JupyterLab's grounds
TEXT, MARK = 4.5, 3.0  # WCAG 2.1, 1.4.3 and 1.4.11
# colours that no theme gives: what is drawn in them has to be seen on both grounds
COLOUR = re.compile(r'(fill|stroke|color|background|border-left)\s*[=:]\s*"?(?:6px solid )?(#[0-9a-fA-F]{6})\b')

FIGURES: dict[str, Callable[[OpenLab], TabledAnswer]] = {
    "map": lambda open_lab: open_lab("arp").map(),
    "map of a dead node": lambda open_lab: at(open_lab("failover"), "kill-node").map(),
    "hash_order": lambda open_lab: open_lab("election").hash_order(joins=["myk8s-worker4"], leaves=["myk8s-worker"]),
    "pool": lambda open_lab: at(open_lab("metallb"), "apply-services").pool(),
    "states": lambda open_lab: at(open_lab("bgp"), "apply-bgp").observation().bgp.states("myk8s-worker"),
    "trace": lambda open_lab: open_lab("iptables").trace("svc1"),
    "timeline": lambda open_lab: at(open_lab("failover"), "kill-node").observation().timeline(),
    "arp timeline": lambda open_lab: at(open_lab("arp"), "apply-services").observation().arp.timeline(),
    "conversation": lambda open_lab: open_lab("arp").observation("opening").arp.conversation("svc1"),
    "leadership": lambda open_lab: at(open_lab("failover"), "kill-node").observation().leadership("svc1"),
    "progress": lambda open_lab: open_lab("arp").progress(),
    "time_machine": lambda open_lab: open_lab("failover").time_machine(),
}


PLOTLY = ["timeline", "arp timeline"]  # these have a plotly figure, too


def at(lab: Lab, moment: str) -> Lab:
    lab.at(moment)
    return lab


@pytest.fixture(params=FIGURES)
def figure(request: pytest.FixtureRequest, open_lab: OpenLab) -> TabledAnswer:
    return FIGURES[request.param](open_lab)


def drawn(figure: TabledAnswer) -> str:
    """A figure as what a browser gets."""
    return str(figure._repr_html_())


def test_figures_all_kinds_covered() -> None:
    timelines = {"OutageTimeline", "ARPTimeline", "LeadershipTimeline"}
    kinds = {
        "HashOrder",
        "BGPStates",
        "ARPConversation",
        "ClusterMap",
        *timelines,
        "Trace",
        "ProgressReport",
        "TimeMachine",
    }
    asked = [*vars(Lab).items(), *vars(Observation).items(), *vars(BGPObservation).items()]
    asked += vars(ARPObservation).items()
    shown = {name for name, method in asked if getattr(method, "__annotations__", {}).get("return") in kinds}
    assert shown
    assert shown <= set(FIGURES)


def test_figure_describe_has_words(figure: TabledAnswer) -> None:
    words = figure.describe()
    assert any(str(value) in words for column in figure.table for value in figure.table[column].unique())


def test_figure_table_has_rows(figure: TabledAnswer) -> None:
    assert not figure.table.empty


def test_figure_words_reachable_by_screen_reader(figure: TabledAnswer) -> None:
    pictures = re.findall(r"<svg[^>]*>", drawn(figure))
    assert pictures
    assert all('role="img"' in one or 'role="group"' in one for one in pictures)
    assert all(re.search(r'aria-label="[^"]{10,}', one) for one in pictures)


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_svg_contrast_light_and_dark(open_lab: OpenLab, name: str) -> None:
    html, seen = drawn(FIGURES[name](open_lab)), 0
    for picture in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        own = re.search(rf"background:{PAPER}", picture)
        grounds = [PAPER] if own else [LIGHT, DARK]
        for tag, attributes in re.findall(r"<(\w+)([^>]*)>", picture):
            for kind, colour in COLOUR.findall(attributes):
                if kind == "background" or colour.lower() in (PAPER, "#ffffff", TOOLTIP):
                    continue  # letters on a filled bar: the next test
                wanted = TEXT if tag == "text" and not _is_a_sign(picture, attributes) else MARK
                for ground in grounds:
                    assert contrast(colour.lower(), ground) >= wanted, (tag, colour, ground)
                    seen += 1
    assert seen


def _is_a_sign(picture: str, attributes: str) -> bool:
    """True for a text that is one mark (★, ■) with a title: a graphical object, no text to be read."""
    found = re.search(re.escape(f"<text{attributes}>") + r"(.)<title>", picture)
    return found is not None


@pytest.mark.parametrize("name", PLOTLY)
def test_plotly_figure_on_every_ground_and_marker_shapes(open_lab: OpenLab, name: str) -> None:
    figure = FIGURES[name](open_lab)
    assert isinstance(figure, (OutageTimeline, ARPTimeline))
    data = json.loads(str(figure.plotly().to_json()))
    layout = data["layout"]
    assert (layout["paper_bgcolor"], layout["plot_bgcolor"]) == ("rgba(0,0,0,0)", "rgba(0,0,0,0)")
    marks = [trace["marker"] for trace in data["data"] if trace["x"]]
    colours = [layout["font"]["color"], *(mark["color"] for mark in marks)]
    assert all(contrast(colour.lower(), ground) >= MARK for colour in colours for ground in (LIGHT, DARK))
    looks = {(mark["color"], mark["symbol"]) for mark in marks}
    assert len({symbol for _, symbol in looks}) == len(looks)  # no two that differ by colour alone


def test_outcome_marks_differ_in_words_and_signs(open_lab: OpenLab) -> None:
    quest = open_lab("election").exercise("leader-of-svc1")
    verdicts = [quest.check(), quest.check("myk8s-worker3"), quest.check("myk8s-worker")]
    heads = [said.head for said in verdicts]
    assert len(set(heads)) == 3
    for said in verdicts:
        assert isinstance(said, Feedback)
        assert 'role="status"' in said.html()
        assert all(contrast(said.colour, ground) >= MARK for ground in (LIGHT, DARK))


def test_html_answers_keep_theme_text_color(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    for html in (lab.services()._repr_html_(), lab.exercise("whose-mac")._repr_html_(), lab.progress()._repr_html_()):
        assert not re.search(r"(?<![-\w])color\s*:", html)
