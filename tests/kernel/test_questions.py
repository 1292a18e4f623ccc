"""Questions of a trace, answered by a kernel: sets, lists, sockets, policy routing."""

from __future__ import annotations

import pytest

from kanslib import iptables
from kanslib.iptables import Assumption, Outcome, Packet
from tests.iptables.rulesets import ROUTING

from .machine import Machine

TABLES = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
DNS = Packet("10.0.0.7", "192.0.2.50", "udp", 10000, 53, "eth0", ttl=64)
EACH = 20


def dump(**rules: tuple[str, ...]) -> str:
    """A dump with every table: those that are not named are empty, so that a kernel forgets its former rules."""
    lines = []
    for table, hooks in TABLES.items():
        lines += [f"*{table}", *(f":{hook} ACCEPT [0:0]" for hook in hooks)]
        lines += [f"-A {rule}" for rule in rules.get(table, ())]
        lines.append("COMMIT")
    return "\n".join([*lines, ""])


def counted(made: Machine, flavour: str, text: str, packet: Packet) -> dict[str, int]:
    """Send packets; how many each rule with a comment counted, and how many left, as `left`."""
    made.load(text, flavour)
    left = made.send(packet, EACH)
    after = iptables.parse(made.save(flavour))
    return {rule.comment: rule.packets or 0 for rule in after.rules() if rule.comment} | {"left": sum(left.values())}


def ways(text: str, packet: Packet) -> dict[tuple[str, ...], Outcome]:
    """The outcomes by their assumptions, in words."""
    return {tuple(map(str, way.assumes)): way for way in iptables.parse(text).trace(packet, ROUTING)}


@pytest.mark.kernel
def test_set_asked_again_after_dnat(made: Machine, flavour: str) -> None:
    text = dump(
        raw=("PREROUTING -m set ! --match-set public dst -m comment --comment raw -j DROP",),
        nat=("PREROUTING -d 192.0.2.50/32 -p udp -m udp --dport 53 -j DNAT --to-destination 203.0.113.8:53",),
        filter=(
            "FORWARD -m set --match-set public dst -m comment --comment accepted -j ACCEPT",
            "FORWARD -m comment --comment dropped -j DROP",
        ),
    )
    found = ways(text, DNS)
    assert {assumed: way.verdict for assumed, way in found.items()} == {
        ("set public holds 192.0.2.50", "set public holds 203.0.113.8"): "ACCEPT",
        ("set public holds 192.0.2.50", "set public does not hold 203.0.113.8"): "DROP",
        ("set public does not hold 192.0.2.50",): "DROP",
    }
    for members, wanted in (
        (("192.0.2.50",), {"raw": 0, "accepted": 0, "dropped": EACH, "left": 0}),
        (("192.0.2.50", "203.0.113.8"), {"raw": 0, "accepted": EACH, "dropped": 0, "left": EACH}),
        (("203.0.113.8",), {"raw": EACH, "accepted": 0, "dropped": 0, "left": 0}),
    ):
        made.sets({"public": ("hash:ip", members)})
        assert counted(made, flavour, text, DNS) == wanted


@pytest.mark.kernel
def test_set_filled_by_rule_not_asked(made: Machine, flavour: str) -> None:
    text = dump(
        mangle=("PREROUTING -j SET --add-set knocked src",),
        filter=(
            "FORWARD -m set --match-set knocked src -m comment --comment accepted -j ACCEPT",
            "FORWARD -m comment --comment dropped -j DROP",
        ),
    )
    (way,) = iptables.parse(text).trace(DNS, ROUTING)
    assert (way.verdict, way.assumes) == ("ACCEPT", ())
    made.sets({"knocked": ("hash:ip", ())})
    assert counted(made, flavour, text, DNS) == {"accepted": EACH, "dropped": 0, "left": EACH}


@pytest.mark.kernel
def test_list_filled_by_rule_not_asked(made: Machine, flavour: str) -> None:
    text = dump(
        filter=(
            "FORWARD -m recent --set --name K --mask 255.255.255.255 --rsource",
            "FORWARD -m recent --rcheck --name K --mask 255.255.255.255 --rsource -m comment --comment dropped -j DROP",
        )
    )
    (way,) = iptables.parse(text).trace(DNS, ROUTING)
    assert (way.verdict, way.assumes) == ("DROP", ())
    assert counted(made, flavour, text, DNS) == {"dropped": EACH, "left": 0}


@pytest.mark.kernel
def test_list_emptied_by_rule_not_asked(made: Machine, flavour: str) -> None:
    """After --remove the list has no address, whatever it had; with the mask /24 the neighbour's entry is the same."""
    text = dump(
        mangle=("PREROUTING -m recent --set --name K --rdest", "PREROUTING -m recent --remove --name K --rdest"),
        filter=("FORWARD -m recent --update --name K --rdest -m comment --comment dropped -j DROP",),
    )
    (way,) = iptables.parse(text).trace(DNS, ROUTING)
    assert (way.verdict, way.assumes) == ("ACCEPT", ())
    assert counted(made, flavour, text, DNS) == {"dropped": 0, "left": EACH}


TPROXY = dump(
    mangle=(
        "PREROUTING -p udp -m udp --dport 53 -j TPROXY --on-port 15001 --on-ip 0.0.0.0 --tproxy-mark 0x200/0xffffffff",
    ),
    filter=(
        "INPUT -m mark --mark 0x200/0xf00 -m comment --comment input",
        "FORWARD -m comment --comment forward",
    ),
)


@pytest.mark.kernel
def test_tproxy_needs_socket_and_route(made: Machine, flavour: str) -> None:
    delivered, forwarded, dropped = iptables.parse(TPROXY).trace(DNS, ROUTING)
    assert [(way.verdict, way.hook) for way in (delivered, forwarded, dropped)] == [
        ("ACCEPT", "INPUT"), ("DROP", "PREROUTING"), ("DROP", "PREROUTING")
    ]  # fmt: skip
    assert (delivered.packet.dst, delivered.packet.dport, delivered.packet.mark) == ("192.0.2.50", 53, 0x200)
    assert str(dropped.assumes[0]) == "a program does not listen with a transparent socket at port 15001"
    nothing = {"input": 0, "forward": 0, "left": 0}
    assert counted(made, flavour, TPROXY, DNS) == nothing
    made.listen_transparently(15001)
    assert counted(made, flavour, TPROXY, DNS) == nothing, "ip_forward drops what a socket has"
    made.ip("rule add fwmark 0x200/0xf00 lookup 100", "route add local default dev lo table 100")
    assert counted(made, flavour, TPROXY, DNS) == {**nothing, "input": EACH}


@pytest.mark.kernel
def test_tproxy_to_own_address_needs_no_route(made: Machine, flavour: str) -> None:
    """A packet to the machine itself is delivered with the main table alone, and `-m socket` sees the socket.

    Without --nowildcard it looks for one that is bound to an address, and this one is not.
    """
    to_self = Packet("10.0.0.7", "10.0.0.1", "udp", 10000, 53, "eth0", ttl=64)
    text = TPROXY.replace("-A INPUT -m mark", "-A INPUT -m socket --transparent --nowildcard -m mark")
    delivered, dropped = iptables.parse(text).trace(to_self, ROUTING)
    assert (delivered.hook, dropped.verdict) == ("INPUT", "DROP")
    assert delivered.walked[-1].text.endswith("--comment input")
    made.listen_transparently(15001)
    assert counted(made, flavour, text, to_self) == {"input": EACH, "forward": 0, "left": 0}
    bound = text.replace("--nowildcard", "").replace("--comment input", "--comment input -j DROP")
    assert len(iptables.parse(bound).trace(to_self, ROUTING)) == 3, "whether the socket is bound is not known"
    assert counted(made, flavour, bound, to_self) == {"input": 0, "forward": 0, "left": 0}


def answers(case: tuple[Assumption, ...]) -> list[tuple[str, str, str]]:
    return [(one.question, one.value, one.answer) for one in case]


@pytest.mark.kernel
def test_queue_without_program_drops(made: Machine, flavour: str) -> None:
    text = dump(filter=("FORWARD -p udp -m udp --dport 53 -j NFQUEUE --queue-num 3", "FORWARD -j DROP"))
    taken, stopped = iptables.parse(text).trace(DNS, ROUTING)
    assert (taken.verdict, stopped.verdict) == ("ACCEPT", "NFQUEUE")
    assert answers(stopped.assumes) == [("the program at queue 3 accepts it", "", "no")]
    assert counted(made, flavour, text, DNS) == {"left": 0}
    bypassed = text.replace("--queue-num 3", "--queue-num 3 --queue-bypass")
    assert counted(made, flavour, bypassed, DNS) == {"left": EACH}, "the rule is ACCEPT then"
