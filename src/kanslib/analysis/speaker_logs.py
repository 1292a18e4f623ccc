"""Read timeline events from the logs of MetalLB's speakers, of every version from 0.9 to 0.16. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kanslib.analysis.evidence import Evidence
from kanslib.analysis.timeline_events import MemberlistEvent, MembershipChange, SpeakerEvent, TimelineEvent
from kanslib.i18n import tr
from kanslib.k8s.log_lines import LogLine

_MEMBERLIST = re.compile(r"memberlist: (Suspect|Marking) (\S+) ")
_MEMBERSHIP_CHANGES: Mapping[str, MembershipChange] = {
    "Suspect": "suspects", "Marking": "declares dead", "NodeLeave": "lets go of", "NodeJoin": "takes in",
}  # fmt: skip
_ANNOUNCEMENTS = {"serviceAnnounced": True, "serviceWithdrawn": False}
_START = "MetalLB speaker starting"


def memberlist_events(lines: Iterable[LogLine], zero: float, speaker: str = "") -> Iterator[TimelineEvent]:
    """Yield the changes of members in one speaker's log: suspect, dead, left, joined.

    Times are seconds after `zero` (Unix seconds), NaN where a line has no time. Source: memberlist v0.5.0 state.go,
    MetalLB v0.9.6 to v0.16.2 internal/speakerlist/speakerlist.go ("node event").
    """
    for line in lines:
        found = _MEMBERLIST.search(line.text)
        change, node = (found[1], found[2]) if found else (line.fields.get("node event"), line.fields.get("node name"))
        if change in _MEMBERSHIP_CHANGES:
            yield MemberlistEvent(
                at=_seconds_after(line, zero), evidence=_evidence(speaker, line), speaker=speaker,
                change=_MEMBERSHIP_CHANGES[str(change)], node=str(node),
            )  # fmt: skip


def announcement_events(
    lines: Iterable[LogLine], zero: float, speaker: str, vips: Mapping[str, str]
) -> Iterator[TimelineEvent]:
    """Yield when one speaker started and stopped announcing VIPs (address: Service).

    A speaker before v0.16 logs serviceAnnounced at every sync; only a change is a timeline event. A speaker that
    starts anew announces nothing yet. Times as in `memberlist_events`. Source: MetalLB speaker/main.go.
    """
    announced: set[str] = set()
    addresses_by_service: dict[object, list[str]] = {}
    for line in lines:
        if _START in line.text:
            announced.clear()
        is_announcing = _ANNOUNCEMENTS.get(str(line.fields.get("event")))
        if is_announcing is None:
            continue
        service = line.fields.get("service")
        addresses = addresses_in(line) or addresses_by_service.get(service, [])  # v0.9 withdraws without an address
        addresses_by_service[service] = addresses
        for address in addresses:
            if address in vips and (address in announced) != is_announcing:
                yield SpeakerEvent(
                    at=_seconds_after(line, zero), evidence=_evidence(speaker, line), service=vips[address],
                    node=speaker, is_announcing=is_announcing, protocol=str(line.fields.get("protocol", "any")),
                )  # fmt: skip
        (announced.update if is_announcing else announced.difference_update)(addresses)


def is_event(line: LogLine) -> bool:
    """Return whether a line says something about a member or about the announcement of a Service."""
    return (
        line.fields.get("event") in _ANNOUNCEMENTS or "node event" in line.fields or bool(_MEMBERLIST.search(line.text))
    )


def addresses_in(line: LogLine) -> list[str]:
    """Return the VIPs of a line about a Service: `ips` (MetalLB v0.13 and later) or `ip` (a text before that)."""
    found = line.fields.get("ips") or line.fields.get("ip") or []
    return [str(address) for address in found] if isinstance(found, list) else [str(found)]


def announced_addresses(logs: Iterable[Sequence[LogLine]]) -> list[str]:
    """Return the addresses that speakers announced or withdrew, in order of appearance."""
    found = (line for lines in logs for line in lines if line.fields.get("event") in _ANNOUNCEMENTS)
    return list(dict.fromkeys(address for line in found for address in addresses_in(line)))


def speaker_events(
    logs: Mapping[str, Sequence[LogLine]], vips: Mapping[str, str], zero: float
) -> Iterator[TimelineEvent]:
    """Yield the events in speakers' logs (by node) about members and about some VIPs (address: Service), from `zero`.

    A line without a time gives no event here: see `undated_events`.
    """
    return (event for event in _all_events(logs, vips, zero) if event.at >= 0)


def undated_events(logs: Mapping[str, Sequence[LogLine]], vips: Mapping[str, str]) -> dict[str, list[TimelineEvent]]:
    """Return the events of each log without times, in the order of its lines: that order is all that is known."""
    undated = {node: lines for node, lines in logs.items() if all(line.time is None for line in lines)}
    return {node: list(_all_events({node: lines}, vips, 0.0)) for node, lines in undated.items()}


def _all_events(logs: Mapping[str, Sequence[LogLine]], vips: Mapping[str, str], zero: float) -> Iterator[TimelineEvent]:
    for node, lines in logs.items():
        yield from memberlist_events(lines, zero, node)
        yield from announcement_events(lines, zero, node, vips)


def _seconds_after(line: LogLine, zero: float) -> float:
    return math.nan if line.time is None else line.time - zero


def _evidence(speaker: str, line: LogLine) -> Evidence:
    return Evidence(
        tr("line {number} of the log of the speaker on {speaker}", number=line.number, speaker=speaker or tr("a node")),
        line.text[:200],
    )
