"""A journal, as a live world keeps it, becomes a recording: what was written down is what is told."""

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
    """The objects of a real cluster, and on them two stories of which the first is opened again."""
    lab, kept = open_lab("arp"), Journal(tmp_path / "course")
    for kind in ("nodes", "pods", "services", "events"):
        for obj in lab.objects(kind):
            kept.event(kind, WatchEvent(100.0, "ADDED", obj))
    kept.story(101.0, "arp", "Who answers?", lesson=True)
    kept.output(lab.control_plane, "ip -j addr", (102.0, 102.1), 0, b"[]")
    kept.action("a", "apply-pool", (110.0, 110.5), "apply", ["ipaddresspool/p"], "kubectl apply -f -", POOL)
    kept.settled("a", 112.25)
    kept.action("b", "apply-pool", (120.0, 120.5), "apply", ["ipaddresspool/p"], "kubectl apply -f -", POOL)
    kept.action("b", "apply-pool", (121.0, 121.5), "label", ["myk8s-worker", "a=b"], "kubectl label")
    kept.story(125.0)
    kept.story(126.0, "arp", "Who answers?", lesson=True)
    kept.story(130.0)
    kept.action("c", "prepare", (131.0, 132.0), "start_router", ["router"], "docker run")
    kept.story(140.0, "case-1", "Case 1", hide_actions=True)
    kept.action("d", "fix", (141.0, 141.5), "stop_router", ["router"], "docker rm")
    kept.story(145.0)
    kept.output("router", "true", (146.0, 146.1), 0, b"over")
    said = {"client": lab.client, "control_plane": lab.control_plane, "router": "router"}
    addresses = {place: lab.address(place) for place in (lab.client, *lab.nodes().NAME)} | {"router": "172.18.0.200"}
    (kept.path / "places.json").write_text(json.dumps({**said, "network": lab.network(), "addresses": addresses}))
    return kept


@pytest.fixture
def told(journal: Journal, tmp_path: Path) -> Recording:
    return convert([journal.path], tmp_path / "out.zip")


def test_journal_result_verifies(told: Recording) -> None:
    assert verify(told).reads == 2


def test_journal_group_is_one_action(told: Recording) -> None:
    acts = {act.id: len(act.steps) for act in told.manifest.actions}
    assert acts == {"apply-pool": 1, "apply-pool-2": 2, "prepare": 1, "fix": 1}


def test_journal_settled_moment(told: Recording) -> None:
    assert next(act for act in told.manifest.actions if act.id == "apply-pool").settled == 112.25


def test_journal_story_until_next(told: Recording) -> None:
    stories = {story.name: (story.start, story.end, story.hide_actions) for story in told.manifest.stories}
    assert stories == {"arp": (101.0, 130.0, False), "case-1": (140.0, 145.0, True)}


def test_journal_router_span(told: Recording) -> None:
    world = RecordedBackend(told, "case-1")
    assert world.topology().router == "router"
    world.at("fix", None)
    assert world.topology().router is None


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
