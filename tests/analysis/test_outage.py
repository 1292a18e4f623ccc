"""Every recorded outage taken apart, and held to what logs, events and the client itself say of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import kanslib
from kanslib.analysis import Cause, Outage, Phase, TimelineEvent
from kanslib.analysis.attempts import Probe
from kanslib.analysis.phases import DARK, HEALTHY, PARTLY, STRAGGLERS
from kanslib.analysis.timeline_events import (
    BGPSessionEvent,
    EndpointEvent,
    HoldTimerEvent,
    RulesEvent,
    SpeakerEvent,
)
from kanslib.backends.recorded import RecordedBackend
from kanslib.lab.lab import Lab
from kanslib.recording import Recording
from tests.types import OpenLab

SHIPPED = [
    ("failover", "kill-node"), ("failover", "start-node"), ("failover", "delete-speaker-pod"),
    ("election", "exclude-leader"), ("election", "include-leader"), ("bgp", "kill-node-2"),
    ("bgp-silent", "cut-link"), ("bgp-silent", "cut-link-2"),
]  # fmt: skip
REFERENCE = [
    ("failover", "kill-node"), ("failover", "start-node"), ("failover", "delete-speaker-pod"),
    ("election", "exclude-leader"), ("etp-local", "delete-leaders-endpoint"),
    ("bgp", "kill-node"),
    ("bgp-silent", "cut-link"), ("bgp-silent", "mend-link"), ("bgp-silent", "cut-link-2"),
]  # fmt: skip
TRUTH = 0.5  # seconds


def outage_of(lab: Lab, act: str) -> Outage:
    lab.at(act)
    return lab.observation().outage()


def check(recording: Recording, story: str, act: str) -> list[str]:
    """Everything that has to hold of any outage; returns what was compared, in words."""
    backend = RecordedBackend(recording, story)
    data, lab = backend.observation_at(act), Lab(backend, story)
    outage, rows = outage_of(lab, act), [row for row in data.probes() if row["t"] >= data.zero]
    said = []
    for service, phases in outage.phases.items():
        mine = [row for row in rows if row["to"] == lab.vip(service)]
        assert sum(phase.tried for phase in phases) == len(mine)
        assert sum(phase.failed for phase in phases) == sum(not row["ok"] for row in mine)
        for phase in phases:
            exact(phase, mine, outage.zero)
        for failure in outage.failures(service):
            assert failure.reason, f"{service} {failure.at}"
            assert failure.reason.cause != Cause.UNKNOWN, f"{service} {failure.at}: {failure.error} {failure.reason}"
            assert failure.reason.evidence
        said += [boundary(outage, service, phase) for phase in phases[:-1] if phase.name in (DARK, PARTLY)]
    return [one for one in said if one]


def exact(phase: Phase, rows: list[Probe], zero: float) -> None:
    """A phase counts the client's own rows between its ends."""
    inside = [row for row in rows if phase.start <= round(row["t"] - zero, 6) <= phase.end]
    assert (phase.tried, phase.failed) == (len(inside), sum(not row["ok"] for row in inside))


def boundary(outage: Outage, service: str, phase: Phase) -> str:
    """The end of a phase beside the moment at which its cause ended, by the cluster's own account."""
    causes = dict(phase.causes)
    if phase.name == DARK or causes.get(Cause.LEADER_GONE, 0) > phase.failed / 2:
        truth = first(outage, lambda e: isinstance(e, SpeakerEvent) and e.is_announcing and e.service == service)
    elif causes.get(Cause.HOP_GONE, 0) > phase.failed / 2:
        truth = first(outage, lambda e: isinstance(e, HoldTimerEvent) and e.speaker == "router")
    elif phase.end - phase.start < 1.0:  # a dying node's last words
        return ""
    else:
        truth = first(outage, lambda e: isinstance(e, EndpointEvent) and e.service == service)
    assert abs(phase.end - truth.at) <= TRUTH, f"{service} {phase.name}: {phase.end} s, {truth} at {truth.at} s"
    ended = outage.ended_by(service, phase)
    assert ended
    assert ended.evidence
    return f"{service} {phase.name} ends {phase.end:.2f} s, {truth.kind} {truth.at:.2f} s ({phase.end - truth.at:+.2f})"


def first(outage: Outage, wanted: Callable[[TimelineEvent], bool]) -> TimelineEvent:
    return next(event for event in outage.events if event.at > 0 and wanted(event))


@pytest.mark.parametrize(("story", "act"), SHIPPED)
def test_outage_shipped_action(recording: Recording, story: str, act: str) -> None:
    print(f"shipped {act}:", *check(recording, story, act), sep="\n  ")


@pytest.mark.parametrize(("story", "act"), REFERENCE)
def test_outage_reference_action(reference_recording: Recording, story: str, act: str) -> None:
    print(f"reference {act}:", *check(reference_recording, story, act), sep="\n  ")


def names(outage: Outage, service: str) -> list[str]:
    return [phase.name for phase in outage.phases[service] if phase.end - phase.start > 1]


def test_outage_kill_leader_layer2(open_lab: OpenLab) -> None:
    outage = outage_of(open_lab("failover"), "kill-node")
    for led_by_the_victim in ("svc1", "svc2"):
        assert names(outage, led_by_the_victim) == [DARK, PARTLY, STRAGGLERS]
        assert 4 < outage.dark_seconds(led_by_the_victim) < 9
    assert names(outage, "svc3") == [PARTLY, STRAGGLERS]  # its leader lived, its endpoint did not
    assert outage.dark_seconds("svc3") == 0
    late = [one for service in outage.attempts for one in outage.stragglers(service)]
    assert len(late) == 17
    assert {one.reason.cause for one in late if one.reason} == {Cause.REMEMBERED}


def test_outage_none_for_graceful_actions(open_lab: OpenLab) -> None:
    for story, act in (("failover", "delete-speaker-pod"), ("election", "exclude-leader")):
        outage = outage_of(open_lab(story), act)
        assert names(outage, "svc1") == [HEALTHY]


def test_outage_kill_node_bgp_closes_session_at_once(open_lab: OpenLab) -> None:
    outage = outage_of(open_lab("bgp"), "kill-node-2")
    assert names(outage, "svc1") == [HEALTHY]
    closed = first(outage, lambda event: isinstance(event, BGPSessionEvent))
    assert str(closed) == "myk8s-worker closes its session with router"
    assert closed.at < 0.5


def test_outage_silent_node_bgp_costs_hold_time(open_lab: OpenLab) -> None:
    outage = outage_of(open_lab("bgp-silent"), "cut-link")
    assert names(outage, "svc1") == [PARTLY, HEALTHY]
    trouble = next(phase for phase in outage.phases["svc1"] if phase.name == PARTLY)
    assert dict(trouble.causes) == {Cause.HOP_GONE: trouble.failed}
    low, high = trouble.interval
    assert low < 0.5 < high  # one of two next hops


def test_rule_events_on_the_outage_clock(open_lab: OpenLab) -> None:
    outage = outage_of(open_lab("failover"), "kill-node")
    gone = next(event for event in outage.events if isinstance(event, EndpointEvent))
    changed = [event for event in outage.events if isinstance(event, RulesEvent) and event.service == "svc1"]
    assert len(changed) == 3  # every node that lives
    assert all(event.at > gone.at for event in changed)


@pytest.mark.slow
def test_outage_simulated_phases_equal_recorded(open_lab: OpenLab) -> None:
    for act in ("kill-node",):
        recorded = outage_of(open_lab("failover"), act)
        computed = outage_of(open_lab("failover", backend="simulated"), act)
        for service in recorded.attempts:
            assert names(computed, service) == names(recorded, service)
        for mine, theirs in zip(computed.phases["svc1"], recorded.phases["svc1"][1:], strict=True):
            assert set(dict(mine.causes)) == set(dict(theirs.causes))
            assert mine.interval[0] <= theirs.interval[1]
            assert theirs.interval[0] <= mine.interval[1]


@pytest.mark.slow
def test_outages_all_actions_side_by_side(open_lab: OpenLab) -> None:
    rows = kanslib.outages("svc1").table.set_index(["STORY", "ACTION"])
    polite = [("l2", "exclude-leader"), ("l2", "delete-speaker-pod"), ("bgp", "kill-node")]
    torn = [("l2", "kill-node"), ("bgp-silent", "cut-link"), ("bgp-silent", "cut-link-2")]
    assert all(rows["FAILED"][way] == 0 and rows["LOST SECONDS"][way] == 0 for way in polite)
    assert all(rows["FAILED"][way] > 10 and rows["LOST SECONDS"][way] > 3 for way in torn)
    lab = open_lab("failover")
    lab.at("kill-node")
    assert rows["TRIED"]["l2", "kill-node"] == lab.observation().phases("svc1").TRIED.sum()
