"""Analyse an outage from anybody's captures and logs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from kanslib.analysis import event_sources, speaker_logs
from kanslib.analysis.attempts import Attempt, attempts_from_capture
from kanslib.analysis.failure_reasons import CaptureIndex
from kanslib.analysis.neighbor_messages import MessageKind, neighbor_message
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.analysis.outage import Outage, build_outage
from kanslib.i18n import tr
from kanslib.k8s.log_lines import LogLine
from kanslib.packets import bgp
from kanslib.packets.capture import Frame

_LIFE_SIGNS_PER_SECOND = 2  # frames kept of each MAC: enough to know when it fell silent


def relevant_frames(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield the frames that matter for an outage.

    ARP, neighbor discovery, TCP's SYN, FIN and RST, ICMP errors, BGP, and some of each MAC address.
    """
    seen: set[tuple[str | None, int]] = set()
    for frame in frames:
        sign = (frame.source_mac, int(frame.time * _LIFE_SIGNS_PER_SECOND))
        is_new = sign not in seen
        seen.add(sign)
        tcp, icmp = frame.tcp, frame.icmp or frame.icmpv6
        begins_or_ends = tcp is not None and bool(set("SFR") & set(tcp.flags))
        if is_new or begins_or_ends or bgp.is_bgp(frame) or (icmp and icmp.is_unreachable) or neighbor_message(frame):
            yield frame


def likely_vips(frames: Iterable[Frame], limit: int = 8) -> list[str]:
    """Return up to `limit` addresses that look like VIPs: announced ones, else the busiest servers.

    Without any of them, those that several machines hold.
    """
    kept = list(frames)
    announced: dict[str, None] = {}
    servers: Counter[str] = Counter()
    clients: set[str] = set()
    for frame in kept:
        message = neighbor_message(frame)
        if message and message.kind in (MessageKind.ANNOUNCEMENT, MessageKind.OBJECTION):
            announced[message.address] = None
        if frame.tcp and frame.ip and frame.tcp.is_syn and frame.tcp.dport != bgp.PORT:
            servers[frame.ip.dst] += 1
            clients.add(frame.ip.src)
    busiest = [ip for ip, _ in servers.most_common()]
    vips = [ip for ip in busiest if ip in announced] or [ip for ip in busiest if ip not in clients] or list(announced)
    return (vips or [conflict.address for conflict in NeighborAnalysis.of(kept).conflicts()])[:limit]


def first_failure(attempts: Iterable[Sequence[Attempt]]) -> float | None:
    """Return the time of the first failed attempt, on the attempts' clock; None when all were answered."""
    return min((attempt.at for group in attempts for attempt in group if not attempt.is_ok), default=None)


def outage_from_captures(
    frames: Sequence[Frame],
    logs: Mapping[str, Sequence[LogLine]],
    vips: Mapping[str, str],
    zero: float | None = None,
    names: Mapping[str, str] | None = None,
) -> Outage:
    """Return the outage of some VIPs (address: name) from captures (in order of time) and speakers' logs (by node).

    `zero` (Unix seconds): the moment from which seconds are counted; without it, the first failed attempt, else the
    first frame, else the first event in the logs. `names`: the places by address.
    """
    action = tr("the moment given")
    if zero is None:
        zero, action = _first_moment(frames, logs, vips)
    events = chain(
        event_sources.announcement_events((frame for frame in frames if frame.time >= zero - 5), vips, zero),
        event_sources.bgp_session_events(frames, names or {}, zero),
        speaker_logs.speaker_events(logs, vips, zero),
    )
    return build_outage(
        action, zero, vips, lambda vip: attempts_from_capture(frames, vip, zero), CaptureIndex(frames), events
    )


def _first_moment(
    frames: Sequence[Frame], logs: Mapping[str, Sequence[LogLine]], vips: Mapping[str, str]
) -> tuple[float, str]:
    """Return the moment to count from (Unix seconds), and what happened at it."""
    if not frames:
        events = speaker_logs.speaker_events(logs, vips, 0.0)
        return min((event.at for event in events), default=0.0), tr("the first event in the logs")
    start = frames[0].time
    failed = first_failure(attempts_from_capture(frames, vip, start) for vip in vips)
    return (start, tr("the first frame")) if failed is None else (start + failed, tr("the first failure"))
