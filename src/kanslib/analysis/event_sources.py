"""Read timeline events from objects, frames and rules. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import NamedTuple

from kanslib.analysis.evidence import Evidence
from kanslib.analysis.neighbor_messages import MessageKind, neighbor_messages
from kanslib.analysis.timeline_events import (
    BGPMessageEvent,
    BGPSessionEvent,
    EndpointEvent,
    GratuitousARPEvent,
    HoldTimerEvent,
    LeaderEvent,
    NeighborAdvertisementEvent,
    NodeEvent,
    RulesEvent,
    TimelineEvent,
)
from kanslib.i18n import listed, tr
from kanslib.k8s.objects import KubeObject, WatchEvent, is_ready, join_name, key_of, leader_in_event
from kanslib.packets import bgp
from kanslib.packets.capture import Frame
from kanslib.packets.tcp_stream import Flow, flow_of

_RULE = re.compile(r'^(?:\[\d+:\d+\] )?-A KUBE-(?:SVC|SVL)-\S+ .*--comment "([^" ]+) -> ([^"]+)"', re.MULTILINE)


def cluster_events(
    events: Iterable[WatchEvent], nodes: Iterable[WatchEvent], slices: Iterable[WatchEvent], zero: float
) -> list[TimelineEvent]:
    """Return leader events and the changes of nodes and endpoints, in order of time.

    Watch events before `zero` (Unix seconds) give the state at `zero`; they have to begin well before it.
    """
    found = [*_leader_events(events, zero), *_node_events(nodes, zero), *_endpoint_events(slices, zero)]
    return sorted(found, key=lambda event: event.at)


def _version(kind: str, obj: KubeObject) -> str:
    return tr(
        "{kind} {name}, resourceVersion {version}",
        kind=kind,
        name=obj["metadata"]["name"],
        version=obj["metadata"].get("resourceVersion", "?"),
    )


def _involved_service(event: KubeObject) -> str:
    involved = event["involvedObject"]
    return join_name(involved.get("namespace", "default"), involved["name"])


def _leader_events(events: Iterable[WatchEvent], zero: float) -> Iterator[TimelineEvent]:
    known: dict[str, str] = {}
    for event in events:
        node = leader_in_event(event.object)
        if event.type == "DELETED" or not node:
            continue
        service = _involved_service(event.object)
        if event.t >= zero:
            evidence = Evidence(_version("event", event.object), event.object["message"])
            before = known.get(service, "")
            yield LeaderEvent(at=event.t - zero, evidence=evidence, service=service, node=node, before=before)
        known[service] = node


def _node_events(nodes: Iterable[WatchEvent], zero: float) -> Iterator[TimelineEvent]:
    known: dict[str, bool] = {}
    for event in nodes:
        name, ready = event.object["metadata"]["name"], is_ready(event.object)
        if event.t >= zero and known.get(name, True) != ready:
            conditions = event.object.get("status", {}).get("conditions") or []
            condition: dict[str, str] = next((c for c in conditions if c["type"] == "Ready"), {})
            text = f"Ready={condition.get('status')}: {condition.get('reason', '')}"
            evidence = Evidence(_version("node", event.object), text)
            yield NodeEvent(at=event.t - zero, evidence=evidence, node=name, is_ready=ready)
        known[name] = ready


def _endpoint_events(slices: Iterable[WatchEvent], zero: float) -> Iterator[TimelineEvent]:
    known: dict[tuple[str, str], set[str]] = {}
    for event in slices:
        meta = event.object["metadata"]
        owner = meta.get("labels", {}).get("kubernetes.io/service-name", "")
        service = join_name(meta.get("namespace", "default"), owner)
        ready = set() if event.type == "DELETED" else _ready_addresses(event.object)
        before = known.get(key_of(event.object))
        if before is not None and event.t >= zero:
            source = _version("endpointslice", event.object)
            for address in sorted(before ^ ready):
                is_now_ready = address in ready
                evidence = Evidence(source, _readiness(address, is_ready=is_now_ready))
                yield EndpointEvent(
                    at=event.t - zero, evidence=evidence, service=service, address=address, is_ready=is_now_ready
                )
        known[key_of(event.object)] = ready


def _ready_addresses(piece: KubeObject) -> set[str]:
    return {
        address
        for endpoint in piece.get("endpoints") or []
        for address in endpoint["addresses"]
        if endpoint.get("conditions", {}).get("ready", True)
    }


def announcement_events(frames: Iterable[Frame], vips: Mapping[str, str], zero: float) -> Iterator[TimelineEvent]:
    """Yield an event for each announcement of VIPs (address: Service): gratuitous ARP, or a neighbor advertisement."""
    for message in neighbor_messages(frames):
        if message.kind in (MessageKind.ANNOUNCEMENT, MessageKind.OBJECTION) and message.address in vips:
            event = GratuitousARPEvent if message.frame.arp else NeighborAdvertisementEvent
            yield event(
                at=message.frame.time - zero, evidence=Evidence.of(message.frame), service=vips[message.address],
                mac=message.mac,
            )  # fmt: skip


def rule_events(dumps: Iterable[tuple[float, str, str]], services: Iterable[str], zero: float) -> list[TimelineEvent]:
    """Return when the endpoints in the rules of a node changed, from one dump to the next.

    `dumps`: (Unix seconds, node, output of iptables-save). `services`: names; `namespace/name` outside of `default`.
    """
    wanted = {name if "/" in name else f"default/{name}": name for name in services}
    known: dict[tuple[str, str], tuple[str, ...]] = {}
    found: list[TimelineEvent] = []
    for moment, node, text in sorted(dumps):
        endpoints_by_service: dict[str, set[str]] = {name: set() for name in wanted.values()}
        for service, endpoint in _RULE.findall(text):
            if name := wanted.get(service.partition(":")[0]):
                endpoints_by_service[name].add(endpoint)
        for name, endpoints in endpoints_by_service.items():
            now, before = tuple(sorted(endpoints)), known.get((node, name))
            if before is not None and before != now and moment >= zero:
                found.append(_rules_event(moment - zero, node, name, now, before))
            known[node, name] = now
    return found


def _rules_event(
    at: float, node: str, service: str, endpoints: tuple[str, ...], before: tuple[str, ...]
) -> TimelineEvent:
    text = tr("{service} to {endpoints}", service=service, endpoints=listed(endpoints) or tr("nobody"))
    evidence = Evidence(tr("iptables-save on {node} at {at:+.1f} s", node=node, at=at), text)
    return RulesEvent(at=at, evidence=evidence, service=service, node=node, endpoints=endpoints, before=before)


def bgp_session_events(frames: Iterable[Frame], names: Mapping[str, str], zero: float) -> list[TimelineEvent]:
    """Return BGP's updates and notifications, and how its sessions ended, from `zero` (Unix seconds) on.

    `names`: the places by address. A hold timer counts from the last message of a side that fell silent (RFC 4271,
    section 6.5), if nothing else ended the session before.
    """
    kept = list(frames)
    messages: dict[Flow, list[Frame]] = defaultdict(list)
    hold_times: dict[Flow, int] = {}
    found: list[TimelineEvent] = []
    for flow, message, frame in bgp.messages(kept):
        messages[flow].append(frame)
        if message.type == bgp.OPEN:
            hold_times[flow] = message.hold_time or 0
        elif message.type in (bgp.UPDATE, bgp.NOTIFICATION):
            speaker = names.get(flow.src, flow.src)
            found.append(
                BGPMessageEvent(at=frame.time - zero, evidence=Evidence.of(frame), speaker=speaker, message=message)
            )
    closings = _closings(kept, set(messages))
    found += [closing.event(names, zero) for closing in dict.fromkeys(closings.values())]
    end = kept[-1].time if kept else 0.0
    closed = {flow: closing.frame.time for flow, closing in closings.items()}
    found += _hold_timer_events(messages, hold_times, closed, end, names, zero)
    return sorted((event for event in found if event.at >= 0), key=lambda event: event.at)


class _Closing(NamedTuple):
    """A FIN or a RST, and the direction in which it was sent."""

    frame: Frame
    flow: Flow
    is_reset: bool

    def event(self, names: Mapping[str, str], zero: float) -> TimelineEvent:
        """Return it as a timeline event; `names`: the places by address."""
        speaker, peer = (names.get(address, address) for address in (self.flow.src, self.flow.dst))
        return BGPSessionEvent(
            at=self.frame.time - zero, evidence=Evidence.of(self.frame), speaker=speaker, peer=peer,
            is_reset=self.is_reset,
        )  # fmt: skip


def _closings(frames: Iterable[Frame], flows: set[Flow]) -> dict[Flow, _Closing]:
    """Return the first FIN or RST of each session, by both of its flows."""
    found: dict[Flow, _Closing] = {}
    for frame in frames:
        tcp = frame.tcp
        if tcp is None or not ("F" in tcp.flags or "R" in tcp.flags):  # nearly all frames
            continue
        flow = flow_of(frame)
        if flow and flow not in found and (flow in flows or flow.back in flows):
            found[flow] = _Closing(frame, flow, "R" in tcp.flags)
            found.setdefault(flow.back, found[flow])
    return found


def _hold_timer_events(
    messages: Mapping[Flow, list[Frame]], hold_times: Mapping[Flow, int], closed: Mapping[Flow, float], end: float,
    names: Mapping[str, str], zero: float,
) -> Iterator[TimelineEvent]:  # fmt: skip
    """Yield silences of one side longer than the hold time, while others sent messages (else the capture has a gap)."""
    all_messages = sorted((frame.time, flow) for flow, frames in messages.items() for frame in frames)
    for flow, frames in messages.items():
        hold_time = min(hold_times.get(flow, 0), hold_times.get(flow.back, 0))
        closed_at = min(closed.get(flow, end + 1), closed.get(flow.back, end + 1))
        for frame, following in zip_longest(frames, frames[1:]):
            expiry = frame.time + hold_time
            until = min(following.time if following else end, closed_at, end)
            if not hold_time or expiry >= until:
                continue
            first = bisect_left(all_messages, frame.time, key=lambda one: one[0])
            last = bisect_left(all_messages, expiry, key=lambda one: one[0])
            if any(other not in (flow, flow.back) for _, other in all_messages[first:last]):
                yield HoldTimerEvent(
                    at=expiry - zero, evidence=Evidence.of(frame), speaker=names.get(flow.dst, flow.dst),
                    peer=names.get(flow.src, flow.src), hold_time=hold_time,
                )  # fmt: skip


def _readiness(address: str, *, is_ready: bool) -> str:
    if is_ready:
        return tr("{address} ready", address=address)
    return tr("{address} not ready, or not listed", address=address)
