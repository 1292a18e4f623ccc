"""What chapter 00, the notebook for fifteen minutes (00q) and their exercises claim."""

from __future__ import annotations

from collections.abc import Sequence

import kanslib
from kanslib.analysis import Attempt, EventKind
from kanslib.analysis.phases import DARK
from kanslib.exercises.catalog import CATALOG
from kanslib.k8s.objects import endpoints_of
from kanslib.lab.lab import Lab
from kanslib.lab.observation import Observation
from tests.notebooks.claims import Claims

CLAIMS = Claims()
CURRENT = "versions of the Go module proxy in November 2026; release notes of MetalLB v0.16.2"


def _go_before_kill(lab: Lab) -> None:
    """Go to the last moment before the kill, in the story "l2" or "failover"."""
    is_whole_lesson = lab.moments().MOMENT.str.contains("include-leader").any()
    lab.at("include-leader" if is_whole_lesson else "opening")


def _kill_leader(lab: Lab, *services: str, seconds: float = 0) -> Observation:
    _go_before_kill(lab)
    with lab.observe(probes=list(services), seconds=seconds) as seen:
        lab.kill_node(lab.leader("svc1") or "")
    return seen


def _nodes_of_endpoints(lab: Lab, service: str) -> list[str]:
    return [one["nodeName"] for one in endpoints_of(lab.objects("endpointslices", "default"), service)]


def _web_pod_of_leader(lab: Lab) -> tuple[str, str]:
    """Return the name and the address of the web Pod on the node that leads svc1."""
    pods = lab.pods()
    [found] = pods[pods.NAME.str.startswith("webpod") & pods.NODE.eq(str(lab.leader("svc1")))].to_dict("records")
    return str(found["NAME"]), str(found["IP"])


def _failed_share(attempts: Sequence[Attempt]) -> float:
    return sum(not one.is_ok for one in attempts) / len(attempts)


@CLAIMS.claim("00-05", "one control plane and three workers", story="l2")
def four_nodes(lab: Lab) -> None:
    roles = ["node-role.kubernetes.io/control-plane" in one["metadata"]["labels"] for one in lab.objects("nodes")]
    assert sorted(roles) == [False, False, False, True]


@CLAIMS.claim("00-11", "created three Services of type `LoadBalancer`", story="l2")
def three_services(lab: Lab) -> None:
    lab.at("apply-services")
    types = [one["spec"]["type"] for one in lab.objects("services", "default")]
    assert types.count("LoadBalancer") == 3
    assert lab.moments().DONE.str.startswith("apply service/svc1 service/svc2 service/svc3").any()


@CLAIMS.claim("00q-11", "No program on the leader listens at this address", story="arp", on=("recorded",))
def vip_on_no_interface(lab: Lab) -> None:
    addresses = lab.run(lab.leader("svc1") or "", "ip -j addr")
    assert lab.address(lab.leader("svc1") or "") in addresses
    assert lab.vip("svc1") not in addresses


@CLAIMS.claim("00-15", "The same node runs an endpoint of svc1", story="l2")
@CLAIMS.claim("00q-14", "also runs an endpoint of svc1", "svc3 has another leader", story="failover")
def leader_has_endpoint(lab: Lab) -> None:
    _go_before_kill(lab)
    assert _nodes_of_endpoints(lab, "svc1").count(lab.leader("svc1") or "") == 1
    assert lab.leader("svc3") != lab.leader("svc1")


@CLAIMS.claim("00q-14", "the Pod on this node has another address", story="failover", on=("recorded",))
def pod_has_another_address(lab: Lab) -> None:
    before = kanslib.open_lab(backend="recorded")
    before.at("apply-services-2")
    _go_before_kill(lab)
    (earlier, then), (later, now) = (_web_pod_of_leader(one) for one in (before, lab))
    assert earlier == later
    assert then != now


@CLAIMS.claim("00-17", "several times a second", story="l2")
@CLAIMS.claim("00q-16", "several times a second", story="failover")
def requests_are_dense(lab: Lab) -> None:
    seen = _kill_leader(lab, "svc1", seconds=80)
    calm = [one.at for one in seen.attempts("svc1") if one.at > 50]
    assert len(calm) / (calm[-1] - calm[0]) > 3


@CLAIMS.claim("00-31", "those of the first half minute", story="l2")
@CLAIMS.claim("00-33", "the share of all is much smaller", story="l2")
def share_falls(lab: Lab) -> None:
    attempts = [one for one in _kill_leader(lab, "svc1", seconds=80).attempts("svc1") if one.at >= 0]
    assert _failed_share(attempts) < _failed_share([one for one in attempts if one.at < 30]) / 2


@CLAIMS.claim("00-25", "find the leader of svc1", "Only one worker was left that may lead.", story="l2")
def third_leader(lab: Lab) -> None:
    _kill_leader(lab, "svc1")
    second = lab.leader("svc1")
    lab.label(second or "", "node.kubernetes.io/exclude-from-external-load-balancers=true")
    assert lab.leader("svc1") not in (None, second)
    assert list(lab.election("svc1").candidates) == [lab.leader("svc1")]


@CLAIMS.claim("00-34", "repeat its steps with its versions", story="l2")
def versions_of_the_lesson(lab: Lab) -> None:
    assert {one["status"]["nodeInfo"]["kubeletVersion"] for one in lab.objects("nodes")} == {"v1.31.0"}


@CLAIMS.claim("00q-08", "the node whose speaker answers for a VIP", story="l2")
@CLAIMS.claim("who-answers-for-a-vip", "a single MAC address for each IP address", story="l2")
def one_node_answers(lab: Lab) -> None:
    lab.at("apply-services-2")
    scan = lab.arp_scan()
    assert scan[lab.vip("svc1") == scan.ADDRESS].HOLDER.tolist() == [lab.leader("svc1")]


@CLAIMS.claim("00q-10", "only one of them runs on this node", story="l2")
def pods_elsewhere(lab: Lab) -> None:
    lab.at("apply-services-2")
    assert len(set(_nodes_of_endpoints(lab, "svc1")) - {lab.leader("svc1")}) == 1


@CLAIMS.claim("00q-20", "no request to svc1 gets an answer", story="failover", on=("recorded",))
def first_clock(lab: Lab) -> None:
    outage = _kill_leader(lab, "svc1", seconds=80).outage()
    (dark,) = [phase for phase in outage.phases["svc1"] if phase.name == DARK]
    ended_by = outage.ended_by("svc1", dark)
    assert ended_by
    assert ended_by.kind in (EventKind.GRATUITOUS_ARP, EventKind.LEADER)
    assert not any(one.is_ok for one in outage.attempts["svc1"] if dark.start <= one.at < dark.end)


@CLAIMS.claim("00q-20", "They still send a part of the connections to the dead Pod", "on every node", story="failover")
def rules_keep_the_dead(lab: Lab) -> None:
    _go_before_kill(lab)
    dead = lab.leader("svc1") or ""
    pod = next(one["status"]["podIP"] for one in lab.objects("pods", "default") if one["spec"]["nodeName"] == dead)
    lab.at("kill-node", after=15)
    assert lab.leader("svc1") != dead
    for node in {one["metadata"]["name"] for one in lab.objects("nodes")} - {dead}:
        for service in ("svc1", "svc3"):
            assert pod in {way.packet.dst for way in lab.trace(service, node=node)}


@CLAIMS.claim("00q-20", "That takes longer than the gossip", "the first clock does not concern svc3", story="failover")
def second_clock_is_longer(lab: Lab) -> None:
    outage = _kill_leader(lab, "svc1", "svc3", seconds=80).outage()
    first = {kind: min(one.at for one in outage.events if one.kind is kind and one.at > 0)
             for kind in (EventKind.MEMBERLIST, EventKind.NODE, EventKind.ENDPOINTS)}  # fmt: skip
    assert first[EventKind.MEMBERLIST] < 10 < first[EventKind.NODE] <= first[EventKind.ENDPOINTS]
    assert DARK not in {phase.name for phase in outage.phases["svc3"]}


@CLAIMS.claim("00q-20", "Its leader never died", story="failover")
def leader_of_svc3_stays(lab: Lab) -> None:
    _go_before_kill(lab)
    before = lab.leader("svc3")
    lab.at("kill-node")
    assert lab.leader("svc3") == before != lab.leader("svc1")


@CLAIMS.claim("00q-24", "The VIP of svc1 is the same, and another MAC address answers", story="l2")
def other_mac(lab: Lab) -> None:
    found = []
    for moment in ("apply-services-2", "kill-node"):
        lab.at(moment)
        scan = lab.arp_scan()
        found.append((lab.vip("svc1"), scan[lab.vip("svc1") == scan.ADDRESS].MAC.tolist()))
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]


@CLAIMS.claim("00q-25", "the VIP moves to another leader, the Pods stay", story="failover")
def pods_stay(lab: Lab) -> None:
    placed = []
    for go in (_go_before_kill, lambda lab: lab.at("kill-node")):
        go(lab)
        placed.append({one["metadata"]["name"]: one["spec"]["nodeName"] for one in lab.objects("pods", "default")})
    assert placed[0] == placed[1]


@CLAIMS.claim("share-of-failed-requests", "the first half minute", story="l2")
def half_fails(lab: Lab) -> None:
    _kill_leader(lab, "svc1")
    assert CATALOG["share-of-failed-requests"].expected_answer(lab).value == "half"


@CLAIMS.claim("share-with-more-endpoints", "twice as many endpoints, and only one of them", story="l2")
def more_endpoints(lab: Lab) -> None:
    lab.at("kill-node")
    expected = CATALOG["share-with-more-endpoints"].expected_answer(lab)
    assert len(_nodes_of_endpoints(lab, "svc1")) * 2 == round(100 / expected.number)


CLAIMS.fact(
    "00-34", "“MetalLB 알아보기” (“Getting to know MetalLB”, October 2024)", source="the lesson's title and date"
)
CLAIMS.fact("00-34", "Today (2026)", "v1.37.2", "v0.16.2", "v0.33.0", source=CURRENT)
CLAIMS.fact(
    "00-34", "its series has ended", source="MetalLB release notes: v0.14.9 of December 2024 is the last of 0.14"
)
CLAIMS.fact(
    "00-34",
    "it logs that v1.40 will switch to nftables",
    source="Kubernetes v1.37.2 cmd/kube-proxy/app/server_linux.go",
)
CLAIMS.fact("00-34", "50 s, since v1.32", source="Kubernetes pkg/controller/nodelifecycle/config/v1alpha1/defaults.go")
CLAIMS.fact(
    "00-34",
    "the weights of `preferredNodeSelectors`",
    source="MetalLB v0.16.2 speaker/layer2_controller.go, sortL2Candidates",
)
CLAIMS.fact("00-34", "FRR-K8s", source="MetalLB release notes, 0.16.0")
CLAIMS.fact("00-34", "MetalLB still reads the old ones", source="MetalLB v0.16.2 speaker/layer2_controller.go")
CLAIMS.fact("00q-20", "every second", source="hashicorp/memberlist DefaultLANConfig: ProbeInterval 1 s")
