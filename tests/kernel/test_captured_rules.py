"""Rules that other programs wrote: where packets go by a trace, beside where this kernel sends them."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Iterator

import pytest

from kanslib import iptables, nftables
from kanslib.iptables import Packet, Routing
from tests.nftables.captured_rules import CapturedRules, captured_rules

from .machine import Machine, machine, text_of
from .test_nftables_dumps import Flow, check

EACH = 8  # packets of a kind
ADDRESS = re.compile(r"(?<![\w.:])((?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(/\d+)?(?![\w:.]|-\w)")
PORT = re.compile(r"(?:port[^\d\n]{1,9}|[:.] )(\d{1,5})\b")
ANYWHERE = {4: "203.0.113.9", 6: "2001:db8:ff::9"}
ECHO = {4: ("icmp", "8"), 6: ("ipv6-icmp", "128")}


def packets(captured: CapturedRules, family: int, number: int) -> Iterator[Packet]:
    """Yield packets between the addresses and to the ports that the rules and the routes name; always the same ones."""
    draw = random.Random(f"{captured} {family}")
    text = captured.listing.text + captured.saved + captured.saved6
    ends = sorted({ANYWHERE[family], *hosts(text, family), *neighbors(captured.routing, family)})
    ports = sorted({53, 80, *(port for found in PORT.findall(text) if 0 < (port := int(found)) < 65536)})
    for _ in range(number):
        src, dst = draw.choice(ends), draw.choice(ends)
        route = captured.routing.route(src)
        dev = None if captured.routing.type_of(src) == "LOCAL" or route is None else route.dev
        protocol = draw.choice(("udp", "udp", "tcp", "tcp", "echo"))
        if protocol == "echo":
            kind, echo = ECHO[family]
            yield Packet(src, dst, kind, in_interface=dev, icmp_type=echo, ttl=64, uid=0, gid=0)
        else:
            flags = "SYN" if protocol == "tcp" else None
            yield Packet(src, dst, protocol, 10000, draw.choice(ports), dev, ttl=64, uid=0, gid=0, tcp_flags=flags)


def hosts(text: str, family: int) -> Iterator[str]:
    """Yield an address of each network, and each address, that rules name, where packets can go to."""
    for address, prefix in ADDRESS.findall(text):
        try:
            network = ipaddress.ip_network(address + prefix, strict=False)
        except ValueError:
            continue
        host = network[min(5, network.num_addresses - 1)]
        ruled_out = host.is_multicast or host.is_loopback or host.is_unspecified or host.is_link_local
        if host.version == family and not ruled_out and str(host) != "255.255.255.255" and int(host) >> 24:
            yield str(host)


def neighbors(routing: Routing, family: int) -> Iterator[str]:
    """Yield the machine's addresses, and of each network at an interface the tenth."""
    for one in routing.interfaces:
        if one.scope == "global" and (":" in one.address) == (family == 6):
            yield one.address
    bits = 128 if family == 6 else 32
    for route in routing.routes:
        is_link_local = bits == 128 and route.value >> 118 == 0x3FA  # fe80::/10
        if route.bits == bits and not route.gateway and 8 <= route.prefix < bits - 4 and not is_link_local:
            yield text_of(bits, route.value + 10)


def load(made: Machine, captured: CapturedRules) -> None:
    """Load the tables; those that iptables-nft manages come from what iptables-save printed."""
    dumps = {"ip": captured.saved, "ip6": captured.saved6}
    managed = {one for one in nftables.parse(captured.listing.text).managed if dumps[one[0]]}
    tables = re.split(r"(?m)^(?=table )", captured.listing.text)
    made.load_nftables(readable("".join(one for one in tables if tuple(one.split()[1:3]) not in managed)))
    for dump in filter(None, dumps.values()):
        made.load(dump, "nft")


def readable(listing: str) -> str:
    """Return a listing of nft 1.1.7 as nft 1.0.6 reads it.

    Both print a range of addresses with ports as a network, and read none there; a new port needs its protocol by name,
    and nothing may follow `masquerade`.
    """
    for number, name in (("0x11", "udp"), ("0x6", "tcp")):
        listing = listing.replace(f" @nh,72,8 {number} th dport", f" meta l4proto {name} @nh,72,8 {number} th dport")
    listing = re.sub(r"masquerade counter .*", "masquerade", listing)
    listing = re.sub(r"snat to ([\d.]+/\d+):", _as_range, listing)
    listing = re.sub(r"hook output priority dstnat(?: ([+-]) (\d+))?;", _as_number, listing)
    return re.sub(r"\tflags owner(,persist)?\n", "", listing.replace("check missing", "oif missing"))


def _as_range(found: re.Match[str]) -> str:
    network = ipaddress.ip_network(found[1])
    return f"snat to {network[0]}-{network[-1]}:"


def _as_number(found: re.Match[str]) -> str:
    offset = int(f"{found[1] or ''}{found[2] or 0}")
    return f"hook output priority {offset - 100};"


def compare(made: Machine, captured: CapturedRules, family: int, number: int) -> tuple[int, int]:
    """Send packets; return how many kinds were compared, and of how many the trace asks for more than a packet has."""
    ruleset = nftables.parse(captured.listing.text)
    beside = [iptables.parse(dump) for dump in (captured.saved, captured.saved6) if dump]
    compared = asked = 0
    for packet in packets(captured, family, number):
        outcomes = tuple(ruleset.trace(packet, captured.routing, beside=beside))
        if any(way.assumes or way.alternatives for way in outcomes):
            asked += 1
            continue
        check(made, Flow(packet, (packet.src or "",), outcomes), str(captured), EACH)
        compared += 1
    return compared, asked


@pytest.mark.kernel
@pytest.mark.parametrize("captured", captured_rules(), ids=str)
def test_trace_equals_kernel_on_rules_of_other_programs(captured: CapturedRules) -> None:
    check_rules(captured, 15)


@pytest.mark.kernel_long
@pytest.mark.parametrize("captured", captured_rules(), ids=str)
def test_trace_equals_kernel_on_rules_of_other_programs_with_many_packets(captured: CapturedRules) -> None:
    check_rules(captured, 150)


def check_rules(captured: CapturedRules, number: int) -> None:
    """Compare packets of each family with the kernel; what ufw has for IPv6 asks for most of them."""
    with machine(captured.routing) as made:
        load(made, captured)
        for family in (4, 6):
            compared, asked = compare(made, captured, family, number)
            assert compared > asked or (captured.name, family) == ("ufw/host", 6), (compared, asked)
