"""What each speaker believed, derived from its gossip, beside what it then did: its own announcements."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from kanslib.analysis.leadership import API, LeaderView, disagreements
from kanslib.analysis.observation_data import leadership_views
from kanslib.backends.recorded import RecordedBackend
from kanslib.exceptions import KanslibError
from kanslib.k8s.logs import timestamp_of
from kanslib.lab.lab import Lab
from kanslib.recording import Recording
from tests.types import OpenLab

ACTS = [
    ("failover", "kill-node"), ("failover", "start-node"), ("failover", "delete-speaker-pod"),
    ("election", "exclude-leader"), ("election", "include-leader"), ("bgp-silent", "cut-link-2"),
]  # fmt: skip
SOON = 2.0  # seconds from a belief to the line in the log


def opened(recording: Recording, story: str, act: str) -> tuple[RecordedBackend, Lab]:
    """A backend that stands at an action, and a lab on it."""
    backend = RecordedBackend(recording, story)
    backend.at(act, None)
    return backend, Lab(backend, story)


def held(backend: RecordedBackend, lab: Lab, service: str) -> list[LeaderView]:
    return leadership_views(backend.observation(), service, lab.vip(service))


def deeds(log: str, vip: str, zero: float) -> list[tuple[float, str]]:
    """When a speaker said that it announces a VIP on layer 2, and that it stops."""
    out = []
    for line in log.splitlines():
        moment = timestamp_of(line)
        if moment is None or '"event":"service' not in line:
            continue
        entry = json.loads(line[line.index("{") :])
        if vip in (entry.get("ips") or entry.get("ip") or []) and entry.get("protocol") == "layer2":
            out.append((moment - zero, entry["event"]))
    return out


def compared(recording: Recording, story: str, act: str, service: str) -> int:
    """Compare each change of a speaker's view of itself with its announcement after that; return how many."""
    backend, lab = opened(recording, story, act)
    found, checked = held(backend, lab, service), 0
    zero, end = backend.observation().zero, backend.observation().end
    for node in backend.topology().nodes:
        mine = [one for one in found if one.viewer == node]
        try:
            done = deeds(backend.log("speaker", node), lab.vip(service), zero)
        except KanslibError:
            assert not mine
            continue
        for before, now in pairwise(mine):
            is_brief = now.end - now.start < 0.5  # gone before the next sync
            if (before.leader == node) == (now.leader == node) or is_brief or now.start > end - zero - SOON:
                continue
            wanted = "serviceAnnounced" if now.leader == node else "serviceWithdrawn"
            near = [t for t, event in done if event == wanted and -0.5 <= t - now.start <= SOON]
            assert near, f"{act} {service} {node}: {before} then {now}; it did {done}"
            checked += 1
    return checked


@pytest.mark.slow
def test_speaker_views_match_announcements(recording: Recording) -> None:
    checked = sum(compared(recording, story, act, f"svc{n}") for story, act in ACTS for n in (1, 2, 3))
    print(f"{checked} changes of belief, each followed by its deed")
    assert checked >= 12


def test_speaker_views_match_announcements_in_reference(reference_recording: Recording) -> None:
    acts = [("failover", "kill-node"), ("failover", "delete-speaker-pod"), ("election", "exclude-leader")]
    checked = sum(compared(reference_recording, story, act, f"svc{n}") for story, act in acts for n in (1, 2, 3))
    print(f"{checked} changes of belief, each followed by its deed")
    assert checked >= 4


def test_views_agree_with_event_and_wire_in_the_end(recording: Recording) -> None:
    backend, lab = opened(recording, "failover", "kill-node")
    for service in ("svc1", "svc2", "svc3"):
        last = {one.viewer: one.leader for one in held(backend, lab, service)}
        assert set(last.values()) == {lab.leader(service)}
        assert {API, lab.client} <= set(last)


def test_speaker_views_isolated_speaker_keeps_its_own_view(recording: Recording) -> None:
    found = held(*opened(recording, "bgp-silent", "cut-link-2"), "svc3")
    last = {one.viewer: one.leader for one in found}
    assert last["myk8s-worker"] == "myk8s-worker"
    assert {leader for who, leader in last.items() if who != "myk8s-worker"} == {"myk8s-worker3"}
    split = disagreements(found)
    assert split[-1][2]["myk8s-worker"] == "myk8s-worker"


@pytest.mark.parametrize(("story", "act"), ACTS)
def test_views_of_one_viewer_do_not_overlap(recording: Recording, story: str, act: str) -> None:
    found = held(*opened(recording, story, act), "svc1")
    changes = 0
    for who in {one.viewer for one in found}:
        for before, after in pairwise([one for one in found if one.viewer == who]):
            assert before.end <= after.start
            changes += 1
    assert changes


def test_leadership_timeline_words_equal_figure(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node")
    words = lab.observation().leadership("svc1").describe()
    assert f"{lab.client}: myk8s-worker, then {lab.leader('svc1')} from +5.3 s." in words
    assert "Not all agreed for" in words
