"""TCP (RFC 9293, options RFC 7323 and 2018) and UDP (RFC 768)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.i18n import tr, tr_later
from kanslib.packets.checks import require_bytes

_LETTERS = "FSRPAUECN"
FLAGS = tuple("".join(letter for bit, letter in enumerate(_LETTERS) if bits >> bit & 1) for bits in range(512))
_SEGMENT = struct.Struct("!HHIIHHHH")
_DATAGRAM = struct.Struct("!HHHH")


class TCPOptions(NamedTuple):
    """The options of a segment; None (False for `sack_permitted`) where the segment does not have the option."""

    mss: int | None = None
    window_shift: int | None = None
    sack_permitted: bool = False
    timestamp: int | None = None
    timestamp_echo: int | None = None


class TCP(NamedTuple):
    """Ports, sequence numbers, flags (letters, `S` for SYN) and payload.

    `length` is the payload's size on the wire in bytes, captured or not; `header_length` is in bytes as well.

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
        """Return the segment in `raw`; `carried` is its size on the wire in bytes, that of `raw` by default.

        MalformedPacketError when its header is cut off or too short.
        """
        if len(raw) < 20:
            raise MalformedPacketError("TCP", tr("header of {size} bytes, expected 20", size=len(raw)))
        sport, dport, seq, ack, bits, window, checksum, urgent = _SEGMENT.unpack_from(raw)
        header, size = (bits >> 12) * 4, len(raw) if carried is None else carried
        if header < 20 or header > size:
            problem = tr("header length {size}, expected 20 to {most}", size=header, most=min(60, size))
            raise MalformedPacketError("TCP", problem)
        return tuple.__new__(cls, (
            sport, dport, seq, ack, FLAGS[bits & 0x1FF], raw[header:], size - header, header, window, checksum, urgent,
            raw[20:header],
        ))  # fmt: skip

    @property
    def is_syn(self) -> bool:
        """True for the first segment of a connection, also with ECN's flags (RFC 3168, section 6.1.1)."""
        return "S" in self.flags and "A" not in self.flags

    @property
    def is_syn_ack(self) -> bool:
        """True for the answer to a SYN."""
        return "S" in self.flags and "A" in self.flags

    @property
    def options(self) -> TCPOptions:
        """The options of the header; one that is cut off, and all behind it, are left out."""
        options = TCPOptions()
        at, raw = 0, self.raw_options
        while at < len(raw) and raw[at] != 0:
            if raw[at] == 1:
                at += 1
                continue
            size = raw[at + 1] if at + 1 < len(raw) else 0
            if size < 2 or at + size > len(raw):
                break
            options = _with_option(options, raw[at], raw[at + 2 : at + size])
            at += size
        return options


def _with_option(options: TCPOptions, kind: int, value: bytes) -> TCPOptions:
    """Return the options with one more; unchanged for an unknown kind or a wrong length (RFC 7323, RFC 2018)."""
    match kind, len(value):
        case 2, 2:
            return options._replace(mss=int.from_bytes(value))
        case 3, 1:
            return options._replace(window_shift=value[0])
        case 4, 0:
            return options._replace(sack_permitted=True)
        case 8, 8:
            return options._replace(timestamp=int.from_bytes(value[:4]), timestamp_echo=int.from_bytes(value[4:]))
    return options


class UDP(NamedTuple):
    """Ports and payload; `length` is the header's length field in bytes, header included."""

    sport: int
    dport: int
    payload: bytes
    length: int = 0
    checksum: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> UDP:
        """Return the datagram in `raw`. MalformedPacketError when its header is cut off or its length is below 8."""
        require_bytes("UDP", raw, 8, tr_later("header"))
        sport, dport, length, checksum = _DATAGRAM.unpack_from(raw)
        if 0 < length < 8:
            raise MalformedPacketError("UDP", tr("length {length}, expected at least 8", length=length))
        return cls(sport, dport, raw[8 : length or None], length, checksum)
