"""ARP and neighbor discovery in one set of words."""

from __future__ import annotations

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, IPv6
from scapy.layers.l2 import ARP, Ether

from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage, neighbor_messages
from kanslib.packets.ethernet import COOKED_2
from tests.wire import ALL, ALL_NODES, CLIENT, CLIENT6, NODE1, PC, VIP, VIP6, Wire


def only(wire: Wire, link: int = 1) -> NeighborMessage:
    (message,) = neighbor_messages(wire.read(link))
    return message


@pytest.mark.parametrize("operation", [0, 3, 4, 5, 6, 7, 8, 9, 10, 25, 65535])
def test_neighbor_message_unknown_operation_is_neither_question_nor_answer(operation: int) -> None:
    wire = Wire()
    wire.add(0, Ether(src=NODE1, dst=ALL) / ARP(op=operation, hwsrc=NODE1, psrc=VIP, pdst=VIP))
    message = only(wire)
    assert (message.kind, message.claimed) == (MessageKind.OTHER, "")
    assert str(operation) in str(message.frame)


@pytest.mark.parametrize(
    ("operation", "sender", "target", "target_mac", "kind", "claimed"),
    [
        (1, "0.0.0.0", VIP, "00:00:00:00:00:00", MessageKind.PROBE, ""),
        (1, VIP, VIP, "00:00:00:00:00:00", MessageKind.ANNOUNCEMENT, VIP),
        (2, VIP, VIP, ALL, MessageKind.ANNOUNCEMENT, VIP),
        (2, VIP, VIP, PC, MessageKind.OBJECTION, VIP),
        (1, CLIENT, VIP, "00:00:00:00:00:00", MessageKind.QUESTION, CLIENT),
        (2, VIP, CLIENT, PC, MessageKind.ANSWER, VIP),
        (2, "0.0.0.0", CLIENT, PC, MessageKind.ANSWER, ""),
    ],
)
def test_neighbor_message_arp(
    operation: int, sender: str, target: str, target_mac: str, kind: MessageKind, claimed: str
) -> None:
    wire = Wire()
    arp = ARP(op=operation, hwsrc=NODE1, psrc=sender, hwdst=target_mac, pdst=target)
    wire.add(0, Ether(src=NODE1, dst=ALL) / arp)
    message = only(wire)
    assert (message.kind, message.mac, message.claimed) == (kind, NODE1, claimed)


def test_neighbor_message_advertisements() -> None:
    wire = Wire()
    wire.advertisement(0, NODE1)
    wire.advertisement(1, NODE1, override=False)
    wire.answer6(2, NODE1)
    wire.solicitation(3)
    wire.solicitation(4, ip="::")
    one, weak, answer, question, probe = neighbor_messages(wire.read())
    assert [one.kind, weak.kind] == [MessageKind.ANNOUNCEMENT] * 2
    assert (one.address, one.mac, one.is_override, one.deviations) == (VIP6, NODE1, True, ())
    assert not weak.is_override
    assert "override" in weak.deviations[0]
    assert (answer.kind, answer.claimed, answer.asker) == (MessageKind.ANSWER, VIP6, CLIENT6)
    assert (question.kind, question.address, question.claimed) == (MessageKind.QUESTION, VIP6, CLIENT6)
    assert (probe.kind, probe.claimed) == (MessageKind.PROBE, "")


def test_neighbor_message_that_receivers_ignore_claims_nothing() -> None:
    """A forwarded one, and an announcement without a MAC address (RFC 4861, sections 7.1.2 and 7.2.5)."""
    wire = Wire()
    advertisement = ICMPv6ND_NA(tgt=VIP6, R=0, S=0, O=1)
    wire.add(0, Ether(src=NODE1, dst=ALL_NODES) / IPv6(src="fe80::1", dst="ff02::1", hlim=255) / advertisement)
    wire.advertisement(1, NODE1)
    wire.frames[1] = (1, wire.frames[1][1][:21] + b"\x40" + wire.frames[1][1][22:])  # the hop limit
    assert [message.kind for message in neighbor_messages(wire.read())] == [MessageKind.OTHER] * 2


def test_neighbor_message_of_cooked_capture_is_to_all() -> None:
    """Of a frame that was sent, such a capture does not show to whom."""
    wire = Wire()
    wire.announcement(0, NODE1)
    wire.answer(1, NODE1)
    wire.question(2)
    wire.solicitation(3)
    wire.answer6(4, NODE1)
    to_all = [message.is_to_all for message in neighbor_messages(wire.read(COOKED_2))]
    assert to_all == [True, True, False, True, True, False]
