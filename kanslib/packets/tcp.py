"""TCP (RFC 9293) and UDP (RFC 768) headers."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_FLAGS = "FSRPAUEC"


@dataclass(frozen=True)
class Tcp:
    """Ports, numbers, flags (letters, `S` for SYN) and payload.

    >>> Tcp.parse(bytes.fromhex("a87a0050" "00000001" "00000000" "5002" "ffff" "00000000")).flags
    'S'
    """

    sport: int
    dport: int
    seq: int
    ack: int
    flags: str
    payload: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Tcp | None:
        """The segment in `raw`; None when its header is cut off."""
        if len(raw) < 20:
            return None
        sport, dport, seq, ack, offset, bits = struct.unpack_from("!HHIIBB", raw)
        flags = "".join(letter for bit, letter in enumerate(_FLAGS) if bits >> bit & 1)
        return cls(sport, dport, seq, ack, flags, raw[(offset >> 4) * 4 :])


@dataclass(frozen=True)
class Udp:
    """Ports and payload."""

    sport: int
    dport: int
    payload: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Udp | None:
        """The datagram in `raw`; None when its header is cut off."""
        if len(raw) < 8:
            return None
        sport, dport = struct.unpack_from("!HH", raw)
        return cls(sport, dport, raw[8:])
