"""The words for rules of kube-proxy's table, as an outcome lists them."""

from __future__ import annotations

import pytest

from kanslib import nftables
from kanslib.iptables import Packet, Routing
from kanslib.k8s import kubeproxy_nftables
from kanslib.k8s.kubeproxy import Config
from kanslib.k8s.objects import KubeObject

CLIENT, VIP, NODE = "172.18.0.100", "172.18.255.200", "172.18.0.2"
ROUTING = Routing.read(
    '[{"ifname":"eth0","addr_info":[{"local":"172.18.0.2","prefixlen":16,"scope":"global"}]}]',
    '[{"dst":"172.18.0.0/16","dev":"eth0"},{"dst":"10.244.1.0/24","dev":"veth1"},'
    '{"dst":"10.244.2.0/24","dev":"eth0"},{"dst":"default","gateway":"172.18.0.1","dev":"eth0"}]',
)
HERE, THERE = ("10.244.1.2", "worker"), ("10.244.2.2", "worker2")


def service(**spec: object) -> KubeObject:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30080}]
    whole = {"type": "LoadBalancer", "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ports": ports, **spec}
    status = {"loadBalancer": {"ingress": [{"ip": VIP, "ipMode": "VIP"}]}}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": whole, "status": status}


def endpointslice(*endpoints: tuple[str, str]) -> KubeObject:
    ready = {"ready": True, "serving": True, "terminating": False}
    return {
        "metadata": {"name": "web-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": [at], "nodeName": node, "conditions": ready} for at, node in endpoints],
    }  # fmt: skip


def words(packet: Packet, svc: KubeObject, *endpoints: tuple[str, str]) -> list[str]:
    config = Config("10.244.0.0/16", {"worker": NODE, "worker2": "172.18.0.3"}, service_cidr="10.96.0.0/16")
    table = kubeproxy_nftables.write([svc], [endpointslice(*endpoints)] if endpoints else [], "worker", config)
    outcomes = nftables.parse(str(table)).trace(packet, ROUTING)
    return [step.describe() for step in outcomes[0].steps]


def coming(to: str = VIP, dport: int = 80, source: str = CLIENT, dev: str = "eth0") -> Packet:
    return Packet(source, to, dport=dport, in_interface=dev)


ASKED = ["a new connection: does its Service let in only some sources?", "a new connection: is it for a Service?"]
CHECKED = [
    "a new connection: has its Service no endpoints?", "a new connection: does it still ask for a ClusterIP?",
    "does its mark ask for a new source?",
]  # fmt: skip
MASQUERADED = "came from outside: the mark becomes 0x4000, to be masqueraded when it leaves"
UNMARKED = "its mark asks for it: the mark becomes 0x0; the source becomes 172.18.0.2"


def test_service_endpoint_and_masquerade() -> None:
    assert words(coming(), service(), HERE, THERE) == [
        *ASKED, "it asks for an external address of default/web:http", MASQUERADED, "on to all endpoints",
        "a random number chooses an endpoint, 1/2 of what comes here: the destination becomes 10.244.1.2:80",
        *CHECKED, UNMARKED,
    ]  # fmt: skip


def test_local_policy_keeps_the_source() -> None:
    assert words(coming(), service(externalTrafficPolicy="Local"), HERE, THERE)[2:] == [
        "it asks for an external address of default/web:http",
        "on to the endpoints of this node alone, and no mark: the source stays",
        "the only endpoint: the destination becomes 10.244.1.2:80", *CHECKED,
    ]  # fmt: skip


def test_affinity_remembers_its_clients() -> None:
    assert words(coming(), service(sessionAffinity="ClientIP"), HERE, THERE)[4:8] == [
        "on to all endpoints", "a random number chooses an endpoint, 1/2 of what comes here: 10.244.1.2:80",
        "the set of its clients remembers this one, which is sent to 10.244.1.2:80",
        "the destination becomes 10.244.1.2:80",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (coming(), ["default/web:http has no endpoints", "refused"]),
        (coming(NODE, 30080), ["default/web:http has no endpoints", "refused"]),
        (coming("10.96.0.10", 81, "10.244.1.9", "veth1"), ["no Service with this ClusterIP has this port: refused"]),
        (coming("10.96.7.7", 81, "10.244.1.9", "veth1"), ["no Service has this ClusterIP: dropped"]),
    ],
)
def test_refused_without_endpoints(packet: Packet, said: list[str]) -> None:
    assert words(packet, service())[-len(said) :] == said


def test_no_endpoint_on_this_node_is_dropped() -> None:
    said = words(coming(), service(externalTrafficPolicy="Local"), THERE)
    assert said[-1] == "default/web:http has no endpoint on this node: dropped"


def test_sources_that_are_not_let_in() -> None:
    said = words(coming(), service(loadBalancerSourceRanges=["192.0.2.0/24"]), HERE)
    assert said == [ASKED[0], "default/web:http lets in only some sources", "its source is not let in: dropped"]


def test_node_port_and_hairpin() -> None:
    assert words(coming(NODE, 30080), service(), HERE)[2] == "it asks for the NodePort of default/web:http"
    said = words(coming("10.96.0.10", source=HERE[0], dev="veth1"), service(), HERE)
    assert said[-1] == "the endpoint asks itself: the source becomes 172.18.0.2"
