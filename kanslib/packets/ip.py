"""IPv4 (RFC 791), as far as the course looks."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

TCP, UDP = 6, 17


@dataclass(frozen=True)
class Ipv4:
    """Source, destination, protocol number and what they carry. A later fragment has no transport header."""

    src: str
    dst: str
    protocol: int
    ttl: int
    fragment_offset: int
    payload: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Ipv4 | None:
        """The packet in `raw`; None when it is cut off or not version 4."""
        if len(raw) < 20 or raw[0] >> 4 != 4:
            return None
        header = (raw[0] & 15) * 4
        length, _ident, flags = struct.unpack_from("!HHH", raw, 2)
        if header < 20 or len(raw) < header:
            return None
        end = length if header <= length <= len(raw) else len(raw)
        return cls(
            str(IPv4Address(raw[12:16])),
            str(IPv4Address(raw[16:20])),
            raw[9],
            raw[8],
            (flags & 0x1FFF) * 8,
            raw[header:end],
        )
