"""TCP (RFC 9293, options RFC 7323 and 2018) and UDP (RFC 768)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.packets.checks import require_bytes

_LETTERS = "FSRPAUECN"
FLAGS = tuple("".join(letter for bit, letter in enumerate(_LETTERS) if bits >> bit & 1) for bits in range(512))
_SEGMENT = struct.Struct("!HHIIHHHH")
_DATAGRAM = struct.Struct("!HHHH")


class TCPOptions(NamedTuple):
    """What a segment says beside its header; None where it says nothing of it."""

    mss: int | None = None
    window_shift: int | None = None
    sack_permitted: bool = False
    timestamp: int | None = None
    timestamp_echo: int | None = None


class TCP(NamedTuple):
    """Ports, numbers, flags (letters, `S` for SYN) and payload; `length` is the payload's size, captured or not.

    >>> TCP.parse(bytes.fromhex("a87a0050" "00000001" "00000000" "5002" "ffff" "00000000")).flags
    'S'
    """

    sport: int
    dport: int
    seq: int
    ack: int
    flags: str
    payload: bytes
    length: int
    header_length: int
    window: int
    checksum: int
    urgent: int
    raw_options: bytes

    @classmethod
    def parse(cls, raw: bytes, carried: int | None = None) -> TCP:
        """The segment in `raw`, of `carried` bytes on the wire. Malformed when its header is cut off or too short."""
        if len(raw) < 20:
            raise MalformedPacketError("TCP", f"header of {len(raw)} bytes, expected 20")
        sport, dport, seq, ack, bits, window, checksum, urgent = _SEGMENT.unpack_from(raw)
        header, size = (bits >> 12) * 4, len(raw) if carried is None else carried
        if header < 20 or header > size:
            raise MalformedPacketError("TCP", f"header length {header}, expected 20 to {min(60, size)}")
        return tuple.__new__(cls, (
            sport, dport, seq, ack, FLAGS[bits & 0x1FF], raw[header:], size - header, header, window, checksum, urgent,
            raw[20:header],
        ))  # fmt: skip

    @property
    def options(self) -> TCPOptions:
        """The options that the course looks at; one that is cut off or too short is passed over."""
        options: dict[str, int | bool] = {}
        at, raw = 0, self.raw_options
        while at < len(raw) and raw[at] != 0:
            if raw[at] == 1:
                at += 1
                continue
            size = raw[at + 1] if at + 1 < len(raw) else 0
            if size < 2 or at + size > len(raw):
                break
            options |= _option(raw[at], raw[at + 2 : at + size])
            at += size
        return TCPOptions(**options)  # type: ignore[arg-type]


def _option(kind: int, value: bytes) -> dict[str, int | bool]:
    match kind, len(value):
        case 2, 2:
            return {"mss": int.from_bytes(value)}
        case 3, 1:
            return {"window_shift": value[0]}
        case 4, 0:
            return {"sack_permitted": True}
        case 8, 8:
            return {"timestamp": int.from_bytes(value[:4]), "timestamp_echo": int.from_bytes(value[4:])}
    return {}


class UDP(NamedTuple):
    """Ports and payload; `length` is the datagram's own word for its size, header included."""

    sport: int
    dport: int
    payload: bytes
    length: int = 0
    checksum: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> UDP:
        """The datagram in `raw`. Malformed when its header is cut off or its length is below the header's."""
        require_bytes("UDP", raw, 8, "header")
        sport, dport, length, checksum = _DATAGRAM.unpack_from(raw)
        if 0 < length < 8:
            raise MalformedPacketError("UDP", f"length {length}, expected at least 8")
        return cls(sport, dport, raw[8 : length or None], length, checksum)
