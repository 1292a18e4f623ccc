"""Rules of unusual forms, which random rulesets do not have: what the trace says beside what this kernel counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from kanslib.iptables import Packet
from tests.iptables.rulesets import PORTS
from tests.nftables.ipv6_rulesets import DUAL
from tests.nftables.rulesets import WATCHED

from .machine import Machine, machine
from .test_nftables import compare

FORWARDED = (
    Packet("10.0.0.7", "10.0.1.20", "udp", 10000, 53, "eth0", ttl=64, length=28, dscp=0),
    Packet("10.0.0.8", "192.0.2.5", "tcp", 10000, 80, "eth0", ttl=64, length=40, dscp=0, tcp_flags="SYN"),
    Packet("10.0.0.7", "10.0.1.20", "icmp", None, 0, "eth0", ttl=64, length=28, dscp=0, icmp_type="8"),
    Packet("2001:db8::7", "2001:db8:0:1::14", "udp", 10000, 80, "eth0", ttl=64, length=48, dscp=0),
)
OWN = (
    Packet("10.0.1.1", "10.0.1.20", "udp", 10000, 53, ttl=64, length=28, dscp=0, uid=0, gid=0),
    Packet("10.0.0.1", "10.0.0.7", "udp", 10000, 80, ttl=64, length=28, dscp=0, uid=0, gid=0),
)

OWN_TO_ITSELF = (
    Packet("10.0.1.1", "10.0.1.1", "udp", 10000, 80, ttl=64, length=28, dscp=0, uid=0, gid=0),
    Packet("10.0.1.1", "10.0.0.1", "udp", 10000, 53, ttl=64, length=28, dscp=0, uid=0, gid=0),
)


@pytest.fixture(scope="module")
def made() -> Iterator[Machine]:
    with machine(DUAL) as found:
        found.listen(PORTS)
        yield found


def chain(name: str, base: str, *rules: str) -> str:
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"\tchain {name} {{\n\t\ttype {base}; policy accept;\n{lines}\t}}\n"


def table(*chains: str) -> str:
    return f"{WATCHED}table inet t {{\n{''.join(chains)}}}\n"


COUNTED = ("ip daddr 10.0.1.20 counter", "ip daddr 10.0.1.21 counter")
BEFORE = chain("before", "filter hook prerouting priority dstnat", *COUNTED)
NAT = chain("nat", "nat hook prerouting priority dstnat", "ip daddr 10.0.1.20 counter dnat ip to 10.0.1.21")
LATER = chain("later", "nat hook prerouting priority dstnat + 5", "ip daddr 10.0.1.20 counter dnat ip to 10.0.1.22")
BEHIND = chain("behind", "filter hook prerouting priority dstnat", *COUNTED)


@pytest.mark.kernel
@pytest.mark.parametrize(
    "chains", [(BEFORE, NAT), (NAT, BEHIND), (BEFORE, NAT, BEHIND, LATER), (LATER, BEHIND, NAT), (BEHIND, LATER)]
)
def test_all_of_nat_stands_where_its_first_chain_was_added(made: Machine, chains: Sequence[str]) -> None:
    compare(made, table(*chains), FORWARDED, 1)


@pytest.mark.kernel
@pytest.mark.parametrize("priority", [-201, -200, -199])
def test_chain_at_the_priority_of_conntrack_comes_first(made: Machine, priority: int) -> None:
    sent = "meta l4proto { tcp, udp } ct state"  # and not the kernel's own ICMPv6
    rules = (f"{sent} new counter", f"{sent} invalid counter", "udp dport 53 counter notrack")
    asked = (f"{sent} untracked counter", f"{sent} new counter")
    chains = (
        chain("in", f"filter hook prerouting priority {priority}", *rules),
        chain("own", f"filter hook output priority {priority}", *rules),
        chain("later", "filter hook postrouting priority 0", *asked),
    )
    compare(made, table(*chains), (*FORWARDED, *OWN), 1)


@pytest.mark.kernel
@pytest.mark.parametrize("kind", ["filter", "route", "nat"])
def test_only_nat_and_route_give_a_packet_another_way(made: Machine, kind: str) -> None:
    change = "dnat ip to 10.0.0.9" if kind == "nat" else "ip daddr set 10.0.0.9"
    ways = [f'meta l4proto udp oifname "{name}" counter' for name in ("eth0", "eth1")]  # not the kernel's own ICMPv6
    chains = (
        chain("own", f"{kind} hook output priority mangle", f"ip daddr 10.0.1.20 counter {change}"),
        chain("way", "filter hook postrouting priority 0", *ways),
    )
    compare(made, table(*chains), OWN, 1)


COMPARED = (
    "tcp flags { syn | ack, syn }", "tcp flags { fin | ack, psh | ack, ack }", "th dport != { 22, 80 }",
    "th sport 2048", "th sport > 1023", "meta l4proto . th dport != { udp . 53 }", "meta mark < 0x1000",
    "meta mark & 0xff00 0x0-0x100", "ip dscp 8-16", "ip dscp >= 0", "ip version 4", "udp dport & 1 == 1",
    "ip ttl & 1 == 1", "ip saddr & 0.0.0.7 < 0.0.0.8", "meta nfproto ipv4 @nh,16,16 28",
    "meta nfproto ipv4 @nh,128,8 10", "meta l4proto udp @th,16,16 & 0xff == 53", "icmp type 8 icmp code 0",
    "icmp type < 9", "icmp code < 2", "icmp type . icmp code { echo-request . 0 }", "esp spi 5",
    "exthdr hbh missing ip6 nexthdr 5", "igmp type 17", "tcp option timestamp missing meta l4proto udp",
    "ip saddr { 10.0.0.9, * }", "tcp dport { 5, * }", "ip saddr . udp dport { 10.0.0.9 . 53, * }",
    "ct state != established,related", "ct status assured", "ct status ! assured", "ct status != dnat",
    "ct status { dnat, snat }", "ct protocol udp", "ct l3proto ipv4", 'fib daddr oif "eth1"',
    'fib daddr oifname "eth0"', 'fib saddr oifname "eth0"', "fib daddr oif exists", 'fib saddr . iif oif "eth0"',
    "fib daddr oif missing", "meta random >= 0", "jhash ip6 saddr mod 1 0", "@nh,96,32 0x0", "@nh,96,32 != 0xa000007",
    "@nh,64,8 32", "@nh,72,8 17", "@nh,128,8 10", "@nh,120,8 7", "@nh,64,8 { 32, 64 }",
    "@nh,64,128 0x20010db8000000000000000000000007", "@th,0,32 0x1", "@th,0,32 != 0x1",
    "@nh,96,64 0x0a0000070a000114",
)  # fmt: skip


@pytest.mark.kernel
def test_what_rules_compare(made: Machine) -> None:
    compare(
        made, table(chain("c", "filter hook forward priority 0", *(f"{one} counter" for one in COMPARED))), FORWARDED, 1
    )


@pytest.mark.kernel
def test_what_rules_compare_behind_a_translation(made: Machine) -> None:
    asked = ("dnat", "!= dnat", "{ dnat, snat }", "! dnat")
    chains = (
        chain("n", "nat hook prerouting priority dstnat", "ip daddr 10.0.1.20 dnat ip to 10.0.1.21"),
        chain("c", "filter hook forward priority 0", *(f"ct status {one} counter" for one in asked)),
    )
    compare(made, table(*chains), FORWARDED, 1)


@pytest.mark.kernel
def test_map_with_an_element_for_all_that_is_left(made: Machine) -> None:
    rules = ("meta mark set udp dport map { 53 : 0x1, * : 0x2 }", "meta mark 0x1 counter", "meta mark 0x2 counter")
    compare(made, table(chain("c", "filter hook forward priority 0", *rules)), FORWARDED, 1)


@pytest.mark.kernel
def test_marks_that_are_computed(made: Machine) -> None:
    values = (0x11234, 0x334, 0x12, 0x120000, 0xEDCB)
    rules = (
        "meta mark set 0x1234", "ct mark set meta mark | 0x10000", "meta mark set ct mark",
        "meta mark set ct mark & 0xff | 0x300", "meta mark set ct mark & 0xffff", "meta mark set meta mark >> 8",
        "meta mark set meta mark << 16", "meta mark set ct mark & 0xffff xor 0xffff",
    )  # fmt: skip
    asked = tuple(f"meta mark {value:#x} counter" for value in values)
    chains = [one for rule in rules for one in (rule, *asked)]
    compare(made, table(chain("c", "filter hook forward priority 0", *chains)), FORWARDED, 1)


@pytest.mark.kernel
def test_marks_whose_first_bits_are_compared(made: Machine) -> None:
    sets = (
        "\tset s { type mark; flags interval; elements = { 0x100-0x1ff, 0x5 }; }\n"
        "\tset q { type ipv4_addr . mark; flags interval; elements = { 10.0.0.0/24 . 0x100-0x1ff }; }\n"
        "\tmap m { type mark : verdict; flags interval; elements = { 0x200-0x2ff : drop }; }\n"
    )
    asked = (
        "meta mark & 0xffffff00 == 0x100 counter", "meta mark & 0xffffff00 != 0x100 counter",
        "meta mark & 0xffff0000 == 0 counter", "ct mark & 0xff000000 == 0 counter", "meta mark @s counter",
        "ip saddr . meta mark @q counter", "meta mark vmap @m", "counter",
    )  # fmt: skip
    chains = [one for mark in (0, 5, 0x105, 0x1FF, 0x10105, 0x200) for one in (f"meta mark set {mark}", *asked)]
    compare(made, table(sets, chain("c", "filter hook forward priority 0", *chains)), FORWARDED, 1)
    printed = made.list_nftables()
    assert "meta mark 0x00000100/24" in printed
    assert "elements = { 0x00000005, 0x00000100/24 }" in printed


@pytest.mark.kernel
def test_bits_of_a_connection_that_are_compared(made: Machine) -> None:
    asked = (
        "ct status & dnat == dnat", "ct status & dnat != dnat", "ct status & snat == snat",
        "ct status & (dnat|snat) == dnat|snat", "ct state & new == new", "ct state & new != new",
        "ct state & established != established", "ct state & (new|related) == new|related",
        "ct state & (new|related) == new", "ct state & (new|related) != related", "ct state & untracked == untracked",
    )  # fmt: skip
    chains = (
        chain("early", "filter hook prerouting priority raw", "udp dport 80 notrack"),
        NAT,
        chain("c", "filter hook forward priority 0", *(f"{one} meta mark set 0x1 counter" for one in asked)),
    )
    compare(made, table(*chains), FORWARDED, 1)


@pytest.mark.kernel
def test_element_that_was_found_is_the_only_one(made: Machine) -> None:
    sent = "ip protocol { icmp, tcp, udp }"  # and not the kernel's own ICMPv6
    rules = (
        "meta mark set ip daddr map { 10.0.1.20 : 0x1, * : 0x2 } udp dport 54",
        f"{sent} meta mark 0x1 counter", f"{sent} meta mark 0x2 counter",
        "udp dport vmap { 53 : continue, * : accept } ip ttl 5 drop", f"{sent} counter",
        "ip daddr vmap { 10.0.1.20 : continue, * : accept } udp dport vmap { 80 : accept }", f"{sent} counter",
    )  # fmt: skip
    for packet in FORWARDED:
        compare(made, table(chain("c", "filter hook forward priority 0", *rules)), [packet], 1)


@pytest.mark.kernel
def test_own_packet_stays_on_its_way_where_postrouting_changes_its_destination(made: Machine) -> None:
    rules = ("udp dport 80 ip daddr set 10.0.1.77", "udp dport 53 ip daddr set 10.0.1.1")
    chains = (
        chain("post", "filter hook postrouting priority 0", *rules),
        chain(
            "pre",
            "filter hook prerouting priority -290",
            'iif "lo" ip protocol udp counter',
            "ip daddr 10.0.1.77 counter",
        ),
        chain("in", "filter hook input priority 0", "ip protocol udp counter"),
    )
    for packet in OWN_TO_ITSELF:
        compare(made, table(*chains), [packet], 1)


@pytest.mark.kernel
def test_map_that_rules_fill(made: Machine) -> None:
    maps = (
        "\tmap m { type ipv4_addr : mark; size 99; flags dynamic; elements = { 10.0.0.8 : 0x5 }; }\n"
        "\tmap n { type ipv4_addr . inet_service : ipv4_addr; size 99; flags dynamic; }\n"
        "\tmap gone { type ipv4_addr : mark; size 99; flags dynamic; elements = { 10.0.0.7 : 0x6 }; }\n"
        "\tmap rest { type ipv4_addr : mark; size 99; flags dynamic; elements = { * : 0x8 }; }\n"
    )
    sent = "ip protocol { icmp, tcp, udp }"  # and not the kernel's own ICMPv6
    read = (
        "meta mark set ip saddr map @m",
        f"{sent} meta mark 0x1 counter",
        f"{sent} meta mark 0x2 counter",
        f"{sent} meta mark 0x5 counter",
    )
    chains = (
        chain(
            "c", "filter hook prerouting priority -150",
            *read, "add @m { ip saddr : 0x1 }", *read, "update @m { ip saddr : 0x2 }", "meta mark set 0x0", *read,
            "delete @m { ip saddr : 0x1 }", "meta mark set 0x0", *read, "add @m { ip saddr : 0x2 }", *read,
            "ip saddr @m counter", "delete @m { ip saddr : 0x2 }", "meta mark set 0x7", "ip saddr @m counter",
            "add @m { ip daddr : meta mark }", "meta mark set ip saddr map @m", "meta mark set ip daddr map @m",
            f"{sent} meta mark 0x7 counter", "meta mark set ip saddr map @rest", f"{sent} meta mark 0x8 counter",
            "add @rest { ip saddr : 0x9 }", "meta mark set ip saddr map @rest", f"{sent} meta mark 0x9 counter",
            "delete @gone { ip saddr : 0x6 }",
            "meta mark set ip saddr map @gone", f"{sent} meta mark 0x6 counter",
            "add @n { ip daddr . udp dport : ip saddr }", "add @n { ip saddr . udp dport : 10.0.1.21 }",
        ),
        chain("d", "nat hook prerouting priority dstnat", "dnat ip to ip saddr . udp dport map @n"),
        chain("e", "filter hook forward priority 0", "ip daddr 10.0.1.21 counter", "ip daddr 10.0.1.20 counter"),
    )  # fmt: skip
    for packet in FORWARDED:
        compare(made, table(maps, *chains), [packet], 1)


@pytest.mark.kernel
def test_hash_of_a_packet_is_the_same_for_every_rule(made: Machine) -> None:
    rules = ("symhash mod 2 0 counter accept", "symhash mod 2 1 counter accept", "counter drop")
    compare(made, table(chain("c", "filter hook forward priority 0", *rules)), FORWARDED[:1], 40)


HASHED = (
    "ip saddr",
    "ip saddr . ip daddr",
    "udp dport",
    "ip protocol . th dport",
    "ip6 saddr",
    "ip6 saddr . udp dport . ip6 daddr",
    "meta mark",
    "ip daddr . meta mark",
    "meta l4proto . ip saddr . ip daddr . th dport",
)


@pytest.mark.kernel
@pytest.mark.parametrize("seed", ["0x1", "0xdeadbeef", "0xffffffff"])
def test_hash_with_a_seed_is_the_same_in_the_kernel(made: Machine, seed: str) -> None:
    rules = [f"jhash {key} mod 7 seed {seed} offset 3 {number} counter" for key in HASHED for number in range(3, 10)]
    rules += [
        f"meta mark set jhash {key} mod 5 seed {seed} map {{ 0 : 0x1, 1-2 : 0x2, * : 0x3 }}" for key in HASHED[:1]
    ]
    rules += [f"meta mark {number} counter" for number in range(1, 4)]
    compare(made, table(chain("c", "filter hook forward priority 0", "meta mark set 0x1234", *rules)), FORWARDED, 1)


@pytest.mark.kernel
def test_packet_with_a_zone_is_tracked(made: Machine) -> None:
    before = ("ip protocol udp ct zone set 1", "ip protocol udp notrack", "ip protocol udp ct state new counter")
    asked = ("ip protocol udp ct state new counter", "ct state untracked counter")
    chains = (
        chain("early", "filter hook prerouting priority raw", *before),
        chain("later", "filter hook forward priority 0", *asked),
    )
    compare(made, table(*chains), FORWARDED, 1)
