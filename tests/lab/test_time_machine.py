"""The time machine shows what the cluster said at each moment, and leaves the lab's own clock alone."""

from __future__ import annotations

from typing import Any

import ipywidgets as ipw
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kanslib
from kanslib.exceptions import NotRecordedError
from kanslib.render.figure import WIDTHS
from kanslib.render.time_machine import StoryTimeline, TimelineStop
from kanslib.render.time_machine_widget import time_machine_widget
from tests.figures import faults
from tests.types import OpenLab


def opening(open_lab: OpenLab) -> float:
    """When the story 'failover' opens, in Unix seconds."""
    return open_lab("failover").nodes().provenance.moment


def test_time_machine_stops_are_actions_and_results(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    table = lab.time_machine().table
    assert table[table.LANE == "actions"].WHAT.tolist() == lab.moments().MOMENT.tolist()
    lab.at("kill-node")
    moved = lab.observation().events("leader")
    zero = lab.moments().set_index("MOMENT").AT["kill-node"]
    stops = set(zip(table.SECONDS, table.WHAT, strict=True))
    seen = [(round(at + zero, 1), what) for at, what in zip(moved.AT, moved.WHAT, strict=True) if at > 0]
    assert seen
    assert all(any(abs(at - stop) <= 0.11 and what == said for stop, said in stops) for at, what in seen)


@pytest.mark.filterwarnings("ignore::kanslib.exceptions.LeaderDisagreementWarning")
@pytest.mark.parametrize("moment", ["opening", "kill-node", "start-node", "delete-speaker-pod"])
def test_time_machine_scene_equals_lab(open_lab: OpenLab, moment: str) -> None:
    lab = open_lab("failover")
    lab.at(moment)
    after = lab.nodes().provenance.moment - opening(open_lab)
    scene = lab.time_machine().at(round(after, 1) + 0.1)
    assert scene.map.table.LEADS.tolist() == lab.map().table.LEADS.tolist()
    assert {row["SERVICE"]: row["LEADER BY THE API"] for row in scene.addresses} == {
        name: lab.leader(name) for name in ("svc1", "svc2", "svc3")
    }
    assert scene.trace_summary.partition(": ")[2] == lab.trace("svc1").summary.partition(": ")[2]


def test_time_machine_scene_neighbors_equal_client(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node", after=15)
    known = lab.neighbors().set_index("ADDRESS").HOLDER
    machine = lab.time_machine()
    scene = machine.at(lab.nodes().provenance.moment - opening(open_lab))
    assert {row["SERVICE"] for row in scene.addresses} == {"svc1", "svc2", "svc3"}
    assert all(known[row["ADDRESS"]] == row["CLIENT REMEMBERS"] for row in scene.addresses)


def test_time_machine_steps_between_stops(open_lab: OpenLab) -> None:
    timeline = open_lab("failover").time_machine().timeline
    before, after = timeline.stops_around(10.0)
    assert before
    assert after
    assert (before.text, after.lane) == ("kill-node", "leader")
    assert timeline.stops_around(0.0)[0] is None
    assert timeline.stops_around(timeline.end)[1] is None


def test_time_machine_failed_requests_in_words_and_shape(open_lab: OpenLab) -> None:
    timeline = open_lab("failover").time_machine().timeline
    lost = [at for at, ok in timeline.attempts["svc1"] if not ok]
    assert 7 < min(lost) < 9
    assert len(timeline.attempts) == 3


@pytest.mark.parametrize("story", ["service-types", "metallb", "arp", "iptables", "bgp", "bgp-silent", "case-3", "l2"])
def test_time_machine_static_html_of_every_story(open_lab: OpenLab, story: str) -> None:
    machine = open_lab(story).time_machine()
    html = machine._repr_html_()
    moments = machine.timeline.calm_moments()
    assert html.count("<section") == min(len(moments), 6)
    assert ("more moments" in html) == (len(moments) > 6)
    assert len(html) < 400_000
    assert machine.at(machine.timeline.end + 99).at == machine.timeline.end
    assert machine.at(-5).at == 0


def test_time_machine_static_html_shows_the_outage(open_lab: OpenLab) -> None:
    html = open_lab("failover").time_machine()._repr_html_()
    assert html.index("opening") < html.index("down, the API still says Ready") < html.index("NotReady, speaker")
    assert 'class="kans-changed"' not in html


def test_time_machine_notebook_gets_a_twin_for_paper(open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("kanslib.lab.time_machine.in_notebook", lambda: True)
    for module in ("IPython.display", "kanslib.exercises.forms"):
        monkeypatch.setattr(f"{module}.display", lambda data, **_: shown.append(data))
    open_lab("failover").time_machine()._ipython_display_()
    paper, widget = shown
    assert "kans-paper" in paper["text/html"]
    assert "<section" in paper["text/html"]
    assert isinstance(widget, ipw.Widget)


def test_time_machine_stop_shows_what_it_names(open_lab: OpenLab) -> None:
    machine = open_lab("failover").time_machine()
    moved = next(stop for stop in machine.timeline.stops if stop.text == "svc1: myk8s-worker2")
    leads = {row["SERVICE"]: row["LEADER BY THE API"] for row in machine.at(moved.at).addresses}
    assert leads["svc1"] == "myk8s-worker2"


def test_time_machine_settled_stop_has_no_dead_endpoint_in_the_rules(open_lab: OpenLab) -> None:
    machine = open_lab("failover").time_machine()
    (settled,) = (stop for stop in machine.timeline.stops if str(stop) == "settled kill-node")
    assert " or " in machine.at(settled.at - 1).trace_summary
    assert ": always to 10.10.2.2" in machine.at(settled.at).trace_summary


def test_time_machine_slider_shows_only_what_changed(open_lab: OpenLab) -> None:
    machine = open_lab("failover").time_machine()
    box = time_machine_widget(machine.timeline, machine.at)
    (slider,) = widgets(box, ipw.FloatSlider)
    cluster = next(one for one in widgets(box, ipw.HTML) if "nodes on one network" in one.value)
    slider.value = 1.0
    calm = cluster.value
    slider.value = 2.0
    assert cluster.value is calm
    back, forward = widgets(box, ipw.Button)
    for _ in range(2):
        forward.click()
    assert 'class="kans-changed"' in cluster.value
    assert slider.value == machine.timeline.stops_around(slider.value + 0.2)[0].at  # type: ignore[union-attr]
    for _ in range(2):
        back.click()
    assert slider.value == 0.0
    assert back.disabled


def widgets(box: ipw.Widget, kind: type[ipw.Widget]) -> list[Any]:
    """Return the widgets of a kind in a box, in their order."""
    found = [box] if isinstance(box, kind) else []
    return found + [one for child in getattr(box, "children", ()) for one in widgets(child, kind)]


@given(st.lists(st.floats(0, 300), max_size=40), st.sampled_from(WIDTHS))
def test_story_timeline_texts_apart_and_inside(moments: list[float], width: int) -> None:
    stops = tuple(TimelineStop(at, "actions", f"apply-services-{number}") for number, at in enumerate(sorted(moments)))
    attempts = {"shop/a-service-with-a-long-name": [(1.0, True), (2.0, False)], "svc1": []}
    timeline = StoryTimeline("A story", 300.0, stops, attempts, tuple(sorted(moments)[:6]))
    assert faults(timeline, width) == []


def test_time_machine_keeps_lab_clock(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    before = lab.nodes().provenance.moment
    lab.time_machine().at(100)
    assert lab.nodes().provenance.moment == before


def test_time_machine_simulated_lab_shows_recording(open_lab: OpenLab) -> None:
    assert open_lab("failover", backend="simulated").time_machine().at(60).provenance.source == "recorded"


def test_time_machine_manifest_raises(open_lab: OpenLab) -> None:
    lab = kanslib.simulate(kanslib.course.manifests.kind_cluster)
    with pytest.raises(NotRecordedError, match="simulated from a manifest"):
        lab.time_machine()
