"""Random clusters with Services that have addresses: who announces them, and over what."""

from __future__ import annotations

import random
from typing import Any

from kanslib.k8s.objects import KubeObject
from kanslib.metallb.election import EXCLUDE
from kanslib.metallb.resources import SYSTEM

_ADDRESSES = ("192.0.2.1", "192.0.2.20", "192.0.2.77", "198.51.100.5", "203.0.113.9")
_ADDRESSES_V6 = ("2001:db8::1", "2001:db8::7", "2001:db8:1::1")
_SELECTORS: tuple[dict[str, Any], ...] = (
    {"matchLabels": {"rack": "1"}},
    {"matchLabels": {"rack": "2"}},
    {"matchExpressions": [{"key": "rack", "operator": "In", "values": ["1", "3"]}]},
    {"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]},
    {},
)
_POOLS = (["192.0.2.0/26"], ["192.0.2.64-192.0.2.100"], ["198.51.100.0/28"])
_IPV6 = (["2001:db8::/125"], ["2001:db8:2::/126"], ["2001:db8:1::1/128"])  # native mode refuses them with BGP
_CONDITIONS: tuple[dict[str, bool], ...] = (
    {"ready": True}, {"ready": False}, {}, {"ready": False, "serving": True, "terminating": True}, {"serving": False},
)  # fmt: skip


class RandomAnnouncements:
    """Draw clusters from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def draw(self) -> dict[str, list[KubeObject]]:
        """Return the objects of a cluster by kind."""
        nodes = [self._node(f"node{number}") for number in range(self.rng.randint(1, 5))]
        names = [node["metadata"]["name"] for node in nodes]
        services = [self._service(number) for number in range(self.rng.randint(1, 4))]
        slices = [self._slice(service, place, names) for service in services for place in range(self.rng.randint(0, 2))]
        layer2 = [self._object("L2Advertisement", n, self._advertisement()) for n in range(self.rng.randint(0, 3))]
        has_ipv6 = self.rng.random() < 0.3
        routed = 0 if has_ipv6 and self.rng.random() < 0.8 else self.rng.randint(0, 2)
        bgp = [self._object("BGPAdvertisement", n, self._bgp()) for n in range(routed)]
        ranges = [one + six if has_ipv6 else one for one, six in zip(_POOLS, _IPV6, strict=True)]
        pools = [self._object("IPAddressPool", n, {"addresses": one}) for n, one in enumerate(ranges)]
        return {
            "nodes": nodes,
            "services": services,
            "endpointslices": slices,
            "ipaddresspools": pools[: self.rng.randint(1, 3)],
            "l2advertisements": layer2,
            "bgpadvertisements": bgp,
            "bgppeers": [self._object("BGPPeer", n, self._peer(n)) for n in range(self.rng.randint(0, 2))],
            "communities": [self._object("Community", 0, {"communities": [{"name": "fast", "value": "64500:9"}]})],
        }

    def _object(self, kind: str, number: int, spec: dict[str, Any]) -> KubeObject:
        return {"kind": kind, "metadata": {"name": f"one{number}", "namespace": SYSTEM}, "spec": spec}

    def _node(self, name: str) -> KubeObject:
        labels = {"rack": self.rng.choice("123")}
        if self.rng.random() < 0.15:
            labels[EXCLUDE] = self.rng.choice(("", "false"))
        if self.rng.random() < 0.3:
            labels["zone"] = "a"
        state = self.rng.choice(("True", "False", "Unknown"))
        conditions = [{"type": "NetworkUnavailable", "status": state}] if self.rng.random() < 0.3 else []
        addresses = [{"type": "InternalIP", "address": "172.18.0.2"}]
        return {
            "metadata": {"name": name, "labels": labels},
            "status": {"conditions": conditions, "addresses": addresses},
        }

    def _service(self, number: int) -> KubeObject:
        spec: dict[str, Any] = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        if self.rng.random() < 0.4:
            spec["externalTrafficPolicy"] = "Local"
        ips = [self.rng.choice(_ADDRESSES)]
        if self.rng.random() < 0.4:
            ips = self.rng.choice(([self.rng.choice(_ADDRESSES_V6)], ["192.0.2.20", "2001:db8::7"]))
            self.rng.shuffle(ips)
        ingress = [{"ip": ip} for ip in ips]
        meta = {"name": f"svc{number}", "namespace": "default"}
        return {"metadata": meta, "spec": spec, "status": {"loadBalancer": {"ingress": ingress}}}

    def _slice(self, service: KubeObject, place: int, nodes: list[str]) -> KubeObject:
        endpoints = []
        for _ in range(self.rng.randint(0, 3)):
            endpoint: dict[str, Any] = {
                "addresses": [f"10.0.0.{self.rng.randint(1, 6)}"],
                "conditions": self.rng.choice(_CONDITIONS),
            }
            if self.rng.random() < 0.9:
                endpoint["nodeName"] = self.rng.choice([*nodes, "gone"])
            endpoints.append(endpoint)
        name = service["metadata"]["name"]
        meta = {"name": f"{name}-{place}", "namespace": "default", "labels": {"kubernetes.io/service-name": name}}
        return {"metadata": meta, "addressType": "IPv4", "endpoints": endpoints}

    def _advertisement(self) -> dict[str, Any]:
        spec: dict[str, Any] = {}
        if self.rng.random() < 0.5:
            spec["nodeSelectors"] = self.rng.sample(_SELECTORS, self.rng.randint(0, 2))
        if self.rng.random() < 0.5:
            spec["ipAddressPools"] = self.rng.sample(("one0", "one1", "one2"), self.rng.randint(0, 2))
        return spec

    def _bgp(self) -> dict[str, Any]:
        spec = self._advertisement()
        if self.rng.random() < 0.4:
            spec["aggregationLength"] = self.rng.choice((32, 30, 28))
        if self.rng.random() < 0.4:
            spec["communities"] = self.rng.sample(("64500:1", "1:2", "fast"), 2)
        if self.rng.random() < 0.3:
            spec["peers"] = self.rng.sample(("one0", "one1"), 1)
        if self.rng.random() < 0.3:
            spec["localPref"] = 150
        return spec

    def _peer(self, number: int) -> dict[str, Any]:
        spec: dict[str, Any] = {"myASN": 64500, "peerASN": 64500 + self.rng.randint(0, 1), "peerPort": 179}
        spec["peerAddress"] = f"192.0.2.{200 + number}"
        if self.rng.random() < 0.4:
            spec["nodeSelectors"] = self.rng.sample(_SELECTORS, 1)
        return spec
