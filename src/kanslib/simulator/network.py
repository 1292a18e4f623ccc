"""Requests, scans and probes in a computed cluster: each goes where that moment's wire and rules send it. Pure.

Chance is drawn from a seed, with the exact probabilities of the traced rules.
"""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kanslib.analysis import Cause
from kanslib.iptables import Outcome, Packet, Routing, Ruleset, parse
from kanslib.k8s.objects import KubeObject
from kanslib.packets.capture import Frame
from kanslib.simulator import command_output
from kanslib.simulator.simulator import Simulator

SYN_SENT = 120.0  # seconds that conntrack remembers an unanswered SYN (nf_conntrack_tcp_timeout_syn_sent)
_EPHEMERAL = (32768, 60999)
_RESALT = 10.0  # seconds: Linux net/core/secure_seq.c starts elsewhere in the range so often
_NO_ANSWER, _REFUSED = 28, 7  # curl's exit codes


@dataclass(frozen=True)
class SimulatedAnswer:
    """What came of a request: the Pod that answered and whom it saw as its client, or why nothing came back.

    `failure` says it in words, `cause` names it.
    """

    hostname: str = ""
    remote: str = ""
    failure: str = ""
    code: int = 0
    cause: Cause | None = None


class PortAllocator:
    """Source ports as Linux hands them out: even ones upwards in small steps, and every 10 s from another place on.

    Linux net/ipv4/inet_hashtables.c __inet_hash_connect, net/core/secure_seq.c (EPHEMERAL_PORT_SHUFFLE_PERIOD).
    """

    def __init__(self, seed: str) -> None:
        self._seed, self._period, self._next = seed, -1, 0
        self._dice = random.Random(seed)

    def take(self, moment: float) -> int:
        first, last = _EPHEMERAL
        period = int(moment / _RESALT)
        if period != self._period:
            self._period = period
            self._next = random.Random(f"{self._seed} {period}").randrange(first, last, 2)
        port = self._next
        self._next += 2 + 2 * self._dice.randrange(8)
        if self._next > last:
            self._next = first
        return port


class SimulatedNetwork:
    """Everybody's packets in a twin."""

    def __init__(self, twin: Simulator, seed: int = 0) -> None:
        self._twin, self._seed = twin, seed
        self._learned: dict[str, list[tuple[float, str]]] = {}  # the client's: an address, from when on, whose MAC
        self._counted: dict[str, Counter[tuple[str, str]]] = {}  # by node: connections by table and rule
        self._unanswered: dict[tuple[str, str, int], tuple[float, str]] = {}  # node, address, port: until when, to whom
        self._parsed: dict[tuple[str, int, int], Ruleset] = {}
        self._ways: dict[Any, list[Outcome]] = {}
        self._wire: list[Frame] = []  # ARP questions and their answers
        self._sticky: dict[tuple[str, str, int, str], str] = {}  # session affinity: node, address, port, client: Pod
        for address, holder in twin.start.neighbors.items():
            self._learned[address] = [(twin.start.moment, holder)]

    # ── texts of nodes ───────────────────────────────────────────────────────────────────────────────────

    def dump(self, node: str, moment: float) -> str:
        """`iptables-save -c` of a node."""
        cidr = self._twin.start.cluster_cidr
        base = self._twin.start.dump(node) or command_output.SKELETON.replace("{cidr}", cidr)
        return command_output.iptables_save(base, self._twin.rules(node, moment), self._counted.get(node, {}), moment)

    def addresses(self, node: str, moment: float) -> str:
        """`ip -j addr` of a node."""
        origin, pods = self._twin.start, command_output.pods_on(node, self._twin.objects("pods", moment))
        prefix = IPv4Network(origin.network).prefixlen
        own, mac = origin.addresses.get(node, ""), origin.macs.get(node, "")
        return command_output.addresses(own, prefix, mac, pods, str(self._range(node, moment)[1]))

    def routes(self, node: str, moment: float) -> str:
        """`ip -j route` of a node."""
        origin, pods = self._twin.start, command_output.pods_on(node, self._twin.objects("pods", moment))
        others = {
            str(self._range(other, moment)): origin.addresses.get(other, "")
            for other in self._twin.nodes(moment)
            if other != node
        }
        return command_output.routes(origin.network, origin.addresses.get(node, ""), pods, others)

    def _range(self, node: str, moment: float) -> IPv4Network:
        found = next(one for one in self._twin.objects("nodes", moment) if one["metadata"]["name"] == node)
        return IPv4Network(found["spec"].get("podCIDR", "10.10.0.0/24"))

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────

    def requests(self, source: str, target: str, times: int, moment: float) -> str:
        """What curl in a loop prints: each answer's Hostname and RemoteAddr, or its exit status."""
        address, port = _target_of(target)
        dice = random.Random(f"{self._seed} {source} {target} {times} {moment:.3f}")
        lines: list[str] = []
        for turn in range(times):
            answer = self.request(source, address, port, moment + turn * 0.01, dice)
            if answer.failure:
                lines.append(f"curl exit {answer.code}")
            else:
                lines += [f"Hostname: {answer.hostname}", f"RemoteAddr: {answer.remote}:{dice.randrange(*_EPHEMERAL)}"]
        return "\n".join(lines) + "\n"

    def request(
        self, source: str, address: str, port: int, moment: float, dice: random.Random, sport: int | None = None
    ) -> SimulatedAnswer:
        """One request from a place to an address; `sport` lets conntrack recognise it."""
        twin = self._twin
        if source in twin.nodes(moment):
            return self._through(source, source, address, port, moment, dice, sport)
        node, failure = self._first_hop(address, moment, dice)
        routed = twin.routed.at(moment)
        if failure:
            return SimulatedAnswer(
                failure=failure, code=_NO_ANSWER, cause=Cause.UNREACHABLE if routed else Cause.NO_ARP
            )
        if node not in twin.nodes(moment):
            return SimulatedAnswer(failure=f"{node} has no such service: refused", code=_REFUSED, cause=Cause.REFUSED)
        if node in twin.unreachable.at(moment):
            cause = Cause.HOP_GONE if routed else Cause.LEADER_GONE
            return SimulatedAnswer(failure=f"{node} is silent", code=_NO_ANSWER, cause=cause)
        return self._through(source, node, address, port, moment, dice, sport)

    def _first_hop(self, address: str, moment: float, dice: random.Random) -> tuple[str, str]:
        """The place to which the client's packet goes, or why it goes nowhere."""
        twin, origin = self._twin, self._twin.start
        holder = next((place for place, own in origin.addresses.items() if own == address), "")
        if holder:
            return holder, ""
        if twin.routed.at(moment):
            hops = next((hops for prefix, hops in twin.next_hops(moment).items() if _is_within(address, prefix)), ())
            if not hops:
                return "", "the router has no route"
            names = {own: place for place, own in origin.addresses.items()}
            return names.get(dice.choice(sorted(hops)), ""), ""
        if not _is_within(address, origin.network):
            return "", "not on the client's network, and its gateway knows no way"
        holder = self.conntrack_clash(address, moment) or self._resolve(address, moment)
        return holder, "" if holder else "nobody answers ARP"

    def _resolve(self, address: str, moment: float) -> str:
        """Ask by ARP; the first answer is kept. A kernel answers before a speaker does."""
        client = self._twin.start.client or ""
        found = self._twin.answers(address, moment, client)
        self._learn_neighbor(client, address, found, moment)
        if found:
            self._learned.setdefault(address, []).append((moment, found[0]))
        return found[0] if found else ""

    def conntrack_clash(self, address: str, moment: float) -> str:
        """Whose MAC the client has for an address: learned last, or told since by gratuitous ARP; empty for none."""
        learned = [entry for entry in self._learned.get(address, []) if entry[0] <= moment]
        if not learned:
            return ""
        since, holder = learned[-1]
        for (node, ip), rounds in self._twin.speakers.bursts.items():
            told = [t for t in rounds if since < t <= moment and node not in self._twin.unreachable.at(t)]
            if ip == address and told:
                since, holder = told[-1], node
        return holder

    def _through(
        self, source: str, node: str, address: str, port: int, moment: float, dice: random.Random, sport: int | None
    ) -> SimulatedAnswer:
        """A connection through the rules of one node, to whichever Pod they lead."""
        before = self._unanswered.get((node, address, sport)) if sport else None
        if before and before[0] > moment and sport:
            self._unanswered[node, address, sport] = (moment + SYN_SENT, before[1])
            failure = f"conntrack on {node} still sends this port to {before[1]}"
            return SimulatedAnswer(failure=failure, code=_NO_ANSWER, cause=Cause.REMEMBERED)
        way = self._way(source, node, address, port, moment, dice)
        if way.verdict != "ACCEPT":
            code = _REFUSED if way.verdict == "REJECT" else _NO_ANSWER
            return SimulatedAnswer(failure=f"{way.verdict} on {node}", code=code, cause=Cause.REFUSED)
        self._count(node, way)
        pod = self._pod(way.packet.dst or "", moment)
        if pod is None:
            refused = way.packet.dst in self._twin.start.addresses.values()
            cause, code = (Cause.REFUSED, _REFUSED) if refused else (Cause.ENDPOINT_GONE, _NO_ANSWER)
            return SimulatedAnswer(failure=f"nobody is at {way.packet.dst}", code=code, cause=cause)
        home = pod["spec"]["nodeName"]
        if home in self._twin.unreachable.at(moment):
            if sport:
                self._unanswered[node, address, sport] = (moment + SYN_SENT, way.packet.dst or "")
            failure = f"a SYN to {pod['metadata']['name']} on {home}, which is silent"
            return SimulatedAnswer(failure=failure, code=_NO_ANSWER, cause=Cause.ENDPOINT_GONE)
        return SimulatedAnswer(pod["metadata"]["name"], way.packet.src or "")

    def _way(self, source: str, node: str, address: str, port: int, moment: float, dice: random.Random) -> Outcome:
        """One of the ways a packet can go, drawn with their probabilities."""
        src = self._twin.start.addresses.get(source, "")
        ways = self._all_ways(src, None if source == node else "eth0", node, address, port, moment)
        before = self._sticky.get((node, address, port, src))
        again = [way for way in ways if way.packet.dst == before and not _holds_without_history(way)]
        if before and again:
            return again[0]
        fresh = [way for way in ways if _holds_without_history(way)] or ways
        way = dice.choices(fresh, weights=[float(way.probability) for way in fresh])[0]
        if any("-m recent --set" in rule.text for rule in way.walked):
            self._sticky[node, address, port, src] = way.packet.dst or ""
        return way

    def _all_ways(
        self, src: str, arrives: str | None, node: str, address: str, port: int, moment: float
    ) -> list[Outcome]:
        _, version = self._twin.api_view_of(node, moment)
        place = (src, arrives, address, port, version, self._twin.version("pods", moment))
        if place not in self._ways:
            packet = Packet(src, address, dport=port, in_interface=arrives)
            routing = Routing.read(self.addresses(node, moment), self.routes(node, moment))
            self._ways[place] = list(self._ruleset(node, moment).trace(packet, routing))
        return self._ways[place]

    def _ruleset(self, node: str, moment: float) -> Ruleset:
        _, place = self._twin.api_view_of(node, moment)
        if place not in self._parsed:
            base = self._twin.start.dump(node) or command_output.SKELETON.replace(
                "{cidr}", self._twin.start.cluster_cidr
            )
            self._parsed[place] = parse(command_output.iptables_save(base, self._twin.rules(node, moment), {}, moment))
        return self._parsed[place]

    def _count(self, node: str, way: Outcome) -> None:
        self._counted.setdefault(node, Counter()).update((rule.table, rule.text) for rule in way.walked)

    def _pod(self, ip: str, moment: float) -> KubeObject | None:
        """The Pod that really has an address: the API may believe in one that is long gone."""
        pods = self._twin.objects("pods", moment)
        return next(
            (p for p in pods if p.get("status", {}).get("podIP") == ip and not p["spec"].get("hostNetwork")), None
        )

    # ── ARP ──────────────────────────────────────────────────────────────────────────────────────────────

    def scan(self, source: str, asked: Sequence[str], moment: float) -> str:
        """`arp-scan` of some addresses from a place."""
        macs, mine = self._twin.start.macs, source == self._twin.start.client
        lines = []
        for address in asked:
            holders = self._twin.answers(address, moment, source)
            self._learn_neighbor(source, address, holders, moment)
            lines += [(address, macs.get(holder) or _synthetic_mac(holder)) for holder in holders]
            if mine and holders and self.conntrack_clash(address, moment):
                self._learned[address].append((moment, holders[0]))
        return command_output.arp_scan(lines, len(asked))

    def _learn_neighbor(self, asker: str, address: str, holders: Sequence[str], moment: float) -> None:
        """Keep a question, asked of everybody, and the answers, to the asker alone."""
        own, mac = self._twin.start.addresses.get(asker, "0.0.0.0"), self.mac(asker)
        self._wire.append(Frame(moment, _arp(1, mac, own, "00:00:00:00:00:00", address, to="ff:ff:ff:ff:ff:ff")))
        for holder in holders:
            raw = _arp(2, self.mac(holder), address, mac, own, to=mac)
            self._wire.append(Frame(moment + 0.0003, raw))

    def neighbors(self, moment: float) -> str:
        """`ip -j neigh` of the client."""
        known = {ip: holder for ip in self._learned if (holder := self.conntrack_clash(ip, moment))}
        return command_output.neighbors({ip: self.mac(holder) for ip, holder in known.items()})

    def mac(self, place: str) -> str:
        return self._twin.start.macs.get(place) or _synthetic_mac(place)

    def fork(self) -> SimulatedNetwork:
        """The same network for other eyes: what is sent here leaves no trace there."""
        other = SimulatedNetwork(self._twin, self._seed)
        other._learned = {address: list(entries) for address, entries in self._learned.items()}
        other._parsed, other._ways = self._parsed, self._ways
        return other

    def frames(self, start: float, end: float) -> list[Frame]:
        """The ARP of a stretch of time: what was asked and answered, and the speakers' gratuitous rounds.

        In each round a request and a reply, to everybody, in MetalLB's own form: the target's MAC is broadcast, too
        (internal/layer2/arp.go).
        """
        everybody = "ff:ff:ff:ff:ff:ff"
        found = [frame for frame in self._wire if start <= frame.time <= end]
        for (node, ip), rounds in self._twin.speakers.bursts.items():
            for t in rounds:
                if start <= t <= end and node not in self._twin.unreachable.at(t):
                    raws = [_arp(form, self.mac(node), ip, everybody, ip, to=everybody) for form in (1, 2)]
                    found += [Frame(t + 0.0001 * place, raw) for place, raw in enumerate(raws)]
        return sorted(found, key=lambda frame: frame.time)

    # ── probes ───────────────────────────────────────────────────────────────────────────────────────────

    def probes(self, vips: Sequence[str], start: float, end: float) -> list[dict[str, Any]]:
        """A request to each address every 50 ms, or as soon as the one before has ended; it is given up after 0.5 s."""
        rows = []
        for vip in vips:
            ports, dice = PortAllocator(f"{self._seed} {vip}"), random.Random(f"{self._seed} probes {vip} {start:.3f}")
            t = start
            while t < end:
                rows.append(self._probe(vip, t, ports.take(t), dice))
                t += max(0.05, rows[-1]["ms"] / 1000)
        return sorted(rows, key=lambda row: float(row["t"]))

    def _probe(self, vip: str, t: float, port: int, dice: random.Random) -> dict[str, Any]:
        client = self._twin.start.client or ""
        answer = self.request(client, vip, 80, t, dice, port)
        row: dict[str, Any] = {"t": t, "to": vip, "ok": not answer.failure, "port": port}
        row["ms"] = round(1 + dice.expovariate(1), 1)
        if answer.failure:
            row |= {"error": answer.failure, "cause": answer.cause}
            return {**row, "ms": 500.0 if answer.code == _NO_ANSWER else 1.0}
        return {**row, "hostname": answer.hostname, "remote": f"{answer.remote}:{port}"}


def _holds_without_history(way: Outcome) -> bool:
    """Ways that a client takes whom nobody remembers; what the trace must assume about that is not so."""
    return not any(one.holds for one in way.assumes)


def _is_within(address: str, prefix: str) -> bool:
    return IPv4Address(address) in IPv4Network(prefix)


def _target_of(target: str) -> tuple[str, int]:
    address, _, port = target.removeprefix("http://").rstrip("/").partition(":")
    return address, int(port or 80)


def _synthetic_mac(place: str) -> str:
    """A MAC address for a place whose own is not known."""
    return "02:42:" + ":".join(f"{byte:02x}" for byte in random.Random(place).randbytes(4))


def _arp(operation: int, sender: str, sender_ip: str, target: str, target_ip: str, to: str) -> bytes:
    """A frame with one ARP message in it."""
    source, aim, receiver = (bytes.fromhex(mac.replace(":", "")) for mac in (sender, target, to))
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    body = head + source + IPv4Address(sender_ip).packed + aim + IPv4Address(target_ip).packed
    return receiver + source + struct.pack("!H", 0x0806) + body
