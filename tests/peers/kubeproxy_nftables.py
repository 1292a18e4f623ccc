"""kube-proxy v1.37.2's nftables mode beside us: its own proxier on its own fake nftables, and the real nft.

What kube-proxy gives to nft and what we write as nft prints it are loaded by the real nft in namespaces of their own;
what it lists of both is compared.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from kanslib.k8s import kubeproxy, kubeproxy_nftables
from tests.kernel.machine import UNSHARE
from tests.peers.kubeproxy import Cluster, Package
from tests.peers.random_clusters import NODES, random_cluster

NFTABLES = Package(
    "kubeproxy-nftables", "v1.37.2", Path("pkg", "proxy", "nftables"),
    Path(__file__).parent / "go" / "kubeproxy_nftables" / "peer_test.go",
    ("proxier_test.go", "helpers_test.go", "supported.go"),
    "func (proxier *Proxier) syncProxyRules() (retryError error) {",
)  # fmt: skip
_LONGEST = 63  # characters of a name
Listed = dict[tuple[str, str], Any]  # what nft lists of a table: rules of a chain, elements of a set, by kind and name


def random_nftables_cluster(rng: random.Random) -> Cluster:
    """Return a random cluster with what this mode reads besides: Services' ranges, hints for nodes, the feature gate.

    Some names are as long as names may be: chains and comments are cut. A third of the clusters answers NodePorts at
    the node's primary address, as this mode does by itself.
    """
    cluster = random_cluster(rng)
    config = cluster["config"]
    ipv6 = config["ipv6"]
    ranges = ["2001:db8:2::/64", "2001:db8:6::/112"] if ipv6 else ["198.51.100.0/24", "192.0.2.128/25"]
    config["serviceCIDR"] = ",".join(ranges[: rng.choice([0, 1, 1, 2])])
    if rng.random() < 1 / 3:
        config["nodePortAddresses"] = [primary(config)]
    loopback = any(ip_network(cidr).is_loopback for cidr in config["nodePortAddresses"])
    config["localhostRejects"] = not loopback and rng.random() < 0.2  # else kube-proxy would listen on this machine
    for service in cluster["services"]:
        if rng.random() < 0.1:
            _lengthen(service, cluster["endpointSlices"])
    for endpoint in (one for piece in cluster["endpointSlices"] for one in piece["endpoints"] if "hints" in one):
        if rng.random() < 0.5:
            endpoint["hints"]["forNodes"] = [{"name": rng.choice(NODES)}]
    return cluster


def _lengthen(service: Cluster, slices: Iterable[Cluster]) -> None:
    """Give a Service, its ports, its namespace and its endpoints of IPv6 the longest names, in its slices too.

    With session affinity an endpoint has a chain of its own, whose name is longer than any other.
    """
    service["spec"] |= {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5461}},
    }
    metadata, label = service["metadata"], "kubernetes.io/service-name"
    old = metadata["namespace"], metadata["name"]
    metadata |= {"namespace": old[0].ljust(_LONGEST, "n"), "name": old[1].ljust(_LONGEST, "s")}
    own = [one for one in slices if one["metadata"]["name"].startswith(f"{old[1]}-")]
    for piece in own:
        piece["metadata"]["namespace"] = metadata["namespace"]
        if piece["metadata"]["labels"][label] == old[1]:
            piece["metadata"]["labels"][label] = metadata["name"]
    for port in (port for holder in (service["spec"], *own) for port in holder["ports"]):
        if port.get("name"):
            port["name"] = port["name"].ljust(_LONGEST, "p")
    for endpoint in (endpoint for piece in own for endpoint in piece["endpoints"]):
        endpoint["addresses"] = [one.replace("1::", "1111:2222:3333:4444:") for one in endpoint["addresses"]]


def primary(config: Mapping[str, Any]) -> str:
    """Return the range of the one address that kube-proxy makes of --nodeport-addresses=primary."""
    return f"{config['nodeIP']}/{128 if config['ipv6'] else 32}"


def config_of(cluster: Cluster) -> kubeproxy.Config:
    """Return the configuration of a cluster's kube-proxy as ours has it.

    A proxier without ranges for NodePorts answers everywhere; ours without any answers at the primary address, which
    kube-proxy's command makes of none.
    """
    given = cluster["config"]
    node, zone = given["hostname"], (given["nodeLabels"] or {}).get("topology.kubernetes.io/zone", "")
    addresses = tuple(given["nodePortAddresses"] or ["::/0" if given["ipv6"] else "0.0.0.0/0"])
    return kubeproxy.Config(
        cluster_cidr=given["clusterCIDR"],
        service_cidr=given["serviceCIDR"],
        addresses={node: given["nodeIP"]},
        zones={node: zone},
        ipv6=given["ipv6"],
        masquerade_all=given["masqueradeAll"],
        nodeport_addresses=() if addresses == (primary(given),) else addresses,
        interface_addresses={node: tuple(given["interfaceAddresses"] or ())},
        localhost_rejects=given["localhostRejects"],
    )


def our_table(cluster: Cluster) -> str:
    """Return the table that our kube-proxy writes for a cluster."""
    services, slices = cluster["services"] or [], cluster["endpointSlices"] or []
    return str(kubeproxy_nftables.write(services, slices, cluster["config"]["hostname"], config_of(cluster)))


def differences(clusters: Iterable[Cluster]) -> list[list[str]]:
    """Return what nft lists otherwise of kube-proxy's table than of ours, of each cluster."""
    known = list(clusters)
    theirs = listed(cluster["rules"] for cluster in known)
    ours = listed(our_table(cluster) for cluster in known)
    return [_differing(*three) for three in zip(known, theirs, ours, strict=True)]


def _differing(cluster: Cluster, theirs: Listed, ours: Listed) -> list[str]:
    claimed = _claimed_twice(cluster)
    theirs, ours = _without_winners(theirs, claimed), _without_winners(ours, claimed)
    for chain in cluster["staleChains"] or []:
        assert not theirs.pop(("rules", chain), [])
        del theirs["chain", chain]
    return [
        f"{key}\n  kube-proxy: {theirs.get(key)}\n  ours:       {ours.get(key)}"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key) != ours.get(key)
    ]


def _claimed_twice(cluster: Cluster) -> set[str]:
    """Return the addresses with their protocols and ports that two Services claim: chance decides which one has it.

    kube-proxy walks its Services in no fixed order, and the last one's element stays.
    """
    claims: Counter[tuple[str, str, int]] = Counter()
    for port, _ in kubeproxy.service_ports(cluster["services"] or [], [], config_of(cluster)):
        addresses = {port.cluster_ip, *port.external_ips, *port.vips}
        claims.update((address, port.protocol, port.port) for address in addresses)
    return {json.dumps({"concat": [*key]}) for key, count in claims.items() if count > 1}


def _without_winners(listed: Listed, claimed: set[str]) -> Listed:
    """Return what was listed, without the values of the elements that two Services claim."""
    return {
        key: (found[0], [(name, None if name in claimed else value) for name, value in found[1]])
        if key[0] == "map"
        else found
        for key, found in listed.items()
    }


def listed(texts: Iterable[str]) -> list[Listed]:
    """Return what nft lists after it has loaded each text, in one namespace, one after the other."""
    with tempfile.TemporaryDirectory() as temporary:
        lines = ["set -e"]
        for number, text in enumerate(texts):
            Path(temporary, f"{number}.nft").write_text(f"flush ruleset\n{text}")
            lines += [f"nft -f {number}.nft", f"nft -j list ruleset > {number}.json"]
        Path(temporary, "all.sh").write_text("\n".join(lines))
        done = subprocess.run([*UNSHARE, "sh", "all.sh"], cwd=temporary, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr[:2000]
        files = sorted(Path(temporary).glob("*.json"), key=lambda file: int(file.stem))
        return [_by_name(json.loads(file.read_text())["nftables"]) for file in files]


def _by_name(objects: Iterable[Mapping[str, Any]]) -> Listed:
    found: Listed = {}
    for entry in objects:
        ((kind, value),) = entry.items()
        plain = {key: one for key, one in value.items() if key != "handle"}
        if kind == "rule":
            found.setdefault(("rules", plain["chain"]), []).append((plain["expr"], plain.get("comment", "")))
        elif kind == "map":
            elements = sorted(_key_and_rest(one) for one in plain.pop("elem", []))
            found[kind, plain["name"]] = (plain, elements)
        elif kind == "set":
            members = sorted(json.dumps(one, sort_keys=True) for one in plain.pop("elem", []))
            found[kind, plain["name"]] = (plain, members)
        elif kind == "chain":
            plain.pop("comment", None)  # one chain has one, nft 1.0.6 does not print it
            found[kind, plain["name"]] = plain
        elif kind == "counter":
            found[kind, plain["name"]] = plain
    return found


def _key_and_rest(element: list[Any]) -> tuple[str, str]:
    """Return the key of a map's element, and its value with its comment."""
    key, value = element
    comment = ""
    if "elem" in key:
        key, comment = key["elem"]["val"], key["elem"].get("comment", "")
    return json.dumps(key), json.dumps([value, comment], sort_keys=True)
