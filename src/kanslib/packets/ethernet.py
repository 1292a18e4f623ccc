"""Ethernet II (IEEE 802.3) with VLAN tags (IEEE 802.1Q, 802.1ad), and the other link types that carry IP.

Link types: https://www.tcpdump.org/linktypes.html. `tcpdump -i any` writes LINKTYPE_LINUX_SLL2 (or, when it is old,
LINKTYPE_LINUX_SLL).
"""

from __future__ import annotations

import struct
from enum import Enum, IntEnum
from functools import lru_cache
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.i18n import tr, tr_later
from kanslib.packets.checks import require_bytes

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
_TAGS = {0x8100, 0x88A8, 0x9100}
ETHERNET, RAW_IP, COOKED, COOKED_2, RAW_IPV4, RAW_IPV6 = 1, 101, 113, 276, 228, 229
RAW_LINKS = frozenset({RAW_IP, RAW_IPV4, RAW_IPV6, 12, 14})  # 12, 14: DLT_RAW, as some systems wrote it to files
BSD_LOOPBACKS = frozenset({0, 108})  # four bytes with the address family, in the byte order of the machine (0)
FAMILIES = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}  # AF_INET, and AF_INET6 of each system
_COOKED_HEADERS = {COOKED: struct.Struct("!HHH8sH"), COOKED_2: struct.Struct("!HHIHBB8s")}
_OTHER_LINKS = {
    6: "token ring", 7: "ARCNET", 9: "PPP", 10: "FDDI", 51: "PPPoE", 104: "Cisco HDLC", 105: "802.11",
    109: "OpenBSD encapsulation", 117: "OpenBSD pflog", 127: "802.11 with radiotap", 163: "802.11 with AVS",
    189: "USB", 195: "802.15.4", 220: "USB", 239: "NFLOG", 249: "USBPcap", 253: "netlink", 258: "PKTAP",
}  # fmt: skip
_TYPE_AND_PORTS = struct.Struct("!12xH")
_TAG = struct.Struct("!HH")


@lru_cache(maxsize=4096)
def mac(raw: bytes) -> str:
    """Return six bytes as a MAC address in text.

    >>> mac(bytes([2, 66, 172, 18, 0, 4]))
    '02:42:ac:12:00:04'
    """
    return raw.hex(":")


class LinkAddresses(Enum):
    """Which MAC addresses the frames of a link type hold."""

    BOTH = "source and destination"
    SOURCE = "the source only"
    NONE = "none"


def link_addresses(link: int) -> LinkAddresses:
    """Return which MAC addresses the frames of a link type hold.

    >>> link_addresses(COOKED_2)
    <LinkAddresses.SOURCE: 'the source only'>
    """
    if link == ETHERNET:
        return LinkAddresses.BOTH
    return LinkAddresses.SOURCE if link in _COOKED_HEADERS else LinkAddresses.NONE


class Vlan(NamedTuple):
    """A VLAN tag: the VLAN's number (`id`) and the priority (0 to 7)."""

    id: int
    priority: int


class Ethernet(NamedTuple):
    """Both MAC addresses, the payload's protocol (`type`, an EtherType) and the payload.

    Up to 1500 `type` is a length in bytes (802.3).
    """

    destination: str
    source: str
    type: int
    payload: bytes
    vlans: tuple[Vlan, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> Ethernet:
        """Return the frame in `raw`. MalformedPacketError when it is shorter than its header."""
        require_bytes("Ethernet", raw, 14)
        (kind,) = _TYPE_AND_PORTS.unpack_from(raw)
        start, vlans = 14, tuple[Vlan, ...]()
        if kind in _TAGS:
            kind, start, vlans = _tags(raw, kind, start)
        return cls(mac(raw[0:6]), mac(raw[6:12]), kind, raw[start:], vlans)


def _tags(raw: bytes, kind: int, start: int) -> tuple[int, int, tuple[Vlan, ...]]:
    """Return the EtherType behind the VLAN tags that begin at `start`, the offset behind them, and the tags."""
    vlans = []
    while kind in _TAGS:
        require_bytes("VLAN", raw[start:], 4, tr_later("tag"))
        control, kind = _TAG.unpack_from(raw, start)
        vlans.append(Vlan(control & 0xFFF, control >> 13))
        start += 4
    return kind, start, tuple(vlans)


class PacketType(IntEnum):
    """How a frame passed the machine that captured it (Linux if_packet.h PACKET_HOST and following)."""

    TO_US = 0
    BROADCAST = 1
    MULTICAST = 2
    TO_ANOTHER_HOST = 3
    SENT_BY_US = 4


class Cooked(NamedTuple):
    """The header of a frame of `tcpdump -i any`: no destination MAC address, in place of it how the frame passed.

    `packet_type`: a PacketType; `source`: the sender's MAC address, empty where its hardware has none; `hardware`: an
    ARPHRD number; `interface`: the index of the interface, None in SLL, which does not say it; `type`: an EtherType.
    """

    packet_type: int
    source: str
    hardware: int
    interface: int | None
    type: int
    payload: bytes
    vlans: tuple[Vlan, ...] = ()

    @classmethod
    def parse(cls, link: int, raw: bytes) -> Cooked:
        """Return the frame of link type COOKED or COOKED_2 in `raw`. MalformedPacketError when it is cut off."""
        header = _COOKED_HEADERS[link]
        require_bytes("Linux cooked" if link == COOKED else "Linux cooked 2", raw, header.size)
        interface: int | None = None
        if link == COOKED:
            packet_type, hardware, size, address, kind = header.unpack_from(raw)
        else:
            kind, _reserved, interface, hardware, packet_type, size, address = header.unpack_from(raw)
        kind, start, vlans = _tags(raw, kind, header.size)
        source = mac(address[:6]) if size == 6 else ""
        return cls(packet_type, source, hardware, interface, kind, raw[start:], vlans)


def network_packet(link: int, raw: bytes) -> tuple[int, bytes]:
    """Return EtherType and packet of a frame whose link type is not Ethernet, e.g. from `tcpdump -i any`.

    MalformedPacketError for an unknown link type, and for a frame shorter than its header.
    """
    if link in _COOKED_HEADERS:
        cooked = Cooked.parse(link, raw)
        return cooked.type, cooked.payload
    if link in RAW_LINKS:
        require_bytes("raw IP", raw, 1)
        return (IPV6 if raw[0] >> 4 == 6 else IPV4), raw
    if link in BSD_LOOPBACKS:
        require_bytes("BSD loopback", raw, 4)
        return FAMILIES.get(max(raw[0], raw[3]), 0), raw[4:]
    name = f" ({_OTHER_LINKS[link]})" if link in _OTHER_LINKS else ""
    raise MalformedPacketError(
        "link",
        tr(
            "type {link}{name} is none of those read here: Ethernet, raw IP, Linux cooked, BSD loopback",
            link=link,
            name=name,
        ),
    )
