"""The rules that a Service has to keep. Pure.

Kubernetes v1.31 pkg/apis/core/validation/validation.go ValidateService, ValidateServiceUpdate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from kanslib.k8s.field_errors import (
    FieldError,
    address,
    cidr,
    dns_label,
    dns_subdomain,
    duplicate,
    forbidden,
    go_literal,
    invalid,
    labels,
    metadata,
    port_number,
    port_number_or_name,
    required,
    unsupported,
    without_leading_zeros,
)
from kanslib.k8s.labels import key_problems
from kanslib.k8s.objects import KubeObject

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_KUBELET_PORT = 10250
_LINK_LOCAL_MULTICAST = ("224.0.0.0/24", "ff02::/10")
_ONE_DAY = 86400
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"
Spec = Mapping[str, Any]


def is_external(spec: Spec) -> bool:
    """Return True for a Service that is reachable from outside of the cluster (ExternallyAccessible)."""
    external_ips = spec["type"] == "ClusterIP" and spec.get("externalIPs")
    return spec["type"] in ("LoadBalancer", "NodePort") or bool(external_ips)


def needs_health_check(spec: Spec) -> bool:
    """Return True for a Service with a healthCheckNodePort (NeedsHealthCheck)."""
    return spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def service_errors(service: KubeObject, existing: KubeObject | None) -> list[FieldError]:
    """Return the errors of a Service that has its defaults, in the API server's order; `existing` is the one before."""
    spec = service["spec"]
    changes = _change_errors(spec, existing["spec"]) if existing else iter(())
    return [
        *changes, *metadata(service), *_type_errors(spec), *_port_errors(spec),
        *labels("spec.selector", spec.get("selector")), *_affinity_errors(spec), *cluster_ip_errors(spec),
        *_external_ip_errors(spec), *_type_name_errors(spec), *_duplicate_port_errors(spec),
        *_load_balancer_errors(spec), *_policy_errors(spec),
    ]  # fmt: skip


def cluster_ip_errors(spec: Spec) -> list[FieldError]:
    """Return the errors of clusterIPs, ipFamilies and ipFamilyPolicy (ValidateServiceClusterIPsRelatedFields)."""
    if spec["type"] == "ExternalName":
        return []
    return [*_synced_errors(spec), *_family_errors(spec), *_cluster_ips_errors(spec)]


def _synced_errors(spec: Spec) -> Iterator[FieldError]:
    ips = spec.get("clusterIPs") or []
    if spec.get("clusterIP") and ips and ips[0] != spec["clusterIP"]:
        yield invalid("spec.clusterIPs", ips, "first value must match `clusterIP`")
    if ips and not spec.get("clusterIP"):
        yield invalid("spec.clusterIPs", ips, "must be empty when `clusterIP` is not specified")


def _family_errors(spec: Spec) -> Iterator[FieldError]:
    families = spec.get("ipFamilies") or []
    for place, family in enumerate(families):
        if family not in _FAMILIES:
            yield unsupported(f"spec.ipFamilies[{place}]", family, _FAMILIES)
        if family in families[:place]:
            yield duplicate(f"spec.ipFamilies[{place}]", family)
    if spec.get("ipFamilyPolicy") not in (None, *_POLICIES):
        yield unsupported("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], _POLICIES)


def _cluster_ips_errors(spec: Spec) -> Iterator[FieldError]:
    ips, families = spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    if ips[:1] == ["None"]:
        if len(ips) > 1:
            yield invalid("spec.clusterIPs", ips, "'None' must be the first and only value")
        return
    malformed = [error for place, ip in enumerate(ips) for error in address(f"spec.clusterIPs[{place}]", ip)]
    if len(ips) > 2:
        malformed.append(invalid("spec.clusterIPs", ips, "may only hold up to 2 values"))
    yield from malformed
    if malformed:
        return
    versions = [ip_address(without_leading_zeros(ip)).version for ip in ips]
    if len(versions) == 2 and versions[0] == versions[1]:
        yield invalid("spec.clusterIPs", ips, "may specify no more than one IP for each IP family")
    for place, (ip, version, family) in enumerate(zip(ips, versions, families, strict=False)):
        if family in _FAMILIES and family != f"IPv{version}":
            detail = f"expected an {family} value as indicated by `ipFamilies[{place}]`"
            yield invalid(f"spec.clusterIPs[{place}]", ip, detail)


def _type_errors(spec: Spec) -> Iterator[FieldError]:
    kind, headless = spec["type"], (spec.get("clusterIPs") or [""])[0] == "None"
    if not spec.get("ports") and not headless and kind != "ExternalName":
        yield required("spec.ports")
    if kind == "LoadBalancer":
        for place, port in enumerate(spec.get("ports") or []):
            if port["port"] == _KUBELET_PORT:
                detail = f"may not expose port {_KUBELET_PORT} externally since it is used by kubelet"
                yield invalid(f"spec.ports[{place}]", port["port"], detail)
    if kind in ("LoadBalancer", "NodePort") and headless:
        yield invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        yield from _external_name_errors(spec)


def _external_name_errors(spec: Spec) -> Iterator[FieldError]:
    for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            yield forbidden(f"spec.{field}", "may not be set for ExternalName services")
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        yield required("spec.externalName")
    for one in dns_subdomain(name) if name else ():
        yield invalid("spec.externalName", name, one)


def _port_errors(spec: Spec) -> Iterator[FieldError]:
    ports, names = spec.get("ports") or [], set[str]()
    for place, port in enumerate(ports):
        path, name = f"spec.ports[{place}]", port.get("name") or ""
        if not name and len(ports) > 1:
            yield required(f"{path}.name")
        elif name:
            yield from (invalid(f"{path}.name", name, one) for one in dns_label(name))
            if name in names:
                yield duplicate(f"{path}.name", name)
            names.add(name)
        yield from port_number(f"{path}.port", port["port"])
        if port["protocol"] not in _PROTOCOLS:
            yield unsupported(f"{path}.protocol", port["protocol"], _PROTOCOLS)
        yield from port_number_or_name(f"{path}.targetPort", port["targetPort"])
        if port.get("appProtocol"):
            yield from (
                invalid(f"{path}.appProtocol", port["appProtocol"], one) for one in key_problems(port["appProtocol"])
            )


def _affinity_errors(spec: Spec) -> Iterator[FieldError]:
    if spec["sessionAffinity"] not in ("ClientIP", "None"):
        yield unsupported("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    if spec["sessionAffinity"] == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= _ONE_DAY:
            path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
            yield invalid(path, seconds, f"must be greater than 0 and less than {_ONE_DAY}")


def _external_ip_errors(spec: Spec) -> Iterator[FieldError]:
    for place, ip in enumerate(spec.get("externalIPs") or []):
        path = f"spec.externalIPs[{place}]"
        if malformed := address(path, ip):
            yield from malformed
            continue
        found = ip_address(without_leading_zeros(ip))
        if found.is_unspecified:
            yield invalid(path, ip, f"may not be unspecified ({ip})")
        if found.is_loopback:
            yield invalid(path, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
        if found.is_link_local:
            yield invalid(path, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
        if any(found in ip_network(one, strict=False) for one in _LINK_LOCAL_MULTICAST):
            yield invalid(
                path, ip, f"may not be in the link-local multicast range ({', '.join(_LINK_LOCAL_MULTICAST)})"
            )


def _type_name_errors(spec: Spec) -> Iterator[FieldError]:
    if spec["type"] not in _TYPES:
        yield unsupported("spec.type", spec["type"], _TYPES)
    if spec["type"] == "ClusterIP":
        for place, port in enumerate(spec.get("ports") or []):
            if port.get("nodePort"):
                yield forbidden(f"spec.ports[{place}].nodePort", "may not be used when `type` is 'ClusterIP'")


def _duplicate_port_errors(spec: Spec) -> Iterator[FieldError]:
    ports = spec.get("ports") or []
    for field in ("nodePort", "port"):
        before = set[tuple[str, int]]()
        for place, port in enumerate(ports):
            if field == "nodePort" and not port.get("nodePort"):
                continue
            key = port["protocol"], port[field]
            if key in before and field == "nodePort":
                yield duplicate(f"spec.ports[{place}].nodePort", port["nodePort"])
            elif key in before:
                yield duplicate(f"spec.ports[{place}]", _go_port(*key))
            before.add(key)


def _go_port(protocol: str, port: int) -> str:
    return go_literal(
        f'core.ServicePort{{Name:"", Protocol:"{protocol}", AppProtocol:(*string)(nil), Port:{port}, '
        'TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}'
    )


def _load_balancer_errors(spec: Spec) -> Iterator[FieldError]:
    is_load_balancer = spec["type"] == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges") or []
    if ranges and not is_load_balancer:
        yield forbidden("spec.LoadBalancerSourceRanges", _ONLY_LOAD_BALANCER)
    for place, one in enumerate(ranges):
        yield from cidr(f"spec.LoadBalancerSourceRanges[{place}]", one.strip())
    if spec.get("allocateLoadBalancerNodePorts") is not None and not is_load_balancer:
        yield forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_LOAD_BALANCER)
    yield from _class_errors(spec)


def _class_errors(spec: Spec) -> Iterator[FieldError]:
    name = spec.get("loadBalancerClass")
    if name is not None and spec["type"] != "LoadBalancer":
        yield forbidden("spec.loadBalancerClass", _ONLY_LOAD_BALANCER)
    elif name is not None:
        yield from (invalid("spec.loadBalancerClass", name, one) for one in key_problems(name))


def _policy_errors(spec: Spec) -> Iterator[FieldError]:
    policy, known = spec.get("externalTrafficPolicy"), ("Cluster", "Local")
    if policy and not is_external(spec):
        yield invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
    elif policy and policy not in known:
        yield unsupported("spec.externalTrafficPolicy", policy, known)
    if spec.get("healthCheckNodePort") and not needs_health_check(spec):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], detail)
    if spec.get("internalTrafficPolicy") not in (None, *known):
        yield unsupported("spec.internalTrafficPolicy", spec["internalTrafficPolicy"], known)
    if spec.get("trafficDistribution") not in (None, "PreferClose"):
        yield unsupported("spec.trafficDistribution", spec["trafficDistribution"], ["PreferClose"])


def _change_errors(spec: Spec, before: Spec) -> Iterator[FieldError]:
    """Yield the errors of a change: a primary address, a family or a class stays (ValidateServiceUpdate)."""
    changed = "may not change once set"
    if "ExternalName" not in (spec["type"], before["type"]):
        ips, old_ips = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
        families, old_families = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
        if old_ips and ips[:1] != old_ips[:1]:
            yield invalid("spec.clusterIPs[0]", ips, changed)
        if old_families and families[:1] != old_families[:1] and "None" not in (*ips[:1], *old_ips[:1]):
            yield invalid("spec.ipFamilies[0]", families, changed)
    both_load_balancers = spec["type"] == before["type"] == "LoadBalancer"
    if both_load_balancers and spec.get("loadBalancerClass") != before.get("loadBalancerClass"):
        yield invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), changed)
    yield from _class_errors(spec)
    both_have_port = needs_health_check(spec) and needs_health_check(before)
    if both_have_port and spec.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        yield forbidden("spec.healthCheckNodePort", "field is immutable")
