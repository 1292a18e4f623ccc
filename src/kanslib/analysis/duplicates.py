"""Recognise one packet that was captured at several places: on a veth, a bridge and eth0, or in two captures. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from kanslib.packets import ip
from kanslib.packets.capture import Frame
from kanslib.packets.ethernet import COOKED, LinkAddresses, link_addresses
from kanslib.packets.ip import IPv4

_SAME_S = (
    0.02  # between the copies of a packet; TCP repeats a segment after 0.2 s or more (RFC 6298, Linux TCP_RTO_MIN)
)
_COMPARED = 60  # bytes of the payload: a copy may be cut off at another snap length
_CHECKSUMS = {ip.TCP: 16, ip.UDP: 6}  # offsets: the sender's network card fills them in, behind the first capture
_KNOWLEDGE = {LinkAddresses.BOTH: 2, LinkAddresses.SOURCE: 1, LinkAddresses.NONE: 0}


@dataclass
class _Copies:
    """The copies of one packet: when the first was captured, where each was, and the index of the one that is kept."""

    time: float
    places: set[Hashable]
    kept: int


def without_duplicates(frames: Iterable[Frame]) -> tuple[list[Frame], int]:
    """Return the frames with one copy of each packet, and how many others were left out. `frames`: in order of time.

    Copies have the same content, but for TTL and checksums, and were captured within milliseconds at different places:
    another capture, another interface, coming in and going out. Of them the one that shows most MAC addresses stays. A
    repeated packet at one place is no copy, and neither is a routed one that shows its next hop's MAC address.
    """
    kept: list[Frame] = []
    known: dict[Hashable, list[_Copies]] = defaultdict(list)
    left_out = 0
    for frame in frames:
        content, place = _content(frame), _place(frame)
        near = known[content] = [one for one in known[content] if frame.time - one.time <= _SAME_S]
        copies = next((one for one in near if place not in one.places and _may_be_same(kept[one.kept], frame)), None)
        if copies is None:
            near.append(_Copies(frame.time, {place}, len(kept)))
            kept.append(frame)
            continue
        left_out += 1
        copies.places.add(place)
        if _knowledge(frame) > _knowledge(kept[copies.kept]):
            kept[copies.kept] = frame
    return kept, left_out


def _content(frame: Frame) -> Hashable:
    """Return what copies of a packet share."""
    if frame.arp:
        return frame.arp
    packet = frame.ip
    if packet is None:
        return frame.raw
    at = _CHECKSUMS.get(packet.protocol)
    payload = packet.payload[:_COMPARED]
    if at is not None and not packet.fragment_offset:
        payload = payload[:at] + payload[at + 2 :]
    ident = packet.id if isinstance(packet, IPv4) else packet.flow
    return packet.src, packet.dst, packet.protocol, ident, packet.fragment_offset, packet.length, payload


def _place(frame: Frame) -> Hashable:
    """Return where a frame was captured. SLL does not name the interface: each of its frames is at its own place."""
    cooked = frame.cooked
    interface = frame.number if frame.link == COOKED else cooked and cooked.interface
    return frame.source, frame.interface, interface, cooked and cooked.packet_type


def _may_be_same(one: Frame, other: Frame) -> bool:
    """Return False for Ethernet frames with other MAC addresses: the packet was routed, and each shows a hop."""
    macs, others = (one.source_mac, one.destination_mac), (other.source_mac, other.destination_mac)
    return None in (macs[1], others[1]) or macs == others


def _knowledge(frame: Frame) -> int:
    return _KNOWLEDGE[link_addresses(frame.link)]
