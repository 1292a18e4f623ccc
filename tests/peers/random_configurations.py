"""Random configurations of MetalLB: most of them nearly right, so that every rule is met on both sides."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from kanslib.k8s.objects import KubeObject

T = TypeVar("T")
SYSTEM = "metallb-system"
_CIDRS = ("192.0.2.0/28", "192.0.2.16/28", "192.0.2.32/30", "198.51.100.0/24", "198.51.100.77/32", "203.0.113.5/25")
_RANGES = ("192.0.2.10-192.0.2.20", "203.0.113.1-203.0.113.254", "203.0.113.40 - 203.0.113.47", "10.0.0.0-10.0.0.255")
_IPV6 = ("2001:db8::/124", "2001:db8:1::10-2001:db8:1::20", "2001:DB8:0:0:2::/112", "::ffff:192.0.2.128/121")
_WRONG = (
    "192.0.2.5", " 192.0.2.0/24", "192.0.2.0/24 ", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+8", "192.0.2.0/024",
    "192.0.2.0/255.255.255.0", "192.0.2.007/32", "192.0.2/24", "", "-", "192.0.2.20-192.0.2.10", "192.0.2.1-",
    "192.0.2.1-2001:db8::1", "2001:db8::1-192.0.2.1", "fe80::1%eth0/64", "2001:db8::/129", "::1::/64", "a-b-c",
    "192.0.2.1-192.0.2.9-192.0.2.12", "0.0.0.0/0", "::/0", "::ffff:10.1.0.0/112", "::ffff:10.1.0.0/90", "1:2:3/48",
    "192.0.2.256/32", "１92.0.2.0/24", "192.0.2.1\t-\u00a0192.0.2.3",
)  # fmt: skip
_COMMUNITIES = ("64500:1", "64500:2", "0064500:1", "65535:65535", "fast", "slow")
_WRONG_COMMUNITIES = (
    "64500",
    "64500:70000",
    "large:1:2:3",
    "large:1:2:x",
    "big:1:2:3",
    "1:2:3",
    "a:b",
    ":",
    "+1:2",
    "",
)
_LABELS: tuple[dict[str, str], ...] = ({"rack": "1"}, {"rack": "2"}, {"rack": "1", "zone": "a"}, {})


class RandomConfigurations:
    """Draw configurations from a seed. `wrong`: how likely it is that a single field is."""

    def __init__(self, seed: int, wrong: float = 0.03) -> None:
        self.rng, self.wrong = random.Random(seed), wrong

    def draw(self) -> dict[str, list[KubeObject]]:
        """Return objects by kind."""
        with_bgp = self.rng.random() < 0.6
        many = self.rng.randint
        return {
            "ipaddresspools": self._objects("IPAddressPool", "pool", many(0, 3), self._pool),
            "l2advertisements": self._objects("L2Advertisement", "l2", many(0, 2), self._layer2),
            "bgpadvertisements": self._objects("BGPAdvertisement", "bgp", many(0, 3) * with_bgp, self._bgp),
            "bgppeers": self._objects("BGPPeer", "peer", many(0, 2) * with_bgp, self._peer),
            "bfdprofiles": self._objects("BFDProfile", "bfd", int(self._is_wrong()), self._bfd_profile),
            "communities": self._objects("Community", "names", many(0, 2) * with_bgp, self._community),
            "secrets": [self._secret(name) for name in ("router", "other") if self.rng.random() < 0.8],
            "nodes": [self._labelled(f"node{number}") for number in range(many(0, 3))],
            "namespaces": [self._labelled(name) for name in ("default", "shop")],
        }

    def _objects(self, kind: str, name: str, count: int, spec: Callable[[], dict[str, Any]]) -> list[KubeObject]:
        version = "metallb.io/v1beta2" if kind == "BGPPeer" else "metallb.io/v1beta1"
        return [
            {
                "apiVersion": version,
                "kind": kind,
                "metadata": {"name": f"{name}{number}", "namespace": SYSTEM, "labels": self.rng.choice(_LABELS)},
                "spec": spec(),
            }
            for number in range(count)
        ]

    def _labelled(self, name: str) -> KubeObject:
        return {"metadata": {"name": name, "labels": self.rng.choice(_LABELS)}}

    def _is_wrong(self) -> bool:
        return self.rng.random() < self.wrong

    def _one(self, right: Sequence[T], wrong: Sequence[T]) -> T:
        return self.rng.choice(wrong if self._is_wrong() else right)

    def _some(self, right: Sequence[Any], wrong: Sequence[Any], most: int = 2) -> list[Any]:
        """Return a few different values; now and then one of them twice."""
        found = list(dict.fromkeys(self._one(right, wrong) for _ in range(self.rng.randint(0, most))))
        return found + found[:1] if self._is_wrong() else found

    def _maybe(self, spec: dict[str, Any], field: str, value: Callable[[], Any], likely: float = 0.3) -> None:
        if self.rng.random() < likely:
            spec[field] = value()

    def _pool(self) -> dict[str, Any]:
        kinds = [_CIDRS, _RANGES, _CIDRS, _RANGES, _IPV6]
        chosen = {self._one(self.rng.choice(kinds), _WRONG) for _ in range(self.rng.randint(1, 2))}
        spec: dict[str, Any] = {"addresses": [] if self.rng.random() < 0.01 else sorted(chosen)}
        self._maybe(spec, "autoAssign", lambda: self.rng.random() < 0.5)
        self._maybe(spec, "avoidBuggyIPs", lambda: self.rng.random() < 0.5)
        self._maybe(spec, "serviceAllocation", self._allocation)
        return spec

    def _allocation(self) -> dict[str, Any]:
        spec: dict[str, Any] = {}
        self._maybe(spec, "priority", lambda: self.rng.randint(0, 3))
        self._maybe(spec, "namespaces", lambda: self._some(("default", "shop"), ("none",)))
        self._maybe(spec, "namespaceSelectors", self._selectors)
        self._maybe(spec, "serviceSelectors", self._selectors)
        return spec

    def _selectors(self) -> list[dict[str, Any]]:
        found = [self._selector() for _ in range(self.rng.randint(0, 2))]
        return found + found[:1] if self._is_wrong() else found

    def _selector(self) -> dict[str, Any]:
        selector: dict[str, Any] = {}
        wrong_keys = ("a b", "", "/x", "x/", "a/b/c", "A.b/c", "_x", "x" * 64, "e.com/" + "y" * 64, "-a/b")
        wrong_values = ("a b", "-", "v" * 64, "é")
        values = ("1", "2", "a")
        if self.rng.random() < 0.6:
            selector["matchLabels"] = {self._one(("rack", "zone"), wrong_keys): self._one(values, wrong_values)}
        if self.rng.random() < 0.4:
            expressions = []
            for _ in range(self.rng.randint(0, 2)):
                operator = self._one(("In", "NotIn", "Exists", "DoesNotExist"), ("in", "Gt", "="))
                one: dict[str, Any] = {
                    "key": self._one(("rack", "zone", "example.com/x"), wrong_keys),
                    "operator": operator,
                }
                if (operator in ("In", "NotIn")) != self._is_wrong():
                    one["values"] = self._some(values, wrong_values, 3)
                    if not self._is_wrong():
                        one["values"] = one["values"] or ["1"]
                expressions.append(one)
            selector["matchExpressions"] = expressions + expressions[:1] * self._is_wrong()
        return selector

    def _layer2(self) -> dict[str, Any]:
        spec: dict[str, Any] = {}
        self._maybe(spec, "ipAddressPools", lambda: self._some(("pool0", "pool1", "pool2"), ("none",)))
        self._maybe(spec, "ipAddressPoolSelectors", self._selectors, 0.2)
        self._maybe(spec, "nodeSelectors", self._selectors)
        self._maybe(spec, "interfaces", lambda: self._some(("eth0", "eth1"), ("eth7",)))
        return spec

    def _bgp(self) -> dict[str, Any]:
        spec: dict[str, Any] = {}
        self._maybe(spec, "ipAddressPools", lambda: self._some(("pool0", "pool1", "pool2"), ("none",)))
        self._maybe(spec, "ipAddressPoolSelectors", self._selectors, 0.15)
        self._maybe(spec, "nodeSelectors", self._selectors)
        self._maybe(spec, "aggregationLength", lambda: self._one((32, 31, 30, 28), (24, 16, 1, 33, 39, 40, 300)), 0.4)
        self._maybe(spec, "aggregationLengthV6", lambda: self._one((128, 126, 124), (64, 129, 1000)), 0.2)
        self._maybe(spec, "localPref", lambda: self.rng.choice((0, 100, 200)), 0.15)
        self._maybe(spec, "communities", lambda: self._some(_COMMUNITIES, _WRONG_COMMUNITIES))
        self._maybe(spec, "peers", lambda: self._some(("peer0", "peer1"), ("none",)))
        return spec

    def _peer(self) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "myASN": self._one((64500,), (0,)),
            "peerASN": self._one((64501, 64500), (0,)),
            "peerAddress": self._one(
                ("192.0.2.200", "198.51.100.200", "2001:db8::200", "::ffff:192.0.2.7"),
                ("router", "192.0.2", "192.0.2.01", "fe80::1%eth0", " 192.0.2.1", ""),
            ),
            "peerPort": self.rng.choice((0, 179, 1790)),
        }
        times = ("90s", "9s", "3s", "1m30s", "0s", "4500ms", "1h2m3.5s", "3.9s")
        short = ("2s", "2.999s", "1ns", "900ms", "-5s", "1.5us", "10", "s", "1d", "", "1h90", ".s", "-0.5s")
        self._maybe(spec, "holdTime", lambda: self._one(times, short), 0.5)
        self._maybe(spec, "keepaliveTime", lambda: self._one(("0s",), ("3s", "100s", "x")), 0.1)
        self._maybe(spec, "connectTime", lambda: "5s", self.wrong / 2)
        self._maybe(spec, "routerID", lambda: self._one(("192.0.2.9",), ("x", "1.2.3")))
        self._maybe(spec, "sourceAddress", lambda: self._one(("192.0.2.8",), ("x",)))
        self._maybe(spec, "nodeSelectors", self._selectors)
        self._maybe(spec, "ebgpMultiHop", lambda: True, 0.1)
        self._maybe(spec, "password", lambda: "secret", 0.2)
        if "password" not in spec or self._is_wrong():
            self._maybe(spec, "passwordSecret", lambda: {"name": self._one(("router", ""), ("other", "none"))}, 0.2)
        for field, value in (
            ("bfdProfile", "bfd0"),
            ("vrf", "red"),
            ("enableGracefulRestart", True),
            ("disableMP", True),
        ):
            self._maybe(spec, field, partial(bool if value is True else str, value), self.wrong / 2)
        return spec

    def _bfd_profile(self) -> dict[str, Any]:
        spec: dict[str, Any] = {}
        for field, lowest, highest in (
            ("detectMultiplier", 2, 255),
            ("receiveInterval", 10, 60000),
            ("minimumTtl", 1, 254),
        ):
            self._maybe(spec, field, partial(self._one, (lowest, highest), (lowest - 1, highest + 1)))
        self._maybe(spec, "echoMode", lambda: True)
        return spec

    def _community(self) -> dict[str, Any]:
        names = self._some(("fast", "slow"), ("64500:1",))
        return {
            "communities": [{"name": name, "value": self._one(_COMMUNITIES[:4], _WRONG_COMMUNITIES)} for name in names]
        }

    def _secret(self, name: str) -> KubeObject:
        kind = "kubernetes.io/basic-auth" if name == "router" else self._one(("kubernetes.io/basic-auth",), ("Opaque",))
        data = {} if self._is_wrong() else {"password": base64.b64encode(b"hidden").decode()}
        return {"metadata": {"name": name, "namespace": SYSTEM}, "type": kind, "data": data}
