"""Who announces an address on layer 2 and over BGP beside MetalLB v0.14.8's own speaker."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.endpoints import slices_of
from kanslib.k8s.objects import KubeObject, external_addresses, name_of
from kanslib.metallb import bgp, election
from kanslib.metallb.config import Configuration, pool_of, read_config
from kanslib.metallb.resources import resources_of
from tests.peers.metallb import MetalLB, RefusedByMetalLBError
from tests.peers.random_announcements import RandomAnnouncements
from tests.peers.resources import Objects, cluster_resources

pytestmark = pytest.mark.peers
CLUSTERS = int(os.environ.get("KANS_CLUSTERS", "300"))
SEED = int(os.environ.get("KANS_SEED", "1"))
Find = Callable[[str], list[KubeObject]]
Said = dict[tuple[str, str], dict[str, Any]]


def test_announcements_random_clusters(real_metallb: MetalLB) -> None:
    draw, differences, refused, announced = RandomAnnouncements(SEED), [], 0, [0, 0]
    for number in range(CLUSTERS):
        objects = draw.draw()
        names = [name_of(node) for node in objects["nodes"]]
        speakers = [name for name in names if draw.rng.random() < 0.9]
        ignore = draw.rng.random() < 0.2
        theirs, ours = _theirs(real_metallb, objects, speakers, ignore), _ours(objects, speakers, ignore)
        if theirs != ours:
            differences.append((number, theirs, ours))
        refused += isinstance(ours, str)
        if not isinstance(ours, str):
            announced[0] += sum(one["layer2"] == "" for one in ours.values())
            announced[1] += sum(bool(one["routes"]) for one in ours.values())
    print(f"seed {SEED}: {CLUSTERS} clusters, {refused} refused, {announced} announced, {len(differences)} differences")
    assert not differences, differences[:2]
    assert min(announced) > CLUSTERS / 10


def _theirs(real_metallb: MetalLB, objects: Objects, speakers: list[str], ignore: bool) -> Said | str:
    read = {kind: found for kind, found in objects.items() if kind not in ("services", "endpointslices")}
    cluster = {
        "services": objects["services"], "slices": objects["endpointslices"],
        "speakers": dict.fromkeys(speakers, True), "ignoreExcludeLB": ignore,
    }  # fmt: skip
    try:
        answer = real_metallb.ask("announcements", resources=cluster_resources(read), cluster=cluster)
    except RefusedByMetalLBError as error:
        return str(error)
    internal = {name_of(peer) for peer in objects["bgppeers"] if peer["spec"]["myASN"] == peer["spec"]["peerASN"]}
    for one in answer:
        for route in one["routes"]:
            route["local_pref"] *= route["peer"] in internal  # the session sends it to no other
    return {(one["node"], one["service"]): _described(one["layer2"], one["bgp"], one["routes"]) for one in answer}


def _ours(objects: Objects, speakers: list[str], ignore: bool) -> Said | str:
    arguments = ["--ignore-exclude-lb"] if ignore else []
    pod = {"metadata": {"name": "s", "labels": {"component": "speaker"}}, "spec": {"containers": [{"args": arguments}]}}

    def every(kind: str) -> list[KubeObject]:
        return [pod] if kind == "pods" else objects.get(kind, [])

    try:
        config = read_config(resources_of(every))
    except ConfigurationError as error:
        return str(error)
    routes = bgp.advertised_by(config, every, speakers)
    return {
        (node, f"default/{name_of(service)}"): _decided(config, every, service, node, speakers, routes)
        for service in objects["services"]
        for node in speakers
    }


def _decided(
    config: Configuration,
    objects: Find,
    service: KubeObject,
    node: str,
    speakers: list[str],
    routes: list[bgp.BGPRoute],
) -> dict[str, Any]:
    ips, pieces = external_addresses(service), slices_of(objects("endpointslices"), "default", name_of(service))
    pool, nodes = pool_of(config.pools, ips), election.announcing_nodes(objects)
    if pool is None:
        return _described("ipNotAllowed", "ipNotAllowed", [])
    leader = election.elect(service, ips, pool, pieces, nodes, frozenset(speakers)).leader
    own = next(one for one in nodes if name_of(one) == node)
    found = [
        {"peer": one.peer, "prefix": one.prefix, "local_pref": one.local_pref, "communities": list(one.communities)}
        for one in routes
        if one.node == node and f"default/{name_of(service)}" in one.services
    ]
    reason = bgp.why_not_advertised(own, service, pool, pieces)
    return _described("" if leader == node else "notOwner", reason, found)


def _described(layer2: str, bgp: str, routes: list[dict[str, Any]]) -> dict[str, Any]:
    by_prefix = {(one["peer"], one["prefix"]): one for one in routes}  # a session keeps the last one of a prefix
    return {"layer2": layer2, "bgp": bgp, "routes": dict(sorted(by_prefix.items()))}
