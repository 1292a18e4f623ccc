"""The opening of a lab from a manifest: its objects are there, and nothing goes back before them."""

from __future__ import annotations

import pytest

import kanslib
from kanslib.exceptions import NotSimulatedError
from tests.simulator.test_kind_configuration import HEAD, POOL, THREE


def test_simulate_opens_when_its_objects_have_settled() -> None:
    lab = kanslib.simulate(f"{HEAD}{THREE}---\n{POOL}")
    assert lab.moments().MOMENT.tolist() == ["opening"]
    assert lab.vip("till") == "172.18.255.10"


def test_restore_keeps_the_objects_of_the_manifest() -> None:
    lab = kanslib.simulate(f"{HEAD}{THREE}---\n{POOL}")
    leader, uid = lab.leader("till"), lab.object("service", "till")["metadata"]["uid"]
    lab.kill_node(leader or "")
    lab.delete_object("svc/till")
    lab.restore()
    assert (lab.leader("till"), lab.object("service", "till")["metadata"]["uid"]) == (leader, uid)
    assert lab.moments().MOMENT.tolist() == ["opening"]
    assert lab.curl("till").HOSTNAME.tolist() == ["p1"]


def test_at_opening_keeps_the_objects_of_the_manifest() -> None:
    lab = kanslib.simulate(f"{HEAD}{THREE}---\n{POOL}")
    lab.link_down("myk8s-worker")
    lab.at("opening")
    assert lab.vip("till") == "172.18.255.10"
    assert lab.nodes().STATUS.tolist() == ["Ready"] * 3
    lab.at("opening", after=60)
    assert lab.vip("till") == "172.18.255.10"


def test_at_time_refuses_what_is_before_the_opening() -> None:
    lab = kanslib.simulate(f"{HEAD}{THREE}---\n{POOL}")
    with pytest.raises(NotSimulatedError, match="the simulation begins at"):
        lab.at_time(0)
