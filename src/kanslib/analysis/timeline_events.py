"""Typed events around an action, on one clock; `str()` makes their text, which no code parses. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from kanslib.analysis.evidence import Evidence
from kanslib.i18n import Words, listed, tr, tr_later
from kanslib.packets import bgp


class EventKind(Words):
    """The kinds of timeline events, in the order in which their lanes are drawn."""

    MEMBERLIST = tr_later("memberlist")
    SPEAKER = tr_later("speaker")
    LEADER = tr_later("leader")
    GRATUITOUS_ARP = tr_later("gratuitous ARP")
    NEIGHBOR_ADVERTISEMENT = tr_later("neighbor advertisement")
    BGP = tr_later("BGP")
    NODE = tr_later("node")
    ENDPOINTS = tr_later("endpoints")
    RULES = tr_later("rules")


MembershipChange = Literal["suspects", "declares dead", "lets go of", "takes in"]
_MEMBERSHIP_CHANGES: dict[MembershipChange, str] = {
    "suspects": tr_later("{speaker} suspects {node}"),
    "declares dead": tr_later("{speaker} declares dead {node}"),
    "lets go of": tr_later("{speaker} lets go of {node}"),
    "takes in": tr_later("{speaker} takes in {node}"),
}


@dataclass(frozen=True, kw_only=True)
class TimelineEvent(ABC):
    """Something that happened `at` seconds after the action, with its evidence; `str()` says it in words.

    `service`: the Service that it is about; empty when it is about no single one.
    """

    kind: ClassVar[EventKind]
    at: float
    evidence: Evidence
    service: str = ""

    @abstractmethod
    def __str__(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class MemberlistEvent(TimelineEvent):
    """A speaker (empty: of an unknown node) changed its member list."""

    kind = EventKind.MEMBERLIST
    speaker: str
    change: MembershipChange
    node: str

    def __str__(self) -> str:
        return tr(_MEMBERSHIP_CHANGES[self.change], speaker=self.speaker, node=self.node).lstrip()


@dataclass(frozen=True, kw_only=True)
class SpeakerEvent(TimelineEvent):
    """The speaker of a node began or stopped to announce a Service, over `protocol` (`layer2`, `bgp`)."""

    kind = EventKind.SPEAKER
    node: str
    is_announcing: bool
    protocol: str

    def __str__(self) -> str:
        values = {"node": self.node, "service": self.service, "protocol": self.protocol}
        if self.is_announcing:
            return tr("{node} announces {service} ({protocol})", **values)
        return tr("{node} stops announcing {service} ({protocol})", **values)


@dataclass(frozen=True, kw_only=True)
class LeaderEvent(TimelineEvent):
    """MetalLB's event nodeAssigned named `node` the leader of a Service; `before`: whom the last one had named."""

    kind = EventKind.LEADER
    node: str
    before: str = ""

    def __str__(self) -> str:
        return f"{self.service}: {self.node}"


@dataclass(frozen=True, kw_only=True)
class GratuitousARPEvent(TimelineEvent):
    """A MAC address was announced as the owner of a Service's address."""

    kind = EventKind.GRATUITOUS_ARP
    mac: str

    def __str__(self) -> str:
        return tr("{service} is-at {mac}", service=self.service, mac=self.mac)


@dataclass(frozen=True, kw_only=True)
class NeighborAdvertisementEvent(TimelineEvent):
    """A MAC address was announced as the owner of a Service's IPv6 address, by an unsolicited advertisement."""

    kind = EventKind.NEIGHBOR_ADVERTISEMENT
    mac: str

    def __str__(self) -> str:
        return tr("{service} is-at {mac}", service=self.service, mac=self.mac)


@dataclass(frozen=True, kw_only=True)
class BGPMessageEvent(TimelineEvent):
    """An UPDATE or a NOTIFICATION of one side of a session."""

    kind = EventKind.BGP
    speaker: str
    message: bgp.Message

    def __str__(self) -> str:
        return f"{self.speaker}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class BGPSessionEvent(TimelineEvent):
    """One side ended the TCP connection of a session, with a FIN or (`is_reset`) with a RST."""

    kind = EventKind.BGP
    speaker: str
    peer: str
    is_reset: bool

    def __str__(self) -> str:
        if self.is_reset:
            return tr("{speaker} resets its session with {peer}", speaker=self.speaker, peer=self.peer)
        return tr("{speaker} closes its session with {peer}", speaker=self.speaker, peer=self.peer)


@dataclass(frozen=True, kw_only=True)
class HoldTimerEvent(TimelineEvent):
    """The hold timer of one side ran out, `hold_time` seconds after the last message of its peer."""

    kind = EventKind.BGP
    speaker: str
    peer: str
    hold_time: int

    def __str__(self) -> str:
        return tr(
            "{speaker}: hold timer for {peer} over, {hold_time} s after its last message",
            speaker=self.speaker,
            peer=self.peer,
            hold_time=self.hold_time,
        )


@dataclass(frozen=True, kw_only=True)
class NodeEvent(TimelineEvent):
    """A node became Ready, or stopped to be."""

    kind = EventKind.NODE
    node: str
    is_ready: bool

    def __str__(self) -> str:
        return f"{self.node} {'Ready' if self.is_ready else 'NotReady'}"


@dataclass(frozen=True, kw_only=True)
class EndpointEvent(TimelineEvent):
    """An endpoint of a Service became ready, or is no longer ready (or listed)."""

    kind = EventKind.ENDPOINTS
    address: str
    is_ready: bool

    def __str__(self) -> str:
        if self.is_ready:
            return tr("{service}: {address} in", service=self.service, address=self.address)
        return tr("{service}: {address} out", service=self.service, address=self.address)


@dataclass(frozen=True, kw_only=True)
class RulesEvent(TimelineEvent):
    """The rules of a node lead to other endpoints of a Service than in the dump before."""

    kind = EventKind.RULES
    node: str
    endpoints: tuple[str, ...]
    before: tuple[str, ...]

    def __str__(self) -> str:
        now, before = (listed(endpoints) or tr("nobody") for endpoints in (self.endpoints, self.before))
        return tr(
            "{node}: {service} to {now}, before {before}", node=self.node, service=self.service, now=now, before=before
        )
