"""Two recordings compared by meaning: the one that ships, made by our recorder, and the reference, made by a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from kanslib.backends.recorded import RecordedBackend
from kanslib.comparison.recordings import compare, meaning, same_meaning
from kanslib.recording import Recording

STORIES = ("metallb", "arp", "iptables", "etp-local", "election", "failover", "case-1", "case-4", "case-8")


def test_compare_recording_with_itself_no_difference(recording: Recording) -> None:
    assert not [found for found in compare(recording, recording) if found.story in ("failover", "bgp")]


@pytest.mark.parametrize("story", STORIES)
def test_meaning_opening_shipped_equals_reference(recording: Recording, reference: Path, story: str) -> None:
    ours, theirs = (meaning(RecordedBackend(one, story), "opening") for one in (recording, Recording.open(reference)))
    facts = {what for what in theirs if what.startswith(("leader", "address"))}
    assert {what: ours.get(what) for what in facts} == {what: theirs[what] for what in facts}


def test_meaning_rules_shipped_equal_reference(recording: Recording, reference: Path) -> None:
    ours, theirs = (
        meaning(RecordedBackend(one, "iptables"), "opening") for one in (recording, Recording.open(reference))
    )
    rules = {what for what in theirs if what.startswith("rules")}
    assert len(rules) == 3
    assert {what: ours[what] for what in rules} == {what: theirs[what] for what in rules}


def test_meaning_outages_shipped_like_reference(recording: Recording, reference: Path) -> None:
    ours, theirs = (
        meaning(RecordedBackend(one, "failover"), "kill-node") for one in (recording, Recording.open(reference))
    )
    for service in ("svc1", "svc2", "svc3"):
        what = f"outage of {service}"
        assert same_meaning(what, ours[what], theirs[what]), (ours[what], theirs[what])
    assert ours["outage of svc1"].startswith("VIP dark until")
    assert ours["outage of svc3"].startswith("partly dark until")


def test_compare_other_leader_is_difference(recording: Recording) -> None:
    world = RecordedBackend(recording, "failover")
    before, after = meaning(world, "opening"), meaning(world, "kill-node")
    assert before["leader of svc1"] != after["leader of svc1"]
    assert before["leader of svc3"] == after["leader of svc3"]
    assert before["rules of svc1"] != after["rules of svc1"]


def test_same_meaning_outages_by_phases_and_length() -> None:
    short, long = "VIP dark until +5.4 s, partly dark until +36.7 s", "VIP dark until +6.2 s, partly dark until +44.2 s"
    assert same_meaning("outage of svc1", short, long)
    assert not same_meaning("outage of svc1", short, "VIP dark until +36.7 s")
    assert not same_meaning("outage of svc1", short, "VIP dark until +5.4 s, partly dark until +96.7 s")
    assert not same_meaning("outage of svc1", short, "none")
