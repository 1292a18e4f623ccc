"""What each speaker believed, worked out from its gossip, beside what it then did: its own announcements."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from kanslib.analysis.leadership import API, LeaderView, disagreements
from kanslib.analysis.observation import leadership_views
from kanslib.exceptions import KanslibError
from kanslib.k8s.logs import timestamp_of
from kanslib.lab.lab import Lab
from tests.types import OpenLab, OpenReference

ACTS = [
    ("failover", "kill-node"), ("failover", "start-node"), ("failover", "delete-speaker-pod"),
    ("election", "exclude-leader"), ("election", "include-leader"), ("bgp-silent", "cut-link-2"),
]  # fmt: skip
SOON = 2.0  # seconds from a belief to the line in the log


def held(lab: Lab, act: str, service: str) -> list[LeaderView]:
    lab.at(act)
    return leadership_views(lab.observation()._data, service, lab.vip(service))


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


def compared(lab: Lab, act: str, service: str) -> int:
    """Each change of a speaker's belief about itself, beside the deed that follows; returns how many there were."""
    found, checked = held(lab, act, service), 0
    zero, end = lab.observation()._data.zero, lab.observation()._data.end
    for node in lab._backend.topology().nodes:
        mine = [one for one in found if one.viewer == node]
        try:
            done = deeds(lab._backend.log("speaker", node), lab.vip(service), zero)
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


def test_speaker_views_match_announcements(open_lab: OpenLab) -> None:
    checked = sum(compared(open_lab(story), act, f"svc{n}") for story, act in ACTS for n in (1, 2, 3))
    print(f"{checked} changes of belief, each followed by its deed")
    assert checked >= 12


def test_speaker_views_match_announcements_in_reference(open_reference: OpenReference) -> None:
    acts = [("failover", "kill-node"), ("failover", "delete-speaker-pod"), ("election", "exclude-leader")]
    checked = sum(compared(open_reference(story), act, f"svc{n}") for story, act in acts for n in (1, 2, 3))
    print(f"{checked} changes of belief, each followed by its deed")
    assert checked >= 4


def test_views_agree_with_event_and_wire_in_the_end(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    for service in ("svc1", "svc2", "svc3"):
        last = {one.viewer: one.leader for one in held(lab, "kill-node", service)}
        assert set(last.values()) == {lab.leader(service)}
        assert {API, lab.client} <= set(last)


def test_speaker_views_isolated_speaker_keeps_its_own_view(open_lab: OpenLab) -> None:
    lab = open_lab("bgp-silent")
    found = held(lab, "cut-link-2", "svc3")
    last = {one.viewer: one.leader for one in found}
    assert last["myk8s-worker"] == "myk8s-worker"
    assert {leader for who, leader in last.items() if who != "myk8s-worker"} == {"myk8s-worker3"}
    split = disagreements(found)
    assert split[-1][2]["myk8s-worker"] == "myk8s-worker"


@pytest.mark.parametrize(("story", "act"), ACTS)
def test_views_of_one_viewer_do_not_overlap(open_lab: OpenLab, story: str, act: str) -> None:
    found = held(open_lab(story), act, "svc1")
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
