"""The card of an action under observation: in a notebook, in words, and its layout."""

from __future__ import annotations

import re

import htpy as h
import pytest

from kanslib import notices
from kanslib.analysis import Attempt, Outage
from kanslib.answer import Provenance
from kanslib.render.figure import WIDTHS
from kanslib.render.result_card import ResultCard
from tests.figures import faults
from tests.types import OpenLab

_NOWHERE = Provenance("simulated", 0.0, "opening", "none")


def test_observe_shows_the_card_in_a_notebook(open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    lab = open_lab("failover")
    monkeypatch.setattr(notices, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    with lab.observe(probes=["svc1"], seconds=80) as seen:
        lab.kill_node("myk8s-worker")
    assert shown == [seen]


def test_result_card_of_a_kill_agrees_with_the_phases(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    with lab.observe(probes=["svc1", "svc2", "svc3"], seconds=80) as seen:
        lab.kill_node("myk8s-worker")
    card = seen.result()
    assert card.headline == "myk8s-worker killed · 118 s observed"
    failed = seen.phases().groupby("SERVICE").FAILED.sum().to_dict()
    assert card.table.set_index("SERVICE").FAILED.to_dict() == failed
    assert card.table.LEADER.tolist() == [lab.leader(service) for service in ("svc1", "svc2", "svc3")]
    for width in WIDTHS:
        assert faults(card, width) == []


def test_observation_at_the_end_of_a_cell_is_its_card(open_lab: OpenLab) -> None:
    seen = open_lab("failover").observation("kill-node")
    assert seen._repr_html_() == seen.result()._repr_html_()
    assert "myk8s-worker killed" in str(seen._repr_svg_())


def test_result_card_under_bgp_names_no_leader(open_lab: OpenLab) -> None:
    card = open_lab("bgp").observation("kill-node").result()
    assert card.describe() == "myk8s-worker killed · 80 s observed.\nsvc1: 0 of 1,151 failed."


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["svc1", "a-namespace-of-a-team/its-service-with-a-long-name", "가"])
def test_result_card_texts_stand_apart(name: str, width: int) -> None:
    attempts = (Attempt(-1, True), Attempt(1, False), Attempt(2, True))
    outage = Outage("kill-node", 0.0, {name: attempts, "svc2": attempts[:1]})
    leaders = {name: "node-with-a-rather-long-name.example.org"}
    assert (
        faults(ResultCard("node-with-a-rather-long-name.example.org killed", 80, outage, leaders, _NOWHERE), width)
        == []
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_result_card_without_requests_says_how_to_send_some(width: int) -> None:
    card = ResultCard("2 objects applied", 6, None, {}, _NOWHERE)
    assert "lab.observe(probes=" in card.describe()
    assert faults(card, width) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_result_card_leaves_the_time_before_a_late_first_request_empty(width: int) -> None:
    outage = Outage("start-node", 0.0, {"svc1": (Attempt(40, True), Attempt(50, True))})
    card = ResultCard("node started", 54, outage, {}, _NOWHERE)
    drawn = str(h.svg[card.drawing(width).parts])
    [action] = re.findall(r'x1="([\d.]+)"', drawn)
    [first] = re.findall(r'd="M([\d.]+) ', drawn)
    assert float(first) > float(action) + width / 4
