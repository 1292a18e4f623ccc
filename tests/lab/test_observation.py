"""An Observation: bound to its own time, asked again after other actions, compared with another."""

from __future__ import annotations

import pytest

from kanslib.exceptions import NotFoundError, UnknownNameError
from tests.types import OpenLab


def test_observe_and_observation_agree(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    with lab.observe(probes=["svc1"], seconds=80) as seen:
        lab.kill_node("myk8s-worker")
    again = open_lab("failover").observation("kill-node")
    assert seen.action == again.action == lab.observation().action == "kill-node"
    assert seen.failures("svc1").equals(again.failures("svc1"))


def test_observation_stays_when_the_lab_moves(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    seen = lab.observation("kill-node")
    before = seen.phases("svc1"), seen.events(), seen.arp.announcements(), seen.leadership("svc1").table
    lab.at("delete-speaker-pod")
    later = lab.observation("kill-node")
    after = later.phases("svc1"), later.events(), later.arp.announcements(), later.leadership("svc1").table
    assert all(one.equals(other) for one, other in zip(before, after, strict=True))
    assert seen.timeline().describe() == later.timeline().describe()
    assert "after kill-node" in str(seen.provenance)


def test_two_observations_are_compared(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    killed, goodbye = lab.observation("kill-node"), lab.observation("delete-speaker-pod")
    assert len(killed.failures("svc1")) > len(goodbye.failures("svc1"))


def test_observation_opens_no_moment(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.observation("kill-node").timeline()
    assert lab.moments().query("HERE != ''").MOMENT.item() == "opening"


def test_observation_of_unknown_moment(open_lab: OpenLab) -> None:
    with pytest.raises(UnknownNameError, match="kill-node"):
        open_lab("failover").observation("kill-nod")


def test_observation_before_it_is_over(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    with lab.observe(probes=["svc1"]) as seen, pytest.raises(NotFoundError, match="below the block"):
        seen.phases()


def test_unknown_names_are_listed(open_lab: OpenLab) -> None:
    seen = open_lab("failover").observation("kill-node")
    with pytest.raises(UnknownNameError, match="memberlist"):
        seen.events("gossip")
    with pytest.raises(UnknownNameError, match="arp"):
        seen.frames("token-ring")
    with pytest.raises(UnknownNameError, match="svc1"):
        seen.attempts("svc9")


def test_attempts_of_a_service_that_was_not_probed(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    with lab.observe(probes=["svc1"], seconds=10) as seen:
        lab.kill_node("myk8s-worker")
    assert seen.attempts("svc1")
    assert seen.attempts("svc2") == ()
