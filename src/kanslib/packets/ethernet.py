"""Ethernet II (IEEE 802.3) with VLAN tags (IEEE 802.1Q, 802.1ad), and the link types of `tcpdump -i any`."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.packets.checks import require_bytes

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
_TAGS = {0x8100, 0x88A8, 0x9100}
# link types of captures (https://www.tcpdump.org/linktypes.html)
ETHERNET, RAW_IP, COOKED, COOKED_2, RAW_IPV4, RAW_IPV6 = 1, 101, 113, 276, 228, 229
_TYPE_AND_PORTS = struct.Struct("!12xH")
_TAG = struct.Struct("!HH")


@lru_cache(maxsize=4096)
def mac(raw: bytes) -> str:
    """Return six bytes as a MAC address in text.

    >>> mac(bytes([2, 66, 172, 18, 0, 4]))
    '02:42:ac:12:00:04'
    """
    return raw.hex(":")


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
            kind, start, vlans = _tags(raw, kind)
        return cls(mac(raw[0:6]), mac(raw[6:12]), kind, raw[start:], vlans)


def _tags(raw: bytes, kind: int) -> tuple[int, int, tuple[Vlan, ...]]:
    start, vlans = 14, []
    while kind in _TAGS:
        require_bytes("VLAN", raw[start:], 4, "tag")
        control, kind = _TAG.unpack_from(raw, start)
        vlans.append(Vlan(control & 0xFFF, control >> 13))
        start += 4
    return kind, start, tuple(vlans)


def network_packet(link: int, raw: bytes) -> tuple[int, bytes]:
    """Return EtherType and packet of a frame whose link type is not Ethernet, e.g. from `tcpdump -i any`.

    MalformedPacketError for an unknown link type, and for a frame shorter than its header.
    """
    if link in (RAW_IP, RAW_IPV4, RAW_IPV6):
        require_bytes("raw IP", raw, 1)
        return (IPV6 if raw[0] >> 4 == 6 else IPV4), raw
    if link == COOKED:
        require_bytes("Linux cooked", raw, 16)
        return int.from_bytes(raw[14:16]), raw[16:]
    if link == COOKED_2:
        require_bytes("Linux cooked 2", raw, 20)
        return int.from_bytes(raw[0:2]), raw[20:]
    raise MalformedPacketError("link", f"type {link} is none of those read here: Ethernet, raw IP, Linux cooked")
