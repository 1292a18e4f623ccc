"""The timeline beside the probes, and its layout for any outage."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanslib.analysis import Attempt, Cause, EventKind, Evidence, Outage, Reason, TimelineEvent
from kanslib.analysis.timeline_events import (
    BGPSessionEvent,
    EndpointEvent,
    GratuitousARPEvent,
    HoldTimerEvent,
    LeaderEvent,
    MemberlistEvent,
    NodeEvent,
    SpeakerEvent,
)
from kanslib.answer import Provenance
from kanslib.render.event_marks import event_marks
from kanslib.render.figure import WIDTHS
from kanslib.render.outage_timeline import OutageTimeline
from tests.figures import faults, texts
from tests.types import OpenLab, OpenReference

_NOWHERE = Provenance("simulated", 0.0, "opening", "none")
_EVIDENCE = Evidence("frame 1", "")
_SERVICES = [
    "svc1",
    "2001:db8:1234:5678:9abc:def0:1234:5678",
    "a-namespace-of-a-team/its-service-with-a-long-name",
    "가",
]
_NODES = ["myk8s-worker", "myk8s-worker2", "node-with-a-rather-long-name.example.org"]


def drawn_events(latest: float) -> st.SearchStrategy[TimelineEvent]:
    """Return a strategy for events of any kind until `latest` seconds after the action."""
    at, service, node = st.floats(0, latest), st.sampled_from(_SERVICES), st.sampled_from(_NODES)
    evidence, no_or_yes = st.just(_EVIDENCE), st.booleans()
    return st.one_of(
        st.builds(LeaderEvent, at=at, evidence=evidence, service=service, node=node),
        st.builds(MemberlistEvent, at=at, evidence=evidence, speaker=node, change=st.just("declares dead"), node=node),
        st.builds(SpeakerEvent, at=at, evidence=evidence, service=service, node=node, is_announcing=no_or_yes,
                  protocol=st.just("layer2")),
        st.builds(GratuitousARPEvent, at=at, evidence=evidence, service=service, mac=st.just("02:42:ac:12:00:02")),
        st.builds(NodeEvent, at=at, evidence=evidence, node=node, is_ready=no_or_yes),
        st.builds(EndpointEvent, at=at, evidence=evidence, service=service, address=st.just("192.0.2.1"),
                  is_ready=no_or_yes),
        st.builds(HoldTimerEvent, at=at, evidence=evidence, speaker=node, peer=node, hold_time=st.just(9)),
        st.builds(BGPSessionEvent, at=at, evidence=evidence, speaker=node, peer=node, is_reset=no_or_yes),
    )  # fmt: skip


@st.composite
def outages(draw: st.DrawFn) -> Outage:
    """Return outages of 1 s to 1 h, of no Service or several, with any events, the requests in runs of one outcome."""
    length = draw(st.sampled_from([1.0, 20.0, 130.0, 3600.0]))
    attempts = {}
    for service in draw(st.lists(st.sampled_from(_SERVICES), unique=True)):
        runs = draw(st.lists(st.tuples(st.booleans(), st.integers(1, 30), st.sampled_from(list(Cause))), max_size=8))
        outcomes = [(ok, cause) for ok, count, cause in runs for _ in range(count)]
        attempts[service] = tuple(
            Attempt(length * place / len(outcomes), ok, reason=None if ok else Reason(cause, str(cause)))
            for place, (ok, cause) in enumerate(outcomes)
        )
    events = sorted(draw(st.lists(drawn_events(length), max_size=25)), key=lambda event: event.at)
    action = draw(st.sampled_from(["kill-node", "the first failed request to 2001:db8::1 at port 80 of all of them"]))
    return Outage(action, 0.0, attempts, tuple(events))


@settings(max_examples=30, deadline=None)
@given(outages())
def test_outage_timeline_no_text_touches_another(outage: Outage) -> None:
    for width in WIDTHS:
        assert faults(OutageTimeline(outage, _NOWHERE), width) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("story", "moment"),
    [("failover", "kill-node"), ("failover", "start-node"), ("bgp", "kill-node"), ("bgp-silent", "cut-link"),
     ("bgp-silent", "cut-link-2"), ("bgp-silent", "back-to-l2")],
)  # fmt: skip
def test_outage_timeline_recorded_texts_stand_apart(open_lab: OpenLab, story: str, moment: str, width: int) -> None:
    assert faults(open_lab(story).observation(moment).timeline(), width) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_outage_timeline_tells_the_story_in_its_texts(open_lab: OpenLab, width: int) -> None:
    figure = open_lab("failover").observation("kill-node").timeline()
    shown = {one.words for one in texts(figure, width)}
    assert {"kill-node", "declared dead", "svc1 → worker2", "svc2 → worker3", "NotReady", "endpoint out"} <= shown
    assert {"VIP moves · 5.2 s", "dead endpoint leaves the rules · 36.2 s"} <= shown
    assert [words for words in shown if words.startswith("conntrack remembers · ")]
    assert [words for words in shown if words.startswith("dark")]
    assert [words for words in shown if words.startswith("partly")]


def test_event_marks_repeats_are_one_mark(open_lab: OpenLab) -> None:
    marks = event_marks(open_lab("failover").observation("kill-node").outage().events)
    assert [mark.text for mark in marks] == [
        "declared dead", "svc2 → worker3", "svc1 → worker2", "NotReady", "endpoint out",
    ]  # fmt: skip
    assert len(marks[-1].events) == 3


def test_event_marks_without_leader_events_name_the_mac() -> None:
    at_once = [GratuitousARPEvent(at=5 + n / 2, evidence=_EVIDENCE, service="svc1", mac="02:00") for n in range(9)]
    (mark,) = event_marks(at_once)
    assert (mark.text, mark.kind, len(mark.events)) == ("svc1 → 02:00", EventKind.GRATUITOUS_ARP, 1)


def test_outage_timeline_words_name_every_phase(open_reference: OpenReference) -> None:
    lab = open_reference("failover")
    with lab.observe(probes=["svc1"], seconds=120) as seen:
        lab.kill_node("myk8s-worker")
    words = seen.timeline().describe()
    assert "VIP dark (13 of 13 failed: leader gone 11, unreachable 2)" in words
    assert "partly dark (60 of 112 failed: endpoint gone 60)" in words
    assert "healthy with stragglers (5 of" in words
    for lane in (
        "memberlist at +1.6 s",
        "speaker at +5.7 s",
        "leader at +5.6 s",
        "gratuitous ARP at +5.7 s",
        "node at +38.2 s",
        "endpoints at +38.2 s",
        "rules at +",
    ):
        assert lane in words


def test_plotly_timeline_has_every_probe_and_no_upload_link(open_reference: OpenReference) -> None:
    lab = open_reference("failover")
    with lab.observe(probes=["svc1"], seconds=120) as seen:
        lab.kill_node("myk8s-worker")
    figure = seen.timeline().plotly()
    requests = [trace for trace in figure.data if trace.name in ("answered", "no answer")]
    assert sum(len(trace.x) for trace in requests) == len(seen.probes("svc1"))
    assert len({trace.marker.symbol for trace in requests}) == 2
    bundle = figure._repr_mimebundle_()
    plotly = bundle["application/vnd.plotly.v1+json"]
    assert isinstance(plotly, dict)
    assert (plotly["config"]["showSendToCloud"], plotly["config"]["displayModeBar"]) == (False, False)
    assert json.dumps(plotly)
