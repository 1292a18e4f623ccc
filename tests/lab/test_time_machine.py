"""The time machine shows what the cluster said at each moment, and leaves the lab's own clock alone."""

from __future__ import annotations

import pytest

import kanslib
from kanslib.exceptions import NotRecordedError
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
    acts = [stop for stop in machine.timeline.stops if stop.lane == "actions"]
    assert html.count("kans-scene") == min(len(acts), 12)
    assert ("more actions" in html) == (len(acts) > 12)
    assert len(html) < 500_000
    assert machine.at(machine.timeline.end + 99).at == machine.timeline.end
    assert machine.at(-5).at == 0


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
