"""A live cluster and a simulator of it: the same actions are done to both, and what differs is said by meaning."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address

import yaml

from kanslib.actions import ActiveAction, Verb
from kanslib.backends.live import LiveBackend
from kanslib.cluster import actions, docker
from kanslib.cluster.api import kubectl
from kanslib.cluster.docker import CLIENT, ROUTER
from kanslib.exceptions import RefusedError
from kanslib.k8s.endpoints import SERVICE_NAME
from kanslib.k8s.objects import (
    KubeObject,
    external_addresses,
    internal_ip,
    is_ready,
    labels_of,
    leader_in_event,
    name_of,
    namespace_of,
    newest_leaders,
)
from kanslib.k8s.refusals import read_refusal
from kanslib.lab.lab import Lab
from kanslib.metallb.bgp_sessions import NeighborState
from kanslib.render import command_tables
from kanslib.simulator.address_family import Network
from kanslib.simulator.api_server import IdGenerator
from kanslib.simulator.simulator import InitialState, Simulator
from tests.metallb.recording_helpers import comparable as comparable_rules
from tests.metallb.recording_helpers import rules_of

KINDS = (
    "nodes", "namespaces", "pods", "services", "endpointslices", "events", "ipaddresspools", "l2advertisements",
    "bgpadvertisements", "bgppeers", "servicel2statuses", "daemonsets", "deployments", "leases",
)  # fmt: skip
SYSTEM = ("kube-system", "metallb-system", "local-path-storage")
# what differs by chance: the port that the API server had chosen, an address in memory
CHANCE = re.compile(r"(?<=nodePort: Duplicate value: )\d+|(?<=TolerationSeconds:)\(\*int64\)\(\w+\)")
# the course's kind configuration has the feature gate InPlacePodVerticalScaling, which adds this to a refusal
_GATED = ",`spec.containers[*].resources` (for CPU/memory only)"
_NO_WEBHOOK = "Internal error occurred: failed calling webhook"


def comparable_refusal(error: RefusedError | None) -> tuple[str, str]:
    """Return who refuses and in which words, without what is chance; empty where nobody does."""
    if error is None:
        return "", ""
    message = CHANCE.sub("", error.message).replace(_GATED, "")
    message = message.partition("core.PodSpec{")[0].strip()  # without Go's comparison of two specs
    if message.startswith(_NO_WEBHOOK):  # for one of several reasons, as time goes on
        return error.component, _NO_WEBHOOK
    head, _, errors = message.partition("is invalid: ")
    if errors:  # kubectl lists errors once that the API server sends twice
        listed = re.split(r", (?=spec|metadata)", re.sub(r"^\[|\]$", "", errors))
        message = f"{head}{sorted(set(listed))}"
    return error.component, message


class LiveIds(IdGenerator):
    """The random values of the real cluster: addresses and node ports. The simulator decides everything else."""

    def __init__(self, objects: Callable[[str], list[KubeObject]]) -> None:
        super().__init__()
        self._objects = objects

    def _service(self, name: str, field: str) -> KubeObject:
        for _ in range(50):  # the watch may be a moment behind
            for one in self._objects("services"):
                if one["metadata"]["name"] == name and one["spec"].get(field):
                    spec: KubeObject = one["spec"]
                    return spec
            time.sleep(0.1)
        raise AssertionError(f"the cluster has no Service {name} with {field}")

    def cluster_ip(self, name: str, network: Network, taken: Collection[str]) -> str:
        return str(self._service(name, "clusterIP")["clusterIP"])

    def node_port(self, name: str, taken: Collection[int]) -> int:
        service, _, health = name.partition(" ")
        if health:
            return int(self._service(service, "healthCheckNodePort")["healthCheckNodePort"])
        ports = self._service(service, "ports")["ports"]
        return next(int(port["nodePort"]) for port in ports if port.get("nodePort") and port["nodePort"] not in taken)

    def pod_ip(self, name: str, network: Network, taken: Collection[str], last: str) -> str:
        """Return the address of a Pod with this name, else of one of the same owner on the same node."""
        for _ in range(50):
            pods = [pod for pod in self._objects("pods") if not pod["metadata"].get("deletionTimestamp")]
            known = {name_of(pod): pod.get("status", {}).get("podIP", "") for pod in pods}
            free = [
                ip for one, ip in sorted(known.items())
                if ip and ip not in taken and ip_address(ip) in network and _stem(one) == _stem(name)
            ]  # fmt: skip
            if known.get(name) or free:
                return str(known.get(name) or free[0])
            time.sleep(0.1)
        raise AssertionError(f"the cluster has no Pod like {name} in {network}")


def _stem(pod: str) -> str:
    return pod.partition("-")[0]


class LiveAndSimulated:
    """A live cluster, and a simulator that gets the same actions but not their effects."""

    def __init__(self, lab: Lab, live: LiveBackend) -> None:
        self.lab, self.live = lab, live
        self.nodes = list(lab.nodes().NAME)
        self.control_plane = lab.control_plane
        self.counts: Counter[str] = Counter()
        self.lost: ActiveAction | None = None  # the node that both have lost
        self.conflict: ActiveAction | None = None
        self.start_again()

    def start_again(self) -> None:
        """Start the simulator in the state of the cluster."""
        known = [one for one in (self.lost, self.conflict) if one]
        self.initial = InitialState(
            moment=time.time(), objects={kind: self.lab.objects(kind) for kind in KINDS}, network=self.lab.network(),
            addresses=self._addresses(), macs={place: mac for mac, place in self.live.mac_owners().items()},
            cluster_cidr="10.10.0.0/16", control_plane=self.control_plane, client=self.lab.client,
            router=self.live.topology().router, active=tuple(known),
        )  # fmt: skip
        self.simulator = Simulator(self.initial, LiveIds(self.live.objects))

    def _addresses(self) -> dict[str, str]:
        nodes = {name_of(node): internal_ip(node) for node in self.lab.objects("nodes")}
        return {**self.live.topology().addresses, **nodes}

    # ── actions ──────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, document: KubeObject) -> str:
        """Apply an object to both; return how they differ in refusing it."""
        text = yaml.safe_dump(document, sort_keys=False)
        real = read_refusal(actions.apply(text).err)
        return self._do_and_compare(real, lambda: self.simulator.apply([document]))

    def delete(self, reference: str) -> str:
        """Delete an object of both; return how they differ in refusing it."""
        real = next(filter(None, (read_refusal(ran.err) for ran in actions.delete([reference]))), None)
        return self._do_and_compare(real, lambda: self.simulator.delete([reference]))

    def label(self, node: str, label: str) -> str:
        """Label a node of both; return how they differ in refusing it."""
        real = read_refusal(actions.label(node, [label]).err)
        return self._do_and_compare(real, lambda: self.simulator.perform("label", [node, label]))

    def ask(self, document: KubeObject) -> str:
        """Ask both whether they would take an object, without a change; return how they differ."""
        ran = kubectl("apply --dry-run=server -f -", yaml.safe_dump(document, sort_keys=False))
        now = self.simulator.cluster.now
        objects = {kind: self.simulator.cluster.objects(kind) for kind in self.simulator.cluster.history}
        active = tuple(one for one in (self.lost, self.conflict) if one)
        copy = Simulator(replace(self.initial, moment=now, objects=objects, active=active))
        ours = _refusal_of(lambda: copy.apply([document]))
        real = read_refusal(ran.err)
        if ours and not real:  # a dry run allocates nothing, so it does not refuse what cannot be allocated
            real = read_refusal(actions.apply(yaml.safe_dump(document, sort_keys=False)).err)
        return self._compare_refusals(real, ours)

    def perform(self, verb: Verb, targets: list[str], live: Callable[[], object] | None = None) -> str:
        """Do another action to both. `live`: the way to do it on the cluster, by default that of the course."""
        (live or (lambda: actions.perform(verb, targets)))()
        self.do(lambda: self.simulator.perform(verb, targets))
        return ""

    def do(self, simulated: Callable[[], object]) -> RefusedError | None:
        """Do to the simulator what was done to the cluster, once the cluster's Pods have their addresses."""
        self._wait_for_pods()
        self.simulator.advance(max(time.time(), self.simulator.cluster.now))
        refused = _refusal_of(simulated)
        self.simulator.settle()
        return refused

    def _do_and_compare(self, real: RefusedError | None, simulated: Callable[[], object]) -> str:
        return self._compare_refusals(real, self.do(simulated))

    def _compare_refusals(self, real: RefusedError | None, ours: RefusedError | None) -> str:
        self.counts["refusals" if real else "taken"] += 1
        if comparable_refusal(real) == comparable_refusal(ours):
            return ""
        return f"refusal: {real or 'taken'}\n  simulated: {ours or 'taken'}"

    def _wait_for_pods(self) -> None:
        """Wait until the nodes are Ready, and every Pod has its address, which the simulator copies.

        A Pod that fails when its node comes back, such as MetalLB's controller, is started again after a minute.
        """
        for _ in range(900):
            time.sleep(0.2)  # the watch may be a moment behind
            lost = {self.lost.target} if self.lost else set()
            nodes = [node for node in self.live.objects("nodes") if name_of(node) not in lost]
            pods = [pod for pod in self.live.objects("pods") if pod["spec"].get("nodeName") not in lost]
            workloads = [*self.live.objects("deployments"), *self.live.objects("daemonsets")]
            if all(map(is_ready, nodes)) and all(map(_is_settled, pods)) and all(map(_is_rolled_out, workloads)):
                return
        raise AssertionError(f"the Pods do not settle: {[name_of(pod) for pod in pods if not _is_settled(pod)]}")

    def lose(self, verb: Verb, node: str) -> str:
        """Lose a node of both."""
        self.lost = ActiveAction(verb, node)
        return self.perform(verb, [node])

    def recover(self) -> str:
        """Bring the lost node back in both."""
        lost, self.lost = self.lost, None
        return self.perform(lost.inverse, [lost.target]) if lost else ""

    def controllers_run(self) -> bool:
        """Return True while kube-controller-manager is Ready; on a busy machine it restarts at times."""
        pods = [pod for pod in self.live.objects("pods") if "controller-manager" in pod["metadata"]["name"]]
        return bool(pods) and all(map(is_ready, pods))

    # ── differences ────────────────────────────────────────────────────────────────────────────────────

    def differences(self) -> list[str]:
        """Return what differs now: objects, leaders, events, rules, the ARP replies for every address, BGP."""
        return [*self._objects(), *self._leaders(), *self._rules(), *self._wire(), *self._bgp()]

    def chance_services(self) -> list[str]:
        """Return the Services whose addresses differ and might: MetalLB takes pools and Services in no fixed order."""
        subjects = {one for chance in self.simulator.chances(self.simulator.cluster.now) for one in chance.subjects}
        real = {_key(one): external_addresses(one) for one in self.live.objects("services")}
        ours = {_key(one): external_addresses(one) for one in self.simulator.cluster.objects("services")}
        return [key for key in subjects if real.get(key) != ours.get(key)]

    def _objects(self) -> Iterator[str]:
        views: tuple[tuple[str, Callable[[KubeObject], bool], Callable[[KubeObject], tuple[object, object]]], ...] = (
            ("services", _is_own, _service_facts),
            ("pods", _is_own, _pod_facts),
            ("endpointslices", _always, _slice_facts),
            ("nodes", _always, _node_facts),
            ("namespaces", _always, lambda obj: (name_of(obj), None)),
            ("ipaddresspools", _always, lambda obj: (name_of(obj), obj["spec"])),
            ("l2advertisements", _always, lambda obj: (name_of(obj), obj.get("spec"))),
            ("bgpadvertisements", _always, lambda obj: (name_of(obj), obj.get("spec"))),
            ("bgppeers", _always, lambda obj: (name_of(obj), obj["spec"]["peerAddress"])),
        )
        for kind, wanted, facts in views:
            real, ours = (
                _grouped(facts(obj) for obj in objects if wanted(obj))
                for objects in (self.live.objects(kind), self.simulator.cluster.objects(kind))
            )
            self.counts[kind] += len(real)
            for key in real.keys() | ours.keys():
                if real.get(key) != ours.get(key):
                    yield f"{kind} {key}: {real.get(key)}\n  simulated {ours.get(key)}"

    def _leaders(self) -> Iterator[str]:
        real, ours = (
            {_key(one): one for one in objects if _is_own(one)}
            for objects in (self.live.objects("services"), self.simulator.cluster.objects("services"))
        )
        events = self.live.objects("events"), self.simulator.cluster.objects("events")
        live_leaders, simulated_leaders = map(newest_leaders, events)
        announced = self.simulator.speakers.announced.latest
        for key in real.keys() & ours.keys():
            uids = real[key]["metadata"]["uid"], ours[key]["metadata"]["uid"]
            nodes = {node for ip in external_addresses(ours[key]) for node in announced.get(ip, ())}
            nodes -= self.simulator.lost.keys()
            if len(nodes) == 1 and external_addresses(real[key]) == external_addresses(ours[key]):
                (led,) = nodes
                live_leader, simulated_leader = live_leaders.get(uids[0]), simulated_leaders.get(uids[1])
                if live_leader != led:
                    self.counts["another leader event was the newest"] += 1
                # where both name another node, both have dropped events: a process may write 25 about one object
                if simulated_leader not in (live_leader, led):
                    yield f"leader of {key}: {led} announces, the simulated event has {simulated_leader}"
                elif live_leader != simulated_leader and not self._announced_together(events[0], uids[0], led):
                    yield f"leader of {key}: {live_leader}, simulated {led}"
            live, simulated = (_messages(objects, uid) for objects, uid in zip(events, uids, strict=True))
            # a speaker that has started alone, or sees a new address before the new endpoints, announces for a moment
            momentary = {one for one in live - simulated if one[0] == "announceFailed"}
            self.counts["announceFailed for a moment"] += len(momentary)
            if live - momentary != simulated:
                yield f"events of {key}: {live - simulated}\n  simulated {simulated - live}"

    @staticmethod
    def _announced_together(events: list[KubeObject], uid: str, leader: str) -> bool:
        """Return True when the leader wrote a leader event too, though another speaker wrote the newest one.

        A speaker that sees a change later than the others may write last. And client-go's spam filter drops the events
        of a leader that has written 25 of them about a Service.
        """
        own = [event for event in events if event["involvedObject"].get("uid") == uid]
        newest = {node: event for event in own if (node := leader_in_event(event))}
        if leader not in newest:
            return False
        when = {node: datetime.fromisoformat(event["lastTimestamp"]).timestamp() for node, event in newest.items()}
        return max(when.values()) - when[leader] <= 2 or newest[leader].get("count", 1) >= 20

    def _rules(self) -> Iterator[str]:
        killed = {self.lost.target} if self.lost and self.lost.verb == "kill_node" else set()
        nodes = [node for node in self.nodes if node not in killed]
        with ThreadPoolExecutor(4) as pool:
            dumps = list(pool.map(lambda node: docker.exec_in(node, "iptables-save -c").out, nodes))
        for node, dump in zip(nodes, dumps, strict=True):
            rules = self.simulator.rules(node, self.simulator.cluster.now)
            both = {("nat", chain): lines for chain, lines in rules.nat.items() if lines and chain != "KUBE-FIREWALL"}
            both |= {("filter", chain): lines for chain, lines in rules.filter.items() if lines}
            both.pop(("filter", "KUBE-FIREWALL"), None)
            a, b = comparable_rules(rules_of(dump)), comparable_rules(both)
            self.counts["rules"] += sum(map(len, a.values()))
            for key in a.keys() | b.keys():
                if a.get(key) != b.get(key):
                    yield f"{node} {key}: {a.get(key)}\n  simulated {b.get(key)}"

    def _wire(self) -> Iterator[str]:
        """Compare an ARP scan of every address in use, from the client."""
        vips = sorted({ip for one in self.simulator.cluster.objects("services") for ip in external_addresses(one)})
        if not vips:
            return
        ran = docker.exec_in(CLIENT, f"arp-scan --interface=eth0 --retry=3 {' '.join(vips)}")
        holders: dict[str, set[str]] = {}
        for row in command_tables.arp_scan_rows(ran.out, self.live.mac_owners()):
            holders.setdefault(str(row["ADDRESS"]), set()).add(str(row["HOLDER"]) or docker.CONFLICTING_HOST)
        for vip in vips:
            self.counts["ARP answers"] += 1
            computed = set(self.simulator.arp_responders(vip, self.simulator.cluster.now, CLIENT))
            if holders.get(vip, set()) != computed:
                yield f"who answers for {vip}: {holders.get(vip)}, simulated {computed or None}"

    def _bgp(self) -> Iterator[str]:
        """Compare the router's sessions and routes."""
        view = self.simulator.router_view(self.simulator.cluster.now)
        if view is None:
            return
        shown = "vtysh -c 'show bgp ipv4 unicast summary json' -c 'show ip route bgp json'"
        summary, routes = _json_values(docker.exec_in(ROUTER, shown).out)
        real = {address: peer["pfxRcd"] for address, peer in (summary.get("peers") or {}).items()
                if peer["state"] == "Established"}  # fmt: skip
        ours = {one.neighbor.address: one.prefixes for one in view.neighbors(())
                if one.state is NeighborState.ESTABLISHED}  # fmt: skip
        self.counts["BGP sessions"] += len(real)
        if real != ours:
            yield f"prefixes of the BGP sessions: {real}, simulated {ours}"
        hops = {
            prefix: {hop["ip"] for hop in entries[0]["nexthops"] if hop.get("active")}
            for prefix, entries in routes.items()
        }
        expected = {prefix: set(ips) for prefix, ips in view.next_hops().items()}
        self.counts["BGP routes"] += len(hops)
        if hops != expected:
            yield f"BGP routes: {hops}, simulated {expected}"


def _refusal_of(act: Callable[[], object]) -> RefusedError | None:
    try:
        act()
    except RefusedError as error:
        return error
    return None


def _json_values(text: str) -> list[KubeObject]:
    """Return the JSON values that were printed one after the other."""
    decoder, found, text = json.JSONDecoder(), [], text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].strip()
    return found


def _grouped(facts: Iterator[tuple[object, object]]) -> dict[object, list[str]]:
    found: dict[object, list[str]] = {}
    for key, value in facts:
        found.setdefault(key, []).append(json.dumps(value, sort_keys=True))
    return {key: sorted(values) for key, values in found.items()}


def _always(obj: KubeObject) -> bool:
    return bool(obj)


def _is_own(obj: KubeObject) -> bool:
    return namespace_of(obj) not in SYSTEM


def _key(obj: KubeObject) -> str:
    return f"{namespace_of(obj)}/{name_of(obj)}"


def _service_facts(service: KubeObject) -> tuple[object, object]:
    spec = {field: value for field, value in service["spec"].items() if value not in (None, "", [], {})}
    pool = (service["metadata"].get("annotations") or {}).get("metallb.universe.tf/ip-allocated-from-pool")
    return _key(service), [spec, external_addresses(service), pool]


def _pod_facts(pod: KubeObject) -> tuple[object, object]:
    """Return what is compared of a Pod. Why it is not scheduled is left out: kube-scheduler keeps its last reason."""
    conditions = pod.get("status", {}).get("conditions") or []
    unschedulable = any(one.get("reason") == "Unschedulable" for one in conditions)
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    labels = {key: value for key, value in labels_of(pod).items() if "hash" not in key and "generation" not in key}
    facts = [pod.get("status", {}).get("podIP"), is_ready(pod), terminating, unschedulable, labels]
    return (namespace_of(pod), _stem(name_of(pod)), pod["spec"].get("nodeName")), facts


def _slice_facts(piece: KubeObject) -> tuple[object, object]:
    owner = labels_of(piece).get(SERVICE_NAME, name_of(piece))
    endpoints = [
        {key: one.get(key) for key in ("addresses", "conditions", "nodeName", "zone", "hints") if one.get(key)}
        for one in piece.get("endpoints") or []
    ]
    ports = sorted((one.get("name") or "", one.get("protocol"), one.get("port")) for one in piece.get("ports") or [])
    ordered = sorted(endpoints, key=lambda one: json.dumps(one, sort_keys=True))
    return (namespace_of(piece), owner), [piece["addressType"], ordered, ports]


def _node_facts(node: KubeObject) -> tuple[object, object]:
    labels = {key: value for key, value in labels_of(node).items() if not key.startswith("beta.")}
    return name_of(node), [is_ready(node), labels]


def _is_rolled_out(workload: KubeObject) -> bool:
    """Return True when every Pod of a Deployment or a DaemonSet is of its newest template."""
    status, meta = workload.get("status") or {}, workload["metadata"]
    if status.get("observedGeneration") != meta["generation"]:
        return False
    if "desiredNumberScheduled" in status:
        return bool(status.get("updatedNumberScheduled", 0) == status["desiredNumberScheduled"])
    wanted = workload["spec"]["replicas"]
    return bool(status.get("replicas", 0) == status.get("updatedReplicas", 0) == wanted)


def _is_settled(pod: KubeObject) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions") or []
    waits = any(one.get("reason") == "Unschedulable" for one in conditions)
    return is_ready(pod) or (waits and not pod["spec"].get("nodeName"))


def _messages(events: list[KubeObject], uid: str) -> set[tuple[str, str]]:
    """Return MetalLB's events about a Service, but for the leader events, as reason and message."""
    own = [event for event in events if event["involvedObject"].get("uid") == uid]
    return {
        (event["reason"], event["message"])
        for event in own
        if event.get("source", {}).get("component") in ("metallb-controller", "metallb-speaker")
        and event["reason"] != "nodeAssigned"
    }
