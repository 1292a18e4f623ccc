"""The hints of endpoints for zones by `service.kubernetes.io/topology-mode: Auto`. Pure.

Kubernetes v1.31 k8s.io/endpointslice/topologycache: each zone is to have as large a share of the endpoints as it has of
the nodes' CPU. Where an endpoint can go to several zones, the real controller takes one of them by chance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from kanslib.k8s.kubeproxy import ZONE
from kanslib.k8s.objects import KubeObject, is_ready, labels_of

_OVERLOAD = 0.2  # that an endpoint may get at most, as a share (overloadThreshold)
_EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_DISABLED, _ENABLED = "TopologyAwareHintsDisabled", "TopologyAwareHintsEnabled"


@dataclass(frozen=True)
class Hints:
    """The zone that each endpoint is meant for (None for one that is not ready), and what an event says of it."""

    zones: tuple[str | None, ...]
    event_type: str
    reason: str
    message: str

    @property
    def is_enabled(self) -> bool:
        """True where every ready endpoint has a hint."""
        return self.reason == _ENABLED


@dataclass(frozen=True)
class _Allocation:
    """How many endpoints a zone has to have at least, and how many it should have."""

    minimum: int
    desired: float
    maximum: int = 0


def cpu_shares(nodes: Iterable[KubeObject]) -> dict[str, float]:
    """Return each zone's share of the CPU of the ready workers; empty where a worker has no zone, or all have one.

    A node that does not say how much it has counts as one CPU: kind's nodes all have those of one machine.
    """
    cpus: dict[str, Fraction] = {}
    for node in nodes:
        if any(label in labels_of(node) for label in _EXCLUDED) or not is_ready(node):
            continue
        zone, cpu = labels_of(node).get(ZONE), _cpu(node)
        if not zone or not cpu:
            return {}
        cpus[zone] = cpus.get(zone, Fraction(0)) + cpu
    total = sum(cpus.values())
    return {zone: float(cpu / total) for zone, cpu in cpus.items()} if len(cpus) > 1 else {}


def _cpu(node: KubeObject) -> Fraction:
    text = str((node.get("status", {}).get("allocatable") or {}).get("cpu", 1))
    return Fraction(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)


def hints(
    zones: Sequence[str | None],
    ready: Sequence[bool],
    before: Sequence[str | None],
    shares: Mapping[str, float],
    family: str,
) -> Hints:
    """Return the hints of a Service's endpoints of one family (topologycache.go AddHints).

    `zones`, `ready`: of each endpoint. `before`: their hints where nothing else of them changed, else empty; they stay
    while they are right. `shares`: as `cpu_shares` returns them. `family`: as events name it.

    >>> hints(["a", "a", "a", "b"], [True] * 4, [], {"a": 0.5, "b": 0.5}, "IPv4").zones
    ('b', 'a', 'a', 'b')
    """
    number = sum(ready)
    allocations, problem = _allocations(number, shares)
    if not problem and any(is_ready and not zone for zone, is_ready in zip(zones, ready, strict=True)):
        problem = "One or more endpoints do not have a zone specified"
    if problem:
        return Hints((None,) * len(zones), "Warning", _DISABLED, f"{problem}, addressType: {family}")
    if before and _stay(before, ready, allocations):
        chosen = list(before)
    else:
        chosen = [zone if is_ready else None for zone, is_ready in zip(zones, ready, strict=True)]
        _redistribute(chosen, *_giving_and_receiving(allocations, Counter(filter(None, chosen))))
    message = f"Topology Aware Hints has been enabled, addressType: {family}"
    return Hints(tuple(chosen), "Normal", _ENABLED, message)


def _allocations(number: int, shares: Mapping[str, float]) -> tuple[dict[str, _Allocation], str]:
    """Return how many of some endpoints each zone gets, or why they cannot be shared out (getAllocations)."""
    counts = f"({number} endpoints, {len(shares)} zones)"
    if not shares:
        return {}, "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
    if len(shares) > number:
        return {}, f"Insufficient number of endpoints {counts}"
    found = {}
    for zone, share in shares.items():
        desired = share * float(number)
        minimum = math.ceil(desired * (1 / (1 + _OVERLOAD)))
        found[zone] = _Allocation(minimum, max(desired, float(minimum)))
    spare = number - sum(one.minimum for one in found.values())
    if spare < 0:
        problem = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
        return {}, f"{problem} {counts}"
    return {zone: _Allocation(one.minimum, one.desired, one.minimum + spare) for zone, one in found.items()}, ""


def _stay(before: Sequence[str | None], ready: Sequence[bool], allocations: Mapping[str, _Allocation]) -> bool:
    """Return True for hints that are right still (getHintsByZone)."""
    counts = Counter(zone or "" for zone, is_ready in zip(before, ready, strict=True) if is_ready)
    return all(zone in allocations and count <= allocations[zone].maximum for zone, count in counts.items())


def _giving_and_receiving(
    allocations: Mapping[str, _Allocation], current: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many endpoints each zone gives to others and receives (getGivingAndReceivingZones)."""
    surplus = {zone: current.get(zone, 0) - one.desired for zone, one in sorted(allocations.items())}
    gives = {zone: value for zone, value in surplus.items() if value > 0}
    needs = {zone: -value for zone, value in surplus.items() if value < 0}
    giving, receiving = Counter[str](), Counter[str]()
    while gives and needs:
        giver, taker = max(gives, key=gives.__getitem__), max(needs, key=needs.__getitem__)
        most = gives[giver], needs[taker]
        if max(most) < 1 or min(most) < 0.5:
            break
        for zone, left, total in ((giver, gives, giving), (taker, needs, receiving)):
            left[zone] -= 1
            total[zone] += 1
    return dict(giving), dict(receiving)


def _redistribute(chosen: list[str | None], giving: dict[str, int], receiving: dict[str, int]) -> None:
    """Give endpoints of zones that have too many to those that have too few (redistributeHints)."""
    for place, zone in enumerate(chosen):
        taker = next((one for one, count in receiving.items() if count), None)
        if zone and taker and giving.get(zone, 0):
            chosen[place] = taker
            giving[zone] -= 1
            receiving[taker] -= 1
