"""What MetalLB advertises over BGP, and what a router makes of it."""

from __future__ import annotations

from typing import Any

from kanslib.metallb import bgp
from kanslib.metallb.config import BGPAdvertisement, Pool
from tests.metallb.objects import READY, SERVICE, node, piece


def test_advertised_aggregation_peers_nodes_preference() -> None:
    def objects(kind: str) -> list[dict[str, Any]]:
        rack = [{"matchLabels": {"rack": "1"}}]
        wide = {"aggregationLength": 24, "aggregationLengthV6": 120, "localPref": 50, "communities": ["65000:1"]}
        one = {"localPref": 200, "peers": ["inside"], "nodeSelectors": rack}
        ads = [{"metadata": {"name": "wide"}, "spec": wide}, {"metadata": {"name": "one"}, "spec": one}]
        outside = {"myASN": 65000, "peerASN": 65001, "peerAddress": "172.18.0.200", "holdTime": "1m30s"}
        inside = {"myASN": 65000, "peerASN": 65000, "peerAddress": "172.18.0.201", "nodeSelectors": rack}
        peers = [{"metadata": {"name": "outside"}, "spec": outside}, {"metadata": {"name": "inside"}, "spec": inside}]
        status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.77"}]}}
        found: dict[str, list[dict[str, Any]]] = {
            "nodes": [node("a", {"rack": "1"}), node("b", {"rack": "2"})], "bgppeers": peers, "bgpadvertisements": ads,
            "ipaddresspools": [{"metadata": {"name": "p"}, "spec": {"addresses": ["192.0.2.0/24"]}}],
            "services": [{**SERVICE, "status": status}], "endpointslices": [piece(("a", READY))],
        }  # fmt: skip
        return found.get(kind, [])

    routes = bgp.advertised(objects, ["a", "b"])
    told = [(route.peer, route.prefix, route.node, route.local_pref, route.communities) for route in routes]
    assert told == [
        ("inside", "192.0.2.0/24", "a", 50, ("65000:1",)),
        ("inside", "192.0.2.77/32", "a", 200, ()),
        ("outside", "192.0.2.0/24", "a", 0, ("65000:1",)),
        ("outside", "192.0.2.0/24", "b", 0, ("65000:1",)),
    ]
    assert [peer.hold for peer in bgp.peers(objects)] == [90.0, 90.0]


def test_next_hops_highest_preference_and_path_limit() -> None:
    paths = [
        bgp.BGPRoute("192.0.2.1/32", f"n{n}", f"172.18.0.{n}", "r", 200 if n < 3 else 100, (), ("s",))
        for n in range(1, 6)
    ]
    assert bgp.next_hops(paths, "r") == {"192.0.2.1/32": ("172.18.0.1", "172.18.0.2")}
    equal = [bgp.BGPRoute("192.0.2.1/32", f"n{n}", f"172.18.0.{n}", "r", 0, (), ("s",)) for n in (10, 9, 2)]
    assert bgp.next_hops(equal, "r", max_paths=2) == {"192.0.2.1/32": ("172.18.0.2", "172.18.0.9")}
    assert BGPAdvertisement("x", frozenset(), length=28).prefix("192.0.2.77") == "192.0.2.64/28"


def test_why_not_advertised_local_endpoint_that_is_unready_in_another_slice() -> None:
    """With policy Local the check over all nodes follows, and there an address that is unready anywhere counts."""
    pool = Pool("p", (), bgp=(BGPAdvertisement("ad", frozenset({"a"})),))
    service = {**SERVICE, "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}}
    elsewhere = piece(("b", {"ready": False}))  # the same address
    assert bgp.why_not_advertised(node("a"), service, pool, [piece(("a", READY))]) == ""
    assert bgp.why_not_advertised(node("a"), service, pool, [piece(("a", READY)), elsewhere]) == "noEndpoints"
