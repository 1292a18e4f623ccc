"""Simulate requests, ARP scans and probes: ARP, routes and rules of their moment decide where they go. Pure.

Random choices come from a seed, with the exact probabilities of the traced rules.
"""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kanslib.analysis import Cause
from kanslib.analysis.attempts import Probe
from kanslib.iptables import Outcome, Packet, Routing, Ruleset, parse
from kanslib.k8s.kubeproxy import HealthCheck
from kanslib.k8s.objects import KubeObject
from kanslib.packets.capture import Frame
from kanslib.simulator import command_output
from kanslib.simulator.simulator import RulesVersion, Simulator

SYN_SENT = 120.0  # seconds that conntrack remembers an unanswered SYN (nf_conntrack_tcp_timeout_syn_sent)
_EPHEMERAL = (32768, 60999)
_SHUFFLE_PERIOD = 10.0  # seconds: Linux net/core/secure_seq.c EPHEMERAL_PORT_SHUFFLE_PERIOD
_BROADCAST = "ff:ff:ff:ff:ff:ff"
_NO_ANSWER, _REFUSED = 28, 7  # curl's exit codes


@dataclass(frozen=True)
class SimulatedAnswer:
    """The result of a request: the Pod that answered and the client address it saw (`remote`), or why none did.

    A Pod of its node's network has the node's name. `failure`: why, in words; empty for an answer. `code`: curl's exit
    code. `cause`: why, by name. `health_check`: what kube-proxy itself answered.
    """

    hostname: str = ""
    remote: str = ""
    failure: str = ""
    code: int = 0
    cause: Cause | None = None
    health_check: HealthCheck | None = None


class PortAllocator:
    """Choose source ports as Linux does: even ones, upwards in small steps, from a new random start every 10 s.

    Linux net/ipv4/inet_hashtables.c __inet_hash_connect, net/core/secure_seq.c (EPHEMERAL_PORT_SHUFFLE_PERIOD).
    """

    def __init__(self, seed: str) -> None:
        self._seed, self._period, self._next = seed, -1, 0
        self._rng = random.Random(seed)

    def next_port(self, moment: float) -> int:
        """Return the source port of a connection that is opened at a moment (Unix seconds)."""
        first, last = _EPHEMERAL
        period = int(moment / _SHUFFLE_PERIOD)
        if period != self._period:
            self._period = period
            self._next = random.Random(f"{self._seed} {period}").randrange(first, last, 2)
        port = self._next
        self._next += 2 + 2 * self._rng.randrange(8)
        if self._next > last:
            self._next = first
        return port


class SimulatedNetwork:
    """The packets of a simulated cluster, and what the places remember of them: neighbors, conntrack, counters."""

    def __init__(self, simulator: Simulator, seed: int = 0) -> None:
        self._simulator, self._seed = simulator, seed
        self._neighbor_entries: dict[str, list[tuple[float, str]]] = {}  # the client's, by address: (moment, place)
        self._rule_hits: dict[str, Counter[tuple[str, str]]] = {}  # by node: connections by (table, rule)
        # unanswered SYNs by (node, address, source port): (expiry, Pod address)
        self._conntrack: dict[tuple[str, str, int], tuple[float, str]] = {}
        self._rulesets: dict[RulesVersion, Ruleset] = {}
        self._outcomes: dict[Any, list[Outcome]] = {}
        self._arp_frames: list[Frame] = []
        self._affinity: dict[tuple[str, str, int, str], str] = {}  # (node, address, port, client): Pod address
        for address, holder in simulator.initial.neighbors.items():
            self._neighbor_entries[address] = [(simulator.initial.moment, holder)]

    # ── commands on nodes ────────────────────────────────────────────────────────────────────────────────

    def iptables_save(self, node: str, moment: float) -> str:
        """Return the output of `iptables-save -c` on a node at a moment (Unix seconds)."""
        return self._iptables_save(node, moment, self._rule_hits.get(node, {}))

    def _iptables_save(self, node: str, moment: float, hits: Mapping[tuple[str, str], int]) -> str:
        cidr = self._simulator.initial.cluster_cidr
        base = self._simulator.initial.dump(node) or command_output.SKELETON.replace("{cidr}", cidr)
        return command_output.iptables_save(base, self._simulator.rules(node, moment), hits, moment)

    def addresses(self, node: str, moment: float) -> str:
        """Return the output of `ip -j addr` on a node."""
        initial, pods = self._simulator.initial, command_output.pods_on(node, self._simulator.objects("pods", moment))
        prefix = IPv4Network(initial.network).prefixlen
        own, mac = initial.addresses.get(node, ""), initial.macs.get(node, "")
        return command_output.addresses(own, prefix, mac, pods, str(self._pod_cidr(node, moment)[1]))

    def routes(self, node: str, moment: float) -> str:
        """Return the output of `ip -j route` on a node."""
        initial, pods = self._simulator.initial, command_output.pods_on(node, self._simulator.objects("pods", moment))
        others = {
            str(self._pod_cidr(other, moment)): initial.addresses.get(other, "")
            for other in self._simulator.nodes(moment)
            if other != node
        }
        return command_output.routes(initial.network, initial.addresses.get(node, ""), pods, others)

    def _pod_cidr(self, node: str, moment: float) -> IPv4Network:
        found = next(one for one in self._simulator.objects("nodes", moment) if one["metadata"]["name"] == node)
        return IPv4Network(found["spec"].get("podCIDR", "10.10.0.0/24"))

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────

    def curl(self, source: str, target: str, times: int, moment: float) -> str:
        """Return the output of curl in a loop: Hostname and RemoteAddr of each answer, or curl's exit code.

        What kube-proxy answers to a health check is its status of HTTP and its JSON.
        """
        address, port = _parse_target(target)
        rng = random.Random(f"{self._seed} {source} {target} {times} {moment:.3f}")
        lines: list[str] = []
        for turn in range(times):
            answer = self.request(source, address, port, moment + turn * 0.01, rng)
            if answer.failure:
                lines.append(f"curl exit {answer.code}")
            elif answer.health_check:
                lines += [f"HTTP {answer.health_check.status}", str(answer.health_check)]
            else:
                lines += [f"Hostname: {answer.hostname}", f"RemoteAddr: {answer.remote}:{rng.randrange(*_EPHEMERAL)}"]
        return "\n".join(lines) + "\n"

    def request(
        self, source: str, address: str, port: int, moment: float, rng: random.Random, source_port: int | None = None
    ) -> SimulatedAnswer:
        """Send one request from a place to an address, at a moment (Unix seconds).

        `rng` chooses among equal next hops and among outcomes; `source_port` lets conntrack recognise the connection.
        """
        simulator = self._simulator
        if source in simulator.nodes(moment):
            return self._connect(source, source, address, port, moment, rng, source_port)
        node, failure = self._first_hop(address, moment, rng)
        routed = simulator.routed.at(moment)
        if failure:
            return SimulatedAnswer(
                failure=failure, code=_NO_ANSWER, cause=Cause.UNREACHABLE if routed else Cause.NO_ARP
            )
        if node not in simulator.nodes(moment):
            return SimulatedAnswer(failure=f"{node} has no such service: refused", code=_REFUSED, cause=Cause.REFUSED)
        if node in simulator.unreachable.at(moment):
            cause = Cause.HOP_GONE if routed else Cause.LEADER_GONE
            return SimulatedAnswer(failure=f"{node} is silent", code=_NO_ANSWER, cause=cause)
        return self._connect(source, node, address, port, moment, rng, source_port)

    def _first_hop(self, address: str, moment: float, rng: random.Random) -> tuple[str, str]:
        """Return the place to which the client sends a packet, or an empty one and why it cannot."""
        simulator, places = self._simulator, {ip: place for place, ip in self._simulator.initial.addresses.items()}
        if address in places:
            return places[address], ""
        if simulator.routed.at(moment):
            routes = simulator.next_hops(moment).items()
            hops = next((hops for prefix, hops in routes if _is_within(address, prefix)), ())
            if not hops:
                return "", "the router has no route"
            return places.get(rng.choice(sorted(hops)), ""), ""
        if not _is_within(address, simulator.initial.network):
            return "", "not on the client's network, and its gateway has no route"
        holder = self.neighbor(address, moment) or self._resolve_arp(address, moment)
        return holder, "" if holder else "nobody answers ARP"

    def _resolve_arp(self, address: str, moment: float) -> str:
        """Send an ARP request and keep the first reply; a kernel replies before a speaker does."""
        client = self._simulator.initial.client or ""
        responders = self._simulator.arp_responders(address, moment, client)
        self._record_arp(client, address, responders, moment)
        if not responders:
            return ""
        self._neighbor_entries.setdefault(address, []).append((moment, responders[0]))
        return responders[0]

    def neighbor(self, address: str, moment: float) -> str:
        """Return the place whose MAC the client has for an address; empty without a neighbor entry.

        An entry comes from an ARP reply; later gratuitous ARPs update it.
        """
        entries = [entry for entry in self._neighbor_entries.get(address, []) if entry[0] <= moment]
        if not entries:
            return ""
        since, holder = entries[-1]
        for (node, ip), rounds in self._simulator.speakers.gratuitous_rounds.items():
            if ip != address:
                continue
            received = [t for t in rounds if since < t <= moment and node not in self._simulator.unreachable.at(t)]
            if received:
                since, holder = received[-1], node
        return holder

    def _connect(
        self,
        source: str,
        node: str,
        address: str,
        port: int,
        moment: float,
        rng: random.Random,
        source_port: int | None,
    ) -> SimulatedAnswer:
        """Open a connection through the rules of one node, to the Pod that they choose."""
        entry = self._conntrack.get((node, address, source_port)) if source_port else None
        if entry and entry[0] > moment and source_port:
            self._conntrack[node, address, source_port] = (moment + SYN_SENT, entry[1])
            failure = f"conntrack on {node} still sends this port to {entry[1]}"
            return SimulatedAnswer(failure=failure, code=_NO_ANSWER, cause=Cause.REMEMBERED)
        outcome = self._choose_outcome(source, node, address, port, moment, rng)
        if outcome.verdict != "ACCEPT":
            code = _REFUSED if outcome.verdict == "REJECT" else _NO_ANSWER
            return SimulatedAnswer(failure=f"{outcome.verdict} on {node}", code=code, cause=Cause.REFUSED)
        self._rule_hits.setdefault(node, Counter()).update((rule.table, rule.text) for rule in outcome.walked)
        dst, dport = outcome.packet.dst or "", outcome.packet.dport or 0
        if check := self._health_check(dst, dport, moment):
            return SimulatedAnswer(remote=outcome.packet.src or "", health_check=check)
        pod = self._pod_at(dst, dport, moment)
        if pod is None:
            refused = dst in self._simulator.initial.addresses.values()
            cause, code = (Cause.REFUSED, _REFUSED) if refused else (Cause.ENDPOINT_GONE, _NO_ANSWER)
            return SimulatedAnswer(failure=f"nobody is at {dst}", code=code, cause=cause)
        pod_node = pod["spec"]["nodeName"]
        if pod_node in self._simulator.unreachable.at(moment):
            if source_port:
                self._conntrack[node, address, source_port] = (moment + SYN_SENT, dst)
            failure = f"a SYN to {pod['metadata']['name']} on {pod_node}, which is silent"
            return SimulatedAnswer(failure=failure, code=_NO_ANSWER, cause=Cause.ENDPOINT_GONE)
        hostname = pod_node if pod["spec"].get("hostNetwork") else pod["metadata"]["name"]
        return SimulatedAnswer(hostname, outcome.packet.src or "")

    def _choose_outcome(
        self, source: str, node: str, address: str, port: int, moment: float, rng: random.Random
    ) -> Outcome:
        """Choose one outcome of a traced packet at random, by probability; session affinity overrules."""
        src = self._simulator.initial.addresses.get(source, "")
        outcomes = self._trace(src, None if source == node else "eth0", node, address, port, moment)
        known_pod = self._affinity.get((node, address, port, src))
        for outcome in outcomes:
            if known_pod and outcome.packet.dst == known_pod and not _holds_without_history(outcome):
                return outcome
        new = [outcome for outcome in outcomes if _holds_without_history(outcome)] or outcomes
        chosen = rng.choices(new, weights=[float(outcome.probability) for outcome in new])[0]
        if any("-m recent --set" in rule.text for rule in chosen.walked):
            self._affinity[node, address, port, src] = chosen.packet.dst or ""
        return chosen

    def _trace(
        self, src: str, in_interface: str | None, node: str, address: str, port: int, moment: float
    ) -> list[Outcome]:
        _, version = self._simulator.api_view(node, moment)
        key = (src, in_interface, address, port, version, self._simulator.version("pods", moment))
        if key not in self._outcomes:
            packet = Packet(src, address, dport=port, in_interface=in_interface)
            routing = Routing.read(self.addresses(node, moment), self.routes(node, moment))
            self._outcomes[key] = list(self._ruleset(node, moment).trace(packet, routing))
        return self._outcomes[key]

    def _ruleset(self, node: str, moment: float) -> Ruleset:
        _, version = self._simulator.api_view(node, moment)
        if version not in self._rulesets:
            self._rulesets[version] = parse(self._iptables_save(node, moment, {}))
        return self._rulesets[version]

    def _pod_at(self, ip: str, port: int, moment: float) -> KubeObject | None:
        """Return the Pod that has an address at a moment, or None where the rules name one that is gone.

        On the address of a node it is a Pod of the node's network with this port among its containers' ports.
        """
        pods = [pod for pod in self._simulator.objects("pods", moment) if pod.get("status", {}).get("podIP") == ip]
        own = (pod for pod in pods if not pod["spec"].get("hostNetwork") or port in _container_ports(pod))
        return next(own, None)

    def _health_check(self, ip: str, port: int, moment: float) -> HealthCheck | None:
        """Return what a node's kube-proxy answers on a healthCheckNodePort; None on other ports."""
        addresses = self._simulator.initial.addresses
        node = next((node for node in self._simulator.nodes(moment) if addresses.get(node) == ip), None)
        if node is None or node in self._simulator.unreachable.at(moment):
            return None
        checks = self._simulator.health_checks(node, moment)
        return next((check for check in checks if check.port == port), None)

    # ── ARP ──────────────────────────────────────────────────────────────────────────────────────────────

    def arp_scan(self, source: str, addresses: Sequence[str], moment: float) -> str:
        """Return the output of `arp-scan` of some addresses from a place."""
        replies = []
        for address in addresses:
            responders = self._simulator.arp_responders(address, moment, source)
            self._record_arp(source, address, responders, moment)
            replies += [(address, self.mac(responder)) for responder in responders]
            if source == self._simulator.initial.client and responders and self.neighbor(address, moment):
                self._neighbor_entries[address].append((moment, responders[0]))
        return command_output.arp_scan(replies, len(addresses))

    def _record_arp(self, source: str, address: str, holders: Sequence[str], moment: float) -> None:
        """Record the frames of an ARP request (broadcast) and of its replies (unicast)."""
        own, mac = self._simulator.initial.addresses.get(source, "0.0.0.0"), self.mac(source)
        self._arp_frames.append(Frame(moment, _arp(1, mac, own, "00:00:00:00:00:00", address, to=_BROADCAST)))
        for holder in holders:
            raw = _arp(2, self.mac(holder), address, mac, own, to=mac)
            self._arp_frames.append(Frame(moment + 0.0003, raw))

    def neighbors(self, moment: float) -> str:
        """Return the output of `ip -j neigh` on the client."""
        known = {ip: holder for ip in self._neighbor_entries if (holder := self.neighbor(ip, moment))}
        return command_output.neighbors({ip: self.mac(holder) for ip, holder in known.items()})

    def mac(self, place: str) -> str:
        """Return the MAC of a place; a generated one where it is not known."""
        return self._simulator.initial.macs.get(place) or _synthetic_mac(place)

    def fork(self) -> SimulatedNetwork:
        """Return a copy with the same neighbor entries; packets sent in one do not change the other."""
        other = SimulatedNetwork(self._simulator, self._seed)
        other._neighbor_entries = {address: list(entries) for address, entries in self._neighbor_entries.items()}
        other._rulesets, other._outcomes = self._rulesets, self._outcomes
        return other

    def frames(self, start: float, end: float) -> list[Frame]:
        """Return the ARP frames between two moments (Unix seconds): requests, replies, the speakers' gratuitous rounds.

        Each round has a request and a reply, both broadcast and with broadcast as the target's MAC (MetalLB
        internal/layer2/arp.go).
        """
        found = [frame for frame in self._arp_frames if start <= frame.time <= end]
        for (node, ip), rounds in self._simulator.speakers.gratuitous_rounds.items():
            for t in rounds:
                if start <= t <= end and node not in self._simulator.unreachable.at(t):
                    raws = [_arp(operation, self.mac(node), ip, _BROADCAST, ip, to=_BROADCAST) for operation in (1, 2)]
                    found += [Frame(t + 0.0001 * index, raw) for index, raw in enumerate(raws)]
        return sorted(found, key=lambda frame: frame.time)

    # ── probes ───────────────────────────────────────────────────────────────────────────────────────────

    def probes(self, vips: Sequence[str], start: float, end: float) -> list[Probe]:
        """Return the rows of probes: a request to each address every 50 ms, or once the one before has ended.

        A request times out after 0.5 s. `start`, `end`: Unix seconds.
        """
        rows: list[Probe] = []
        for vip in vips:
            ports, rng = PortAllocator(f"{self._seed} {vip}"), random.Random(f"{self._seed} probes {vip} {start:.3f}")
            t = start
            while t < end:
                rows.append(self._probe(vip, t, ports.next_port(t), rng))
                t += max(0.05, rows[-1]["ms"] / 1000)
        return sorted(rows, key=lambda row: float(row["t"]))

    def _probe(self, vip: str, t: float, port: int, rng: random.Random) -> Probe:
        client = self._simulator.initial.client or ""
        answer = self.request(client, vip, 80, t, rng, port)
        probe: Probe = {
            "t": t,
            "to": vip,
            "ok": not answer.failure,
            "port": port,
            "ms": round(1 + rng.expovariate(1), 1),
        }
        if answer.failure:
            ms = 500.0 if answer.code == _NO_ANSWER else 1.0
            return {**probe, "ms": ms, "error": answer.failure, "cause": answer.cause}
        return {**probe, "hostname": answer.hostname, "remote": f"{answer.remote}:{port}"}


def _holds_without_history(outcome: Outcome) -> bool:
    """Return True for an outcome that needs no state of earlier connections (`recent`, conntrack)."""
    return not any(assumption.holds for assumption in outcome.assumes)


def _container_ports(pod: KubeObject) -> set[int]:
    containers = pod["spec"].get("containers") or []
    return {int(port["containerPort"]) for container in containers for port in container.get("ports") or []}


def _is_within(address: str, prefix: str) -> bool:
    return IPv4Address(address) in IPv4Network(prefix)


def _parse_target(target: str) -> tuple[str, int]:
    address, _, port = target.removeprefix("http://").rstrip("/").partition(":")
    return address, int(port or 80)


def _synthetic_mac(place: str) -> str:
    """Return a generated MAC for a place whose own is not known."""
    return "02:42:" + ":".join(f"{byte:02x}" for byte in random.Random(place).randbytes(4))


def _arp(operation: int, sender: str, sender_ip: str, target: str, target_ip: str, to: str) -> bytes:
    """Return an Ethernet frame with one ARP message."""
    sender_mac, target_mac, dst = (bytes.fromhex(mac.replace(":", "")) for mac in (sender, target, to))
    header = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    message = header + sender_mac + IPv4Address(sender_ip).packed + target_mac + IPv4Address(target_ip).packed
    return dst + sender_mac + struct.pack("!H", 0x0806) + message
