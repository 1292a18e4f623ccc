"""The election beside what the cluster did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanslib.k8s.objects import KubeObject
from kanslib.metallb import election
from kanslib.metallb.config import L2Advertisement, Pool
from kanslib.metallb.ranges import ranges
from tests.metallb.objects import MANY, READY, SERVICE, node, piece
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
    claims = lab.observation().leader_history()
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
    wrongs: list[Any] = [open_lab("election").nodes(), "myk8s-worker"]  # a type checker refuses the table
    for wrong in wrongs:
        with pytest.raises(TypeError, match="list of node names"):
            election.order(wrong, "172.18.255.200")


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)


NODES = st.sets(NAMES, min_size=1, max_size=12)


IPS = st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=20, unique=True)


# computed with the Go standard library by others, for nodes kind-worker (1), kind-worker2 (2), kind-worker3 (3)
KNOWN_LEADERS = "223112221312313313223323323312132331332323233313112"


LOCAL = {
    "metadata": {"name": "web", "namespace": "default", "uid": "1"},
    "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
}


def pool(nodes: set[str]) -> Pool:
    return Pool("pool", tuple(ranges("0.0.0.0/0")), layer2=(L2Advertisement("all", frozenset(nodes)),))


_SLICES = (piece(("somewhere", READY)),)


def elected(
    names: set[str],
    ip: str,
    service: KubeObject = SERVICE,
    slices: Sequence[KubeObject] = _SLICES,
    nodes: Sequence[KubeObject] | None = None,
    alive: frozenset[str] | None = None,
) -> election.Election:
    objects = [node(name) for name in sorted(names)] if nodes is None else nodes
    members = frozenset(names) if alive is None else alive
    return election.elect(service, [ip], pool(names), list(slices), objects, members)


def test_order_lesson_pool_published_values() -> None:
    workers = ["kind-worker", "kind-worker2", "kind-worker3"]
    found = election.leaders(workers, [f"172.18.255.{n}" for n in range(200, 251)])
    told = "".join(str(1 + workers.index(leader)) for leader in found.values())
    assert told == KNOWN_LEADERS
    assert [told.count(n) for n in "123"] == [12, 16, 23]


@MANY
@given(NODES, IPS)
def test_elect_every_speaker_same_leader(nodes: set[str], ips: list[str]) -> None:
    for ip in ips:
        announcing = [name for name in nodes if elected(nodes, ip).leader == name]
        assert announcing == [election.order(nodes, ip)[0]]
    assert election.leaders(nodes, ips) == {ip: election.order(sorted(nodes), ip)[0] for ip in ips}


@MANY
@given(NODES, IPS, st.data())
def test_elect_leave_moves_only_its_services(nodes: set[str], ips: list[str], data: st.DataObject) -> None:
    leaver = data.draw(st.sampled_from(sorted(nodes)))
    before, after = election.leaders(nodes, ips), election.leaders(nodes - {leaver}, ips)
    moved = {ip: after.get(ip) for ip in ips if before[ip] != after.get(ip)}
    assert moved.keys() == {ip for ip in ips if before[ip] == leaver}
    if len(nodes) > 1:
        assert moved == election.successors_of(leaver, nodes, ips)
        assert all(election.order(nodes, ip)[1] == heir for ip, heir in moved.items())


@MANY
@given(NODES, IPS, NAMES)
def test_elect_join_moves_only_what_it_wins(nodes: set[str], ips: list[str], newcomer: str) -> None:
    nodes.discard(newcomer)
    if not nodes:
        return
    before, after = election.leaders(nodes, ips), election.leaders({*nodes, newcomer}, ips)
    moved = [ip for ip in ips if before[ip] != after[ip]]
    assert moved == election.won_by_new_node(newcomer, nodes, ips)
    assert {after[ip] for ip in moved} <= {newcomer}


@pytest.mark.parametrize(
    ("changes", "rule", "leader"),
    [
        ({"alive": frozenset({"b"})}, "speaker", "b"),
        ({"nodes": [node("a", unavailable=True), node("b")]}, "network", "b"),
        ({"nodes": [node("a", {election.EXCLUDE: ""}), node("b")]}, "exclude label", "b"),
        ({"slices": [piece(("b", READY))], "service": LOCAL}, "local endpoint", "b"),
    ],
)
def test_eligibility_each_rule_named(changes: dict[str, Any], rule: str, leader: str) -> None:
    found = elected({"a", "b"}, "192.0.2.1", **changes)
    assert {one.node: one.rule for one in found.eligibilities}["a"] == rule
    assert found.leader == leader


def test_elect_nobody_reason() -> None:
    nothing = [piece(("a", {"ready": False, "serving": False}))]
    assert elected({"a"}, "192.0.2.1", slices=nothing).why_nobody == "no endpoint can serve"
    leaving = [piece(("a", {"ready": False, "serving": True, "terminating": True}))]
    assert elected({"a"}, "192.0.2.1", slices=leaving).leader == "a"
    assert elected({"a"}, "192.0.2.1", alive=frozenset()).why_nobody == "no node is a candidate"
    nobody = election.elect(SERVICE, ["192.0.2.1"], None, [piece(("a", READY))], [node("a")], frozenset({"a"}))
    assert nobody.why_nobody == "no pool holds its address"


def test_elect_first_address_decides_dual_stack() -> None:
    nodes, both = {"a", "b", "c"}, ["2001:db8::7", "192.0.2.1"]
    one = Pool(
        "pool",
        tuple(ranges("2001:db8::/64") + ranges("192.0.2.0/24")),
        layer2=(L2Advertisement("x", frozenset(nodes)),),
    )
    found = election.elect(
        SERVICE, both, one, [piece(("a", READY))], [node(n) for n in sorted(nodes)], frozenset(nodes)
    )
    assert found.order == tuple(election.order(nodes, "2001:db8::7"))


def test_announcing_nodes_ignore_exclude_label() -> None:
    labelled = [node("a", {election.EXCLUDE: "", "rack": "1"}), node("b")]

    def objects(*arguments: str) -> Callable[[str], list[dict[str, Any]]]:
        meta = {"name": "speaker-x", "labels": {"component": "speaker"}}
        pod = {"metadata": meta, "spec": {"containers": [{"args": list(arguments)}]}}
        return lambda kind: {"nodes": labelled, "pods": [pod]}.get(kind, [])

    assert election.announcing_nodes(objects("--port=7472")) == labelled
    found = election.announcing_nodes(objects("--port=7472", "--ignore-exclude-lb"))
    assert [one["metadata"]["labels"] for one in found] == [{"rack": "1"}, {}]
