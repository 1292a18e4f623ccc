"""The election beside what the cluster did."""

from __future__ import annotations

import pandas as pd
import pytest

from kanslib.metallb import election
from tests.types import OpenLab

WORKERS = ["myk8s-worker", "myk8s-worker2", "myk8s-worker3"]


@pytest.mark.parametrize(
    ("moment", "usable"),
    [
        ("apply-services", WORKERS),
        ("apply-services-2", WORKERS),
        ("kill-node", WORKERS[1:]),
        ("start-node", WORKERS),
        ("exclude-leader", WORKERS[1:]),
        ("include-leader", WORKERS),
        ("apply-etp-local", WORKERS[:2]),
    ],
)
def test_order_first_is_recorded_leader(open_lab: OpenLab, moment: str, usable: list[str]) -> None:
    lab = open_lab("l2")
    lab.at(moment)
    for service in ("svc1", "svc2", "svc3"):
        assert lab.leader(service) == election.order(usable, lab.vip(service))[0]


def test_order_independent_of_input_order() -> None:
    assert election.order(WORKERS[::-1], "172.18.255.201") == election.order(iter(WORKERS), "172.18.255.201")


def test_order_equals_every_leader_event_of_lesson(open_lab: OpenLab) -> None:
    lab = open_lab("l2")
    lab.at("delete-speaker-pod")
    claims = lab.claims()
    rows = zip(claims.CANDIDATES, claims.ADDRESS, claims.LEADER, strict=True)
    wrong = claims[[election.order(able, ip)[0] != leader for able, ip, leader in rows]]
    assert len(claims) > 60
    assert set(wrong.LEADER) == {"myk8s-worker"}
    assert wrong.AT.max() - wrong.AT.min() < 1


@pytest.mark.parametrize(
    ("moment", "after", "node", "rule"),
    [
        ("opening", None, "myk8s-control-plane", "exclude label"),
        ("exclude-leader", None, "myk8s-worker", "exclude label"),
        ("kill-node", 15, "myk8s-worker", "speaker"),
        ("apply-etp-local", None, "myk8s-worker3", "local endpoint"),
    ],
)
def test_explain_says_why_node_is_out(
    open_lab: OpenLab, moment: str, after: float | None, node: str, rule: str
) -> None:
    lab = open_lab("l2")
    lab.at("apply-services")
    if moment != "opening":
        lab.at(moment, after)
    found = lab.election("svc1")
    assert {one.node: one.rule for one in found.eligibilities}[node] == rule
    assert found.leader == lab.leader("svc1")
    assert found.without(str(found.leader)) == (found.successors or (None,))[0]


def test_distribution_of_lesson_pool(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    leaders = pd.Series([election.order(WORKERS, ip)[0] for ip in lab.pool()]).value_counts()
    assert (len(lab.pool()), leaders.sum()) == (51, 51)
    assert sorted(leaders) == [14, 18, 19]


def test_order_table_or_single_name_refused(open_lab: OpenLab) -> None:
    for wrong in (open_lab("election").nodes(), "myk8s-worker"):
        with pytest.raises(TypeError, match="list of node names"):
            election.order(wrong, "172.18.255.200")
