"""Simulate the endpoint slice controller (Kubernetes v1.31 k8s.io/endpointslice). Pure.

Pods whose ports have other numbers under the same name get a slice of their own (utils.go getEndpointPorts).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from kanslib.k8s.endpoints import SERVICE_NAME, has_topology_hints, slices_of
from kanslib.k8s.kubeproxy import ZONE
from kanslib.k8s.objects import KubeObject, is_ready, labels_of, name_of, namespace_of, pod_ips
from kanslib.k8s.topology_hints import Hints, cpu_shares, hints
from kanslib.metallb.allocation import EventMessage
from kanslib.simulator.address_family import family_name
from kanslib.simulator.event_loop import EventLoop
from kanslib.simulator.event_recorder import EventRecorder

_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_CONTROLLER = "endpointslice-controller.k8s.io"
_DISABLED = "Topology Aware Hints has been disabled"
Ports = list[dict[str, Any]]


class EndpointSlices:
    """Keep the EndpointSlices of Services that have a selector.

    A Service is reconciled when itself or one of its Pods has changed. Another zone of a node does not count: its
    endpoints keep the zone until then (endpointslice_controller.go).
    """

    def __init__(self, cluster: EventLoop, events: EventRecorder) -> None:
        self._cluster, self._events = cluster, events
        # the newest, by namespace and name of a Service, and family
        self._hints: dict[tuple[str, str, str], Hints] = {}
        known = {(namespace_of(one), labels_of(one).get(SERVICE_NAME)) for one in cluster.objects("endpointslices")}
        self._reconciled = {_key(one): self._versions(one) for one in self._selecting() if _key(one) in known}
        cluster.subscribe(("pods", "services"), cluster.delays.endpoint_slices, self._sync)

    def _sync(self) -> None:
        for service in self._selecting():
            versions = self._versions(service)
            if self._reconciled.get(_key(service)) != versions:
                self._reconciled[_key(service)] = versions
                self._sync_service(service)
        for piece in self._cluster.objects("endpointslices"):
            owner = labels_of(piece).get(SERVICE_NAME, "")
            is_ours = labels_of(piece).get(_MANAGED_BY) == _CONTROLLER
            if is_ours and self._cluster.get("services", owner, namespace_of(piece)) is None:
                self._cluster.remove("endpointslices", piece)

    def _selecting(self) -> list[KubeObject]:
        services = self._cluster.objects("services")
        return [one for one in services if one["spec"].get("selector") and one["spec"].get("type") != "ExternalName"]

    def _pods(self, service: KubeObject) -> list[KubeObject]:
        selector, namespace = service["spec"]["selector"], namespace_of(service)
        return [
            pod
            for pod in self._cluster.objects("pods")
            if namespace_of(pod) == namespace and selector.items() <= labels_of(pod).items()
        ]

    def _versions(self, service: KubeObject) -> list[tuple[str, str]]:
        """Return the names and versions of a Service and of its Pods."""
        objects = [service, *self._pods(service)]
        return [(name_of(one), one["metadata"].get("resourceVersion", "")) for one in objects]

    def _sync_service(self, service: KubeObject) -> None:
        name, namespace = name_of(service), namespace_of(service)
        existing = [
            piece
            for piece in slices_of(self._cluster.objects("endpointslices"), namespace, name)
            if labels_of(piece).get(_MANAGED_BY, _CONTROLLER) == _CONTROLLER
        ]
        pods = self._pods(service)
        families = _families(service)
        for family in families:
            own = [piece for piece in existing if piece.get("addressType", "IPv4") == family]
            self._sync_family(service, family, own, [pod for pod in pods if _address(pod, family)])
        for piece in existing:
            if piece.get("addressType", "IPv4") not in families:
                self._cluster.remove("endpointslices", piece)

    def _sync_family(
        self, service: KubeObject, family: str, existing: list[KubeObject], pods: Sequence[KubeObject]
    ) -> None:
        """Write the slices of a Service in one family (reconciler.go reconcileByAddressType)."""
        groups, pieces = _by_ports(service, pods) or [([], [])], list[KubeObject]()
        before: list[KubeObject] = []
        for ports, group in groups:
            piece = _best(existing, ports, [other for other, _ in groups if other != ports])
            existing = [one for one in existing if one is not piece]
            before += (piece or {}).get("endpoints") or []
            pieces.append(self._filled(copy.deepcopy(piece) if piece else self._new(service, family), service, group))
            pieces[-1]["ports"] = ports
        self._add_hints(service, family, [entry for piece in pieces for entry in piece["endpoints"]], before)
        for piece in pieces:
            self._cluster.put("endpointslices", piece)
        for piece in existing:
            self._cluster.remove("endpointslices", piece)

    def _add_hints(
        self, service: KubeObject, family: str, entries: Sequence[KubeObject], before: Sequence[KubeObject]
    ) -> None:
        """Give endpoints hints where the Service asks for them by annotation; write an event when that changes."""
        key = namespace_of(service), name_of(service), family
        if not has_topology_hints(service):
            if (old := self._hints.pop(key, None)) and old.is_enabled:
                self._write_event(
                    service, "Warning", "TopologyAwareHintsDisabled", f"{_DISABLED}, addressType: {family}"
                )
            return
        same = [_without_hints(entry) for entry in entries] == [_without_hints(entry) for entry in before]
        found = hints(
            [entry.get("zone") for entry in entries],
            [entry["conditions"]["ready"] for entry in entries],
            [_hint(entry) for entry in before] if same else [],
            cpu_shares(self._cluster.objects("nodes")),
            family,
        )
        for entry, zone in zip(entries, found.zones, strict=True):
            if zone:
                entry["hints"] = {"forZones": [{"name": zone}]}
        old = self._hints.get(key)
        if old is None or (old.reason, old.message) != (found.reason, found.message):
            self._write_event(service, found.event_type, found.reason, found.message)
        self._hints[key] = found

    def _write_event(self, service: KubeObject, event_type: str, reason: str, message: str) -> None:
        process = "endpoint-slice-controller"
        self._events.write(service, process, EventMessage(event_type, reason, message), process)

    def _filled(self, piece: KubeObject, service: KubeObject, pods: Sequence[KubeObject]) -> KubeObject:
        """Return a slice with the endpoints of these Pods."""
        before = piece.get("endpoints") or []
        family = piece.get("addressType", "IPv4")
        entries = {entry["addresses"][0]: entry for entry in (self._endpoint(pod, service, family) for pod in pods)}
        # known endpoints keep their places; the API guarantees no order
        order = [entry["addresses"][0] for entry in before if entry["addresses"][0] in entries]
        order += [address for address in entries if address not in order]
        piece["endpoints"] = [entries[address] for address in order]
        return piece

    def _new(self, service: KubeObject, family: str) -> KubeObject:
        name = name_of(service)
        labels = {_MANAGED_BY: _CONTROLLER, SERVICE_NAME: name}
        meta = {
            "name": f"{name}-{self._cluster.ids.name_suffix()}", "namespace": namespace_of(service), "labels": labels,
        }  # fmt: skip
        return {
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": meta, "addressType": family,
        }  # fmt: skip

    def _endpoint(self, pod: KubeObject, service: KubeObject, family: str) -> dict[str, Any]:
        """Return the endpoint of a Pod (utils.go podToEndpoint)."""
        terminating, serving = bool(pod["metadata"].get("deletionTimestamp")), is_ready(pod)
        ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
        node = self._cluster.get("nodes", pod["spec"]["nodeName"]) or {"metadata": {}}
        entry = {
            "addresses": [_address(pod, family)],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod)},
        }
        zone = labels_of(node).get(ZONE)
        if zone:
            entry["zone"] = zone
        if ready and service["spec"].get("trafficDistribution") == "PreferClose" and not has_topology_hints(service):
            entry["hints"] = {"forZones": [{"name": zone or ""}]}  # trafficdist.go preferCloseHeuristic
        return entry


def _without_hints(entry: KubeObject) -> KubeObject:
    return {key: value for key, value in entry.items() if key != "hints"}


def _hint(entry: KubeObject) -> str | None:
    """Return the zone that an endpoint is meant for; None without a hint."""
    return next((str(zone["name"]) for zone in (entry.get("hints") or {}).get("forZones") or []), None)


def _families(service: KubeObject) -> list[str]:
    """Return the address types of a Service's slices (utils.go getAddressTypesForService)."""
    return service["spec"].get("ipFamilies") or [family_name(service["spec"].get("clusterIP") or "")]


def _address(pod: KubeObject, family: str) -> str:
    """Return a Pod's address in a family; empty without one."""
    return next((ip for ip in pod_ips(pod) if family_name(ip) == family), "")


def _key(obj: KubeObject) -> tuple[str, str]:
    return namespace_of(obj), name_of(obj)


def _by_ports(service: KubeObject, pods: Sequence[KubeObject]) -> list[tuple[Ports, list[KubeObject]]]:
    """Return the Pods by the numbers of the Service's ports on them."""
    groups: list[tuple[Ports, list[KubeObject]]] = []
    for pod in pods:
        ports = list(_ports_on(pod, service))
        for known, members in groups:
            if known == ports:
                members.append(pod)
                break
        else:
            groups.append((ports, [pod]))
    return groups


def _ports_on(pod: KubeObject, service: KubeObject) -> Iterator[dict[str, Any]]:
    """Yield the Service's ports as a slice has them: with their numbers on a Pod; without those that it has not."""
    for port in service["spec"].get("ports") or []:
        target, protocol = port.get("targetPort", port["port"]), port.get("protocol", "TCP")
        number = _named_port(pod, target, protocol) if isinstance(target, str) else target
        if number:
            yield {"name": port.get("name", ""), "protocol": protocol, "port": number}


def _named_port(pod: KubeObject, name: str, protocol: str) -> int:
    """Return the number of a Pod's port; 0 for a name that it has not (pkg/api/v1/pod/util.go FindPort)."""
    for container in pod["spec"].get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == name and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return 0


def _best(existing: Sequence[KubeObject], ports: Ports, others: Sequence[Ports]) -> KubeObject | None:
    """Return the slice to write: that with these ports, else one whose ports no other group has."""
    same = [piece for piece in existing if piece.get("ports") == ports]
    free = [piece for piece in existing if piece.get("ports") not in others]
    return next(iter([*same, *free]), None)
