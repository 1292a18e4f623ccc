"""Readiness checks of the live backend, on the objects of a recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kanslib.cluster import readiness
from kanslib.k8s.objects import external_address
from kanslib.lab.lab import Lab
from tests.types import OpenLab


class RecordedWatches:
    """The objects of a recording's moment, in place of live watches."""

    def __init__(self, lab: Lab) -> None:
        self.objects: Callable[[str], list[dict[str, Any]]] = lab.objects


@pytest.mark.parametrize("story", ["arp", "etp-local", "bgp"])
def test_rules_programmed_equal_services_and_endpoints(open_lab: OpenLab, story: str) -> None:
    lab = open_lab(story)
    watches: Any = RecordedWatches(lab)
    wanted = {
        (external_address(service), *readiness.service_endpoints(watches, service))
        for service in readiness.load_balancers(watches)
    }
    assert len(wanted) == 3
    for node in lab.nodes().NAME:
        assert readiness.programmed_endpoints(lab.run(node, "iptables -t nat -S")) == wanted


def test_rules_programmed_before_and_after_action_differ(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    before = readiness.programmed_endpoints(lab.run("myk8s-worker3", "iptables -t nat -S"))
    lab.at("kill-node")
    after = readiness.programmed_endpoints(lab.run("myk8s-worker3", "iptables -t nat -S"))
    assert {len(row) for row in before} == {3}
    assert {len(row) for row in after} == {2}


def test_leaders_awaited_equal_lab_leaders(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    watches: Any = RecordedWatches(lab)
    assert readiness.leaders(watches) == {name: lab.leader(name) for name in ("svc1", "svc2", "svc3")}
