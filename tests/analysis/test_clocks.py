"""The clocks of recorded outages: what each waited for, and until when."""

from __future__ import annotations

from kanslib.analysis.attempts import Attempt
from kanslib.analysis.clocks import ClockKind, clocks
from kanslib.analysis.evidence import Evidence
from kanslib.analysis.outage import Outage
from kanslib.analysis.timeline_events import EndpointEvent, TimelineEvent
from tests.types import OpenLab


def kinds(open_lab: OpenLab, story: str, moment: str) -> dict[ClockKind, tuple[float, float]]:
    outage = open_lab(story).observation(moment).outage()
    return {one.kind: (round(one.start, 1), round(one.end, 1)) for one in clocks(outage)}


def test_clocks_of_a_killed_leader(open_lab: OpenLab) -> None:
    found = kinds(open_lab, "failover", "kill-node")
    assert list(found) == [ClockKind.ADDRESS, ClockKind.ENDPOINT, ClockKind.CONNTRACK]
    assert found[ClockKind.ADDRESS] == (0.0, 5.2)
    assert found[ClockKind.ENDPOINT] == (0.0, 36.2)
    assert found[ClockKind.CONNTRACK][0] == 36.0


def test_clocks_of_a_cut_link_under_bgp(open_lab: OpenLab) -> None:
    assert list(kinds(open_lab, "bgp-silent", "cut-link")) == [ClockKind.ROUTE]


def test_clocks_where_nobody_missed_an_answer(open_lab: OpenLab) -> None:
    assert kinds(open_lab, "bgp", "kill-node") == {}


def outage(*events: TimelineEvent) -> Outage:
    attempts = [Attempt(at / 10, is_ok=at > 100 or at % 2 == 0) for at in range(300)]
    return Outage("kill-node", 0.0, {"svc1": tuple(attempts)}, events)


def test_clocks_need_an_event_that_ended_the_phase() -> None:
    evidence = Evidence("endpointslice svc1", "")
    gone = EndpointEvent(at=10.1, evidence=evidence, service="svc1", address="192.0.2.1", is_ready=False)
    back = EndpointEvent(at=10.1, evidence=evidence, service="svc1", address="192.0.2.1", is_ready=True)
    assert [one.kind for one in clocks(outage(gone))] == [ClockKind.ENDPOINT]
    assert clocks(outage(back)) == []
    assert clocks(outage()) == []
