"""Addresses and events beside MetalLB v0.14.8's own controller and allocator, step by step."""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from kanslib.k8s.objects import KubeObject, external_addresses
from kanslib.metallb.allocation import FROM_POOL, PREFIX, Allocator, Decision, key_of_service
from kanslib.metallb.config import Pool, pools
from tests.peers.metallb import MetalLB, allocator_calls, controller_calls
from tests.peers.random_services import RandomServices
from tests.peers.resources import Objects, cluster_resources

pytestmark = pytest.mark.peers
STEPS = int(os.environ.get("KANS_STEPS", "2000"))
SEED = int(os.environ.get("KANS_SEED", "1"))
STEPS_OF_A_CLUSTER = 100
NAMESPACE = "default"
OPERATORS = {"=": "In", "in": "In", "notin": "NotIn", "exists": "Exists", "!": "DoesNotExist"}
REASONS = ("IPAllocated", "AllocationFailed", "ClearAssignment", "LoadBalancerFailed")
KEYS = [f"{namespace}/svc{number}" for namespace in ("default", "shop") for number in range(5)]


class BothControllers:
    """MetalLB's controller and ours with the same pools and Services, whose status is what MetalLB wrote."""

    def __init__(self, real_metallb: MetalLB, draw: RandomServices) -> None:
        self._real, self._draw, self._ours = real_metallb, draw, Allocator()
        self._services: dict[str, KubeObject] = {}
        self._real.ask("pools", resources={})
        self.chances, self.reasons = 0, Counter[str]()
        self.new_pools()

    def new_pools(self) -> None:
        """Give both new pools."""
        objects: Objects = self._draw.pools()
        self._real.ask("new pools", resources=cluster_resources(objects))
        self._ours.set_pools(pools(lambda kind: objects.get(kind, [])))

    def step(self) -> object:
        """Do one random step on both sides; return the difference, None without one."""
        chance, key = self._draw.rng.random(), self._draw.rng.choice(KEYS)
        if chance < 0.04:
            self.new_pools()
            return next(filter(None, map(self._sync, list(self._services))), None)
        if chance < 0.25 and key in self._services:
            return self._delete(key)
        if chance < 0.4 and key in self._services:
            return self._sync(key)
        namespace, name = key.split("/")
        status = self._services.get(key, {}).get("status", {"loadBalancer": {}})
        kept = self._services.get(key, {"metadata": {}})["metadata"].get("annotations", {})
        service = self._draw.service(name, namespace)
        if FROM_POOL in kept:
            service["metadata"]["annotations"][FROM_POOL] = kept[FROM_POOL]
        self._services[key] = {**service, "status": status}
        return self._sync(key)

    def _delete(self, key: str) -> object:
        del self._services[key]
        theirs = self._real.ask("service", key=key, object=None)["reprocess"]
        ours = self._ours.release(key)
        return None if theirs == ours else ("deleted", theirs, ours)

    def _sync(self, key: str) -> object:
        service = self._services[key]
        theirs = self._real.ask("service", key=key, object=service)
        before = copy.deepcopy(self._ours.allocations)
        decision = self._ours.converge(service)
        their_ips = tuple(external_addresses(theirs["service"]))
        self._services[key] = theirs["service"]
        self.reasons.update(event["reason"] for event in theirs["events"])
        if their_ips in decision.alternatives:
            return self._follow(key, before, decision, theirs)
        found = (_described(decision), _described_theirs(theirs))
        return None if found[0] == found[1] else (service, *found)

    def _follow(self, key: str, before: Any, decision: Decision, theirs: Any) -> object:  # noqa: ANN401 (JSON)
        """Take over what MetalLB chose among equal pools; what else it did has to be the same."""
        self.chances += 1
        self._ours.allocations = before
        followed = self._ours.converge(theirs["service"])
        ours = {**_described(followed), "events": [one.reason for one in decision.events]}
        expected = {**_described_theirs(theirs), "events": [one["reason"] for one in theirs["events"]]}
        return None if ours == expected else (theirs["service"], ours, expected)


def _described(decision: Decision) -> dict[str, Any]:
    events = [{"type": one.type, "reason": one.reason, "message": one.message} for one in decision.events]
    return {"ips": decision.ips, "pool": decision.pool, "events": events, "reprocess": decision.released}


def _described_theirs(answer: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    service = answer["service"]
    pool = (service["metadata"].get("annotations") or {}).get(FROM_POOL, "")
    ips = tuple(external_addresses(service))
    events = [{**event, "message": _in_order(event["message"])} for event in answer["events"]]
    return {"ips": ips, "pool": pool, "events": events, "reprocess": answer["reprocess"]}


def _in_order(message: str) -> str:
    """Return a message with the names of other Services sorted: MetalLB has them in a map."""
    words, by, names = message.partition("address also in use by ")
    return words + by + ",".join(sorted(names.split(",")))


def test_allocator_converge_random_steps(real_metallb: MetalLB) -> None:
    draw, differences, clusters = RandomServices(SEED), [], list[BothControllers]()
    for number in range(STEPS):
        if number % STEPS_OF_A_CLUSTER == 0:
            clusters.append(BothControllers(real_metallb, draw))
        if difference := clusters[-1].step():
            differences.append((number, difference))
            clusters.append(BothControllers(real_metallb, draw))
    reasons = sum((one.reasons for one in clusters), Counter())
    chances = sum(one.chances for one in clusters)
    print(f"seed {SEED}: {STEPS} steps, {len(differences)} differences, {chances} among equal pools, {dict(reasons)}")
    assert not differences, differences[:3]
    assert min(reasons[one] for one in REASONS) > STEPS / 500
    assert chances > STEPS / 500


def test_allocator_converge_cases_of_metallb(metallb_folder: Path) -> None:
    """Every call that MetalLB's own tests of the allocator make, as a Service that asks for the same."""
    ours: dict[int, Allocator] = {}
    compared = unreachable = 0
    for number, call in enumerate(allocator_calls(metallb_folder)):
        allocator = ours.setdefault(call["allocator"], Allocator())
        if call["call"] == "SetPools":
            allocator.set_pools({name: _pool(name, pool) for name, pool in call["pools"].items()})
        elif call["call"] == "Unassign":
            allocator.release(f"{NAMESPACE}/{call['key']}")
        elif _holds_another_family(allocator, call):
            unreachable += 1
        else:
            compared += 1
            assert _replay(allocator, call) == (tuple(call["ips"] or ()), call["error"]), (number, call)
    assert (compared, unreachable) == (147, 3)


def test_allocator_converge_cases_of_the_controller(metallb_folder: Path) -> None:
    """Every Service of MetalLB's own tests of the controller, in the 100 orders in which they come."""
    ours: dict[int, Allocator] = {}
    held: dict[tuple[int, str], str] = {}  # by their key: ours, which has the Service's namespace
    compared = 0
    for number, call in enumerate(controller_calls(metallb_folder)):
        allocator = ours.setdefault(call["controller"], Allocator())
        if call["call"] == "SetPools":
            allocator.set_pools({name: _pool(name, pool) for name, pool in call["pools"].items()})
            continue
        place = call["controller"], call["key"]
        before = held.pop(place, "")
        if call["service"] is None:
            allocator.release(before)
            continue
        service = _named(call["service"], call["key"])
        held[place] = key_of_service(service)
        if before in allocator.allocations:
            allocator.allocations[held[place]] = allocator.allocations.pop(before)
        theirs = _addresses(call["service"] if call["status"] is None else {"status": call["status"]})
        decision = allocator.converge(service)
        warned = any(event.type == "Warning" for event in decision.events)
        if theirs in decision.alternatives:
            decision = allocator.converge({**service, "status": _status(theirs)})
        compared += 1
        assert (decision.ips, warned) == (theirs, call["warning"]), (number, call)
    print(f"{compared} Services of MetalLB's own tests of its controller")
    assert compared > 1000


def _named(service: KubeObject, name: str) -> KubeObject:
    """Return a Service with the name that the tests of MetalLB give to the controller beside it."""
    return {**service, "metadata": {"namespace": "none", **service["metadata"], "name": name}}


def _addresses(service: KubeObject) -> tuple[str, ...]:
    return tuple(external_addresses(service))


def _status(ips: Sequence[str]) -> KubeObject:
    return {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}}


def _holds_another_family(allocator: Allocator, call: Mapping[str, Any]) -> bool:
    """Return True when a Service holds addresses of another family: the controller takes those away before it asks."""
    held = allocator.allocations.get(f"{NAMESPACE}/{call['key']}")
    return held is not None and call["call"] != "Assign" and _family(held.ips) != call["family"]


def _family(ips: Sequence[str]) -> str:
    versions = {"ipv6" if ":" in ip else "ipv4" for ip in ips}
    return "dual" if len(versions) > 1 else "".join(versions)


def _pool(name: str, pool: Mapping[str, Any]) -> Pool:
    return Pool(
        name,
        tuple(map(ip_network, pool["networks"])),
        pool["auto_assign"],
        pool["avoid_buggy_ips"],
        pool["pinned"],
        pool.get("priority", 0),
        frozenset(pool.get("namespaces", ())),
        tuple(
            {"matchExpressions": [{**one, "operator": OPERATORS[one["operator"]]} for one in selector]}
            for selector in pool.get("selectors", ())
        ),
    )


def _replay(allocator: Allocator, call: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return the addresses and the error that a call gives; an error leaves the allocator as it was."""
    before = copy.deepcopy(allocator.allocations)
    held = allocator.allocations.get(f"{NAMESPACE}/{call['key']}")
    given = call["ips"] if call["call"] == "Assign" else held.ips if held else ()
    decision = allocator.converge(_service(call, given))
    if tuple(call["ips"] or ()) in decision.alternatives:
        decision = allocator.converge(_service(call, call["ips"]))
    wrong = [one.message for one in decision.events if one.reason in ("ClearAssignment", "AllocationFailed")]
    if not wrong:
        return decision.ips, ""
    allocator.allocations = before
    ips = tuple(given) if call["call"] == "Assign" else ()
    return ips, wrong[0].partition(": ")[2].replace(f"{NAMESPACE}/", "")


def _service(call: Mapping[str, Any], ips: Sequence[str]) -> KubeObject:
    families = {"ipv4": ["10.0.0.1"], "ipv6": ["fd00::1"], "dual": ["10.0.0.1", "fd00::1"]}
    family = call.get("family") or _family(ips)
    annotations = {f"{PREFIX}allow-shared-ip": call["sharing"], f"{PREFIX}address-pool": call.get("pool", "")}
    local = {"externalTrafficPolicy": "Local", "selector": {call["backend"]: ""}} if call["backend"] else {}
    ports = [{"port": one["Port"], "protocol": one["Proto"]} for one in call["ports"] or []]
    meta = (call["service"] or {}).get("metadata", {})
    return {
        "metadata": {
            "name": call["key"], "namespace": meta.get("namespace", NAMESPACE), "annotations": annotations,
            "labels": meta.get("labels", {}),
        },
        "spec": {"type": "LoadBalancer", "clusterIPs": families[family], "ports": ports, **local},
        "status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}},
    }  # fmt: skip
