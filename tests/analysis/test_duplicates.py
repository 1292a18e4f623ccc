"""One packet, captured at several places, counts once; a repeated packet counts each time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kanslib.analysis.duplicates import without_duplicates
from kanslib.packets.capture import Frame
from kanslib.packets.ethernet import COOKED, COOKED_2, ETHERNET, RAW_IP
from tests.wire import NODE1, NODE2, Wire, alive, linked


def on_three_interfaces(wire: Wire, link: int) -> list[Frame]:
    """The frames as a node's `tcpdump -i any` has them: on the veth, on the bridge and on eth0, microseconds apart."""
    frames = wire.read()
    seen = [
        Frame(frame.time + place / 1e5, linked(frame.raw, link, interface=7 + place), link=link, source="any.pcap")
        for frame in frames
        for place in range(3)
    ]
    return [replace(frame, number=number) for number, frame in enumerate(seen, 1)]


@pytest.mark.parametrize("link", [COOKED, COOKED_2])
def test_without_duplicates_one_wire_on_three_interfaces(link: int) -> None:
    frames = on_three_interfaces(alive(), link)
    kept, left_out = without_duplicates(frames)
    assert len(kept) == len(frames) / 3
    assert left_out == len(frames) * 2 / 3


def test_without_duplicates_forwarded_copy_has_a_smaller_ttl() -> None:
    """The node forwards the packet from one interface to the other: TTL and checksum are others."""
    wire = Wire()
    wire.syn(0, 40000, NODE1)
    arrived = Frame(0.0, linked(wire.frames[0][1], COOKED_2, 2), link=COOKED_2, source="any.pcap")
    forwarded = bytearray(linked(wire.frames[0][1], COOKED_2, 9))
    forwarded[20 + 8] -= 1
    forwarded[20 + 10 : 20 + 12] = b"\0\0"
    left = Frame(0.0001, bytes(forwarded), link=COOKED_2, source="any.pcap")
    assert without_duplicates([arrived, left]) == ([arrived], 1)


def test_without_duplicates_two_captures_keep_the_one_with_mac_addresses() -> None:
    at_client, at_node = alive().read(), alive().read(COOKED_2)
    both = [replace(frame, source="node.pcap", time=frame.time + 0.0004) for frame in at_node] + at_client
    kept, left_out = without_duplicates(sorted(both, key=lambda frame: frame.time))
    assert left_out == len(at_client)
    assert {frame.link for frame in kept} == {ETHERNET}


def test_without_duplicates_retransmission_is_none() -> None:
    """A SYN that is sent again after a second, and one that is sent again at once at the same place."""
    wire = Wire()
    for at in (0, 0.001, 1, 3):
        wire.syn(at, 40000, NODE1)
    frames = wire.read()
    assert without_duplicates(frames) == (frames, 0)


def test_without_duplicates_pairs_each_of_two_announcements_with_its_own_copy() -> None:
    """MetalLB may announce twice in a row; both are on both interfaces."""
    wire = Wire()
    wire.announcement(0, NODE1)
    wire.announcement(0.002, NODE1)
    first = [replace(frame, source="a.pcap") for frame in wire.read()]
    second = [replace(frame, source="b.pcap", time=frame.time + 0.005) for frame in first]
    kept, left_out = without_duplicates([*first, *second])
    assert (kept, left_out) == (first, 4)


def test_without_duplicates_routed_packet_on_the_next_hop_stays() -> None:
    """Both frames are on Ethernet and have other MAC addresses: the second shows the router's next hop."""
    wire = Wire()
    wire.syn(0, 40000, NODE1)
    raw = wire.frames[0][1]
    here = Frame(0.0, raw, source="a.pcap")
    next_hop = Frame(0.001, bytes.fromhex(NODE2.replace(":", "") + NODE1.replace(":", "")) + raw[12:], source="b.pcap")
    assert without_duplicates([here, next_hop]) == ([here, next_hop], 0)


def test_without_duplicates_raw_ip_in_another_capture() -> None:
    frames = alive().read(RAW_IP)
    copies = [replace(frame, source="other.pcap") for frame in frames]
    kept, left_out = without_duplicates([frame for pair in zip(frames, copies, strict=True) for frame in pair])
    assert (kept, left_out) == (frames, len(frames))
