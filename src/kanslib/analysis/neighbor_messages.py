"""Read messages of ARP and neighbor discovery (IPv6) in one set of words: question, answer, announcement, probe. Pure.

IPv6's gratuitous ARP is an unsolicited neighbor advertisement (RFC 4861, section 7.2.6; MetalLB v0.14.8
internal/layer2/ndp.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from kanslib.i18n import Words, tr, tr_later
from kanslib.packets.arp import ARP, BROADCAST_MAC, REPLY, REQUEST
from kanslib.packets.capture import Frame
from kanslib.packets.ethernet import PacketType
from kanslib.packets.icmp import ADVERTISEMENT, SOLICITATION, ICMPv6
from kanslib.packets.ip import IPv6

_HOP_LIMIT = 255  # of neighbor discovery: a message with a lower one was forwarded
_NO_ADDRESS = ("0.0.0.0", "::")


class MessageKind(Words):
    """What a message does. An objection is an answer to an announcement: two machines claim the address."""

    QUESTION = tr_later("question")
    ANSWER = tr_later("answer")
    ANNOUNCEMENT = tr_later("announcement")
    OBJECTION = tr_later("objection")
    PROBE = tr_later("probe")
    OTHER = tr_later("other message")


class NeighborMessage(NamedTuple):
    """A message about an IP `address`, sent by the network card with address `mac` (empty: not known).

    `claimed`: the address that its sender claims, empty for none. A question claims the address of who asks.
    `asker`: who asks, or who gets the answer: a MAC address in ARP, an IP address in neighbor discovery.
    `is_override`: receivers replace another entry by it. `deviations`: where it is not as the RFC has it, in words.
    """

    frame: Frame
    kind: MessageKind
    address: str
    mac: str
    claimed: str
    asker: str = ""
    is_override: bool = True
    deviations: tuple[str, ...] = ()

    @property
    def is_to_all(self) -> bool:
        """True when it is sent to more machines than one; True as well where the capture does not show it."""
        if self.frame.ip:
            return ip_address(self.frame.ip.dst).is_multicast
        if self.frame.cooked:
            return self.frame.cooked.packet_type not in (PacketType.TO_US, PacketType.TO_ANOTHER_HOST)
        return is_group(self.frame.destination_mac or "")


def is_group(mac: str) -> bool:
    """Return True for the MAC address of a group: broadcast or multicast (IEEE 802.3, section 3.2.3)."""
    return mac[1:2] in tuple("13579bdf")


def neighbor_messages(frames: Iterable[Frame]) -> Iterator[NeighborMessage]:
    """Yield the messages of ARP and neighbor discovery among frames, in their order."""
    for frame in frames:
        message = neighbor_message(frame)
        if message:
            yield message


def neighbor_message(frame: Frame) -> NeighborMessage | None:
    """Return the message of a frame; None for a frame of another protocol.

    >>> raw = bytes.fromhex("ffffffffffff" "0242ac120004" "0806" "0001080006040002" "0242ac120004" "ac12ffc8")
    >>> str(neighbor_message(Frame(0, raw + bytes.fromhex("ffffffffffff" "ac12ffc8"))).kind)
    'announcement'
    """
    if frame.arp:
        return _arp_message(frame, frame.arp)
    six, packet = frame.icmpv6, frame.ip
    if six and six.target and isinstance(packet, IPv6):
        return _discovery_message(frame, packet, six)
    return None


def _arp_message(frame: Frame, arp: ARP) -> NeighborMessage:
    claimed = "" if arp.sender_ip in _NO_ADDRESS else arp.sender_ip
    if arp.operation not in (REQUEST, REPLY):
        return NeighborMessage(frame, MessageKind.OTHER, arp.target_ip, arp.sender_mac, "")
    if arp.is_gratuitous:
        kind = MessageKind.OBJECTION if arp.is_objection else MessageKind.ANNOUNCEMENT
        asker = arp.target_mac if arp.is_objection else ""
        return NeighborMessage(frame, kind, claimed, arp.sender_mac, claimed, asker, deviations=arp.deviations)
    if arp.operation == REPLY:
        return NeighborMessage(frame, MessageKind.ANSWER, arp.sender_ip, arp.sender_mac, claimed, arp.target_mac)
    kind = MessageKind.PROBE if arp.is_probe else MessageKind.QUESTION
    return NeighborMessage(frame, kind, arp.target_ip, arp.sender_mac, claimed, arp.sender_mac)


def _discovery_message(frame: Frame, packet: IPv6, message: ICMPv6) -> NeighborMessage:
    address, mac = str(message.target), message.link_address or frame.source_mac or ""
    is_useless = message.type == ADVERTISEMENT and not (message.is_solicited or message.link_address)
    if packet.ttl != _HOP_LIMIT or message.code or is_useless:  # receivers ignore it (RFC 4861, section 7)
        return NeighborMessage(frame, MessageKind.OTHER, address, mac, "")
    if message.type == SOLICITATION:
        if packet.src in _NO_ADDRESS:
            return NeighborMessage(frame, MessageKind.PROBE, address, mac, "")
        return NeighborMessage(frame, MessageKind.QUESTION, address, mac, packet.src, packet.src)
    if message.is_solicited:
        kind, asker, deviations = MessageKind.ANSWER, packet.dst, tuple[str, ...]()
    else:
        is_weak = not message.is_override
        kind, asker = MessageKind.ANNOUNCEMENT, ""
        words = tr("without the override flag: receivers keep the entry that they have")
        deviations = (words,) if is_weak else ()
    return NeighborMessage(frame, kind, address, mac, address, asker, message.is_override, deviations)


def sort_addresses(addresses: Iterable[str]) -> list[str]:
    """Return addresses in numerical order, IPv4 before IPv6."""
    return sorted(addresses, key=lambda address: (":" in address, ip_address(address)))


def receives(mac: str, ip: str, message: NeighborMessage) -> bool:
    """Return True when a machine's network card takes a message in; True as well where the capture does not show it."""
    destination = message.frame.destination_mac
    if destination is None or destination in (mac, BROADCAST_MAC, "33:33:00:00:00:01"):
        return True
    group = ip_address(ip).packed[-3:] if ip else b""
    return ":" in ip and destination == (b"\x33\x33\xff" + group).hex(":")  # solicited-node group, RFC 4291 2.7.1
