"""BGP-4 messages (RFC 4271), byte by byte, with the extensions that routers open with today.

Capabilities: RFC 5492; multiprotocol: RFC 4760; four-byte AS numbers: RFC 6793; communities: RFC 1997, 4360, 8092;
End-of-RIB: RFC 4724; malformed attributes: RFC 7606.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.i18n import tr, tr_later
from kanslib.packets import bgp_attributes
from kanslib.packets.bgp_attributes import AS4_PATH, AS_PATH, ATTRIBUTES, NEXT_HOP, Attribute
from kanslib.packets.capture import Frame
from kanslib.packets.tcp_stream import Flow, segments

PORT = 179
MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE, REFRESH = 1, 2, 3, 4, 5
TYPES = {1: "OPEN", 2: "UPDATE", 3: "NOTIFICATION", 4: "KEEPALIVE", 5: "ROUTE-REFRESH"}
_FAMILIES = {1: "IPv4", 2: "IPv6", 25: "L2VPN", 16388: "BGP-LS"}
_SUBFAMILIES = {
    1: "unicast", 2: "multicast", 4: "labeled unicast", 5: "multicast VPN", 65: "VPLS", 70: "EVPN", 71: "link state",
    72: "link state VPN", 73: "SR policy", 128: "VPN", 129: "multicast in VPN", 132: "route target",
    133: "flow specification", 134: "flow specification VPN",
}  # fmt: skip
_DECODED = ((1, 1), (2, 1), (1, 2), (2, 2))  # families whose routes are prefixes and nothing else
CAPABILITIES = {
    1: "multiprotocol", 2: "route refresh", 5: "extended next hop", 6: "extended message", 9: "BGP role",
    64: "graceful restart", 65: "4-octet AS number", 69: "add path", 70: "enhanced route refresh",
    71: "long-lived graceful restart", 73: "host name", 75: "software version", 128: "route refresh (old)",
}  # fmt: skip
_SEGMENTS = {
    1: tr_later("set"),
    2: tr_later("sequence"),
    3: tr_later("sequence of a confederation"),
    4: tr_later("set of a confederation"),
}
ORIGINS = {0: "IGP", 1: "EGP", 2: "INCOMPLETE"}
_ERRORS = {
    1: (tr_later("message header error"), {
        1: tr_later("not synchronised"), 2: tr_later("bad length"), 3: tr_later("bad type"),
    }),
    2: (tr_later("OPEN message error"), {
        1: tr_later("unsupported version"), 2: tr_later("bad peer AS"), 3: tr_later("bad BGP identifier"),
        4: tr_later("unsupported optional parameter"), 6: tr_later("unacceptable hold time"),
        7: tr_later("unsupported capability"), 11: tr_later("role mismatch"),
    }),
    3: (tr_later("UPDATE message error"), {
        1: tr_later("malformed attribute list"), 2: tr_later("unrecognised well-known attribute"),
        3: tr_later("missing well-known attribute"), 4: tr_later("attribute flags"), 5: tr_later("attribute length"),
        6: tr_later("invalid ORIGIN"), 8: tr_later("invalid NEXT_HOP"), 9: tr_later("optional attribute"),
        10: tr_later("invalid network field"), 11: tr_later("malformed AS_PATH"),
    }),
    4: (tr_later("hold timer expired"), {}),
    5: (tr_later("finite state machine error"), {
        1: tr_later("in OpenSent"), 2: tr_later("in OpenConfirm"), 3: tr_later("in Established"),
    }),
    6: (tr_later("cease"), {
        1: tr_later("maximum prefixes reached"), 2: tr_later("administrative shutdown"),
        3: tr_later("peer de-configured"), 4: tr_later("administrative reset"), 5: tr_later("connection rejected"),
        6: tr_later("other configuration change"), 7: tr_later("connection collision"),
        8: tr_later("out of resources"), 9: tr_later("hard reset"), 10: tr_later("BFD down"),
    }),
    7: (tr_later("ROUTE-REFRESH message error"), {1: tr_later("invalid length")}),
}  # fmt: skip


class MessageField(NamedTuple):
    """Some bytes of a message: their offset, their name and their meaning in words; `depth` is the level of nesting."""

    start: int
    raw: bytes
    name: str
    meaning: str
    depth: int = 0


class Capability(NamedTuple):
    """A capability of a speaker beyond RFC 4271: its code, its name, and the meaning of its value in words."""

    code: int
    name: str
    meaning: str


@dataclass(frozen=True)
class Message:
    """One message. `fields` are its bytes with their meaning; the other attributes are set where the type has them.

    `length` is in bytes, from the header; `hold_time` in seconds. `reason` is a NOTIFICATION's, in words. `as_path` has
    the numbers of AS4_PATH, where an old speaker sent it; `asn_size`: the bytes of AS numbers in it, and `note` says
    how that was found if no OPEN told. `end_of_rib` names the family that it ends; `undecoded` the families whose
    routes stay bytes. `problem` is set for a malformed message; what precedes the problem is decoded.
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
    asn_size: int | None = None
    end_of_rib: str = ""
    undecoded: tuple[str, ...] = ()
    note: str = ""
    code: int | None = None
    subcode: int | None = None
    reason: str = ""
    problem: MalformedPacketError | None = None

    @property
    def name(self) -> str:
        """The type's name, e.g. `UPDATE`."""
        return TYPES.get(self.type) or tr("type {number}", number=self.type)

    def __str__(self) -> str:
        words = {
            OPEN: tr(
                "AS {asn}, hold time {hold_time} s, router {router_id}",
                asn=self.asn,
                hold_time=self.hold_time,
                router_id=self.router_id,
            ),
            UPDATE: _update_text(self),
            NOTIFICATION: self.reason,
        }.get(self.type, "")
        malformed = self.problem and tr("malformed: {problem}", problem=self.problem)
        remarks = "".join(f" ({one})" for one in (self.note, malformed) if one)
        return (f"{self.name} {words}" if words else self.name) + remarks


def _update_text(message: Message) -> str:
    words = []
    if message.announced:
        path = " ".join(map(str, message.as_path))
        words.append(
            tr(
                "{routes} via {next_hop}, AS path {path}",
                routes=" ".join(message.announced),
                next_hop=message.next_hop,
                path=path or tr("empty"),
            )
        )
    if message.withdrawn:
        words.append(tr("withdraws {routes}", routes=" ".join(message.withdrawn)))
    words += [tr("routes of {family}, not decoded", family=family) for family in message.undecoded]
    if message.end_of_rib:
        words.append(tr("End-of-RIB of {family}", family=message.end_of_rib))
    return "; ".join(words) or tr("without routes")


@dataclass
class _Reader:
    """Take bytes from the front; all that is taken becomes a field."""

    raw: bytes
    at: int
    end: int
    fields: list[MessageField]
    depth: int = 0

    @property
    def left(self) -> int:
        return self.end - self.at

    def take(
        self, size: int, name: str, meaning: Callable[[bytes], str] = lambda raw: str(int.from_bytes(raw))
    ) -> bytes:
        """Return the next bytes and keep them as a field. MalformedPacketError when there are fewer."""
        start = self._skip(size, name)
        raw = self.raw[start : self.at]
        self.fields.append(MessageField(start, raw, name, meaning(raw), self.depth))
        return raw

    def number(self, size: int, name: str, meaning: Callable[[bytes], str] | None = None) -> int:
        return int.from_bytes(self.take(size, name, meaning) if meaning else self.take(size, name))

    def part(self, size: int, name: str) -> _Reader:
        """Return a reader for the next bytes, one level deeper. MalformedPacketError when there are fewer."""
        start = self._skip(size, name)
        return _Reader(self.raw, start, self.at, self.fields, self.depth + 1)

    def _skip(self, size: int, name: str) -> int:
        if size > self.left:
            problem = tr("{name}: {left} bytes left, expected {size}", name=name, left=self.left, size=size)
            raise MalformedPacketError("BGP", problem)
        self.at += size
        return self.at - size


@dataclass
class _Draft:
    """A message as far as it is decoded: what precedes a problem stays."""

    message: Message


def _address(raw: bytes) -> str:
    return str(IPv4Address(raw)) if len(raw) == 4 else str(IPv6Address(raw)) if len(raw) == 16 else raw.hex(" ")


def parse(raw: bytes, asn_size: int | None = 4) -> Message:
    """Return the message in `raw`, header included. It never raises: `problem` says what is malformed.

    `asn_size`: the bytes of AS numbers in AS_PATH: 4 where both sides announced that capability (RFC 6793), else 2;
    None where their OPEN messages are not known: then it is what fits.

    >>> print(parse(MARKER + bytes.fromhex("0015" "03" "0400")))
    NOTIFICATION hold timer expired
    """
    reader = _Reader(raw, 0, len(raw), [])
    draft = _Draft(Message(0, raw, asn_size=asn_size))
    problem = None
    try:
        _parse_message(reader, draft)
    except MalformedPacketError as wrong:
        problem = wrong.with_traceback(None)
    if len(raw) < (length := draft.message.length):
        words = tr("cut off: {size} of {length} bytes were captured", size=len(raw), length=length)
        problem = MalformedPacketError("BGP", words)
    return replace(draft.message, fields=tuple(reader.fields), problem=problem)


def _parse_message(reader: _Reader, draft: _Draft) -> None:
    reader.take(16, tr("marker"), lambda raw: tr("all ones") if raw == MARKER else tr("not all ones"))
    length = reader.number(2, tr("length"), _byte_count)
    draft.message = replace(draft.message, length=length)
    kind = reader.number(1, tr("type"), lambda raw: f"{raw[0]}: {TYPES.get(raw[0]) or tr('unknown')}")
    draft.message = replace(draft.message, type=kind)
    if length < 19:
        raise MalformedPacketError("BGP", tr("length {length}, expected at least 19", length=length))
    reader.end = min(length, len(reader.raw))
    if parse_body := _BODIES.get(kind):
        parse_body(reader, draft)
    elif kind not in TYPES:
        raise MalformedPacketError("BGP", tr("type {kind}, expected 1 to 5", kind=kind))
    if kind == KEEPALIVE and reader.left:
        problem = tr("a KEEPALIVE of {size} bytes, expected 19", size=len(reader.raw))
        raise MalformedPacketError("BGP", problem)


def _byte_count(raw: bytes) -> str:
    return tr("{size} bytes", size=int.from_bytes(raw))


def _parse_open(reader: _Reader, draft: _Draft) -> None:
    draft.message = replace(draft.message, version=reader.number(1, tr("version")))
    draft.message = replace(draft.message, asn=reader.number(2, tr("my AS")))
    hold_time = reader.number(2, tr("hold time"), lambda raw: tr("{seconds} s", seconds=int.from_bytes(raw)))
    draft.message = replace(draft.message, hold_time=hold_time)
    draft.message = replace(draft.message, router_id=_address(reader.take(4, tr("BGP identifier"), _address)))
    size, wide = reader.number(1, tr("length of parameters")), 1
    if size == 255 and reader.left > 3 and reader.raw[reader.at] == 255:  # RFC 9072
        reader.take(1, tr("extended parameters"))
        size, wide = reader.number(2, tr("length of parameters")), 2
    parameters = reader.part(size, tr("parameters"))
    while parameters.left:
        kind = parameters.number(1, tr("parameter"), _parameter_text)
        inside = parameters.part(parameters.number(wide, tr("its length")), tr("parameter"))
        while kind == 2 and inside.left:
            _parse_capability(inside, draft)
        if inside.left:
            inside.take(inside.left, tr("its value"), _hex)


def _parameter_text(raw: bytes) -> str:
    return tr("capabilities") if raw[0] == 2 else tr("type {number}", number=raw[0])


def _capability_name(code: int) -> str:
    return CAPABILITIES.get(code) or tr("code {code}", code=code)


def _parse_capability(reader: _Reader, draft: _Draft) -> None:
    code = reader.number(1, tr("capability"), lambda raw: _capability_name(raw[0]))
    length = reader.number(1, tr("its length"))
    value = reader.take(length, tr("its value"), partial(_capability_text, code)) if length else b""
    capability = Capability(code, _capability_name(code), _capability_text(code, value))
    draft.message = replace(draft.message, capabilities=(*draft.message.capabilities, capability))
    if code == 65 and length == 4:
        draft.message = replace(draft.message, asn=int.from_bytes(value))


def _family_text(afi: int, safi: int) -> str:
    family = _FAMILIES.get(afi) or tr("family {number}", number=afi)
    return f"{family} {_SUBFAMILIES.get(safi) or tr('sub {number}', number=safi)}"


def _capability_text(code: int, raw: bytes) -> str:
    """Return a capability's value in words; in hexadecimal where the code is unknown."""
    if code == 1 and len(raw) == 4:
        return _family_text(int.from_bytes(raw[:2]), raw[3])
    if code == 65 and len(raw) == 4:
        return f"AS {int.from_bytes(raw)}"
    if code == 64 and len(raw) >= 2:
        seconds = int.from_bytes(raw[:2]) & 0xFFF
        return tr("restarted, {seconds} s", seconds=seconds) if raw[0] & 128 else tr("{seconds} s", seconds=seconds)
    if code == 69 and len(raw) % 4 == 0:
        return ", ".join(
            f"{_family_text(int.from_bytes(raw[i : i + 2]), raw[i + 2])} {_direction(raw[i + 3])}"
            for i in range(0, len(raw), 4)
        )
    if code == 73 and raw and len(raw) > raw[0]:
        return raw[1 : 1 + raw[0]].decode(errors="replace")
    return raw.hex(" ")


def _direction(code: int) -> str:
    """Return whether a speaker receives or sends several paths of a prefix (RFC 7911)."""
    return {1: tr("receives"), 2: tr("sends"), 3: tr("both")}.get(code, str(code))


def _parse_prefixes(reader: _Reader, name: str, width: int = 4) -> tuple[str, ...]:
    """Return the prefixes up to the end of the reader; `width` is the size of a whole address in bytes."""
    prefixes = []
    while reader.left:
        bits = reader.number(1, tr("{name}: bits of the prefix", name=name), lambda raw: f"/{raw[0]}")
        if bits > width * 8:
            most = width * 8
            problem = tr("{name}: a prefix of {bits} bits, expected at most {most}", name=name, bits=bits, most=most)
            raise MalformedPacketError("BGP", problem)

        def prefix_text(raw: bytes, bits: int = bits) -> str:
            return f"{_address(raw + bytes(width - len(raw)))}/{bits}"

        prefixes.append(prefix_text(reader.take((bits + 7) // 8, name, prefix_text)))
    return tuple(prefixes)


def _parse_update(reader: _Reader, draft: _Draft) -> None:
    size = reader.number(2, tr("length of withdrawn routes"), _byte_count)
    withdrawn = _parse_prefixes(reader.part(size, tr("withdrawn routes")), tr("withdrawn"))
    draft.message = replace(draft.message, withdrawn=withdrawn)
    size = reader.number(2, tr("length of path attributes"), _byte_count)
    attributes = reader.part(size, tr("path attributes"))
    while attributes.left:
        attribute = _parse_attribute(attributes, draft)
        draft.message = replace(draft.message, attributes=(*draft.message.attributes, attribute))
    announced = _parse_prefixes(reader, tr("announced"))
    draft.message = replace(draft.message, announced=(*announced, *draft.message.announced))
    if draft.message.length == 23:
        draft.message = replace(draft.message, end_of_rib=_family_text(1, 1))
    _merge_path(draft)
    if problem := bgp_attributes.find_problem(draft.message.attributes, bool(announced), draft.message.asn_size or 4):
        raise MalformedPacketError("BGP", problem)


def _merge_path(draft: _Draft) -> None:
    segments = bgp_attributes.merged_path(draft.message.attributes, draft.message.asn_size or 4)
    draft.message = replace(draft.message, as_path=tuple(asn for segment in segments for asn in segment.asns))


def _flags_text(raw: bytes) -> str:
    names = (
        (128, tr("optional"), tr("well-known")), (64, tr("transitive"), ""), (32, tr("partial"), ""),
        (16, tr("long"), ""),
    )  # fmt: skip
    return ", ".join(name for bit, yes, no in names if (name := yes if raw[0] & bit else no))


def _attribute_name(code: int) -> str:
    return ATTRIBUTES.get(code) or tr("code {code}", code=code)


def _parse_attribute(reader: _Reader, draft: _Draft) -> Attribute:
    flags = reader.number(1, tr("attribute flags"), _flags_text)
    code = reader.number(1, tr("attribute"), lambda raw: _attribute_name(raw[0]))
    size = reader.number(2 if flags & 16 else 1, tr("its length"), _byte_count)
    name = _attribute_name(code)
    inside = reader.part(size, name)
    value = inside.raw[inside.at : inside.end]
    if code in (14, 15):
        meaning = _parse_multiprotocol(inside, draft, code)
    elif code == AS_PATH:
        _decide_asn_size(draft, value)
        meaning = _parse_path(inside, draft.message.asn_size or 4)
    elif code == AS4_PATH:
        meaning = _parse_path(inside, 4)
    else:
        raw = inside.take(size, name, partial(_attribute_text, code)) if size else b""
        meaning = _attribute_text(code, raw)
        if code == NEXT_HOP:
            draft.message = replace(draft.message, next_hop=meaning)
    return Attribute(flags, code, name, meaning, value)


def _decide_asn_size(draft: _Draft, path: bytes) -> None:
    """Find the bytes of AS numbers by what fits, where no OPEN told."""
    if draft.message.asn_size is not None or not path:
        return
    sizes = bgp_attributes.asn_sizes(path)
    both = tr("AS numbers of 2 or of 4 bytes fit, and no OPEN was captured: read as 4")
    note = both if len(sizes) == 2 else ""
    draft.message = replace(draft.message, asn_size=sizes[0] if sizes else 4, note=note)


def _segment_text(raw: bytes) -> str:
    return tr(_SEGMENTS[raw[0]]) if raw[0] in _SEGMENTS else tr("type {number}", number=raw[0])


def _parse_path(reader: _Reader, asn_size: int) -> str:
    value = reader.raw[reader.at : reader.end]
    while reader.left:
        reader.number(1, tr("segment"), _segment_text)
        for _ in range(reader.number(1, tr("its length"), lambda raw: f"{raw[0]} AS")):
            reader.number(asn_size, "AS")
    return " ".join(map(str, bgp_attributes.path_segments(value, asn_size)))


def _attribute_text(code: int, raw: bytes) -> str:
    """Return an attribute's value in words; in hexadecimal where the code is unknown."""
    match code:
        case 1:
            return ORIGINS.get(int.from_bytes(raw)) or tr("unknown {value}", value=raw.hex())
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
            return tr("AS {asn} by {router}", asn=int.from_bytes(raw[:-4]), router=_address(raw[-4:]))
        case 32:
            parts = [raw[i : i + 12] for i in range(0, len(raw), 12)]
            return " ".join(":".join(str(int.from_bytes(one[i : i + 4])) for i in (0, 4, 8)) for one in parts)
    return raw.hex(" ")


def _parse_multiprotocol(reader: _Reader, draft: _Draft, code: int) -> str:
    afi = reader.number(2, tr("family"), _afi_text)
    safi = reader.number(1, tr("sub-family"), _safi_text)
    if code == 14:
        size = reader.number(1, tr("length of the next hop"), _byte_count)
        next_hop = _next_hop_text(reader.take(size, tr("next hop"), _next_hop_text))
        draft.message = replace(draft.message, next_hop=draft.message.next_hop or next_hop)
        reader.take(1, tr("reserved"))
    family = _family_text(afi, safi)
    if code == 15 and not reader.left:
        draft.message = replace(draft.message, end_of_rib=family)
    elif (afi, safi) not in _DECODED:
        reader.take(reader.left, tr("routes"), _hex)
        draft.message = replace(draft.message, undecoded=(*draft.message.undecoded, family))
        return family
    name = tr("announced") if code == 14 else tr("withdrawn")
    prefixes = _parse_prefixes(reader, name, 4 if afi == 1 else 16)
    if code == 14:
        draft.message = replace(draft.message, announced=(*draft.message.announced, *prefixes))
    else:
        draft.message = replace(draft.message, withdrawn=(*draft.message.withdrawn, *prefixes))
    return f"{family} {' '.join(prefixes)}".rstrip()


def _afi_text(raw: bytes) -> str:
    return _FAMILIES.get(int.from_bytes(raw), str(int.from_bytes(raw)))


def _safi_text(raw: bytes) -> str:
    return _SUBFAMILIES.get(raw[0], str(raw[0]))


def _next_hop_text(raw: bytes) -> str:
    return _address(raw[:16] if len(raw) == 32 else raw)  # 32 bytes: the link-local address follows (RFC 2545)


def _parse_notification(reader: _Reader, draft: _Draft) -> None:
    code = reader.number(1, tr("error"), lambda raw: _error_name(raw[0]))
    subnames = _ERRORS[code][1] if code in _ERRORS else {}
    subcode = reader.number(1, tr("sub-code"), lambda raw: tr(subnames.get(raw[0], str(raw[0]))))
    part = tr(subnames[subcode]) if subcode in subnames else tr("sub-code {code}", code=subcode)
    reason = f"{_error_name(code)}: {part}" if subcode else _error_name(code)
    draft.message = replace(draft.message, code=code, subcode=subcode, reason=reason)
    if reader.left:
        reader.take(reader.left, tr("data"), _shutdown_text if (code, subcode) in ((6, 2), (6, 4)) else _hex)


def _error_name(code: int) -> str:
    return tr(_ERRORS[code][0]) if code in _ERRORS else tr("code {code}", code=code)


def _hex(raw: bytes) -> str:
    return raw.hex(" ")


def _shutdown_text(raw: bytes) -> str:
    """Return the message of the other side's operator (RFC 9003)."""
    return raw[1 : 1 + raw[0]].decode(errors="replace") if raw else ""


def _parse_refresh(reader: _Reader, _draft: _Draft) -> None:
    reader.take(2, tr("family"), _afi_text)
    reader.take(1, tr("sub-type"))
    reader.take(1, tr("sub-family"), _safi_text)


_BODIES: dict[int, Callable[[_Reader, _Draft], None]] = {
    OPEN: _parse_open, UPDATE: _parse_update, NOTIFICATION: _parse_notification, REFRESH: _parse_refresh,
}  # fmt: skip


class CapturedMessage(NamedTuple):
    """A message on the wire: its direction, and the frame that brought its last byte."""

    flow: Flow
    message: Message
    frame: Frame


@dataclass
class _Sender:
    """One direction of a session: bytes that are not a whole message yet, and the bytes of AS numbers in its paths.

    `is_four_byte`: its OPEN announced four-byte AS numbers; None before its OPEN.
    """

    buffer: bytearray = field(default_factory=bytearray)
    is_four_byte: bool | None = None
    asn_size: int | None = None


def _agreed_asn_size(sender: _Sender, receiver: _Sender | None) -> int | None:
    """Return the bytes of AS numbers that both OPEN messages agree on, else what an earlier path showed."""
    announced = (sender.is_four_byte, receiver.is_four_byte if receiver else None)
    return 2 if False in announced else sender.asn_size if None in announced else 4


def is_bgp(frame: Frame, port: int = PORT) -> bool:
    """Return whether a frame belongs to a BGP session, by its TCP port."""
    return frame.tcp is not None and port in (frame.tcp.sport, frame.tcp.dport)


def messages(frames: Iterable[Frame], port: int = PORT) -> Iterator[CapturedMessage]:
    """Yield every BGP message of a capture in the order in which they were complete, however TCP segmented them.

    `frames` are in the order of the capture; `port` is the TCP port of the sessions. After bytes that are no message,
    or were not captured, reading goes on at the next marker.
    """
    session_frames = (frame for frame in frames if is_bgp(frame, port))
    senders: dict[Flow, _Sender] = {}
    for segment in segments(_forget_on_syn(session_frames, senders)):
        sender = senders.setdefault(segment.flow, _Sender())
        if segment.lost:
            sender.buffer.clear()
        sender.buffer += segment.data
        for raw in _complete_messages(sender.buffer, segment.is_truncated):
            receiver = senders.get(segment.flow.back)
            message = parse(raw, _agreed_asn_size(sender, receiver))
            if message.type == OPEN:
                sender.is_four_byte = any(capability.code == 65 for capability in message.capabilities)
            elif message.as_path and not message.note:
                sender.asn_size = message.asn_size
            yield CapturedMessage(segment.flow, message, segment.frame)


def _forget_on_syn(frames: Iterable[Frame], senders: dict[Flow, _Sender]) -> Iterator[Frame]:
    """Yield the same frames; at a SYN forget an earlier connection of the same addresses and ports."""
    for frame in frames:
        if frame.ip and frame.tcp and "S" in frame.tcp.flags:
            senders.pop(Flow(frame.ip.src, frame.tcp.sport, frame.ip.dst, frame.tcp.dport), None)
        yield frame


def _complete_messages(buffer: bytearray, is_truncated: bool) -> Iterator[bytes]:
    """Take the complete messages from the front of the buffer; with `is_truncated` an incomplete last one as well."""
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
        if len(buffer) < length and not is_truncated:
            return
        yield bytes(buffer[:length])
        del buffer[:length]
