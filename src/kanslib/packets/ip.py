"""IPv4 (RFC 791) and IPv6 (RFC 8200)."""

from __future__ import annotations

import struct
from functools import lru_cache
from socket import AF_INET6, inet_ntoa, inet_ntop
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.i18n import tr, tr_later
from kanslib.packets.checks import require_bytes

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
_HEADER4 = struct.Struct("!BBHHHBBH")
_HEADER6 = struct.Struct("!IHBB")
_HOP, _ROUTING, _FRAGMENT, _DESTINATION, _MOBILITY, _HIP, _SHIM = 0, 43, 44, 60, 135, 139, 140
_EXTENSIONS = {_HOP, _ROUTING, _FRAGMENT, _DESTINATION, _MOBILITY, _HIP, _SHIM}

ipv4_text = lru_cache(maxsize=4096)(inet_ntoa)  # a capture repeats a few addresses


class IPv4(NamedTuple):
    """Addresses, protocol number and payload. A later fragment has no transport header.

    `length` is the header's total length in bytes, header included; `payload` is the captured part.
    """

    src: str
    dst: str
    protocol: int
    ttl: int
    fragment_offset: int
    payload: bytes
    length: int
    header_length: int = 20
    tos: int = 0
    id: int = 0
    dont_fragment: bool = False
    more_fragments: bool = False
    checksum: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> IPv4:
        """Return the packet in `raw`. MalformedPacketError for a cut-off header, another version, wrong lengths."""
        if len(raw) < 20:
            raise MalformedPacketError("IPv4", tr("header of {size} bytes, expected 20", size=len(raw)))
        first, tos, length, ident, flags, ttl, protocol, checksum = _HEADER4.unpack_from(raw)
        header = (first & 15) * 4
        if first >> 4 != 4:
            raise MalformedPacketError("IPv4", tr("version {number}, expected 4", number=first >> 4))
        if header < 20 or len(raw) < header:
            problem = tr("header length {size}, expected 20 to {most}", size=header, most=min(60, len(raw)))
            raise MalformedPacketError("IPv4", problem)
        if length == 0:  # with TSO the network card splits the packet and fills the length in
            length = len(raw)
        if length < header:
            problem = tr("total length {length}, expected at least its header's {header}", length=length, header=header)
            raise MalformedPacketError("IPv4", problem)
        return tuple.__new__(cls, (
            ipv4_text(raw[12:16]), ipv4_text(raw[16:20]), protocol, ttl, (flags & 0x1FFF) * 8, raw[header:length],
            length, header, tos, ident, flags & 0x4000 != 0, flags & 0x2000 != 0, checksum,
        ))  # fmt: skip

    @property
    def payload_length(self) -> int:
        """The size of the payload on the wire in bytes, captured or not."""
        return self.length - self.header_length


class IPv6(NamedTuple):
    """Like IPv4; `protocol` is that behind the extension headers, `length` the bytes behind the fixed header of 40."""

    src: str
    dst: str
    protocol: int
    ttl: int
    fragment_offset: int
    payload: bytes
    length: int
    header_length: int = 40
    traffic_class: int = 0
    flow: int = 0
    next_header: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> IPv6:
        """Return the packet in `raw`. MalformedPacketError when a header is cut off or it is not version 6."""
        require_bytes("IPv6", raw, 40, tr_later("header"))
        first, length, following, hops = _HEADER6.unpack_from(raw)
        if first >> 28 != 6:
            raise MalformedPacketError("IPv6", tr("version {number}, expected 6", number=first >> 28))
        protocol, start, offset = following, 40, 0
        while protocol in _EXTENSIONS and offset == 0:
            require_bytes("IPv6", raw[start:], 8, tr_later("extension header"))
            size = 8 if protocol == _FRAGMENT else (raw[start + 1] + 1) * 8
            if protocol == _FRAGMENT:
                offset = int.from_bytes(raw[start + 2 : start + 4]) & 0xFFF8
            protocol, start = raw[start], start + size
        end = 40 + length if length else len(raw)
        if start > max(end, len(raw)):
            problem = tr("extension headers end at {start}, the packet at {end}", start=start, end=end)
            raise MalformedPacketError("IPv6", problem)
        return cls(
            inet_ntop(AF_INET6, raw[8:24]), inet_ntop(AF_INET6, raw[24:40]), protocol, hops, offset,
            raw[start:end], length, start, first >> 20 & 0xFF, first & 0xFFFFF, following,
        )  # fmt: skip

    @property
    def payload_length(self) -> int:
        """The size of what follows all headers on the wire in bytes, captured or not."""
        return 40 + self.length - self.header_length if self.length else len(self.payload)
