"""Random Services, EndpointSlices and configurations of a kube-proxy, with everything that it reads."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from kanslib.k8s.kubeproxy import COUNTED_INVALID, COUNTED_LOCALHOST

NODES = ("n1", "n2", "n3")
ZONES = ("east", "west")
IPV4 = "10.1.{}.{}"
IPV6 = "2001:db8:1::{:x}:{:x}"
PROTOCOLS = ("TCP", "UDP", "SCTP")
Object = dict[str, Any]


def random_cluster(rng: random.Random) -> Object:
    """Return a cluster as tests/peers/go/kubeproxy/peer_test.go reads it."""
    ipv6 = rng.random() < 0.25
    services = [_service(rng, number, ipv6) for number in range(rng.randrange(1, 9))]
    slices = [piece for service in services for piece in _slices(rng, service, ipv6)]
    config = _config(rng, ipv6)
    if rng.random() < 0.03:
        slices.append(_many_endpoints(services[0], ipv6))
    return {"config": config, "services": services, "endpointSlices": slices}


def _config(rng: random.Random, ipv6: bool) -> Object:
    zone = rng.choice([*ZONES, "north", None])
    node_ips = ["172.18.0.2", "172.19.0.2", "127.0.0.1"] if not ipv6 else ["2001:db8::2", "2001:db8:9::2", "::1"]
    cidrs = ["172.18.0.0/16", "127.0.0.0/8", "0.0.0.0/0", "127.0.0.1/32", "203.0.113.0/24", "2001:db8::/64", "::1/128"]
    return {
        "ipv6": ipv6,
        "clusterCIDR": rng.choice(["", "2001:db8:1::/64" if ipv6 else "10.1.0.0/16"]),
        "hostname": "n1",
        "nodeIP": node_ips[0],
        "nodeLabels": {"topology.kubernetes.io/zone": zone} if zone else {},
        "interfaceAddresses": [*node_ips, "192.0.2.2"],
        "masqueradeAll": rng.random() < 0.2,
        "localhostNodePorts": rng.random() < 0.7,
        "conntrackTCPLiberal": rng.random() < 0.2,
        "nodePortAddresses": rng.sample(cidrs, rng.choice([0, 0, 0, 1, 2])),
        "nfacct": rng.sample([COUNTED_INVALID, COUNTED_LOCALHOST], rng.choice([0, 1, 2, 2])),
    }


def _service(rng: random.Random, number: int, ipv6: bool) -> Object:
    kind = rng.choice(["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer", "LoadBalancer", "ExternalName"])
    spec: Object = {"type": kind, "ports": _ports(rng, number, kind)}
    if kind != "ExternalName":
        spec |= _families(rng, number, ipv6)
        spec["internalTrafficPolicy"] = rng.choice(["Cluster", "Cluster", "Local"])
    if rng.random() < 0.3:
        spec["sessionAffinity"] = "ClientIP"
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": rng.choice([1, 60, 10800])}}
    if rng.random() < 0.3:
        spec["externalIPs"] = rng.sample(["192.0.2.77", "2001:db8::77", "192.0.2.078"], rng.randrange(1, 4))
    status: Object = {"loadBalancer": {}}
    if kind in ("NodePort", "LoadBalancer") or spec.get("externalIPs"):
        spec["externalTrafficPolicy"] = rng.choice(["Cluster", "Local"])
    if kind == "LoadBalancer":
        if spec["externalTrafficPolicy"] == "Local":
            spec["healthCheckNodePort"] = 32000 + number
        if rng.random() < 0.4:
            ranges = ["172.18.0.0/24", "0.0.0.0/0", " 192.0.2.9/28", "2001:db8::/32", "203.0.113.000/025"]
            spec["loadBalancerSourceRanges"] = rng.sample(ranges, rng.randrange(1, 4))
        status = {"loadBalancer": {"ingress": _ingress(rng, number)}}
    return {"metadata": _metadata(rng, f"s{number}"), "spec": spec, "status": status}


def _families(rng: random.Random, number: int, ipv6: bool) -> Object:
    """Return the ClusterIPs of a Service: none, one, or in a dual-stack cluster two in either order."""
    if rng.random() < 0.05:
        return {"clusterIP": "None", "clusterIPs": ["None"], "ipFamilies": ["IPv6" if ipv6 else "IPv4"]}
    by_family = {"IPv6": f"2001:db8:2::{number + 1}", "IPv4": f"198.51.100.{number + 1}"}
    families = ["IPv6" if ipv6 else "IPv4"]
    if rng.random() < 0.4:
        families = rng.sample(["IPv4", "IPv6"], 2)
    ips = [by_family[family] for family in families]
    return {"clusterIP": ips[0], "clusterIPs": ips, "ipFamilies": families}


def _metadata(rng: random.Random, name: str) -> Object:
    modes = ("Auto", "Disabled", "disabled", "")
    notes = {"service.kubernetes.io/topology-mode": rng.choice(modes)} if rng.random() < 0.3 else {}
    return {"name": name, "namespace": rng.choice(["default", "shop"]), "annotations": notes}


def _ports(rng: random.Random, number: int, kind: str) -> list[Object]:
    ports = []
    for place in range(rng.choice([1, 1, 2, 3])):
        port: Object = {"port": 80 + place, "protocol": rng.choice(PROTOCOLS), "name": f"p{place}"}
        if place == 0 and rng.random() < 0.2:
            del port["name"]
        if kind in ("NodePort", "LoadBalancer") and rng.random() < 0.9:
            port["nodePort"] = 30000 + number * 10 + place
        ports.append(port)
    return ports


def _ingress(rng: random.Random, number: int) -> list[Object]:
    known: list[Object] = [
        {"ip": f"203.0.113.{number + 1}"},
        {"ip": f"2001:db8:3::{number + 1}"},
        {"ip": "203.0.113.99", "ipMode": "Proxy"},
        {"ip": "203.0.113.98", "ipMode": "VIP"},
        {"hostname": "lb.example.test"},
    ]
    return rng.sample(known, rng.choice([0, 1, 1, 2, 3]))


def _slices(rng: random.Random, service: Object, ipv6: bool) -> list[Object]:
    """Return the slices of a Service: the controller's, manual ones, other families', FQDN, another Service's."""
    hints = rng.random() < 0.5
    return [
        _slice(rng, service, f"{service['metadata']['name']}-{number}", ipv6, hints)
        for number in range(rng.choice([0, 1, 1, 2, 3]))
    ]


def _slice(rng: random.Random, service: Object, name: str, ipv6: bool, hints: bool) -> Object:
    family = rng.choice([ipv6, ipv6, ipv6, not ipv6])
    address_type = rng.choice(["IPv6" if family else "IPv4"] * 9 + ["FQDN"])
    owner = service["metadata"]["name"]
    labels = {
        "kubernetes.io/service-name": rng.choice([owner] * 9 + ["other"]),
        "endpointslice.kubernetes.io/managed-by": rng.choice(["endpointslice-controller.k8s.io", "staff"]),
    }
    ports = [
        {
            "name": port.get("name", ""),
            "port": 8000 + port["port"] + rng.choice([0, 0, 0, 1]),
            "protocol": port["protocol"],
        }
        for port in service["spec"]["ports"]
        if rng.random() < 0.95
    ]
    first = 16 * int(name[-1])  # no address in two slices: kube-proxy would take one of them by chance
    entries = [
        _endpoint(rng, (IPV6 if family else IPV4).format(int(owner[1:]), first + number), hints)
        for number in range(rng.choice([0, 1, 2, 3, 12]))
    ]
    if address_type == "FQDN":
        entries = [{**entry, "addresses": ["pod.example.test"]} for entry in entries]
    metadata = {"name": name, "namespace": service["metadata"]["namespace"], "labels": labels}
    return {"metadata": metadata, "addressType": address_type, "ports": ports, "endpoints": entries}


def _endpoint(rng: random.Random, address: str, hints: bool) -> Object:
    conditions: Sequence[Object] = (
        {"ready": True, "serving": True, "terminating": False},
        {},
        {"ready": False, "serving": False, "terminating": False},
        {"ready": False, "serving": True, "terminating": True},
        {"ready": False, "serving": False, "terminating": True},
        {"ready": True, "serving": True, "terminating": True},
    )
    weights = (8, 1, 2, 3, 1, 1)
    entry: Object = {"addresses": [address], "conditions": rng.choices(conditions, weights)[0]}
    if rng.random() < 0.95:
        entry["nodeName"] = rng.choice(NODES)
    if hints and rng.random() < 0.97:
        entry["hints"] = {"forZones": [{"name": zone} for zone in rng.sample(ZONES, rng.choice([1, 1, 2]))]}
    return entry


def _many_endpoints(service: Object, ipv6: bool) -> Object:
    """Return a slice with more endpoints than a cluster may have before kube-proxy leaves out their comments."""
    labels = {"kubernetes.io/service-name": service["metadata"]["name"]}
    ports = [
        {"name": port.get("name", ""), "port": 9000, "protocol": port["protocol"]} for port in service["spec"]["ports"]
    ]
    entries = [
        {"addresses": [(IPV6 if ipv6 else IPV4).format(200 + number // 200, number % 200)], "nodeName": "n2"}
        for number in range(1001)
    ]
    metadata = {"name": "many", "namespace": service["metadata"]["namespace"], "labels": labels}
    return {"metadata": metadata, "addressType": "IPv6" if ipv6 else "IPv4", "ports": ports, "endpoints": entries}
