"""The same objects for both sides, as MetalLB's ClusterResources and as ours, and what is compared of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kanslib.k8s.objects import KubeObject
from kanslib.metallb.config import Configuration, Pool
from kanslib.metallb.peers import Peer
from kanslib.metallb.resources import Resources, resources_of

Objects = Mapping[str, list[KubeObject]]
Described = dict[str, Any]


def cluster_resources(objects: Objects) -> dict[str, Any]:
    """Return objects as MetalLB's ClusterResources."""
    secrets = {secret["metadata"]["name"]: secret for secret in objects.get("secrets", [])}
    return {**{kind: found for kind, found in objects.items() if kind != "secrets"}, "passwordsecrets": secrets}


def our_resources(objects: Objects) -> Resources:
    """Return objects as ours."""
    return resources_of(lambda kind: objects.get(kind, []))


def from_cluster_resources(found: Mapping[str, Any]) -> Resources:
    """Return MetalLB's ClusterResources as ours; an object of its tables may have no name."""
    objects: dict[str, list[KubeObject]] = {kind: list(found.get(kind) or []) for kind in found if kind != "bgpextras"}
    objects["secrets"] = list((found.get("passwordsecrets") or {}).values())
    for kind in objects.keys() - {"passwordsecrets"}:
        for obj in objects[kind]:
            obj["metadata"].setdefault("name", "")
    return our_resources(objects)


def described(config: Configuration) -> Described:
    """Return a configuration of ours in the form of tests/peers/go/metallb/describe.go."""
    return {
        "pools": {name: _pool(pool) for name, pool in config.pools.items()},
        "peers": {name: _peer(peer) for name, peer in config.peers.items()},
    }


def comparable(theirs: Described) -> Described:
    """Return MetalLB's configuration without what has no effect: an advertisement that is there twice."""
    for pool in theirs["pools"].values():
        pool["layer2"] = _distinct(pool["layer2"])
        pool["bgp"] = _distinct(pool["bgp"])
    return theirs


def _pool(pool: Pool) -> Described:
    layer2 = [{"nodes": sorted(ad.nodes), "interfaces": list(ad.interfaces)} for ad in pool.layer2]
    bgp = [
        {
            "name": ad.name, "nodes": sorted(ad.nodes), "length": ad.length, "length_v6": ad.length_v6,
            "local_pref": ad.local_pref, "communities": sorted(ad.communities), "peers": list(ad.peers),
        }
        for ad in pool.bgp
    ]  # fmt: skip
    return {
        "networks": [str(network) for network in pool.networks], "auto_assign": pool.auto_assign,
        "avoid_buggy_ips": pool.avoid_buggy_ips, "pinned": pool.pinned, "priority": pool.priority,
        "namespaces": sorted(pool.namespaces), "layer2": _distinct(layer2), "bgp": _distinct(bgp),
    }  # fmt: skip


def _peer(peer: Peer) -> Described:
    return {
        "name": peer.name, "address": peer.address, "port": peer.port, "asn": peer.asn, "my_asn": peer.my_asn,
        "hold": peer.hold, "source": peer.source, "router_id": peer.router_id, "password": peer.password,
        "ebgp_multi_hop": peer.ebgp_multi_hop,
    }  # fmt: skip


def _distinct(found: list[Described]) -> list[Described]:
    """Return each advertisement once; for layer 2 the order of the interfaces does not count."""
    seen: list[Described] = []
    for one in found:
        sorted_one = {**one, "interfaces": sorted(set(one["interfaces"]))} if "interfaces" in one else one
        if sorted_one not in seen:
            seen.append(sorted_one)
    return seen
