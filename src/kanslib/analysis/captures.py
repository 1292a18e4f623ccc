"""An outage from anybody's captures and logs: which frames to keep, and one clock for all. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from kanslib.analysis import event_sources
from kanslib.analysis.attempts import Attempt, attempts_from_capture
from kanslib.analysis.failure_reasons import CaptureIndex
from kanslib.analysis.outage import Outage, build_outage
from kanslib.packets import bgp
from kanslib.packets.capture import Frame

_LIFE_SIGNS_PER_SECOND = 2  # of a network card, a second: enough to know when it fell silent


def relevant_frames(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield the frames that tell of an outage: ARP, TCP's SYN, FIN and RST, ICMP errors, BGP, signs of life."""
    heard: set[tuple[str, int]] = set()
    for frame in frames:
        sign = (frame.ethernet.source, int(frame.time * _LIFE_SIGNS_PER_SECOND)) if frame.ethernet else ("", 0)
        is_new = sign not in heard
        heard.add(sign)
        tcp, icmp = frame.tcp, frame.icmp
        begins_or_ends = tcp is not None and bool(set("SFR") & set(tcp.flags))
        if is_new or frame.arp or begins_or_ends or bgp.is_bgp(frame) or (icmp and icmp.type == 3):
            yield frame


def likely_vips(frames: Iterable[Frame], limit: int = 8) -> list[str]:
    """Return the addresses that look like VIPs: those announced by gratuitous ARP, else the busiest servers."""
    announced: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    own: set[str] = set()
    for frame in frames:
        if frame.arp and frame.arp.is_gratuitous:
            announced[frame.arp.sender_ip] += 1
        if frame.tcp and frame.ip and frame.tcp.flags == "S" and frame.tcp.dport != bgp.PORT:
            asked[frame.ip.dst] += 1
            own.add(frame.ip.src)
    both = [ip for ip, _ in asked.most_common() if ip in announced]
    return (both or [ip for ip, _ in asked.most_common() if ip not in own] or list(announced))[:limit]


def first_failure(attempts: Iterable[Sequence[Attempt]]) -> float | None:
    """Return when the first attempt was made that failed, on the attempts' clock; None when all were answered."""
    return min((one.at for each in attempts for one in each if not one.is_ok), default=None)


def outage_from_captures(
    frames: Sequence[Frame],
    logs: Mapping[str, str],
    vips: Mapping[str, str],
    zero: float | None = None,
    names: Mapping[str, str] | None = None,
) -> Outage:
    """Return the outage of some VIPs (address: name) from captures (in order of time) and speakers' logs (by node).

    `zero` (Unix seconds): the moment from which seconds are counted; without one, the first attempt that failed.
    `names`: who has an address.
    """
    start = frames[0].time if frames else 0.0
    act = "the moment given"
    if zero is None:
        found = first_failure(attempts_from_capture(frames, vip, start) for vip in vips)
        zero, act = (start, "the first frame") if found is None else (start + found, "the first failure")
    events = chain(
        event_sources.gratuitous_arp_events((frame for frame in frames if frame.time >= zero - 5), vips, zero),
        event_sources.bgp_session_events(frames, names or {}, zero),
        event_sources.speaker_events(logs, vips, zero),
    )
    return build_outage(
        act, zero, vips, lambda vip: attempts_from_capture(frames, vip, zero), CaptureIndex(frames), events
    )
