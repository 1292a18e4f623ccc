"""Convert a journal of a live lab to a recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kanslib.backends.recorded import RecordedBackend
from kanslib.k8s.objects import WatchEvent
from kanslib.packets.capture import Frame
from kanslib.packets.pcap import filter_pcap
from kanslib.recording import Recording
from kanslib.recording.raw.convert import convert
from kanslib.recording.raw.journal import Journal
from kanslib.recording.verify import verify
from tests.types import OpenLab

POOL = (
    "kind: IPAddressPool\nmetadata: {name: p, namespace: metallb-system}\nspec: {addresses: [172.18.0.1-172.18.0.2]}\n"
)


@pytest.fixture
def journal(tmp_path: Path, open_lab: OpenLab) -> Journal:
    """A journal with the objects of a real cluster and two stories, of which the first is opened twice."""
    lab, journal = open_lab("arp"), Journal(tmp_path / "course")
    for kind in ("nodes", "pods", "services", "events"):
        for obj in lab.objects(kind):
            journal.event(kind, WatchEvent(100.0, "ADDED", obj))
    journal.story(101.0, "arp", "Who answers?", lesson=True)
    journal.output(lab.control_plane, "ip -j addr", (102.0, 102.1), 0, b"[]")
    journal.action("a", "apply-pool", (110.0, 110.5), "apply", ["ipaddresspool/p"], "kubectl apply -f -", POOL)
    journal.settled("a", 112.25)
    journal.action("b", "apply-pool", (120.0, 120.5), "apply", ["ipaddresspool/p"], "kubectl apply -f -", POOL)
    journal.action("b", "apply-pool", (121.0, 121.5), "label", ["myk8s-worker", "a=b"], "kubectl label")
    journal.story(125.0)
    journal.story(126.0, "arp", "Who answers?", lesson=True)
    journal.story(130.0)
    journal.action("c", "prepare", (131.0, 132.0), "start_router", ["router"], "docker run")
    journal.story(140.0, "case-1", "Case 1", hide_actions=True)
    journal.action("d", "fix", (141.0, 141.5), "stop_router", ["router"], "docker rm")
    journal.story(145.0)
    journal.output("router", "true", (146.0, 146.1), 0, b"over")
    places = {"client": lab.client, "control_plane": lab.control_plane, "router": "router"}
    addresses = {place: lab.address(place) for place in (lab.client, *lab.nodes().NAME)} | {"router": "172.18.0.200"}
    (journal.path / "places.json").write_text(json.dumps({**places, "network": lab.network(), "addresses": addresses}))
    return journal


@pytest.fixture
def converted(journal: Journal, tmp_path: Path) -> Recording:
    return convert([journal.path], tmp_path / "out.zip")


def test_journal_result_verifies(converted: Recording) -> None:
    assert verify(converted).reads == 2


def test_journal_group_is_one_action(converted: Recording) -> None:
    step_counts = {action.id: len(action.steps) for action in converted.manifest.actions}
    assert step_counts == {"apply-pool": 1, "apply-pool-2": 2, "prepare": 1, "fix": 1}


def test_journal_settled_moment(converted: Recording) -> None:
    assert next(action for action in converted.manifest.actions if action.id == "apply-pool").settled == 112.25


def test_journal_story_until_next(converted: Recording) -> None:
    stories = {story.name: (story.start, story.end, story.hide_actions) for story in converted.manifest.stories}
    assert stories == {"arp": (101.0, 130.0, False), "case-1": (140.0, 145.0, True)}


def test_journal_router_span(converted: Recording) -> None:
    backend = RecordedBackend(converted, "case-1")
    assert backend.topology().router == "router"
    backend.at("fix", None)
    assert backend.topology().router is None


def test_filter_pcap_keeps_kept_frames_unchanged(recording: Recording) -> None:
    name = next(name for name in recording.manifest.files if name.endswith(".pcap"))
    content = recording.read(name)
    thin = filter_pcap(content, lambda time, raw: Frame(time, raw).arp is not None)
    assert filter_pcap(content, lambda _time, _raw: True) == content
    assert filter_pcap(content[:-3], lambda _time, _raw: True) == content[: len(content) - len(_last(content))]
    assert 0 < len(thin) <= len(content)


def _last(content: bytes) -> bytes:
    at = 24
    while True:
        end = at + 16 + int.from_bytes(content[at + 8 : at + 12], "little")
        if end == len(content):
            return content[at:]
        at = end
