"""The rules that Pods and what makes them have to keep: Deployments, DaemonSets, ReplicaSets. Pure.

Kubernetes v1.31 pkg/apis/core/validation/validation.go ValidatePodSpec, pkg/apis/apps/validation/validation.go. The
fields that decide what the simulator shows: containers, ports, scheduling. Volumes and security contexts are not read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kanslib.k8s.endpoints import selects
from kanslib.k8s.field_errors import (
    FieldError,
    dns_label,
    dns_subdomain,
    duplicate,
    forbidden,
    go_literal,
    go_map,
    invalid,
    labels,
    metadata,
    port_name,
    port_number,
    required,
    unsupported,
)
from kanslib.k8s.labels import key_problems, selector_problem, value_problems
from kanslib.k8s.objects import KubeObject

_LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_NODE_OPERATORS = (*_LABEL_OPERATORS, "Gt", "Lt")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
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
    errors = [*metadata(pod), *_spec_errors(_with_host_ports(pod["spec"]), "spec")]
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
    errors = [*metadata(obj), *_non_negative(spec, "replicas")]
    if obj["kind"] == "ReplicaSet":
        errors += _non_negative(spec, "minReadySeconds")
    if selector is None and obj["kind"] != "DaemonSet":
        errors.append(required("spec.selector"))
    if selector is not None:
        errors += _selector_errors(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            kind = "daemonset" if obj["kind"] == "DaemonSet" else "deployment"
            errors.append(invalid("spec.selector", _go_selector(selector), f"empty selector is invalid for {kind}"))
    errors += _template_errors(obj["kind"], selector, spec.get("template") or {})
    if obj["kind"] != "ReplicaSet":
        errors += _non_negative(spec, "minReadySeconds")
    if existing and existing["spec"].get("selector") != selector:
        errors.append(invalid("spec.selector", _go_selector(selector), "field is immutable"))
    return errors


def _template_errors(
    kind: str, selector: Mapping[str, Any] | None, template: Mapping[str, Any]
) -> Iterator[FieldError]:
    """Yield the errors of a template: its labels have to be selected, and its Pods are always restarted."""
    if selector and selector_problem(selector):
        if kind != "DaemonSet":
            yield invalid("spec.selector", _go_selector(selector), "invalid label selector")
            return
    elif selector is None or not selects(selector, _template_labels(template)):
        detail = "`selector` does not match template `labels`"
        yield invalid("spec.template.metadata.labels", go_map(_template_labels(template)), detail)
    yield from labels("spec.template.labels", _template_labels(template))
    spec = template.get("spec") or {}
    yield from _spec_errors(spec, "spec.template.spec")
    if spec.get("restartPolicy", "Always") != "Always":
        yield unsupported("spec.template.spec.restartPolicy", spec["restartPolicy"], ["Always"])


def _template_labels(template: Mapping[str, Any]) -> dict[str, str]:
    return (template.get("metadata") or {}).get("labels") or {}


def _non_negative(spec: Mapping[str, Any], field: str) -> list[FieldError]:
    wrong = (spec.get(field) or 0) < 0
    return [invalid(f"spec.{field}", spec[field], "must be greater than or equal to 0")] if wrong else []


def _selector_errors(selector: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """Yield the errors of a label selector (apimachinery ValidateLabelSelector)."""
    yield from labels(f"{path}.matchLabels", selector.get("matchLabels"))
    for place, one in enumerate(selector.get("matchExpressions") or []):
        where = f"{path}.matchExpressions[{place}]"
        yield from _expression_errors(one, where, _LABEL_OPERATORS)
        for index, value in enumerate(one.get("values") or []):
            yield from (invalid(f"{where}.values[{index}]", value, word) for word in value_problems(value))


def _go_selector(selector: Mapping[str, Any] | None) -> str:
    found = (selector or {}).get("matchLabels") or {}
    expressions = "MatchExpressions:[]v1.LabelSelectorRequirement(nil)"
    return go_literal(f"v1.LabelSelector{{MatchLabels:{go_map(found)}, {expressions}}}")


def _spec_errors(spec: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """Yield the errors of a Pod's spec, in the API server's order."""
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    for place, container in enumerate(containers):
        before = [one.get("name") or "" for one in containers[:place]]
        yield from _container_errors(container, f"{path}.containers[{place}]", before)
    yield from _duplicate_host_port_errors(containers, path)
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


def _container_errors(container: Mapping[str, Any], path: str, before: list[str]) -> Iterator[FieldError]:
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
    if name in before:
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


def _with_host_ports(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a Pod's spec with the API server's default: on its node's network it takes the same ports there."""
    if not spec.get("hostNetwork"):
        return spec
    containers = [
        {**one, "ports": [{"hostPort": port.get("containerPort"), **port} for port in one.get("ports") or []]}
        for one in spec.get("containers") or []
    ]
    return {**spec, "containers": containers}


def _duplicate_host_port_errors(containers: list[Mapping[str, Any]], path: str) -> Iterator[FieldError]:
    before = set[str]()
    for place, container in enumerate(containers):
        for index, port in enumerate(container.get("ports") or []):
            taken = f"{port.get('protocol', 'TCP')}/{port.get('hostIP', '')}/{port.get('hostPort')}"
            if port.get("hostPort") and taken in before:
                yield duplicate(f"{path}.containers[{place}].ports[{index}].hostPort", taken)
            before.add(taken)


def _host_port_errors(containers: list[Mapping[str, Any]], path: str) -> Iterator[FieldError]:
    for place, container in enumerate(containers):
        for index, port in enumerate(container.get("ports") or []):
            if port.get("hostPort", port.get("containerPort")) != port.get("containerPort"):
                where = f"{path}.containers[{place}].ports[{index}].hostPort"
                yield invalid(where, port["hostPort"], "must match `containerPort` when `hostNetwork` is true")


def _toleration_errors(one: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    operator, key = one.get("operator") or "Equal", one.get("key") or ""
    if key:
        yield from (invalid(f"{path}.key", key, word) for word in key_problems(key))
    elif operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid(f"{path}.operator", one.get("operator") or "", detail)
    if one.get("tolerationSeconds") is not None and one.get("effect") != "NoExecute":
        yield invalid(
            f"{path}.effect", one.get("effect") or "", "effect must be 'NoExecute' when `tolerationSeconds` is set"
        )
    if operator == "Equal":
        yield from (invalid(f"{path}.operator", one["value"], word) for word in value_problems(one.get("value") or ""))
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
    node, where = affinity.get("nodeAffinity") or {}, f"{path}.nodeAffinity"
    if (wanted := node.get(_REQUIRED)) is not None:
        terms = wanted.get("nodeSelectorTerms") or []
        if not terms:
            yield required(f"{where}.{_REQUIRED}.nodeSelectorTerms", "must have at least one node selector term")
        for place, term in enumerate(terms):
            yield from _node_term_errors(term, f"{where}.{_REQUIRED}.nodeSelectorTerms[{place}]")
    for place, one in enumerate(node.get(_PREFERRED) or []):
        yield from _weight_errors(one, f"{where}.{_PREFERRED}[{place}]")
        yield from _node_term_errors(one.get("preference") or {}, f"{where}.{_PREFERRED}[{place}].preference")
    for name in ("podAffinity", "podAntiAffinity"):
        pods, where = affinity.get(name) or {}, f"{path}.{name}"
        for place, term in enumerate(pods.get(_REQUIRED) or []):
            yield from _pod_term_errors(term, f"{where}.{_REQUIRED}[{place}]")
        for place, one in enumerate(pods.get(_PREFERRED) or []):
            yield from _weight_errors(one, f"{where}.{_PREFERRED}[{place}]")
            yield from _pod_term_errors(
                one.get("podAffinityTerm") or {}, f"{where}.{_PREFERRED}[{place}].podAffinityTerm"
            )


def _weight_errors(one: Mapping[str, Any], path: str) -> list[FieldError]:
    weight = one.get("weight", 0)
    return [] if 1 <= weight <= 100 else [invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def _node_term_errors(term: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    for place, one in enumerate(term.get("matchExpressions") or []):
        yield from _expression_errors(one, f"{path}.matchExpressions[{place}]", _NODE_OPERATORS)


def _pod_term_errors(term: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    for field in ("labelSelector", "namespaceSelector"):
        yield from _selector_errors(term.get(field) or {}, f"{path}.{field}")
    key = term.get("topologyKey") or ""
    if not key:
        yield required(f"{path}.topologyKey", "can not be empty")
    yield from (invalid(f"{path}.topologyKey", key, one) for one in key_problems(key))


def _expression_errors(one: Mapping[str, Any], path: str, operators: Sequence[str]) -> Iterator[FieldError]:
    """Yield the errors of an expression: its operator, how many values it has, its key."""
    operator, values, key = one.get("operator") or "", one.get("values") or [], one.get("key") or ""
    if operator not in operators:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    elif operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt") and len(values) != 1:
        yield required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    yield from (invalid(f"{path}.key", key, word) for word in key_problems(key))
