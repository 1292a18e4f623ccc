"""Read the facts of a cluster at a moment, with names that are the same in every cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from kanslib import iptables
from kanslib.answer import Text
from kanslib.backends.base import Backend
from kanslib.exceptions import KanslibError, RecordingError
from kanslib.k8s.endpoints import conditions, endpoints_in, slices_of
from kanslib.k8s.objects import KubeObject, external_addresses, newest_leaders
from kanslib.metallb import election
from kanslib.metallb.memberlist import members
from kanslib.recording.format import decode

OF_KUBE_PROXY = re.compile(r"KUBE-(?!KUBELET|PROXY-CANARY|IPTABLES|FIREWALL)")
_ENDPOINT_CHAIN = re.compile(r"KUBE-SEP-[A-Z0-9]{16}")  # its name hashes an address


class Topic(StrEnum):
    """The topic of a fact."""

    ADDRESS = "address of"
    ENDPOINTS = "endpoints of"
    LEADER = "leader of"
    STATUS = "ServiceL2Status of"
    SERVICE_RULES = "rules of"
    NODE_RULES = "rules on"
    ROUTES = "routes to"


# facts that are known only where a command read them at the moment
READ_BY_COMMANDS = frozenset({Topic.SERVICE_RULES, Topic.NODE_RULES, Topic.ROUTES})


class Fact(NamedTuple):
    """A topic, and the Service, node or prefix that it is about.

    >>> print(Fact(Topic.LEADER, "svc1"))
    leader of svc1
    """

    topic: Topic
    name: str

    def __str__(self) -> str:
        return f"{self.topic} {self.name}"


Facts = dict[Fact, tuple[str, ...]]


def generated_names(backend: Backend) -> dict[str, str]:
    """Return the addresses of Pods, ClusterIPs and node ports, each with the name of what has it."""
    pods = [pod for pod in backend.objects("pods") if not pod["spec"].get("hostNetwork")]
    names = {pod.get("status", {}).get("podIP", ""): _pod_name(pod) for pod in pods}
    for service in backend.objects("services"):
        name, spec = service["metadata"]["name"], service["spec"]
        names[spec.get("clusterIP", "")] = f"clusterIP of {name}"
        for port in spec.get("ports", []):
            names[str(port.get("nodePort", ""))] = f"nodePort of {name}"
        names[str(spec.get("healthCheckNodePort", ""))] = f"health port of {name}"
    return {address: name for address, name in names.items() if address}


def _pod_name(pod: KubeObject) -> str:
    """Return the Pod's name, without the letters that were generated for it."""
    meta = pod["metadata"]
    name: str = meta["name"]
    return name.rpartition("-")[0] if meta.get("generateName") or meta["namespace"] == "metallb-system" else name


def object_facts(backend: Backend, names: Mapping[str, str]) -> Facts:
    """Return the addresses, endpoints, leaders and ServiceL2Statuses of the Services in `default`.

    `names`: the name of an address, a port or a node. The leader is a fact only where the election has one.
    """
    leaders, statuses = newest_leaders(backend.objects("events")), _status_nodes(backend)
    alive = _alive(backend)
    facts: Facts = {}
    for service in backend.objects("services"):
        meta = service["metadata"]
        name = meta["name"]
        if meta.get("namespace") != "default" or name == "kubernetes":
            continue
        facts[Fact(Topic.ADDRESS, name)] = tuple(external_addresses(service))
        facts[Fact(Topic.ENDPOINTS, name)] = tuple(_endpoints(backend, name, names))
        if service["spec"].get("type") == "LoadBalancer":
            if election.explain(backend.objects, name, alive).leader:
                leader = leaders.get(meta["uid"], "")
                facts[Fact(Topic.LEADER, name)] = (names.get(leader, leader),)
            nodes = (names.get(node, node) for node in statuses.get(name, ()))
            facts[Fact(Topic.STATUS, name)] = tuple(sorted(nodes))
    return facts


def _alive(backend: Backend) -> frozenset[str] | None:
    """Return whom the control plane's speaker takes for alive; None where its log is not available."""
    try:
        return members(backend.log("speaker", backend.topology().control_plane))
    except RecordingError:
        raise
    except KanslibError:
        return None


def _status_nodes(backend: Backend) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for status in backend.objects("servicel2statuses"):
        if status.get("status"):
            service = status["metadata"]["labels"]["metallb.io/service-name"]
            found.setdefault(service, set()).add(status["status"]["node"])
    return found


def _endpoints(backend: Backend, service: str, names: Mapping[str, str]) -> Iterator[str]:
    pieces = slices_of(backend.objects("endpointslices"), "default", service)
    for entry in sorted(endpoints_in(pieces), key=lambda one: str(one["addresses"])):
        ready, _, terminating = conditions(entry)
        state = "" if ready else " (terminating)" if terminating else " (not ready)"
        yield names.get(entry["addresses"][0], entry["addresses"][0]) + state


def service_rules(backend: Backend, names: Mapping[str, str]) -> Facts:
    """Return the nat rules of each Service that has an address, from a node whose rules were listed at this moment."""
    dumps = [_output_of_moment(backend, node, "iptables -t nat -S") for node in backend.topology().nodes]
    saved = ["*nat\n" + re.sub(r"(?m)^-[PN] (\S+)( \S+)?$", r":\1 -", dump) + "\nCOMMIT\n" for dump in dumps if dump]
    if not saved:
        return {}
    ruleset, facts = iptables.parse(saved[-1]), Facts()
    for service in backend.objects("services"):
        name = service["metadata"]["name"]
        comment = f"default/{name}"
        if service["metadata"]["namespace"] == "default" and external_addresses(service):
            lines = {
                _ENDPOINT_CHAIN.sub("KUBE-SEP", _normalize(rule.raw, names))
                for chain in ruleset.path("KUBE-SERVICES", comment)
                for rule in chain
                if comment in rule.comment or chain.name != "KUBE-SERVICES"
            }
            facts[Fact(Topic.SERVICE_RULES, name)] = tuple(sorted(lines))
    return facts


def node_rules(backend: Backend, names: Mapping[str, str]) -> Facts:
    """Return kube-proxy's nat and filter rules on each node whose rules were saved close to this moment."""
    facts: Facts = {}
    for node in backend.topology().nodes:
        dump = _output_of_moment(backend, node, "iptables-save -c")
        if dump is None or dump.provenance.freshness.offset:
            continue
        found = [rule for rule in iptables.parse(dump).rules() if rule.table in ("nat", "filter")]
        rules = [rule for rule in found if OF_KUBE_PROXY.match(rule.chain)]
        facts[Fact(Topic.NODE_RULES, node)] = tuple(sorted(_by_endpoint([rule.text for rule in rules], names)))
    return facts


def _by_endpoint(lines: list[str], names: Mapping[str, str]) -> Iterator[str]:
    """Yield the rules with each endpoint's chain named after the endpoint."""
    targets = {line.split()[1]: line.rpartition(" ")[2] for line in lines if "--to-destination" in line}
    chains = {chain: f"SEP of {_normalize(target, names)}" for chain, target in targets.items()}
    for line in lines:
        yield _ENDPOINT_CHAIN.sub(lambda found: chains.get(found[0], found[0]), _normalize(line, names))


class _NextHop(Struct, frozen=True):
    ip: str = ""
    fib: bool = False


class _Route(Struct, frozen=True):
    """A route as FRR prints it."""

    nexthops: tuple[_NextHop, ...]


def routes(backend: Backend, names: Mapping[str, str]) -> Facts:
    """Return the next hops in use of the router's BGP routes at this moment."""
    router = backend.topology().router
    command = "vtysh -c 'show ip route bgp json'"
    text = _output_of_moment(backend, router, command) if router else None
    found = decode((text or "{}").encode(), dict[str, tuple[_Route, ...]], f"output of `{command}`")
    return {
        Fact(Topic.ROUTES, prefix): tuple(
            sorted(names.get(hop.ip, hop.ip) for entry in entries for hop in entry.nexthops if hop.fib)
        )
        for prefix, entries in sorted(found.items())
    }


def _normalize(rule: str, names: Mapping[str, str]) -> str:
    """Return a rule with every address and port that has a name under that name."""
    return re.sub(r"\d+\.\d+\.\d+\.\d+|(?<=port )\d+", lambda found: names.get(found[0], found[0]), rule)


def _output_of_moment(backend: Backend, place: str, command: str) -> Text | None:
    """Return what a command printed at this moment; None where it did not run, or only before the last action."""
    try:
        text = backend.run(place, command)
    except RecordingError:
        raise
    except KanslibError:
        return None
    return None if text.provenance.freshness.outdated_by else text
