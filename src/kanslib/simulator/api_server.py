"""The API server: the defaults and the generated values of an object that is applied. Pure."""

from __future__ import annotations

import base64
import copy
import json
import random
import time
import uuid
from collections.abc import Collection
from ipaddress import ip_address
from itertools import chain, count

from kanslib.k8s.apply import LAST_APPLIED
from kanslib.k8s.objects import CLUSTER_SCOPED, KubeObject, plural
from kanslib.simulator.address_family import Network

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # of generated names (k8s.io/apimachinery rand.String)
NODE_PORTS = (30000, 32767)
API_SERVER = "kube-apiserver"


def allocatable(network: Network) -> range:
    """Return the places of the addresses in a range that a Service can have (ipallocator/bitmap.go).

    The first is not used, nor the last of IPv4 (broadcast); of an IPv6 range only the first 65536 addresses are used.
    """
    return range(1, network.num_addresses - 1 if network.version == 4 else min(network.num_addresses, 65536))


class IdGenerator:
    """Generates every random value of a cluster from a seed: the same seed gives the same cluster.

    A subclass may look the values up by the object's `name`, as a test beside a live cluster does.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rng = random.Random(seed)
        self._revision = 1_000_000

    def uid(self) -> str:
        """Return a random UUID (version 4)."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def resource_version(self) -> str:
        """Return the next resourceVersion."""
        self._revision += 1
        return str(self._revision)

    def name_suffix(self) -> str:
        """Return five random characters, as in the names of Pods."""
        return "".join(self.rng.choices(_LETTERS, k=5))

    def cluster_ip(self, name: str, network: Network, taken: Collection[str]) -> str:
        """Return a random free ClusterIP for a Service.

        The lower part of the range is reserved for ClusterIPs that a manifest names (KEP-3070).
        """
        del name
        upper = allocatable(network)[min(max(16, network.num_addresses // 16), 256) - 1 :]
        if len(upper) > 2 * len(taken) + 65536:  # too many to list them
            return next(ip for _ in count() if (ip := str(network[self.rng.choice(upper)])) not in taken)
        free = [str(network[number]) for number in upper if str(network[number]) not in taken]
        return self.rng.choice(free)

    def node_port(self, name: str, taken: Collection[int]) -> int:
        """Return a random free port of the NodePort range for a Service."""
        del name
        return self.rng.choice([port for port in range(NODE_PORTS[0], NODE_PORTS[1] + 1) if port not in taken])

    def pod_ip(self, name: str, network: Network, taken: Collection[str], last: str) -> str:
        """Return the next free address of a node's Pod range after `last`, the newest one (host-local IPAM)."""
        del name
        base = int(network[0])
        start = int(ip_address(last)) + 1 - base if last else 2
        order = chain(range(start, network.num_addresses - 1), range(2, start))
        return next(ip for place in order if (ip := str(network[place])) not in taken)


def timestamp(moment: float) -> str:
    """Return a moment (Unix seconds) as the API writes it.

    >>> timestamp(1795417742.6)
    '2026-11-23T07:09:02Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


# lists whose elements kubectl merges by a field (patchMergeKey in k8s.io/api); it replaces other lists
_MERGE_KEYS = {
    "containers": ("name",), "initContainers": ("name",), "volumes": ("name",), "env": ("name",),
    "volumeMounts": ("mountPath",), "ports": ("containerPort", "port"),
}  # fmt: skip


def apply_object(document: KubeObject, existing: KubeObject | None) -> KubeObject:
    """Return the object after `kubectl apply`: a three-way merge of document, existing object and last-applied."""
    before = existing or {"metadata": {}}
    last_applied: KubeObject = json.loads((before["metadata"].get("annotations") or {}).get(LAST_APPLIED, "{}"))
    merged = _merge(copy.deepcopy(before), document, last_applied)
    if plural(document["kind"]) not in CLUSTER_SCOPED:
        merged["metadata"].setdefault("namespace", "default")
    if merged["metadata"].get("annotations") is None:
        merged["metadata"]["annotations"] = {}
    merged["metadata"]["annotations"][LAST_APPLIED] = json.dumps(document, separators=(",", ":")) + "\n"
    return merged


def _merge(existing: KubeObject, wanted: KubeObject, last_applied: KubeObject) -> KubeObject:
    merged = {key: value for key, value in existing.items() if key in wanted or key not in last_applied}
    for key, value in wanted.items():
        before, applied = merged.get(key), last_applied.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            merged[key] = _merge(before, value, applied if isinstance(applied, dict) else {})
        elif key in _MERGE_KEYS and isinstance(value, list) and isinstance(before, list):
            merged[key] = _merge_lists(before, value, applied if isinstance(applied, list) else [], _MERGE_KEYS[key])
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def encode_secret(secret: KubeObject) -> None:
    """Move a Secret's stringData into its data, in base64, as the API server does."""
    texts = secret.pop("stringData", None) or {}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    secret["data"] = {**(secret.get("data") or {}), **encoded}
    secret.setdefault("type", "Opaque")


def _merge_lists(
    existing: list[KubeObject], wanted: list[KubeObject], last_applied: list[KubeObject], keys: tuple[str, ...]
) -> list[KubeObject]:
    """Return the wanted elements, each merged with the existing one of its key, and those that nobody applied."""

    def by_key(elements: list[KubeObject]) -> dict[object, KubeObject]:
        return {_merge_key(one, keys): one for one in elements}

    before, applied = by_key(existing), by_key(last_applied)
    merged = [
        _merge(copy.deepcopy(before.get(key, {})), one, applied.get(key, {}))
        for key, one in ((_merge_key(one, keys), one) for one in wanted)
    ]
    kept = [one for key, one in before.items() if key not in by_key(wanted) and key not in applied]
    return [*merged, *kept]


def _merge_key(element: KubeObject, keys: tuple[str, ...]) -> object:
    return next((element[key] for key in keys if key in element), None), element.get("protocol", "TCP")
