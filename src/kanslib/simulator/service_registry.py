"""Store a Service as the API server does: its defaults, its addresses and ports, and what it refuses. Pure.

Kubernetes v1.31 pkg/apis/core/v1/defaults.go, pkg/registry/core/service (storage.go, alloc.go, strategy.go).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from kanslib.exceptions import RefusedError
from kanslib.k8s.field_errors import FieldError, described, invalid, without_leading_zeros
from kanslib.k8s.objects import KubeObject
from kanslib.k8s.service_validation import cluster_ip_errors, is_external, needs_health_check, service_errors
from kanslib.simulator.address_family import Network, family_name
from kanslib.simulator.api_server import API_SERVER, NODE_PORTS, IdGenerator, allocatable

_CLIENT_IP_SECONDS = 10800  # DefaultClientIPServiceAffinitySeconds
# fields that are strings in Go, not pointers to one
_EMPTY_IS_ABSENT = ("type", "sessionAffinity", "externalTrafficPolicy", "clusterIP", "externalName", "loadBalancerIP")
_ONE_FAMILY = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
Spec = dict[str, Any]


def stored_service(
    service: KubeObject,
    existing: KubeObject | None,
    ids: IdGenerator,
    networks: Sequence[Network],
    others: Collection[KubeObject],
) -> KubeObject:
    """Return a Service as the API server stores it; changes `service` itself.

    ClusterIPs, node ports and health check port are those of `existing`, else free ones from `ids`. `networks`: the
    ranges of ClusterIPs, that of the default family first. `others`: all other Services, whose addresses and ports are
    taken. Raise RefusedError.
    """
    spec, name = service["spec"], service["metadata"]["name"]
    before: Spec = existing["spec"] if existing else {}
    for field in _EMPTY_IS_ABSENT:
        if spec.get(field) == "":
            del spec[field]
    _set_defaults(spec)
    if before:
        _drop_fields_of_the_old_type(spec, before)
        _keep_allocated(spec, before)
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    if spec["type"] != "ExternalName":
        by_family = {f"IPv{network.version}": network for network in networks}
        if not _keeps_its_families(spec, before):
            _set_families(name, spec, before, list(by_family))
        _allocate_cluster_ips(name, spec, before, ids, by_family, others)
    _allocate_ports(name, spec, before, ids, others)
    _refuse(name, service_errors(service, existing))
    service.setdefault("status", {"loadBalancer": {}})
    return service


def _refuse(name: str, errors: Iterable[FieldError]) -> None:
    """Raise RefusedError where there is an error."""
    if found := list(errors):
        raise RefusedError(API_SERVER, described("Service", name, found))


def _set_defaults(spec: Spec) -> None:
    kind = spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if config.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _CLIENT_IP_SECONDS}}
    for port in spec.get("ports") or []:
        port.setdefault("port", 0)
        port.setdefault("protocol", "TCP")
        port["targetPort"] = port.get("targetPort") or port["port"]
        if not port.get("name"):
            port.pop("name", None)
    if is_external(spec):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _drop_fields_of_the_old_type(spec: Spec, before: Mapping[str, Any]) -> None:
    """Drop what the new type does not have and the manifest did not change (dropTypeDependentFields)."""
    dropped: list[str] = []
    if spec["type"] == "ExternalName":
        dropped += ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]
    if spec["type"] != "LoadBalancer":
        dropped += ["allocateLoadBalancerNodePorts", "loadBalancerClass"]
    if not is_external(spec):
        dropped += ["externalTrafficPolicy"]
    if not needs_health_check(spec):
        dropped += ["healthCheckNodePort"]
    for field in dropped:
        if field in spec and spec[field] == before.get(field):
            del spec[field]
    known = {port.get("nodePort") for port in before.get("ports") or []}
    ports = spec.get("ports") or []
    if spec["type"] not in ("NodePort", "LoadBalancer") and {port.get("nodePort") for port in ports} <= {*known, None}:
        for port in ports:
            port.pop("nodePort", None)


def _keep_allocated(spec: Spec, before: Mapping[str, Any]) -> None:
    """Keep the addresses and ports that were allocated before (patchAllocatedValues, normalizeClusterIPs)."""
    if "ExternalName" not in (spec["type"], before["type"]):
        changed = spec.get("clusterIP") not in (None, "", before.get("clusterIP"))
        if changed and spec.get("clusterIPs") == before.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        spec["clusterIP"] = spec.get("clusterIP") or before.get("clusterIP")
        spec["clusterIPs"] = spec.get("clusterIPs") or list(before.get("clusterIPs") or [])
    if _has_node_ports(spec) and _has_node_ports(before):
        _keep_node_ports(spec, before)
    if needs_health_check(spec) and needs_health_check(before) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort")


def _has_node_ports(spec: Mapping[str, Any]) -> bool:
    return spec["type"] in ("NodePort", "LoadBalancer")


def _keep_node_ports(spec: Spec, before: Mapping[str, Any]) -> None:
    """Keep the node ports of ports that stay: those with the same number, then those with the same name.

    kubectl merges ports by their number (patchMergeKey), the API server fills in by name.
    """
    old = before.get("ports") or []
    by_number = {(port["port"], port["protocol"]): port.get("nodePort") for port in old}
    by_name = {port.get("name", ""): port.get("nodePort") for port in old}
    ports = spec.get("ports") or []
    for port in ports:
        if kept := by_number.get((port["port"], port["protocol"])):
            port["nodePort"] = port.get("nodePort") or kept
    used = {port.get("nodePort") for port in ports}
    for port in ports:
        kept = by_name.get(port.get("name", ""))
        if kept and not port.get("nodePort") and kept not in used:
            port["nodePort"] = kept


def _keeps_its_families(spec: Spec, before: Mapping[str, Any]) -> bool:
    """Return True for a Service with policy PreferDualStack that changes nothing of its families.

    A cluster that becomes dual-stack does not change it either (isMatchingPreferDualStackClusterIPFields).
    """
    same = all(spec.get(field) == before.get(field) for field in ("type", "clusterIPs", "ipFamilies"))
    return same and spec.get("ipFamilyPolicy") == before.get("ipFamilyPolicy") == "PreferDualStack"


def _set_families(name: str, spec: Spec, before: Mapping[str, Any], known: Sequence[str]) -> None:
    """Set ipFamilies and ipFamilyPolicy; refuse what the cluster has not (initIPFamilyFields).

    `known`: the families of the cluster, its default first.
    """
    without_selector = spec.get("clusterIP") == "None" and not spec.get("selector")
    policy = spec.get("ipFamilyPolicy") or ("RequireDualStack" if without_selector else "SingleStack")
    spec["ipFamilyPolicy"] = policy
    _refuse(name, cluster_ip_errors(spec))
    errors = [*_release_second_family(spec, before), *_single_stack_errors(spec)]
    families, ips = list(spec.get("ipFamilies") or []), spec.get("clusterIPs") or []
    for place, ip in enumerate([] if ips[:1] == ["None"] else ips):
        if place >= len(families):
            families.append(family_name(ip))
            if families[-1] not in known:
                detail = f"{families[-1]} is not configured on this cluster"
                errors.append(invalid(f"spec.clusterIPs[{place}]", ips, detail))
    _refuse(name, errors)
    if not without_selector:
        if policy == "RequireDualStack" and len(known) < 2:
            detail = "this cluster is not configured for dual-stack services"
            errors.append(invalid("spec.ipFamilyPolicy", policy, detail))
        for place, family in enumerate(families):
            if family not in known:
                errors.append(invalid(f"spec.ipFamilies[{place}]", family, "not configured on this cluster"))
        _refuse(name, errors)
    spec["ipFamilies"] = families or [known[0]]
    if policy != "SingleStack" and len(spec["ipFamilies"]) == 1 and (without_selector or len(known) == 2):
        spec["ipFamilies"].append("IPv6" if spec["ipFamilies"] == ["IPv4"] else "IPv4")


def _single_stack_errors(spec: Spec) -> Iterator[FieldError]:
    for field, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
        if spec["ipFamilyPolicy"] == "SingleStack" and len(spec.get(field) or []) == 2:
            yield invalid("spec.ipFamilyPolicy", "SingleStack", _ONE_FAMILY.format(what))


def _release_second_family(spec: Spec, before: Mapping[str, Any]) -> list[FieldError]:
    """Take the second family off a Service that becomes SingleStack; return errors where the policy does not say so."""
    errors = []
    for field, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        values, old = spec.get(field) or [], before.get(field) or []
        if spec["ipFamilyPolicy"] == "SingleStack":
            if values == old and len(values) == 2:
                spec[field] = values[:1]
        elif values and len(values) < len(old):
            detail = f"must be 'SingleStack' to release the secondary {what}"
            errors.append(invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], detail))
    return errors


def _allocate_cluster_ips(
    name: str,
    spec: Spec,
    before: Mapping[str, Any],
    ids: IdGenerator,
    networks: Mapping[str, Network],
    others: Collection[KubeObject],
) -> None:
    """Allocate a ClusterIP of each family that has none yet (allocClusterIPs, updateClusterIPs)."""
    if spec.get("clusterIP") == "None":
        return
    taken = {ip for other in others for ip in (other["spec"].get("clusterIPs") or [other["spec"].get("clusterIP")])}
    wanted, kept = list(spec.get("clusterIPs") or []), before.get("clusterIPs") or []
    for place, family in enumerate(spec["ipFamilies"]):
        if place >= len(wanted):
            wanted.append(ids.cluster_ip(name, networks[family], taken))
        elif place >= len(kept):
            _check_cluster_ip(name, wanted, place, networks[family], taken)
    spec["clusterIP"], spec["clusterIPs"] = wanted[0], wanted


def _check_cluster_ip(name: str, wanted: Sequence[str], place: int, network: Network, taken: Collection[str]) -> None:
    """Refuse a ClusterIP that a manifest names and that cannot be had."""
    address = ip_address(without_leading_zeros(wanted[place]))
    problem = "provided IP is already allocated" if str(address) in taken else ""
    if int(address) - int(network[0]) not in allocatable(network):
        problem = f"the provided IP ({wanted[place]}) is not in the valid range. The range of valid IPs is {network}"
    if problem:
        detail = f"failed to allocate IP {wanted[place]}: {problem}"
        _refuse(name, [invalid("spec.clusterIPs", list(wanted), detail)])


def _allocate_ports(
    name: str, spec: Spec, before: Mapping[str, Any], ids: IdGenerator, others: Collection[KubeObject]
) -> None:
    """Reserve the node ports that are wanted, and choose the others (alloc.go initNodePorts, updateNodePorts)."""
    taken = {port.get("nodePort", 0) for other in others for port in other["spec"].get("ports") or []}
    taken |= {other["spec"].get("healthCheckNodePort", 0) for other in others}
    own = {port.get("nodePort") for port in before.get("ports") or []} | {before.get("healthCheckNodePort")}
    ports = (spec.get("ports") or []) if _has_node_ports(spec) else []
    # node ports of this Service by port: two protocols share one, and the first takes what a later one asks for
    chosen: dict[int, int] = {}
    asked = {} if before else {port["port"]: port["nodePort"] for port in reversed(ports) if port.get("nodePort")}
    chooses = spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts")
    for place, port in enumerate(ports):
        wanted = port.get("nodePort") or chosen.get(port["port"]) or (chooses and asked.get(port["port"]))
        is_kept = wanted in own or wanted == chosen.get(port["port"])
        if wanted and not is_kept and (problem := _port_problem(wanted, taken)):
            _refuse(name, [invalid(f"spec.ports[{place}].nodePort", wanted, problem)])
        if wanted or chooses:
            port["nodePort"] = wanted or ids.node_port(name, taken)
            chosen[port["port"]] = port["nodePort"]
            taken.add(port["nodePort"])
    if not needs_health_check(spec):
        return
    wanted = spec.get("healthCheckNodePort")
    problem = _port_problem(wanted, taken) if wanted and wanted not in own else ""
    if problem and not needs_health_check(before or {"type": ""}):
        message = f"failed to allocate requested HealthCheck NodePort {wanted}: {problem}"
        raise RefusedError(API_SERVER, f"Internal error occurred: {message}")
    spec["healthCheckNodePort"] = wanted or ids.node_port(f"{name} health check", taken)


def _port_problem(port: int, taken: Collection[int]) -> str:
    """Return why a node port cannot be had (portallocator.Allocate); empty where it can."""
    first, last = NODE_PORTS
    if not first <= port <= last:
        return f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
    return "provided port is already allocated" if port in taken else ""
