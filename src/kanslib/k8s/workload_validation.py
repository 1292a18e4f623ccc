"""The rules that Pods and what makes them have to keep: Deployments, DaemonSets, ReplicaSets. Pure.

Kubernetes v1.31 pkg/apis/core/validation/validation.go ValidatePodSpec, pkg/apis/apps/validation/validation.go. The
fields that decide what the simulator shows: containers, ports, scheduling. Volumes and security contexts are not read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from kanslib.k8s.endpoints import selects
from kanslib.k8s.field_errors import (
    FieldError,
    dns_label,
    dns_subdomain,
    duplicate,
    forbidden,
    go_literal,
    invalid,
    label_value,
    labels,
    metadata,
    port_name,
    port_number,
    qualified_name,
    required,
    unsupported,
)
from kanslib.k8s.objects import KubeObject

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_RESTARTS = ("Always", "OnFailure", "Never")
_UPDATABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_errors(pod: KubeObject, existing: KubeObject | None) -> list[FieldError]:
    """Return the errors of a Pod; `existing` is the one before, of which an image, and no more, may change."""
    errors = [*metadata(pod), *_spec_errors(pod["spec"], "spec")]
    if existing and _fixed(pod["spec"]) != _fixed(existing["spec"]):
        errors.append(forbidden("spec", f"pod updates may not change fields other than {_UPDATABLE}"))
    return errors


def _fixed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a Pod's spec that may not change."""
    fixed = copy.deepcopy(dict(spec))
    for container in [*fixed.get("containers", []), *fixed.get("initContainers", [])]:
        container.pop("image", None)
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")
    for field in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"):
        fixed.pop(field, None)
    return {field: value for field, value in fixed.items() if value}


def workload_errors(obj: KubeObject, existing: KubeObject | None) -> list[FieldError]:
    """Return the errors of a Deployment, a DaemonSet or a ReplicaSet; `existing` is the one before."""
    spec, selector = obj["spec"], obj["spec"].get("selector")
    errors = list(metadata(obj))
    if spec.get("replicas", 0) < 0:
        errors.append(invalid("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
    if selector is None:
        errors.append(required("spec.selector"))
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(
            invalid("spec.selector", go_literal("{}"), f"empty selector is invalid for {obj['kind'].lower()}")
        )
    template = spec.get("template") or {}
    template_labels = (template.get("metadata") or {}).get("labels") or {}
    if not selects(selector or {}, template_labels) or (selector is None and obj["kind"] != "DaemonSet"):
        detail = "`selector` does not match template `labels`"
        errors.append(invalid("spec.template.metadata.labels", template_labels or None, detail))
    errors += labels("spec.template.labels", template_labels)
    errors += _spec_errors(template.get("spec") or {}, "spec.template.spec")
    restart = (template.get("spec") or {}).get("restartPolicy", "Always")
    if restart != "Always":
        errors.append(unsupported("spec.template.spec.restartPolicy", restart, ["Always"]))
    if existing and existing["spec"].get("selector") != selector:
        errors.append(invalid("spec.selector", go_literal(_go_selector(selector)), "field is immutable"))
    return errors


def _go_selector(selector: Mapping[str, Any] | None) -> str:
    found = (selector or {}).get("matchLabels") or {}
    pairs = ", ".join(f'"{key}":"{found[key]}"' for key in sorted(found))
    return (
        f"v1.LabelSelector{{MatchLabels:map[string]string{{{pairs}}}, "
        "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}"
    )


def _spec_errors(spec: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """Yield the errors of a Pod's spec, in the API server's order."""
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    for place, container in enumerate(containers):
        before = [one.get("name") for one in containers[:place]]
        yield from _container_errors(container, f"{path}.containers[{place}]", before)
    if spec.get("hostNetwork"):
        yield from _host_port_errors(containers, path)
    if spec.get("restartPolicy", "Always") not in _RESTARTS:
        yield unsupported(f"{path}.restartPolicy", spec["restartPolicy"], _RESTARTS)
    yield from labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    yield from _affinity_errors(spec.get("affinity") or {}, f"{path}.affinity")
    if spec.get("nodeName"):
        yield from (invalid(f"{path}.nodeName", spec["nodeName"], one) for one in dns_subdomain(spec["nodeName"]))
    for place, toleration in enumerate(spec.get("tolerations") or []):
        yield from _toleration_errors(toleration, f"{path}.tolerations[{place}]")


def _container_errors(container: Mapping[str, Any], path: str, before: list[str | None]) -> Iterator[FieldError]:
    name = container.get("name") or ""
    if not name:
        yield required(f"{path}.name")
    else:
        yield from (invalid(f"{path}.name", name, one) for one in dns_label(name))
    if not container.get("image"):
        yield required(f"{path}.image")
    names = set[str]()
    for place, port in enumerate(container.get("ports") or []):
        where = f"{path}.ports[{place}]"
        named = port.get("name") or ""
        if named and (wrong := port_name(named)):
            yield from (invalid(f"{where}.name", named, one) for one in wrong)
        elif named in names:
            yield duplicate(f"{where}.name", named)
        names |= {named} - {""}
        yield from _container_port_errors(port, where)
    if name and name in before:
        yield duplicate(f"{path}.name", name)


def _container_port_errors(port: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    if not port.get("containerPort"):
        yield required(f"{path}.containerPort")
    else:
        yield from port_number(f"{path}.containerPort", port["containerPort"])
    if port.get("hostPort"):
        yield from port_number(f"{path}.hostPort", port["hostPort"])
    if port.get("protocol", "TCP") not in _PROTOCOLS:
        yield unsupported(f"{path}.protocol", port["protocol"], _PROTOCOLS)


def _host_port_errors(containers: list[Mapping[str, Any]], path: str) -> Iterator[FieldError]:
    for place, container in enumerate(containers):
        for index, port in enumerate(container.get("ports") or []):
            if port.get("hostPort", port.get("containerPort")) != port.get("containerPort"):
                where = f"{path}.containers[{place}].ports[{index}].hostPort"
                yield invalid(where, port["hostPort"], "must match `containerPort` when `hostNetwork` is true")


def _toleration_errors(one: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    operator, key = one.get("operator") or "Equal", one.get("key") or ""
    if key:
        yield from (invalid(f"{path}.key", key, word) for word in qualified_name(key))
    elif operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid(f"{path}.operator", one.get("operator") or "", detail)
    if one.get("tolerationSeconds") is not None and one.get("effect") != "NoExecute":
        yield invalid(
            f"{path}.effect", one.get("effect") or "", "effect must be 'NoExecute' when `tolerationSeconds` is set"
        )
    if operator == "Equal":
        yield from (invalid(f"{path}.operator", one["value"], word) for word in label_value(one.get("value") or ""))
    elif operator == "Exists" and one.get("value"):
        yield invalid(
            f"{path}.operator", go_literal(_go_toleration(one)), "value must be empty when `operator` is 'Exists'"
        )
    elif operator != "Exists":
        yield unsupported(f"{path}.operator", operator, ("Equal", "Exists"))
    if one.get("effect") and one["effect"] not in _EFFECTS:
        yield unsupported(f"{path}.effect", one["effect"], _EFFECTS)


def _go_toleration(one: Mapping[str, Any]) -> str:
    fields = "".join(f'{name.capitalize()}:"{one.get(name, "")}", ' for name in ("key", "operator", "value", "effect"))
    return f"core.Toleration{{{fields}TolerationSeconds:(*int64)(nil)}}"


def _affinity_errors(affinity: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    node = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    where = f"{path}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    for place, term in enumerate(node.get("nodeSelectorTerms") or []):
        for index, one in enumerate(term.get("matchExpressions") or []):
            yield from _expression_errors(one, f"{where}[{place}].matchExpressions[{index}]")
    for name in ("podAffinity", "podAntiAffinity"):
        terms = (affinity.get(name) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []
        for place, term in enumerate(terms):
            key = f"{path}.{name}.requiredDuringSchedulingIgnoredDuringExecution[{place}].topologyKey"
            if not term.get("topologyKey"):
                yield required(key, "can not be empty")
            yield from (
                invalid(key, term.get("topologyKey") or "", one)
                for one in qualified_name(term.get("topologyKey") or "")
            )


def _expression_errors(one: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    operator, values = one.get("operator"), one.get("values") or []
    if operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt") and len(values) != 1:
        yield required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    elif operator not in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"):
        yield invalid(f"{path}.operator", operator or "", "not a valid selector operator")
    yield from (invalid(f"{path}.key", one.get("key") or "", word) for word in qualified_name(one.get("key") or ""))
