"""Random Services and random steps of theirs, on few addresses, so that they meet on every rule of the allocator."""

from __future__ import annotations

import random
from typing import Any

from kanslib.k8s.objects import KubeObject

PREFIX = "metallb.universe.tf/"
_RANGES = ("192.0.2.0/30", "192.0.2.8-192.0.2.10", "198.51.100.254-198.51.101.1", "203.0.113.16/31", "203.0.113.32/32")
_IPV6 = ("2001:db8::/126", "2001:db8::10-2001:db8::12")
_ADDRESSES = ("192.0.2.0", "192.0.2.1", "192.0.2.9", "198.51.100.255", "203.0.113.16", "203.0.113.32", "203.0.113.99")
_ADDRESSES_V6 = ("2001:db8::1", "2001:DB8:0::10", "2001:db8::99")
_WRONG = ("here", "", "192.0.2", "192.0.2.1,192.0.2.9", "192.0.2.0,2001:db8::1,192.0.2.1", "192.0.2.1,", "fe80::1%a")
_CLUSTER_IPS = (["10.0.0.1"],) * 8 + (["fd00::1"], ["10.0.0.1", "fd00::1"], ["fd00::1", "10.0.0.1"])
_LABELS: tuple[dict[str, str], ...] = ({"tier": "web"}, {"tier": "db"}, {})


class RandomServices:
    """Draw pools and Services from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def pools(self) -> dict[str, list[KubeObject]]:
        """Return IPAddressPools without an overlap, and the namespaces."""
        ranges = self.rng.sample(_RANGES, self.rng.randint(0, len(_RANGES)))
        ranges += [one for one in _IPV6 if self.rng.random() < 0.4]
        self.rng.shuffle(ranges)
        found: list[KubeObject] = []
        while ranges:
            count = self.rng.randint(1, 2)
            found.append(self._pool(f"pool{len(found)}", ranges[:count]))
            del ranges[:count]
        namespaces = [{"metadata": {"name": name, "labels": self.rng.choice(_LABELS)}} for name in ("default", "shop")]
        return {"ipaddresspools": found, "namespaces": namespaces}

    def _pool(self, name: str, addresses: list[str]) -> KubeObject:
        spec: dict[str, Any] = {"addresses": addresses}
        if self.rng.random() < 0.2:
            spec["autoAssign"] = False
        if self.rng.random() < 0.3:
            spec["avoidBuggyIPs"] = True
        if self.rng.random() < 0.4:
            allocation: dict[str, Any] = {"priority": self.rng.randint(0, 3)}
            spec["serviceAllocation"] = allocation
            if self.rng.random() < 0.4:
                allocation["namespaces"] = [self.rng.choice(("default", "shop"))]
            if self.rng.random() < 0.2:
                allocation["namespaceSelectors"] = [{"matchLabels": {"tier": "web"}}]
            if self.rng.random() < 0.4:
                allocation["serviceSelectors"] = [{"matchLabels": self.rng.choice(_LABELS)}]
        return {"metadata": {"name": name, "namespace": "metallb-system"}, "spec": spec}

    def service(self, name: str, namespace: str) -> KubeObject:
        """Return a Service without a status."""
        spec: dict[str, Any] = {
            "type": "ClusterIP" if self.rng.random() < 0.05 else "LoadBalancer",
            "clusterIPs": [] if self.rng.random() < 0.02 else self.rng.choice(_CLUSTER_IPS),
            "ports": [
                {"name": f"p{place}", "port": port, "protocol": self.rng.choice(("TCP", "TCP", "UDP"))}
                for place, port in enumerate(self.rng.sample((80, 81, 443), self.rng.randint(1, 2)))
            ],
        }
        if self.rng.random() < 0.3:
            spec |= {
                "externalTrafficPolicy": "Local",
                "selector": self.rng.choice(({"app": "a"}, {"b": "2", "a": "1"}, {})),
            }
        annotations = {}
        if self.rng.random() < 0.4:
            annotations[PREFIX + "allow-shared-ip"] = self.rng.choice(("one", "two", ""))
        if self.rng.random() < 0.15:
            annotations[PREFIX + "address-pool"] = self.rng.choice(("pool0", "pool1", "pool2", "none", ""))
        if self.rng.random() < 0.2:
            annotations[PREFIX + "loadBalancerIPs"] = self._addresses()
        if self.rng.random() < 0.1:
            spec["loadBalancerIP"] = self.rng.choice((*_ADDRESSES, *_ADDRESSES_V6, *_WRONG))
        labels = self.rng.choice(_LABELS)
        meta = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
        return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}

    def _addresses(self) -> str:
        if self.rng.random() < 0.2:
            return self.rng.choice(_WRONG)
        chosen = [self.rng.choice(_ADDRESSES)]
        if self.rng.random() < 0.3:
            chosen.append(self.rng.choice(_ADDRESSES_V6))
            self.rng.shuffle(chosen)
        return self.rng.choice((",", ", ")).join(chosen)
