"""What happened around an act, each with its evidence: gossip, leaders, ARP, nodes, endpoints, rules, BGP. Pure."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from kanslib.analysis.evidence import Evidence
from kanslib.k8s.logs import timestamp_of
from kanslib.k8s.objects import KubeObject, WatchEvent, is_ready, key_of, leader_in_event
from kanslib.packets import bgp
from kanslib.packets.capture import Frame
from kanslib.packets.tcp_stream import Flow, flow_of

LANES = (
    "memberlist", "speaker", "leader", "gratuitous ARP", "BGP", "node", "endpoints", "rules",
)  # fmt: skip
_MEMBERLIST_LINE = re.compile(
    r"memberlist: (Suspect|Marking) (\S+) |\"node event\":\"(NodeLeave|NodeJoin)\".*\"node name\":\"([^\"]+)\""
)
_RULE = re.compile(r'^(?:\[\d+:\d+\] )?-A KUBE-(?:SVC|SVL)-\S+ .*--comment "([^" ]+) -> ([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class TimelineEvent:
    """Something that happened `at` seconds after the act: in which lane, in words, and what shows it."""

    at: float
    lane: str
    text: str
    evidence: Evidence | None = None


def cluster_events(
    events: Iterable[WatchEvent], nodes: Iterable[WatchEvent], slices: Iterable[WatchEvent], zero: float
) -> list[TimelineEvent]:
    """Leader events, nodes that became ready or not, endpoints that went or came, from `zero` on.

    The watch events have to begin well before `zero`: they tell what was the case until then.
    """
    found = [*_leaders(events, zero), *_readiness(nodes, zero), *_endpoints(slices, zero)]
    return sorted(found, key=lambda mark: mark.at)


def _version(kind: str, obj: KubeObject) -> str:
    return f"{kind} {obj['metadata']['name']}, resourceVersion {obj['metadata'].get('resourceVersion', '?')}"


def _leaders(events: Iterable[WatchEvent], zero: float) -> Iterator[TimelineEvent]:
    for event in events:
        node = leader_in_event(event.object)
        if event.t >= zero and event.type != "DELETED" and node:
            shown = Evidence(_version("event", event.object), event.object["message"])
            yield TimelineEvent(event.t - zero, "leader", f"{event.object['involvedObject']['name']}: {node}", shown)


def _readiness(nodes: Iterable[WatchEvent], zero: float) -> Iterator[TimelineEvent]:
    known: dict[str, bool] = {}
    for event in nodes:
        name, now = event.object["metadata"]["name"], is_ready(event.object)
        if event.t >= zero and known.get(name, True) != now:
            conditions = event.object.get("status", {}).get("conditions") or []
            said: dict[str, str] = next((c for c in conditions if c["type"] == "Ready"), {})
            shown = Evidence(_version("node", event.object), f"Ready={said.get('status')}: {said.get('reason', '')}")
            yield TimelineEvent(event.t - zero, "node", f"{name} {'Ready' if now else 'NotReady'}", shown)
        known[name] = now


def _endpoints(slices: Iterable[WatchEvent], zero: float) -> Iterator[TimelineEvent]:
    known: dict[tuple[str, str], set[str]] = {}
    for event in slices:
        service = event.object["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
        ready = (
            set()
            if event.type == "DELETED"
            else {
                address
                for endpoint in event.object.get("endpoints") or []
                for address in endpoint["addresses"]
                if endpoint.get("conditions", {}).get("ready", True)
            }
        )
        before = known.get(key_of(event.object))
        if before is not None and event.t >= zero:
            where = _version("endpointslice", event.object)
            for address in sorted(before ^ ready):
                says = f"{address} {'ready' if address in ready else 'not ready, or not listed'}"
                text = f"{service}: {address} {'in' if address in ready else 'out'}"
                yield TimelineEvent(event.t - zero, "endpoints", text, Evidence(where, says))
        known[key_of(event.object)] = ready


def memberlist_events(log: str, zero: float, speaker: str = "") -> list[TimelineEvent]:
    """What one speaker's memberlist said from the act on: suspicion, death, leaving and joining."""
    found = []
    who = f"{speaker} " if speaker else ""
    for number, line in enumerate(log.splitlines(), 1):
        moment, told = timestamp_of(line), _MEMBERLIST_LINE.search(line)
        if moment is None or moment < zero or not told:
            continue
        words = {"Suspect": "suspects", "Marking": "declares dead"}
        events = {"NodeLeave": "lets go of", "NodeJoin": "takes in"}
        text = f"{who}{words[told[1]]} {told[2]}" if told[1] else f"{who}{events[told[3]]} {told[4]}"
        found.append(TimelineEvent(moment - zero, "memberlist", text, _line(speaker, number, line)))
    return found


def _line(speaker: str, number: int, line: str) -> Evidence:
    return Evidence(f"line {number} of the log of the speaker on {speaker or 'a node'}", line.partition(" ")[2][:200])


def announcement_events(log: str, zero: float, speaker: str, vips: Mapping[str, str]) -> list[TimelineEvent]:
    """What one speaker decided: when it began to announce a VIP (address: Service), and when it stopped.

    MetalLB v0.14.8 speaker/main.go logs serviceAnnounced on every sync; only a change is a mark.
    """
    found, mine = [], dict[str, bool]()
    for number, line in enumerate(log.splitlines(), 1):
        if '"event":"service' not in line or (moment := timestamp_of(line)) is None:
            continue
        try:
            entry = json.loads(line[line.index("{") :])
        except ValueError:
            continue
        begins = entry.get("event") == "serviceAnnounced"
        if not begins and entry.get("event") != "serviceWithdrawn":
            continue
        for address in entry.get("ips") or entry.get("ip") or []:
            if address in vips and mine.get(address, False) != begins and moment >= zero:
                verb = "announces" if begins else "stops announcing"
                text = f"{speaker} {verb} {vips[address]} ({entry.get('protocol', 'any')})"
                found.append(TimelineEvent(moment - zero, "speaker", text, _line(speaker, number, line)))
            mine[address] = begins
    return found


def gratuitous_arp_events(frames: Iterable[Frame], vips: Mapping[str, str], zero: float) -> list[TimelineEvent]:
    """The gratuitous ARP of the given addresses (address: Service name)."""
    return [
        TimelineEvent(
            frame.time - zero, "gratuitous ARP", f"{vips[frame.arp.sender_ip]} is-at {frame.arp.sender_mac}",
            Evidence.of(frame),
        )
        for frame in frames
        if frame.arp and frame.arp.is_gratuitous and frame.arp.sender_ip in vips
    ]  # fmt: skip


def rule_events(looks: Iterable[tuple[float, str, str]], services: Iterable[str], zero: float) -> list[TimelineEvent]:
    """Which endpoints the rules of each node held, from looks (Unix seconds, node, what iptables-save printed).

    A mark where a look shows others than the look before. Services by name, in the namespace `default`.
    """
    wanted = {f"default/{name}": name for name in services}
    known: dict[tuple[str, str], tuple[str, ...]] = {}
    found = []
    for moment, node, text in sorted(looks):
        held: dict[str, list[str]] = {name: [] for name in wanted.values()}
        for service, endpoint in _RULE.findall(text):
            name = wanted.get(service.partition(":")[0])
            if name and endpoint not in held[name]:
                held[name].append(endpoint)
        for name, endpoints in held.items():
            now = tuple(sorted(endpoints))
            before = known.get((node, name))
            if before is not None and before != now and moment >= zero:
                words = f"{node}: {name} to {', '.join(now) or 'nobody'}, before {', '.join(before) or 'nobody'}"
                shown = Evidence(f"iptables-save on {node} at {moment - zero:+.1f} s", words)
                found.append(TimelineEvent(moment - zero, "rules", words, shown))
            known[node, name] = now
    return found


def bgp_session_events(frames: Iterable[Frame], names: Mapping[str, str], zero: float) -> list[TimelineEvent]:
    """What BGP said and how its sessions ended, from the act on: updates, notifications, FIN, RST, hold timers.

    `names`: who has an address. A hold timer is counted from the last message of a side that fell silent (RFC 4271,
    section 6.5), when nothing else had ended the session.
    """
    kept = list(frames)
    heard_at: dict[Flow, list[Frame]] = defaultdict(list)
    hold: dict[Flow, int] = {}
    found = []
    for flow, message, frame in bgp.messages(kept):
        heard_at[flow].append(frame)
        if message.type == bgp.OPEN:
            hold[flow] = message.hold_time or 0
        elif message.type in (bgp.UPDATE, bgp.NOTIFICATION) and frame.time >= zero:
            who = names.get(flow.src, flow.src)
            found.append(TimelineEvent(frame.time - zero, "BGP", f"{who}: {message}", Evidence.of(frame)))
    ended = _closings(kept, set(heard_at), names, zero)
    found += list({id(mark): mark for mark, _ in ended.values() if mark.at >= 0}.values())
    end = kept[-1].time if kept else 0.0
    closed = {flow: moment for flow, (_, moment) in ended.items()}
    found += [mark for mark in _expiries(heard_at, hold, closed, end, names, zero) if mark.at >= 0]
    return sorted(found, key=lambda mark: mark.at)


def _closings(
    frames: Iterable[Frame], flows: set[Flow], names: Mapping[str, str], zero: float
) -> dict[Flow, tuple[TimelineEvent, float]]:
    """The first FIN or RST of each session, by the flow of the side that sent it and by the other one."""
    found: dict[Flow, tuple[TimelineEvent, float]] = {}
    for frame in frames:
        flow = flow_of(frame)
        if flow not in flows and (flow is None or flow.back not in flows):
            continue
        if flow is None or frame.tcp is None or not set("FR") & set(frame.tcp.flags) or flow in found:
            continue
        how = "resets" if "R" in frame.tcp.flags else "closes"
        text = f"{names.get(flow.src, flow.src)} {how} its session with {names.get(flow.dst, flow.dst)}"
        mark = TimelineEvent(frame.time - zero, "BGP", text, Evidence.of(frame))
        found[flow] = (mark, frame.time)
        found.setdefault(flow.back, (mark, frame.time))
    return found


def _expiries(
    heard_at: Mapping[Flow, list[Frame]], hold: Mapping[Flow, int], closed: Mapping[Flow, float], end: float,
    names: Mapping[str, str], zero: float,
) -> Iterator[TimelineEvent]:  # fmt: skip
    """Silences of one side longer than the hold time while others were heard; else the capture has a hole there."""
    everybody = sorted((frame.time, flow) for flow, frames in heard_at.items() for frame in frames)
    for flow, frames in heard_at.items():
        agreed = min(hold.get(flow, 0), hold.get(flow.back, 0))
        gone = min(closed.get(flow, end + 1), closed.get(flow.back, end + 1))
        for frame, following in zip_longest(frames, frames[1:]):
            over = frame.time + agreed
            until = min(following.time if following else end, gone, end)
            if not agreed or over >= until:
                continue
            first = bisect_left(everybody, frame.time, key=lambda one: one[0])
            last = bisect_left(everybody, over, key=lambda one: one[0])
            if any(other not in (flow, flow.back) for _, other in everybody[first:last]):
                who, silent = names.get(flow.dst, flow.dst), names.get(flow.src, flow.src)
                text = f"{who}: hold timer for {silent} over, {agreed} s after its last message"
                yield TimelineEvent(over - zero, "BGP", text, Evidence.of(frame))
