"""Simulate requests, ARP scans and probes: neighbors, routes and rules of their moment decide where they go. Pure.

Random choices come from a seed, with the exact probabilities of the traced rules.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kanslib.analysis import Cause
from kanslib.analysis.attempts import ClientError, Probe
from kanslib.i18n import tr
from kanslib.iptables import Outcome, Packet, Routing, Ruleset, parse
from kanslib.iptables.packet import endpoint
from kanslib.k8s.kubeproxy import HealthCheck
from kanslib.k8s.objects import KubeObject, pod_ips
from kanslib.packets.capture import Frame
from kanslib.simulator import command_output, neighbor_frames
from kanslib.simulator.address_family import is_ipv6, is_within
from kanslib.simulator.simulator import RulesVersion, Simulator

SYN_SENT = 120.0  # seconds that conntrack remembers an unanswered SYN (nf_conntrack_tcp_timeout_syn_sent)
_EPHEMERAL = (32768, 60999)
_SHUFFLE_PERIOD = 10.0  # seconds: Linux net/core/secure_seq.c EPHEMERAL_PORT_SHUFFLE_PERIOD
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


class _Path(NamedTuple):
    """An outcome of a traced packet, and what each request that takes it asks about it.

    `rules`: those it matched, as (table, text). `needs_history`: it needs state of earlier connections (`recent`,
    conntrack). `is_remembered`: a rule notes the client for session affinity.
    """

    outcome: Outcome
    weight: float
    rules: tuple[tuple[str, str], ...]
    needs_history: bool
    is_remembered: bool

    @classmethod
    def of(cls, outcome: Outcome) -> _Path:
        rules = tuple((rule.table, rule.text) for rule in outcome.walked)
        needs_history = any(assumption.holds for assumption in outcome.assumes)
        is_remembered = any("-m recent --set" in text for _, text in rules)
        return cls(outcome, float(outcome.probability), rules, needs_history, is_remembered)


class SimulatedNetwork:
    """The packets of a simulated cluster, and what the places remember of them: neighbors, conntrack, counters."""

    def __init__(self, simulator: Simulator, seed: int = 0) -> None:
        self._simulator, self._seed = simulator, seed
        self._neighbor_entries: dict[str, list[tuple[float, str]]] = {}  # the client's, by address: (moment, place)
        # by node and family (True: IPv6): connections by (table, rule)
        self._rule_hits: dict[tuple[str, bool], Counter[tuple[str, str]]] = {}
        # unanswered SYNs by (node, address, source port): (expiry, Pod address)
        self._conntrack: dict[tuple[str, str, int], tuple[float, str]] = {}
        self._rulesets: dict[RulesVersion, Ruleset] = {}
        self._paths: dict[Any, list[_Path]] = {}
        self._pods_by_ip: dict[int, dict[str, list[KubeObject]]] = {}  # by the version of the Pods
        self._neighbor_frames: list[Frame] = []
        self._affinity: dict[tuple[str, str, int, str], str] = {}  # (node, address, port, client): Pod address
        for address, holder in simulator.initial.neighbors.items():
            self._neighbor_entries[address] = [(simulator.initial.moment, holder)]

    # ── commands on nodes ────────────────────────────────────────────────────────────────────────────────

    def iptables_save(self, node: str, moment: float, *, ipv6: bool) -> str:
        """Return the output of `iptables-save -c`, or of `ip6tables-save -c`, on a node at a moment (Unix seconds)."""
        return self._iptables_save(node, moment, self._rule_hits.get((node, ipv6), {}), ipv6)

    def _iptables_save(self, node: str, moment: float, hits: Mapping[tuple[str, str], int], ipv6: bool) -> str:
        initial = self._simulator.initial
        base = (None if ipv6 else initial.dump(node)) or command_output.skeleton(initial.pod_range(ipv6=ipv6), ipv6)
        return command_output.iptables_save(base, self._simulator.rules(node, moment, ipv6=ipv6), hits, moment, ipv6)

    def addresses(self, node: str, moment: float) -> str:
        """Return the output of `ip -j addr` on a node."""
        initial, pods = self._simulator.initial, command_output.pods_on(node, self._simulator.objects("pods", moment))
        own = [(one.addresses.get(node, ""), ip_network(one.network).prefixlen) for one in initial.families]
        gateways = [str(ip_network(cidr)[1]) for cidr in self._pod_cidrs(node, moment)]
        return command_output.addresses(own, initial.macs.get(node, ""), [name for name, _ in pods], gateways)

    def routes(self, node: str, moment: float, *, ipv6: bool) -> str:
        """Return the output of `ip -j route`, or of `ip -6 -j route`, on a node."""
        family = self._simulator.initial.family(ipv6=ipv6)
        if family is None:
            return "[]"
        pods = [
            (name, ip)
            for name, ips in command_output.pods_on(node, self._simulator.objects("pods", moment))
            for ip in ips
            if is_ipv6(ip) == ipv6
        ]
        others = {
            cidr: family.addresses.get(other, "")
            for other in self._simulator.nodes(moment)
            if other != node
            for cidr in self._pod_cidrs(other, moment)
            if is_ipv6(cidr) == ipv6
        }
        return command_output.routes(family.network, family.addresses.get(node, ""), pods, others)

    def _pod_cidrs(self, node: str, moment: float) -> list[str]:
        """Return the ranges of a node's Pods, one of each family."""
        found = next(one for one in self._simulator.objects("nodes", moment) if one["metadata"]["name"] == node)
        return found["spec"].get("podCIDRs") or [found["spec"].get("podCIDR", "10.10.0.0/24")]

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
                remote = endpoint(answer.remote, rng.randrange(*_EPHEMERAL))
                lines += [f"Hostname: {answer.hostname}", f"RemoteAddr: {remote}"]
        return "\n".join(lines) + "\n"

    def connect_error(self, target: str) -> ClientError:
        """Return what curl's exit code 7 means for a target: nobody routes another family's address; else a refusal."""
        has_family = self._simulator.initial.family_of(_parse_target(target)[0]) is not None
        return ClientError.REFUSED if has_family else ClientError.UNREACHABLE

    def request(
        self, source: str, address: str, port: int, moment: float, rng: random.Random, source_port: int | None = None
    ) -> SimulatedAnswer:
        """Send one request from a place to an address, at a moment (Unix seconds).

        `rng` chooses among equal next hops and among outcomes; `source_port` lets conntrack recognise the connection.
        """
        simulator = self._simulator
        if simulator.initial.family_of(address) is None:
            return SimulatedAnswer(
                failure=tr("{source} has no route to {address}", source=source, address=address),
                code=_REFUSED,
                cause=Cause.UNREACHABLE,
            )
        nodes = simulator.nodes(moment)
        if source in nodes:
            return self._connect(source, source, address, port, moment, rng, source_port)
        node, failure = self._first_hop(address, moment, rng)
        routed = simulator.routed.at(moment)
        if failure:
            return SimulatedAnswer(
                failure=failure, code=_NO_ANSWER, cause=Cause.UNREACHABLE if routed else Cause.NO_ARP
            )
        if node not in nodes:
            return SimulatedAnswer(
                failure=tr("{node} has no such service: refused", node=node), code=_REFUSED, cause=Cause.REFUSED
            )
        if node in simulator.unreachable.at(moment):
            cause = Cause.HOP_GONE if routed else Cause.LEADER_GONE
            return SimulatedAnswer(failure=tr("{node} is silent", node=node), code=_NO_ANSWER, cause=cause)
        return self._connect(source, node, address, port, moment, rng, source_port)

    def _first_hop(self, address: str, moment: float, rng: random.Random) -> tuple[str, str]:
        """Return the place to which the client sends a packet, or an empty one and why it cannot."""
        simulator, initial = self._simulator, self._simulator.initial
        if place := initial.place_at(address):
            return place, ""
        if simulator.routed.at(moment):
            routes = simulator.next_hops(moment).items()
            hops = next((hops for prefix, hops in routes if is_within(address, prefix)), ())
            if not hops:
                return "", tr("the router has no route")
            return initial.place_at(rng.choice(sorted(hops))) or "", ""
        holder = self.neighbor(address, moment)
        if not holder and not any(is_within(address, family.network) for family in initial.families):
            return "", tr("not on the client's network, and its gateway has no route")
        holder = holder or self._resolve(address, moment)
        if holder:
            return holder, ""
        return "", tr("nobody answers neighbor solicitations") if is_ipv6(address) else tr("nobody answers ARP")

    def _resolve(self, address: str, moment: float) -> str:
        """Ask who has an address and keep the first answer; a kernel answers before a speaker does."""
        client = self._simulator.initial.client or ""
        responders = self._simulator.arp_responders(address, moment, client)
        self._record_question(client, address, responders, moment)
        if not responders:
            return ""
        self._neighbor_entries.setdefault(address, []).append((moment, responders[0]))
        return responders[0]

    def neighbor(self, address: str, moment: float) -> str:
        """Return the place whose MAC the client has for an address; empty without a neighbor entry.

        An entry comes from an answer to a question; later announcements update it.
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
            failure = tr("conntrack on {node} still sends this port to {entry}", node=node, entry=entry[1])
            return SimulatedAnswer(failure=failure, code=_NO_ANSWER, cause=Cause.REMEMBERED)
        path = self._choose_path(source, node, address, port, moment, rng)
        outcome = path.outcome
        if outcome.verdict != "ACCEPT":
            code = _REFUSED if outcome.verdict == "REJECT" else _NO_ANSWER
            return SimulatedAnswer(
                failure=tr("{verdict} on {node}", verdict=outcome.verdict, node=node), code=code, cause=Cause.REFUSED
            )
        self._rule_hits.setdefault((node, is_ipv6(address)), Counter()).update(path.rules)
        dst, dport = outcome.packet.dst or "", outcome.packet.dport or 0
        if check := self._health_check(dst, dport, moment):
            return SimulatedAnswer(remote=outcome.packet.src or "", health_check=check)
        pod = self._pod_at(dst, dport, moment)
        if pod is None:
            refused = self._simulator.initial.place_at(dst) is not None
            cause, code = (Cause.REFUSED, _REFUSED) if refused else (Cause.ENDPOINT_GONE, _NO_ANSWER)
            return SimulatedAnswer(failure=tr("nobody is at {dst}", dst=dst), code=code, cause=cause)
        pod_node = pod["spec"]["nodeName"]
        if pod_node in self._simulator.unreachable.at(moment):
            if source_port:
                self._conntrack[node, address, source_port] = (moment + SYN_SENT, dst)
            failure = tr(
                "a SYN to {name} on {pod_node}, which is silent", name=pod["metadata"]["name"], pod_node=pod_node
            )
            return SimulatedAnswer(failure=failure, code=_NO_ANSWER, cause=Cause.ENDPOINT_GONE)
        hostname = pod_node if pod["spec"].get("hostNetwork") else pod["metadata"]["name"]
        return SimulatedAnswer(hostname, outcome.packet.src or "")

    def _choose_path(self, source: str, node: str, address: str, port: int, moment: float, rng: random.Random) -> _Path:
        """Choose one path of a traced packet at random, by probability; session affinity overrules."""
        src = self._address(source, address)
        paths = self._trace(src, None if source == node else "eth0", node, address, port, moment)
        known_pod = self._affinity.get((node, address, port, src))
        for path in paths:
            if known_pod and path.outcome.packet.dst == known_pod and path.needs_history:
                return path
        new = [path for path in paths if not path.needs_history] or paths
        chosen = rng.choices(new, weights=[path.weight for path in new])[0]
        if chosen.is_remembered:
            self._affinity[node, address, port, src] = chosen.outcome.packet.dst or ""
        return chosen

    def _trace(
        self, src: str, in_interface: str | None, node: str, address: str, port: int, moment: float
    ) -> list[_Path]:
        ipv6 = is_ipv6(address)
        _, version = self._simulator.api_view(node, moment, ipv6=ipv6)
        key = (src, in_interface, address, port, version, self._simulator.version("pods", moment))
        if key not in self._paths:
            packet = Packet(src, address, dport=port, in_interface=in_interface)
            routing = Routing.read(self.addresses(node, moment), self.routes(node, moment, ipv6=ipv6))
            self._paths[key] = [_Path.of(one) for one in self._ruleset(node, moment, ipv6).trace(packet, routing)]
        return self._paths[key]

    def _ruleset(self, node: str, moment: float, ipv6: bool) -> Ruleset:
        _, version = self._simulator.api_view(node, moment, ipv6=ipv6)
        if version not in self._rulesets:
            self._rulesets[version] = parse(self._iptables_save(node, moment, {}, ipv6))
        return self._rulesets[version]

    def _address(self, place: str, towards: str) -> str:
        """Return the address of a place in the family of another address; empty without one."""
        family = self._simulator.initial.family_of(towards)
        return family.addresses.get(place, "") if family else ""

    def _pod_at(self, ip: str, port: int, moment: float) -> KubeObject | None:
        """Return the Pod that has an address at a moment, or None where the rules name one that is gone.

        On the address of a node it is a Pod of the node's network with this port among its containers' ports.
        """
        version = self._simulator.version("pods", moment)
        if version not in self._pods_by_ip:
            found: dict[str, list[KubeObject]] = defaultdict(list)
            for pod in self._simulator.objects("pods", moment):
                for one in pod_ips(pod):
                    found[one].append(pod)
            self._pods_by_ip[version] = found
        pods = self._pods_by_ip[version].get(ip, [])
        own = (pod for pod in pods if not pod["spec"].get("hostNetwork") or port in _container_ports(pod))
        return next(own, None)

    def _health_check(self, ip: str, port: int, moment: float) -> HealthCheck | None:
        """Return what a node's kube-proxy answers on a healthCheckNodePort; None on other ports."""
        node = self._simulator.initial.place_at(ip)
        if node is None or node not in self._simulator.nodes(moment) or node in self._simulator.unreachable.at(moment):
            return None
        checks = self._simulator.health_checks(node, ip, moment)
        return next((check for check in checks if check.port == port), None)

    # ── ARP and neighbor discovery ───────────────────────────────────────────────────────────────────────

    def arp_scan(self, source: str, addresses: Sequence[str], moment: float) -> str:
        """Return the output of `arp-scan` of some addresses from a place."""
        replies = []
        for address in addresses:
            responders = self._simulator.arp_responders(address, moment, source)
            self._record_question(source, address, responders, moment)
            replies += [(address, self.mac(responder)) for responder in responders]
            if source == self._simulator.initial.client and responders and self.neighbor(address, moment):
                self._neighbor_entries[address].append((moment, responders[0]))
        return command_output.arp_scan(replies, len(addresses))

    def _record_question(self, source: str, address: str, holders: Sequence[str], moment: float) -> None:
        """Record the frames of a question who has an address, and of its answers (unicast)."""
        own, mac = self._address(source, address) or ("::" if is_ipv6(address) else "0.0.0.0"), self.mac(source)
        self._neighbor_frames.append(Frame(moment, neighbor_frames.question(mac, own, address)))
        nodes = self._simulator.nodes(moment)
        for holder in holders:
            raw = neighbor_frames.reply(self.mac(holder), address, mac, own, override=holder not in nodes)
            self._neighbor_frames.append(Frame(moment + 0.0003, raw))

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
        other._rulesets, other._paths = self._rulesets, self._paths
        return other

    def frames(self, start: float, end: float) -> list[Frame]:
        """Return the frames of ARP and neighbor discovery between two moments (Unix seconds).

        These are questions, answers and the rounds in which the speakers announce.
        """
        found = [frame for frame in self._neighbor_frames if start <= frame.time <= end]
        for (node, ip), rounds in self._simulator.speakers.gratuitous_rounds.items():
            for t in rounds:
                if start <= t <= end and node not in self._simulator.unreachable.at(t):
                    raws = neighbor_frames.announcements(self.mac(node), ip)
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
        return {**probe, "hostname": answer.hostname, "remote": endpoint(answer.remote, port)}


def _container_ports(pod: KubeObject) -> set[int]:
    containers = pod["spec"].get("containers") or []
    return {int(port["containerPort"]) for container in containers for port in container.get("ports") or []}


def _parse_target(target: str) -> tuple[str, int]:
    """Return address and port of a target as curl takes it: an IPv6 address stands in brackets."""
    parts = urlsplit(f"http://{target.removeprefix('http://')}")
    return parts.hostname or "", parts.port or 80


def _synthetic_mac(place: str) -> str:
    """Return a generated MAC for a place whose own is not known."""
    return "02:42:" + ":".join(f"{byte:02x}" for byte in random.Random(place).randbytes(4))
