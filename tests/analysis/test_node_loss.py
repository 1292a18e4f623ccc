"""The scenario that a cluster is in when it loses a node, by its objects."""

from __future__ import annotations

import pytest

from kanslib.analysis.node_loss import scenario_of
from kanslib.metallb.expected_outage import Scenario
from tests.types import OpenLab


@pytest.mark.parametrize(
    ("story", "moment", "scenario"),
    [
        ("failover", "opening", Scenario("layer 2", "Cluster", "killed", endpoints=2, lost=1, members=4, next_hops=1)),
        ("bgp", "route-client", Scenario("BGP", "Cluster", "killed", members=4, next_hops=3, hold=9.0)),
        ("bgp", "bgp-etp-local", Scenario("BGP", "Local", "killed", members=4, next_hops=2, hold=9.0)),
    ],
)
def test_scenario_of_objects(open_lab: OpenLab, story: str, moment: str, scenario: Scenario) -> None:
    lab = open_lab(story)
    lab.at(moment)
    assert scenario_of(lab.objects, "svc1", "myk8s-worker", "killed") == scenario


def test_scenario_none_where_the_node_takes_no_packets(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    assert scenario_of(lab.objects, "svc3", "myk8s-worker", "killed") is None
    lab = open_lab("bgp")
    lab.at("bgp-etp-local")
    assert scenario_of(lab.objects, "svc1", "myk8s-worker3", "silent") is None
