"""ICMP (RFC 792), ICMPv6 (RFC 4443) and neighbor discovery (RFC 4861)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from socket import AF_INET6, inet_ntop
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.i18n import tr, tr_later
from kanslib.packets.checks import require_bytes
from kanslib.packets.ip import IPv4, IPv6

_UNREACHABLE = {
    0: tr_later("network unreachable"), 1: tr_later("host unreachable"), 2: tr_later("protocol unreachable"),
    3: tr_later("port unreachable"),
    4: tr_later("fragmentation needed"), 9: tr_later("network prohibited"), 10: tr_later("host prohibited"),
    13: tr_later("prohibited by a filter"),
}  # fmt: skip
_UNREACHABLE_6 = {
    0: tr_later("no route"), 1: tr_later("prohibited by a filter"), 3: tr_later("address unreachable"),
    4: tr_later("port unreachable"),
}  # fmt: skip
_ERRORS, _ECHOES = {3, 4, 5, 11, 12}, {0, 8}
_ECHO = struct.Struct("!HH")
SOLICITATION, ADVERTISEMENT = 135, 136
_NAMES = {
    0: tr_later("echo reply"), 8: tr_later("echo request"), 5: tr_later("redirect"), 11: tr_later("time exceeded"),
    12: tr_later("parameter problem"),
}  # fmt: skip
_NAMES_6 = {
    2: tr_later("packet too big"), 3: tr_later("time exceeded"), 4: tr_later("parameter problem"),
    128: tr_later("echo request"), 129: tr_later("echo reply"), 133: tr_later("router solicitation"),
    134: tr_later("router advertisement"), SOLICITATION: tr_later("neighbor solicitation"),
    ADVERTISEMENT: tr_later("neighbor advertisement"), 137: tr_later("redirect"),
    143: tr_later("multicast listener report"),
}  # fmt: skip


class Quoted(NamedTuple):
    """The packet that an error quotes: addresses, protocol and ports. Ports are None where they are cut off."""

    src: str
    dst: str
    protocol: int
    sport: int | None
    dport: int | None


class ICMP(NamedTuple):
    """One message: `type`, `code`; `id` and `sequence` of an echo; `quoted`, the packet that an error quotes."""

    type: int
    code: int
    checksum: int
    id: int | None = None
    sequence: int | None = None
    quoted: Quoted | None = None
    payload: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> ICMP:
        """Return the message in `raw`. MalformedPacketError when its header is cut off."""
        require_bytes("ICMP", raw, 8, tr_later("header"))
        kind, code, checksum = raw[0], raw[1], int.from_bytes(raw[2:4])
        if kind in _ECHOES:
            ident, sequence = _ECHO.unpack_from(raw, 4)
            return cls(kind, code, checksum, ident, sequence, payload=raw[8:])
        return cls(kind, code, checksum, quoted=_quoted(raw[8:]) if kind in _ERRORS else None, payload=raw[8:])

    @property
    def is_unreachable(self) -> bool:
        """True when a machine answers that a packet does not reach its destination."""
        return self.type == 3

    @property
    def meaning(self) -> str:
        """The message in words, e.g. `host unreachable`."""
        if self.type == 3:
            return _unreachable(_UNREACHABLE, self.code)
        return tr(_NAMES[self.type]) if self.type in _NAMES else tr("type {number}", number=self.type)


class ICMPv6(NamedTuple):
    """Like ICMP; `target` and `link_address` of a neighbor solicitation or advertisement, with its three flags."""

    type: int
    code: int
    checksum: int
    id: int | None = None
    sequence: int | None = None
    quoted: Quoted | None = None
    target: str | None = None
    link_address: str | None = None
    is_router: bool = False
    is_solicited: bool = False
    is_override: bool = False

    @classmethod
    def parse(cls, raw: bytes) -> ICMPv6:
        """Return the message in `raw`. MalformedPacketError when its header, or a neighbor message, is cut off."""
        require_bytes("ICMPv6", raw, 8, tr_later("header"))
        kind, code, checksum = raw[0], raw[1], int.from_bytes(raw[2:4])
        if kind in (128, 129):
            return cls(kind, code, checksum, *_ECHO.unpack_from(raw, 4))
        if kind in (SOLICITATION, ADVERTISEMENT):
            require_bytes("ICMPv6", raw, 24, tr_later("neighbor message"))
            flags = raw[4] if kind == ADVERTISEMENT else 0
            return cls(
                kind, code, checksum, target=inet_ntop(AF_INET6, raw[8:24]), link_address=_link_address(raw[24:]),
                is_router=bool(flags & 128), is_solicited=bool(flags & 64), is_override=bool(flags & 32),
            )  # fmt: skip
        return cls(kind, code, checksum, quoted=_quoted(raw[8:]) if kind < 128 else None)

    @property
    def is_unreachable(self) -> bool:
        """True when a machine answers that a packet does not reach its destination."""
        return self.type == 1

    @property
    def meaning(self) -> str:
        """The message in words, e.g. `neighbor advertisement`."""
        if self.type == 1:
            return _unreachable(_UNREACHABLE_6, self.code)
        return tr(_NAMES_6[self.type]) if self.type in _NAMES_6 else tr("type {number}", number=self.type)


def _unreachable(reasons: Mapping[int, str], code: int) -> str:
    return tr(reasons[code]) if code in reasons else tr("unreachable, code {code}", code=code)


def _quoted(raw: bytes) -> Quoted | None:
    """Return the packet that an error quotes; None where its addresses are cut off."""
    try:
        packet = IPv6.parse(raw) if raw[:1] and raw[0] >> 4 == 6 else IPv4.parse(raw)
    except MalformedPacketError:
        return None
    if packet.fragment_offset or len(packet.payload) < 4 or packet.protocol not in (6, 17):
        return Quoted(packet.src, packet.dst, packet.protocol, None, None)
    return Quoted(packet.src, packet.dst, packet.protocol, *_ECHO.unpack_from(packet.payload))


def _link_address(options: bytes) -> str | None:
    """Return the MAC address among the options (source 1, target 2) of a neighbor message."""
    at = 0
    while at + 2 <= len(options) and options[at + 1]:
        size = options[at + 1] * 8
        if options[at] in (1, 2) and at + 8 <= len(options):
            return options[at + 2 : at + 8].hex(":")
        at += size
    return None
