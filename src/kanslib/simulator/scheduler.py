"""Choose the node of a Pod as kube-scheduler v1.31 does: filters decide, preferences are a score. Pure.

Filters: node name, taints, node selector and affinity, host ports, affinity and anti-affinity between Pods. Not read:
resources and topology spread. Among equal nodes the one with the fewest Pods is taken, then the first by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kanslib.k8s.endpoints import selects
from kanslib.k8s.objects import KubeObject, is_ready, labels_of, name_of, namespace_of

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NO_AFFINITY = "node(s) didn't match Pod's node affinity/selector"
_NO_PORTS = "node(s) didn't have free ports for the requested pod ports"
# reasons that the preemption of another Pod could end
_PREEMPTIBLE = (_NO_PORTS, "node(s) didn't match pod anti-affinity rules")


class Scheduler:
    """Choose nodes for Pods one after the other, from the nodes and the Pods that there are."""

    def __init__(self, nodes: Sequence[KubeObject], pods: Iterable[KubeObject]) -> None:
        self._nodes = {name_of(node): node for node in nodes}
        self._pods = [pod for pod in pods if pod["spec"].get("nodeName") in self._nodes]
        self._count = Counter(str(pod["spec"]["nodeName"]) for pod in self._pods)
        self._repelling = [pod for pod in self._pods if _terms(pod, "podAntiAffinity")]

    def choose(self, pod: KubeObject) -> tuple[str, str]:
        """Return the node for a Pod, or an empty name and why there is none, in kube-scheduler's words."""
        problems = {name: self._problem(pod, node) for name, node in self._nodes.items()}
        fitting = [name for name, problem in problems.items() if not problem]
        if not fitting:
            return "", _unschedulable(list(problems.values()))
        node = min(fitting, key=lambda name: (-self._score(pod, self._nodes[name]), self._count[name], name))
        bound = {**pod, "spec": {**pod["spec"], "nodeName": node}}
        self._pods.append(bound)
        self._repelling += [bound] if _terms(bound, "podAntiAffinity") else []
        self._count[node] += 1
        return node, ""

    def _problem(self, pod: KubeObject, node: KubeObject) -> str:
        """Return why a Pod cannot run on a node; empty where it can."""
        if node["spec"].get("unschedulable"):
            return "node(s) were unschedulable"
        if taint := untolerated_taint(pod["spec"], node, ("NoSchedule", "NoExecute")):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
        if not is_ready(node):  # the node controller taints it so
            return "node(s) had untolerated taint {node.kubernetes.io/unreachable: }"
        if not matches_node(pod["spec"], node):
            return _NO_AFFINITY
        wanted = _host_ports(pod)
        if wanted and any(wanted & _host_ports(other) for other in self._on(node)):
            return _NO_PORTS
        return self._affinity_problem(pod, node)

    def _on(self, node: KubeObject) -> list[KubeObject]:
        return [pod for pod in self._pods if pod["spec"]["nodeName"] == name_of(node)]

    def _affinity_problem(self, pod: KubeObject, node: KubeObject) -> str:
        for term in _terms(pod, "podAffinity"):
            if not self._in_domain(pod, term, node) and not self._is_first_of_its_own(pod, term, node):
                return "node(s) didn't match pod affinity rules"
        if any(self._in_domain(pod, term, node) for term in _terms(pod, "podAntiAffinity")):
            return "node(s) didn't match pod anti-affinity rules"
        for other in self._repelling:
            near = self._nodes[other["spec"]["nodeName"]]
            terms = (term for term in _terms(other, "podAntiAffinity") if _selects_pod(term, other, pod))
            if any(self._same_domain(term, near, node) for term in terms):
                return "node(s) didn't satisfy existing pods anti-affinity rules"
        return ""

    def _in_domain(self, pod: KubeObject, term: Mapping[str, Any], node: KubeObject) -> bool:
        """Return True when a Pod of an affinity term runs in the domain of a node."""
        return any(
            _selects_pod(term, pod, other) and self._same_domain(term, self._nodes[other["spec"]["nodeName"]], node)
            for other in self._pods
        )

    def _is_first_of_its_own(self, pod: KubeObject, term: Mapping[str, Any], node: KubeObject) -> bool:
        """Return True for the first Pod of a group that wants to be together (interpodaffinity filtering.go)."""
        exists = any(_selects_pod(term, pod, other) for other in self._pods)
        return not exists and _selects_pod(term, pod, pod) and term["topologyKey"] in labels_of(node)

    @staticmethod
    def _same_domain(term: Mapping[str, Any], one: KubeObject, other: KubeObject) -> bool:
        value = labels_of(one).get(term["topologyKey"])
        return value is not None and value == labels_of(other).get(term["topologyKey"])

    def _score(self, pod: KubeObject, node: KubeObject) -> int:
        """Return the weights of the preferences that a node meets, less a taint that is to be avoided."""
        affinity = pod["spec"].get("affinity") or {}
        preferred = (affinity.get("nodeAffinity") or {}).get(_PREFERRED) or []
        score = sum(int(one["weight"]) for one in preferred if _matches_term(one["preference"], node))
        for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
            for one in (affinity.get(kind) or {}).get(_PREFERRED) or []:
                score += sign * int(one["weight"]) * self._in_domain(pod, one["podAffinityTerm"], node)
        return score - 100 * (untolerated_taint(pod["spec"], node, ("PreferNoSchedule",)) is not None)


def untolerated_taint(spec: Mapping[str, Any], node: KubeObject, effects: Sequence[str]) -> Mapping[str, Any] | None:
    """Return the first taint of a node, of these effects, that a Pod's spec does not tolerate; None without one."""
    taints = [taint for taint in node["spec"].get("taints") or [] if taint["effect"] in effects]
    return next((taint for taint in taints if toleration_of(spec, taint) is None), None)


def toleration_of(spec: Mapping[str, Any], taint: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the toleration of a Pod's spec that tolerates a taint (k8s.io/api core/v1/toleration.go ToleratesTaint).

    >>> toleration_of({"tolerations": [{"operator": "Exists"}]}, {"key": "gpu", "effect": "NoSchedule"})
    {'operator': 'Exists'}
    """
    for one in spec.get("tolerations") or []:
        same_effect = not one.get("effect") or one["effect"] == taint["effect"]
        same_key = not one.get("key") or one["key"] == taint["key"]
        any_value = one.get("operator") == "Exists"
        if same_effect and same_key and (any_value or one.get("value", "") == taint.get("value", "")):
            return dict(one)
    return None


def matches_node(spec: Mapping[str, Any], node: KubeObject) -> bool:
    """Return True when a node has what nodeSelector and the required node affinity of a Pod's spec ask for."""
    labels = labels_of(node)
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    return required is None or any(_matches_term(term, node) for term in required.get("nodeSelectorTerms") or [])


def _matches_term(term: Mapping[str, Any], node: KubeObject) -> bool:
    """Return True when a node matches a node selector term; an empty term matches no node."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    named = {"metadata.name": name_of(node)}
    return all(_matches(one, labels_of(node)) for one in expressions) and all(_matches(one, named) for one in fields)


def _matches(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if one["operator"] not in ("Gt", "Lt"):
        return selects({"matchExpressions": [one]}, labels)
    try:
        have, bound = int(labels[one["key"]]), int(one["values"][0])
    except (KeyError, ValueError):
        return False
    return have > bound if one["operator"] == "Gt" else have < bound


def _terms(pod: KubeObject, kind: str) -> list[Mapping[str, Any]]:
    affinity = (pod["spec"].get("affinity") or {}).get(kind) or {}
    return affinity.get(_REQUIRED) or []


def _selects_pod(term: Mapping[str, Any], owner: KubeObject, pod: KubeObject) -> bool:
    """Return True when an affinity term of `owner` selects a Pod; without namespaces it means its own."""
    namespaces = term.get("namespaces") or ([] if term.get("namespaceSelector") == {} else [namespace_of(owner)])
    selector = term.get("labelSelector")
    return (
        selector is not None
        and (not namespaces or namespace_of(pod) in namespaces)
        and not pod["metadata"].get("deletionTimestamp")
        and selects(selector, labels_of(pod))
    )


def _host_ports(pod: KubeObject) -> frozenset[tuple[str, int]]:
    """Return the ports of its node that a Pod takes: with the host's network, all of its containers' ports."""
    return frozenset(_taken_ports(pod))


def _taken_ports(pod: KubeObject) -> Iterator[tuple[str, int]]:
    for container in pod["spec"].get("containers") or []:
        for port in container.get("ports") or []:
            number = port.get("hostPort") or (port["containerPort"] if pod["spec"].get("hostNetwork") else 0)
            if number:
                yield port.get("protocol", "TCP"), number


def _unschedulable(problems: Sequence[str]) -> str:
    """Return kube-scheduler's message for a Pod that fits no node (framework/types.go FitError.Error)."""
    head = f"0/{len(problems)} nodes are available"
    reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in Counter(problems).items()))
    victims = sum(problem in _PREEMPTIBLE for problem in problems)
    outcomes = {"No preemption victims found for incoming pod": victims}
    outcomes["Preemption is not helpful for scheduling"] = len(problems) - victims
    preemption = ", ".join(sorted(f"{count} {words}" for words, count in outcomes.items() if count))
    return f"{head}: {reasons}. preemption: {head}: {preemption}."
