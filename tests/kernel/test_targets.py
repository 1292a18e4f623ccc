"""Targets that change or take a packet, beside this kernel, with TCP and with copies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kanslib import iptables
from kanslib.iptables import Packet
from tests.iptables.rulesets import ROUTING

from .machine import Machine
from .test_questions import DNS, EACH, counted, dump

SYN = Packet("10.0.0.7", "192.0.2.50", "tcp", 10000, 443, "eth0", tcp_flags="SYN", ttl=64)
ECN = replace(SYN, tcp_flags="SYN,ECE,CWR")


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("change", "match", "packet"),
    [
        ("PREROUTING -j TTL --ttl-set 3", "-m ttl --ttl-lt 5", DNS),
        ("PREROUTING -p tcp -j ECN --ecn-tcp-remove", "-p tcp -m ecn ! --ecn-tcp-cwr ! --ecn-tcp-ece", ECN),
        ("FORWARD -j HMARK --hmark-tuple src --hmark-mod 1 --hmark-offset 7 --hmark-rnd 1", "-m mark --mark 7", DNS),
        ("FORWARD -j CONNMARK --set-xmark 0x5/0xff", "-m connmark --mark 0x5/0xf", DNS),
        ("PREROUTING -p tcp -j TCPOPTSTRIP --strip-options mss", "-p tcp -m tcp ! --tcp-option 2", SYN),
        ("PREROUTING -p tcp -j TCPOPTSTRIP --strip-options mss", "-p tcp -m tcpmss ! --mss 1:65535", SYN),
        ("FORWARD -j TOS --set-tos 0x10/0x3f", "-m tos --tos 0x10/0x3f", DNS),
    ],
)  # fmt: skip
def test_target_changes_what_a_later_rule_sees(
    made: Machine, flavour: str, change: str, match: str, packet: Packet
) -> None:
    """The rule behind the target matches, in the trace and in the kernel."""
    text = dump(mangle=(change,), filter=(f"FORWARD {match} -m comment --comment dropped -j DROP",))
    (way,) = iptables.parse(text).trace(packet, ROUTING)
    assert (way.verdict, way.assumes) == ("DROP", ())
    assert counted(made, flavour, text, packet) == {"dropped": EACH, "left": 0}


@pytest.mark.kernel
def test_synproxy_answers_the_handshake(made: Machine, flavour: str) -> None:
    text = dump(
        raw=("PREROUTING -p tcp -m tcp --syn -j CT --notrack",),
        filter=("FORWARD -p tcp -m state --state UNTRACKED -j SYNPROXY --mss 1460 --wscale 7 --sack-perm",),
    )
    (way,) = iptables.parse(text).trace(SYN, ROUTING)
    assert (way.verdict, way.reason) == ("SYNPROXY", "the machine answers the handshake itself")
    made.load(text, flavour)
    assert {(dev, src, dst) for dev, src, dst, _ in made.send(SYN, EACH)} == {("eth0", "192.0.2.50", "10.0.0.7")}


@pytest.mark.kernel
def test_tee_leaves_the_packet_on_its_way(made: Machine, flavour: str) -> None:
    text = dump(mangle=("PREROUTING -j TEE --gateway 10.0.0.66",))
    (way,) = iptables.parse(text).trace(DNS, ROUTING)
    assert (way.verdict, way.packet.out_interface) == ("ACCEPT", "eth1")
    assert way.steps[0].effect == "a copy is sent to 10.0.0.66"
    made.load(text, flavour)
    assert {dev: number for (dev, *_), number in made.send(DNS, EACH).items()} == {"eth1": EACH, "eth0": EACH}


@pytest.mark.kernel
def test_options_stand_in_any_order(made: Machine, flavour: str) -> None:
    text = dump(filter=("FORWARD -j DROP -p udp -m udp --dport 81",))
    (way,) = iptables.parse(text).trace(DNS, ROUTING)
    assert way.verdict == "ACCEPT"
    assert counted(made, flavour, text, DNS) == {"left": EACH}


@pytest.mark.kernel
def test_snat_takes_an_address_of_its_range(made: Machine, flavour: str) -> None:
    text = dump(
        nat=("POSTROUTING -j SNAT --to-source 10.0.1.70-10.0.1.71",),
        filter=("FORWARD -s 10.0.1.64/26 -j DROP",),
    )
    (way,) = iptables.parse(text).trace(DNS, ROUTING)
    assert way.packet.src is None
    assert way.notes[0].startswith("SNAT: one of 10.0.1.70 to 10.0.1.71")
    made.load(text, flavour)
    assert {src for _, src, _, _ in made.send(DNS, EACH)} <= {"10.0.1.70", "10.0.1.71"}
