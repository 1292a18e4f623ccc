"""BGP-4 messages (RFC 4271), byte by byte, with the extensions that routers open with today.

Capabilities: RFC 5492; multiprotocol: RFC 4760; four-byte AS numbers: RFC 6793; communities: RFC 1997, 4360, 8092.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.packets.capture import Frame
from kanslib.packets.tcp_stream import Flow, segments

PORT = 179
MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE, REFRESH = 1, 2, 3, 4, 5
TYPES = {1: "OPEN", 2: "UPDATE", 3: "NOTIFICATION", 4: "KEEPALIVE", 5: "ROUTE-REFRESH"}
_FAMILIES = {1: "IPv4", 2: "IPv6", 25: "L2VPN"}
_SUBFAMILIES = {1: "unicast", 2: "multicast", 4: "labeled", 128: "VPN", 70: "EVPN"}
CAPABILITIES = {
    1: "multiprotocol", 2: "route refresh", 5: "extended next hop", 6: "extended message", 9: "BGP role",
    64: "graceful restart", 65: "4-octet AS number", 69: "add path", 70: "enhanced route refresh",
    71: "long-lived graceful restart", 73: "host name", 75: "software version", 128: "route refresh (old)",
}  # fmt: skip
ATTRIBUTES = {
    1: "ORIGIN", 2: "AS_PATH", 3: "NEXT_HOP", 4: "MULTI_EXIT_DISC", 5: "LOCAL_PREF", 6: "ATOMIC_AGGREGATE",
    7: "AGGREGATOR", 8: "COMMUNITIES", 9: "ORIGINATOR_ID", 10: "CLUSTER_LIST", 14: "MP_REACH_NLRI",
    15: "MP_UNREACH_NLRI", 16: "EXTENDED_COMMUNITIES", 17: "AS4_PATH", 18: "AS4_AGGREGATOR", 32: "LARGE_COMMUNITY",
}  # fmt: skip
ORIGINS = {0: "IGP", 1: "EGP", 2: "INCOMPLETE"}
_ERRORS = {
    1: ("message header error", {1: "not synchronised", 2: "bad length", 3: "bad type"}),
    2: ("OPEN message error", {
        1: "unsupported version", 2: "bad peer AS", 3: "bad BGP identifier", 4: "unsupported optional parameter",
        6: "unacceptable hold time", 7: "unsupported capability", 11: "role mismatch",
    }),
    3: ("UPDATE message error", {
        1: "malformed attribute list", 2: "unrecognised well-known attribute", 3: "missing well-known attribute",
        4: "attribute flags", 5: "attribute length", 6: "invalid ORIGIN", 8: "invalid NEXT_HOP",
        9: "optional attribute", 10: "invalid network field", 11: "malformed AS_PATH",
    }),
    4: ("hold timer expired", {}),
    5: ("finite state machine error", {1: "in OpenSent", 2: "in OpenConfirm", 3: "in Established"}),
    6: ("cease", {
        1: "maximum prefixes reached", 2: "administrative shutdown", 3: "peer de-configured",
        4: "administrative reset", 5: "connection rejected", 6: "other configuration change",
        7: "connection collision", 8: "out of resources", 9: "hard reset", 10: "BFD down",
    }),
    7: ("ROUTE-REFRESH message error", {1: "invalid length"}),
}  # fmt: skip


class MessageField(NamedTuple):
    """Some bytes of a message: where they begin in it, what they are called and what they say; `depth` indents."""

    start: int
    raw: bytes
    name: str
    says: str
    depth: int = 0


class Capability(NamedTuple):
    """A capability of a speaker beyond RFC 4271: the code, its name, the value in words."""

    code: int
    name: str
    says: str


class Attribute(NamedTuple):
    """A path attribute of an UPDATE: `flags` and `code` as on the wire, the value in words."""

    flags: int
    code: int
    name: str
    says: str


@dataclass(frozen=True)
class Message:
    """One message. `fields` are its bytes with their meaning; the other attributes are set where the type has them.

    `reason` is a NOTIFICATION's, in words. `problem` is set for a malformed message; what precedes it is decoded.
    """

    type: int
    raw: bytes
    length: int = 0
    fields: tuple[MessageField, ...] = ()
    version: int | None = None
    asn: int | None = None
    hold_time: int | None = None
    router_id: str | None = None
    capabilities: tuple[Capability, ...] = ()
    withdrawn: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    announced: tuple[str, ...] = ()
    next_hop: str | None = None
    as_path: tuple[int, ...] = ()
    code: int | None = None
    subcode: int | None = None
    reason: str = ""
    problem: MalformedPacketError | None = None

    @property
    def name(self) -> str:
        """The type's name, e.g. `UPDATE`."""
        return TYPES.get(self.type, f"type {self.type}")

    def __str__(self) -> str:
        words = {
            OPEN: f"AS {self.asn}, hold time {self.hold_time} s, router {self.router_id}",
            UPDATE: _update_says(self),
            NOTIFICATION: self.reason,
        }.get(self.type, "")
        wrong = f" ({self.problem})" if self.problem else ""
        return (f"{self.name} {words}" if words else self.name) + wrong


def _update_says(message: Message) -> str:
    words = []
    if message.announced:
        path = " ".join(map(str, message.as_path))
        words.append(f"{' '.join(message.announced)} via {message.next_hop}, AS path {path or 'empty'}")
    if message.withdrawn:
        words.append("withdraws " + " ".join(message.withdrawn))
    return "; ".join(words) or "End-of-RIB"


@dataclass
class _Reader:
    """Bytes that are taken from the front; everything that is taken becomes a piece."""

    raw: bytes
    at: int
    end: int
    pieces: list[MessageField]
    depth: int = 0

    @property
    def left(self) -> int:
        return self.end - self.at

    def take(self, size: int, name: str, says: Callable[[bytes], str] = lambda raw: str(int.from_bytes(raw))) -> bytes:
        """The next bytes, noted under a name; Malformed when there are fewer."""
        if size > self.left:
            raise MalformedPacketError("BGP", f"{name}: {self.left} bytes left, expected {size}")
        raw = self.raw[self.at : self.at + size]
        self.pieces.append(MessageField(self.at, raw, name, says(raw), self.depth))
        self.at += size
        return raw

    def number(self, size: int, name: str, says: Callable[[bytes], str] | None = None) -> int:
        return int.from_bytes(self.take(size, name, says) if says else self.take(size, name))

    def part(self, size: int, name: str) -> _Reader:
        """A reader for the next bytes, one step deeper; Malformed when there are fewer."""
        if size > self.left:
            raise MalformedPacketError("BGP", f"{name}: {self.left} bytes left, expected {size}")
        part = _Reader(self.raw, self.at, self.at + size, self.pieces, self.depth + 1)
        self.at += size
        return part


def _address(raw: bytes) -> str:
    return str(IPv4Address(raw)) if len(raw) == 4 else str(IPv6Address(raw)) if len(raw) == 16 else raw.hex(" ")


def parse(raw: bytes, wide_as: bool = True) -> Message:
    """A whole message, header included. `wide_as`: AS numbers in paths have four bytes (both sides announced it).

    >>> print(parse(MARKER + bytes.fromhex("0015" "03" "0400")))
    NOTIFICATION hold timer expired
    """
    reader = _Reader(raw, 0, len(raw), [])
    found: dict[str, object] = {}
    kind, problem = 0, None
    try:
        reader.take(16, "marker", lambda raw: "all ones" if raw == MARKER else "not all ones")
        length = reader.number(2, "length", lambda raw: f"{int.from_bytes(raw)} bytes")
        found["length"] = length
        kind = reader.number(1, "type", lambda raw: f"{raw[0]}: {TYPES.get(raw[0], 'unknown')}")
        if length < 19:
            raise MalformedPacketError("BGP", f"length {length}, expected at least 19")
        reader.end = min(length, len(raw))
        if body := _BODIES.get(kind):
            body(reader, found, wide_as)
        elif kind not in TYPES:
            raise MalformedPacketError("BGP", f"type {kind}, expected 1 to 5")
        if kind == KEEPALIVE and reader.left:
            raise MalformedPacketError("BGP", f"a KEEPALIVE of {len(raw)} bytes, expected 19")
    except MalformedPacketError as wrong:
        problem = wrong.with_traceback(None)
    if len(raw) < int(str(found.get("length", 0))):
        problem = MalformedPacketError("BGP", f"cut off: {len(raw)} of {found['length']} bytes were captured")
    return Message(kind, raw, fields=tuple(reader.pieces), problem=problem, **found)  # type: ignore[arg-type]


def _open(reader: _Reader, found: dict[str, object], wide_as: bool) -> None:
    del wide_as
    found["version"] = reader.number(1, "version")
    found["asn"] = reader.number(2, "my AS")
    found["hold_time"] = reader.number(2, "hold time", lambda raw: f"{int.from_bytes(raw)} s")
    found["router_id"] = _address(reader.take(4, "BGP identifier", _address))
    size, wide = reader.number(1, "length of parameters"), 1
    if size == 255 and reader.left > 3 and reader.raw[reader.at] == 255:  # RFC 9072
        reader.take(1, "extended parameters")
        size, wide = reader.number(2, "length of parameters"), 2
    capabilities: list[Capability] = []
    found["capabilities"] = capabilities
    parameters = reader.part(size, "parameters")
    while parameters.left:
        kind = parameters.number(1, "parameter", lambda raw: "capabilities" if raw[0] == 2 else f"type {raw[0]}")
        inside = parameters.part(parameters.number(wide, "its length"), "parameter")
        while kind == 2 and inside.left:
            code = inside.number(1, "capability", lambda raw: CAPABILITIES.get(raw[0], f"code {raw[0]}"))
            length = inside.number(1, "its length")
            value = inside.take(length, "its value", partial(_capability, code)) if length else b""
            capabilities.append(Capability(code, CAPABILITIES.get(code, f"code {code}"), _capability(code, value)))
            if code == 65 and length == 4:
                found["asn"] = int.from_bytes(value)
        if inside.left:
            inside.take(inside.left, "its value", _hex)
    found["capabilities"] = tuple(capabilities)


def _family(afi: int, safi: int) -> str:
    return f"{_FAMILIES.get(afi, f'family {afi}')} {_SUBFAMILIES.get(safi, f'sub {safi}')}"


def _capability(code: int, raw: bytes) -> str:
    """A capability's value in words; its bytes where there are none for it."""
    if code == 1 and len(raw) == 4:
        return _family(int.from_bytes(raw[:2]), raw[3])
    if code == 65 and len(raw) == 4:
        return f"AS {int.from_bytes(raw)}"
    if code == 64 and len(raw) >= 2:
        restarted = "restarted, " if raw[0] & 128 else ""
        return f"{restarted}{int.from_bytes(raw[:2]) & 0xFFF} s"
    if code == 69 and len(raw) % 4 == 0:
        ways = {1: "receives", 2: "sends", 3: "both"}
        return ", ".join(
            f"{_family(int.from_bytes(raw[i : i + 2]), raw[i + 2])} {ways.get(raw[i + 3], raw[i + 3])}"
            for i in range(0, len(raw), 4)
        )
    if code == 73 and raw and len(raw) > raw[0]:
        return raw[1 : 1 + raw[0]].decode(errors="replace")
    return raw.hex(" ")


def _prefixes(reader: _Reader, name: str, width: int = 4) -> list[str]:
    out = []
    while reader.left:
        bits = reader.number(1, f"{name}: bits of the prefix", lambda raw: f"/{raw[0]}")
        if bits > width * 8:
            raise MalformedPacketError("BGP", f"{name}: a prefix of {bits} bits, expected at most {width * 8}")

        def in_words(raw: bytes, bits: int = bits) -> str:
            return f"{_address(raw + bytes(width - len(raw)))}/{bits}"

        out.append(in_words(reader.take((bits + 7) // 8, name, in_words)))
    return out


def _update(reader: _Reader, found: dict[str, object], wide_as: bool) -> None:
    size = reader.number(2, "length of withdrawn routes", lambda raw: f"{int.from_bytes(raw)} bytes")
    found["withdrawn"] = tuple(_prefixes(reader.part(size, "withdrawn routes"), "withdrawn"))
    size = reader.number(2, "length of path attributes", lambda raw: f"{int.from_bytes(raw)} bytes")
    attributes = reader.part(size, "path attributes")
    decoded: list[Attribute] = []
    while attributes.left:
        decoded.append(_attribute(attributes, found, wide_as))
        found["attributes"] = tuple(decoded)
    announced = tuple(_prefixes(reader, "announced"))
    found["announced"] = (*announced, *found.get("announced", ()))  # type: ignore[misc]


def _flags(raw: bytes) -> str:
    names = ((128, "optional", "well-known"), (64, "transitive", ""), (32, "partial", ""), (16, "long", ""))
    return ", ".join(name for bit, yes, no in names if (name := yes if raw[0] & bit else no))


def _attribute(reader: _Reader, found: dict[str, object], wide_as: bool) -> Attribute:
    flags = reader.number(1, "attribute flags", _flags)
    code = reader.number(1, "attribute", lambda raw: ATTRIBUTES.get(raw[0], f"code {raw[0]}"))
    size = reader.number(2 if flags & 16 else 1, "its length", lambda raw: f"{int.from_bytes(raw)} bytes")
    name = ATTRIBUTES.get(code, f"code {code}")
    inside = reader.part(size, name)
    if code in (14, 15):
        words = _multiprotocol(inside, found, code)
    elif code in (2, 17):
        words = _path(inside, found, 4 if wide_as or code == 17 else 2)
    else:
        raw = inside.take(size, name, lambda raw: _value(code, raw)) if size else b""
        words = _value(code, raw)
        if code == 3:
            found["next_hop"] = words
    return Attribute(flags, code, name, words)


def _path(reader: _Reader, found: dict[str, object], width: int) -> str:
    segments: list[str] = []
    path: list[int] = []
    while reader.left:
        kind = reader.number(1, "segment", lambda raw: {1: "set", 2: "sequence"}.get(raw[0], f"type {raw[0]}"))
        count = reader.number(1, "its length", lambda raw: f"{raw[0]} AS")
        numbers = [reader.number(width, "AS") for _ in range(count)]
        path += numbers
        segment = " ".join(map(str, numbers))
        segments.append(f"{{{segment}}}" if kind == 1 else segment)
    found["as_path"] = tuple(path)
    return " ".join(segments)


def _value(code: int, raw: bytes) -> str:
    """An attribute's value in words."""
    match code:
        case 1:
            return ORIGINS.get(int.from_bytes(raw), f"unknown {raw.hex()}")
        case 3 | 9:
            return _address(raw)
        case 4 | 5:
            return str(int.from_bytes(raw))
        case 8:
            parts = [raw[i : i + 4] for i in range(0, len(raw), 4)]
            return " ".join(f"{int.from_bytes(one[:2])}:{int.from_bytes(one[2:])}" for one in parts)
        case 10:
            return " ".join(_address(raw[i : i + 4]) for i in range(0, len(raw), 4))
        case 7 | 18:
            return f"AS {int.from_bytes(raw[:-4])} by {_address(raw[-4:])}"
        case 32:
            parts = [raw[i : i + 12] for i in range(0, len(raw), 12)]
            return " ".join(":".join(str(int.from_bytes(one[i : i + 4])) for i in (0, 4, 8)) for one in parts)
    return raw.hex(" ")


def _multiprotocol(reader: _Reader, found: dict[str, object], code: int) -> str:
    afi = reader.number(2, "family", lambda raw: _FAMILIES.get(int.from_bytes(raw), str(int.from_bytes(raw))))
    safi = reader.number(1, "sub-family", lambda raw: _SUBFAMILIES.get(raw[0], str(raw[0])))
    if code == 14:
        size = reader.number(1, "length of the next hop", lambda raw: f"{raw[0]} bytes")
        raw = reader.take(size, "next hop", lambda raw: _address(raw[:16] if len(raw) == 32 else raw))
        found.setdefault("next_hop", _address(raw[:16] if len(raw) == 32 else raw))
        reader.take(1, "reserved")
    if (afi, safi) not in ((1, 1), (2, 1), (1, 2), (2, 2)):
        if reader.left:
            reader.take(reader.left, "routes", _hex)
        return _family(afi, safi)
    which = "announced" if code == 14 else "withdrawn"
    prefixes = _prefixes(reader, which, 4 if afi == 1 else 16)
    found[which] = (*found.get(which, ()), *prefixes)  # type: ignore[misc]
    return f"{_family(afi, safi)} {' '.join(prefixes)}".rstrip()


def _notification(reader: _Reader, found: dict[str, object], wide_as: bool) -> None:
    del wide_as
    code = reader.number(1, "error", lambda raw: _ERRORS.get(raw[0], (f"code {raw[0]}",))[0])
    name, subnames = _ERRORS.get(code, (f"code {code}", {}))
    subcode = reader.number(1, "sub-code", lambda raw: subnames.get(raw[0], str(raw[0])))
    found["code"], found["subcode"] = code, subcode
    found["reason"] = name + (f": {subnames.get(subcode, f'sub-code {subcode}')}" if subcode else "")
    if reader.left:
        reader.take(reader.left, "data", _shutdown if (code, subcode) in ((6, 2), (6, 4)) else _hex)


def _hex(raw: bytes) -> str:
    return raw.hex(" ")


def _shutdown(raw: bytes) -> str:
    """RFC 9003: what the other side's operator had to say."""
    return raw[1 : 1 + raw[0]].decode(errors="replace") if raw else ""


def _refresh(reader: _Reader, found: dict[str, object], wide_as: bool) -> None:
    del found, wide_as
    reader.take(2, "family", lambda raw: _FAMILIES.get(int.from_bytes(raw), str(int.from_bytes(raw))))
    reader.take(1, "sub-type")
    reader.take(1, "sub-family", lambda raw: _SUBFAMILIES.get(raw[0], str(raw[0])))


_BODIES: dict[int, Callable[[_Reader, dict[str, object], bool], None]] = {
    OPEN: _open, UPDATE: _update, NOTIFICATION: _notification, REFRESH: _refresh,
}  # fmt: skip


class CapturedMessage(NamedTuple):
    """A message on the wire: in which direction, and the frame that brought its last byte."""

    flow: Flow
    message: Message
    frame: Frame


@dataclass
class _Side:
    buffer: bytearray = field(default_factory=bytearray)
    is_wide: bool | None = None  # announced four-byte AS numbers


def is_bgp(frame: Frame, port: int = PORT) -> bool:
    """True when a frame is part of a BGP session, by its port."""
    return frame.tcp is not None and port in (frame.tcp.sport, frame.tcp.dport)


def messages(frames: Iterable[Frame], port: int = PORT) -> Iterator[CapturedMessage]:
    """Every BGP message of a capture, however TCP has cut it into segments, in the order in which they were complete.

    After bytes that are no message, or were not captured, reading goes on at the next marker.
    """
    mine = (frame for frame in frames if is_bgp(frame, port))
    sides: dict[Flow, _Side] = {}
    for chunk in segments(_restarting(mine, sides)):
        side = sides.setdefault(chunk.flow, _Side())
        if chunk.lost:
            side.buffer.clear()
        side.buffer += chunk.data
        for raw in _whole(side.buffer, chunk.is_cut):
            other = sides.get(chunk.flow.back)
            wide = [one.is_wide for one in (side, other) if one and one.is_wide is not None]
            message = parse(raw, all(wide))
            if message.type == OPEN:
                side.is_wide = any(capability.code == 65 for capability in message.capabilities)
            yield CapturedMessage(chunk.flow, message, chunk.frame)


def _restarting(frames: Iterable[Frame], sides: dict[Flow, _Side]) -> Iterator[Frame]:
    """The same frames; a SYN forgets what an earlier connection of the same ports left behind."""
    for frame in frames:
        if frame.ip and frame.tcp and "S" in frame.tcp.flags:
            sides.pop(Flow(frame.ip.src, frame.tcp.sport, frame.ip.dst, frame.tcp.dport), None)
        yield frame


def _whole(buffer: bytearray, is_cut: bool) -> Iterator[bytes]:
    """The whole messages at the front of the buffer, which are taken out of it; and, if no more can come, the rest."""
    while True:
        start = buffer.find(MARKER)
        if start < 0:
            del buffer[: max(0, len(buffer) - 15)]
            return
        del buffer[:start]
        if len(buffer) < 19:
            return
        length = int.from_bytes(buffer[16:18])
        if length < 19:
            yield bytes(buffer[:19])
            del buffer[:19]
            continue
        if len(buffer) < length and not is_cut:
            return
        yield bytes(buffer[:length])
        del buffer[:length]
