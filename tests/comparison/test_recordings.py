"""Two recordings compared by meaning: the one that ships, made by our recorder, and the reference, made by a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from kanslib.analysis.phases import DARK, PARTLY, Phase
from kanslib.backends.recorded import RecordedBackend
from kanslib.comparison.facts import Fact, Topic
from kanslib.comparison.recordings import compare, meaning, outages_agree
from kanslib.recording import Recording

STORIES = ("metallb", "arp", "iptables", "etp-local", "election", "failover", "case-1", "case-4", "case-8")


@pytest.mark.slow
def test_compare_recording_with_itself_no_difference(recording: Recording) -> None:
    assert not [found for found in compare(recording, recording) if found.story in ("failover", "bgp")]


@pytest.mark.parametrize("story", STORIES)
def test_meaning_opening_shipped_equals_reference(recording: Recording, reference: Path, story: str) -> None:
    ours, theirs = (
        meaning(RecordedBackend(one, story), "opening").facts for one in (recording, Recording.open(reference))
    )
    facts = {fact for fact in theirs if fact.topic in (Topic.LEADER, Topic.ADDRESS)}
    assert {fact: ours.get(fact) for fact in facts} == {fact: theirs[fact] for fact in facts}


def test_meaning_rules_shipped_equal_reference(recording: Recording, reference: Path) -> None:
    ours, theirs = (
        meaning(RecordedBackend(one, "iptables"), "opening").facts for one in (recording, Recording.open(reference))
    )
    rules = {fact for fact in theirs if fact.topic is Topic.SERVICE_RULES}
    assert len(rules) == 3
    assert {fact: ours[fact] for fact in rules} == {fact: theirs[fact] for fact in rules}


def test_meaning_outages_shipped_like_reference(recording: Recording, reference: Path) -> None:
    ours, theirs = (
        meaning(RecordedBackend(one, "failover"), "kill-node").outages for one in (recording, Recording.open(reference))
    )
    for service in ("svc1", "svc2", "svc3"):
        assert outages_agree(ours[service], theirs[service]), (ours[service], theirs[service])
    assert ours["svc1"][0].name == DARK
    assert ours["svc3"][0].name == PARTLY


def test_compare_other_leader_is_difference(recording: Recording) -> None:
    world = RecordedBackend(recording, "failover")
    before, after = meaning(world, "opening").facts, meaning(world, "kill-node").facts
    leaders = [Fact(Topic.LEADER, service) for service in ("svc1", "svc3")]
    assert before[leaders[0]] != after[leaders[0]]
    assert before[leaders[1]] == after[leaders[1]]
    rules = Fact(Topic.SERVICE_RULES, "svc1")
    assert before[rules] != after[rules]


def test_outages_agree_by_phases_and_length() -> None:
    short = outage((DARK, 5.4), (PARTLY, 36.7))
    assert outages_agree(short, outage((DARK, 6.2), (PARTLY, 44.2)))
    assert not outages_agree(short, outage((DARK, 36.7)))
    assert not outages_agree(short, outage((DARK, 5.4), (PARTLY, 96.7)))
    assert not outages_agree(short, ())


def outage(*phases: tuple[str, float]) -> tuple[Phase, ...]:
    """Phases by name and end."""
    return tuple(Phase(name, 0.0, end, 10, 5) for name, end in phases)
