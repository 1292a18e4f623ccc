"""AS paths of old and new speakers, and attributes that RFC 7606 calls malformed."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from kanslib.packets import bgp
from kanslib.packets.bgp_attributes import Attribute, PathSegment, asn_sizes, merged_path
from tests.wire import NODE1, PC, Wire

WIDE = (4200000001, 4200000002)
SEQUENCE, SET = 2, 1


def path(size: int, *segments: tuple[int, Iterable[int]]) -> bytes:
    """AS_PATH's bytes: (type, AS numbers) of each segment."""
    rows = [(kind, list(asns)) for kind, asns in segments]
    return b"".join(bytes([kind, len(asns)]) + b"".join(n.to_bytes(size) for n in asns) for kind, asns in rows)


def attribute(flags: int, code: int, value: bytes) -> bytes:
    return bytes([flags, code, len(value)]) + value


ORIGIN = attribute(0x40, 1, b"\0")
NEXT_HOP = attribute(0x40, 3, bytes([192, 0, 2, 1]))
NLRI = bytes([24, 198, 51, 100])


def as_path(value: bytes) -> bytes:
    return attribute(0x40, 2, value)


USUAL = ORIGIN + as_path(path(4, (SEQUENCE, [64500]))) + NEXT_HOP


def update(attributes: bytes, routes: bytes = NLRI, withdrawn: bytes = b"") -> bytes:
    body = struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(attributes)) + attributes + routes
    return bgp.MARKER + struct.pack("!HB", 19 + len(body), bgp.UPDATE) + body


def merged(old: bytes, new: bytes, *others: Attribute) -> list[PathSegment]:
    return merged_path([Attribute(64, 2, "", "", old), Attribute(192, 17, "", "", new), *others], 2)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([(SEQUENCE, [64500, 23456])], [(SEQUENCE, WIDE[:1])], [(SEQUENCE, [64500]), (SEQUENCE, WIDE[:1])]),
        ([(SEQUENCE, [23456, 23456])], [(SEQUENCE, WIDE)], [(SEQUENCE, WIDE)]),
        ([(SEQUENCE, [23456])], [(SEQUENCE, WIDE)], [(SEQUENCE, [23456])]),  # shorter than AS4_PATH: that is left out
        ([(SEQUENCE, [64500]), (SET, [23456, 64501])], [(SET, WIDE)], [(SEQUENCE, [64500]), (SET, WIDE)]),
        ([(3, [65001]), (SEQUENCE, [23456])], [(SEQUENCE, WIDE[:1])], [(3, [65001]), (SEQUENCE, WIDE[:1])]),
        ([(SEQUENCE, [1, 23456])], [(3, [65001]), (SEQUENCE, WIDE[:1])], [(SEQUENCE, [1]), (SEQUENCE, WIDE[:1])]),
    ],
)  # fmt: skip
def test_merged_path_rfc_6793(
    old: list[tuple[int, list[int]]], new: list[tuple[int, list[int]]], expected: list[tuple[int, list[int]]]
) -> None:
    found = merged(path(2, *old), path(4, *new))
    assert found == [PathSegment(kind, tuple(asns)) for kind, asns in expected]


def test_merged_path_not_after_a_later_aggregation() -> None:
    """RFC 6793, section 4.2.3: an AGGREGATOR other than AS_TRANS means that AS4_PATH is stale."""
    old, new = path(2, (SEQUENCE, [64500, 23456])), path(4, (SEQUENCE, WIDE[:1]))
    stale = Attribute(192, 7, "", "", (64500).to_bytes(2) + bytes(4))
    valid = Attribute(192, 7, "", "", (23456).to_bytes(2) + bytes(4))
    assert merged(old, new, stale) == [PathSegment(SEQUENCE, (64500, 23456))]
    assert merged(old, new, valid)[-1].asns == WIDE[:1]


def test_merged_path_new_speakers_ignore_as4_path() -> None:
    attributes = [
        Attribute(64, 2, "", "", path(4, (SEQUENCE, [64500]))),
        Attribute(192, 17, "", "", path(4, (SEQUENCE, WIDE[:1]))),
    ]
    assert merged_path(attributes, 4) == [PathSegment(SEQUENCE, (64500,))]


@pytest.mark.parametrize(
    ("asn_size", "asns"), [(2, [64500]), (4, [64500]), (2, [64500, 64501, 64502]), (4, [4200000001, 64500])]
)
def test_parse_without_an_open_finds_what_fits(asn_size: int, asns: list[int]) -> None:
    found = bgp.parse(update(ORIGIN + as_path(path(asn_size, (SEQUENCE, asns))) + NEXT_HOP), asn_size=None)
    assert (found.as_path, found.asn_size, found.note, found.problem) == (tuple(asns), asn_size, "", None)


def test_parse_without_an_open_says_when_both_sizes_fit() -> None:
    both = bytes.fromhex("0202 fde8 fde9 0201 fdea")
    assert asn_sizes(both) == [4, 2]
    found = bgp.parse(update(ORIGIN + as_path(both) + NEXT_HOP), asn_size=None)
    assert "no OPEN was captured" in str(found)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (attribute(0x40, 1, b"\3") + USUAL[4:], "ORIGIN 3, expected 0 to 2"),
        (attribute(0x40, 1, b"\0\0") + USUAL[4:], "ORIGIN of 2 bytes"),
        (ORIGIN + as_path(path(4, (SEQUENCE, [64500]))), "routes without NEXT_HOP"),
        (NEXT_HOP, "routes without ORIGIN and AS_PATH"),
        (USUAL + ORIGIN, "ORIGIN stands 2 times"),
        (USUAL[4:] + attribute(0xC0, 1, b"\0"), "ORIGIN with flags 0xc0, expected 0x40"),
        (USUAL + attribute(0x80, 4, b"\0\0\0"), "MULTI_EXIT_DISC of 3 bytes, expected 4"),
        (USUAL + attribute(0xC0, 8, b"\0\0\0"), "COMMUNITIES of 3 bytes, expected a multiple of 4"),
        (USUAL + attribute(0xC0, 32, b""), "LARGE_COMMUNITY of 0 bytes"),
        (USUAL + attribute(0xC0, 7, bytes(6)), "AGGREGATOR of 6 bytes, expected 8"),
        (ORIGIN + as_path(b"\2\0") + NEXT_HOP, "segment of 0 AS"),
        (ORIGIN + as_path(b"\7\1\0\0\0\1") + NEXT_HOP, "segment type 7"),
    ],
)
def test_parse_malformed_update_by_rfc_7606(attributes: bytes, words: str) -> None:
    found = bgp.parse(update(attributes))
    assert found.problem is not None
    assert words in str(found.problem)
    assert "malformed" in str(found)


def test_parse_sound_update_has_no_problem() -> None:
    assert bgp.parse(update(USUAL)).problem is None


def multiprotocol(code: int, afi: int, safi: int, routes: bytes) -> bytes:
    reach = bytes([4, 192, 0, 2, 1, 0]) if code == 14 else b""
    return attribute(0x80, code, struct.pack("!HB", afi, safi) + reach + routes)


def test_message_end_of_rib_only_where_it_is_one() -> None:
    """RFC 4724, section 2: an empty UPDATE, or MP_UNREACH_NLRI alone without routes."""
    empty = bgp.parse(update(b"", b""))
    assert (empty.end_of_rib, str(empty)) == ("IPv4 unicast", "UPDATE End-of-RIB of IPv4 unicast")
    assert bgp.parse(update(multiprotocol(15, 2, 1, b""), b"")).end_of_rib == "IPv6 unicast"
    assert bgp.parse(update(multiprotocol(15, 25, 70, b""), b"")).end_of_rib == "L2VPN EVPN"
    for no_end in (
        update(USUAL, b""),
        update(multiprotocol(15, 25, 70, b"\2\1\0"), b""),
        update(b"", b"", bytes([24, 1, 2, 3])),
    ):
        found = bgp.parse(no_end)
        assert not found.end_of_rib
        assert "End-of-RIB" not in str(found)


@pytest.mark.parametrize(
    ("afi", "safi", "name"), [(25, 70, "L2VPN EVPN"), (1, 128, "IPv4 VPN"), (1, 133, "IPv4 flow specification")]
)
def test_message_names_families_that_stay_bytes(afi: int, safi: int, name: str) -> None:
    found = bgp.parse(update(USUAL[:-7] + multiprotocol(14, afi, safi, b"\1\2\3"), b""))
    assert found.undecoded == (name,)
    assert str(found) == f"UPDATE routes of {name}, not decoded"


def test_message_attributes_alone_are_no_end_of_rib() -> None:
    assert str(bgp.parse(update(USUAL, b""))) == "UPDATE without routes"


def conversation(*parts: tuple[str, bytes]) -> list[bgp.Message]:
    """The messages of a session, one frame each: (who sends, its bytes)."""
    wire, sent = Wire(), {"speaker": 1000, "router": 5000}
    for second, (who, payload) in enumerate(parts):
        other = "router" if who == "speaker" else "speaker"
        ports = {"speaker": 40000, "router": bgp.PORT}
        tcp = TCP(sport=ports[who], dport=ports[other], flags="PA", seq=sent[who], ack=sent[other])
        addresses = {"speaker": "192.0.2.1", "router": "192.0.2.9"}
        wire.add(second, Ether(src=NODE1, dst=PC) / IP(src=addresses[who], dst=addresses[other]) / tcp / Raw(payload))
        sent[who] += len(payload)
    return [one.message for one in bgp.messages(wire.read())]


def open_message(asn: int, *, four_bytes: bool) -> bytes:
    capability = bytes([2, 6, 65, 4]) + asn.to_bytes(4) if four_bytes else b""
    wire_asn = asn if asn < 65536 else 23456
    body = bytes([4]) + wire_asn.to_bytes(2) + (90).to_bytes(2) + bytes([192, 0, 2, 9, len(capability)]) + capability
    return bgp.MARKER + struct.pack("!HB", 19 + len(body), bgp.OPEN) + body


AS4 = update(
    ORIGIN + as_path(path(2, (SEQUENCE, [64500, 23456]))) + NEXT_HOP
    + attribute(0xC0, 17, path(4, (SEQUENCE, [4200000001])))
)  # fmt: skip


def test_messages_old_and_new_speaker_have_the_whole_path() -> None:
    """An old speaker (no capability 65) passes on a path with a number of four bytes: RFC 6793, section 4.2.3."""
    found = conversation(
        ("speaker", open_message(64500, four_bytes=False)), ("router", open_message(WIDE[1], four_bytes=True)),
        ("speaker", AS4),
    )  # fmt: skip
    assert found[-1].as_path == (64500, 4200000001)


@pytest.mark.parametrize("asn_size", [2, 4])
def test_messages_session_joined_midway(asn_size: int) -> None:
    """Without an OPEN the size is what fits, and what once fitted holds where both do."""
    clear = update(ORIGIN + as_path(path(asn_size, (SEQUENCE, [64500]))) + NEXT_HOP)
    both = update(ORIGIN + as_path(bytes.fromhex("0202 fde8 fde9 0201 fdea")) + NEXT_HOP)
    joined = conversation(("speaker", clear), ("speaker", both))
    assert [one.note for one in joined] == ["", ""]
    assert joined[1].as_path == ((0xFDE8, 0xFDE9, 0xFDEA) if asn_size == 2 else (0xFDE8FDE9, 0x0201FDEA))
    assert conversation(("speaker", both))[0].note
