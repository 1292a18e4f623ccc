"""Ethernet II (IEEE 802.3, with 802.1Q tags passed over)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

ARP, IPV4, VLAN = 0x0806, 0x0800, 0x8100


def mac(raw: bytes) -> str:
    """Six bytes as people write a MAC address.

    >>> mac(bytes([2, 66, 172, 18, 0, 4]))
    '02:42:ac:12:00:04'
    """
    return raw.hex(":")


@dataclass(frozen=True)
class Ethernet:
    """Who sends to whom, and which protocol (`type`) the payload is."""

    destination: str
    source: str
    type: int
    payload: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Ethernet | None:
        """The frame in `raw`; None when it is shorter than its header."""
        if len(raw) < 14:
            return None
        (kind,) = struct.unpack_from("!H", raw, 12)
        start = 14
        while kind == VLAN and len(raw) >= start + 4:
            (kind,) = struct.unpack_from("!H", raw, start + 2)
            start += 4
        return cls(mac(raw[0:6]), mac(raw[6:12]), kind, raw[start:])
