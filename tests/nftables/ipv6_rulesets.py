"""The random rulesets and packets of IPv4, word by word in IPv6: the same networks, hosts and ways."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from kanslib.iptables import Packet, Routing
from tests.iptables.rulesets import ROUTING

_ADDRESS = re.compile(r"(?P<address>\d+\.\d+\.\d+\.\d+)(?P<prefix>/\d+)?(?P<port>:\d+)?")
_WORDS = {  # what a rule says in IPv4, and in IPv6
    r"\bip (saddr|daddr|dscp|length)\b": r"ip6 \1", r"\bip ttl\b": "ip6 hoplimit", r"\bip protocol\b": "ip6 nexthdr",
    r"\b(dnat|snat) ip\b": r"\1 ip6", r"meta protocol ip\b": "meta protocol ip6", "ipv4_addr": "ipv6_addr",
    r"@(hosts|networks|pairs|seen|unions|filled)\b": r"@\g<1>6",
    r"\b(set|map) (hosts|networks|pairs|seen|unions|filled)\b": r"\1 \g<2>6",
    r"@nh,96,32 0x0a000007": "@nh,64,128 0x20010db8000000000000000000000007", r"ip6 length 28": "ip6 length 8",
}  # fmt: skip
_MASKED = re.compile(r"(ip6 [sd]addr) & 255\.0\.255\.255 (==|!=) 10\.0\.1\.(\d+)")


def address_in_ipv6(address: str) -> str:
    """Return 10.0.1.20 as 2001:db8:0:1::14: the second last number is the network, the last one the host."""
    value = int(IPv4Address(address))
    network = (value >> 8 & 0xFF) | (0x100 if value >> 24 != 10 else 0)
    return str(IPv6Address((0x20010DB8 << 96) + (network << 64) + (value & 0xFF)))


def in_ipv6(text: str) -> str:
    """Return rules or sets of IPv4 in IPv6."""
    for words, others in _WORDS.items():
        text = re.sub(words, others, text)
    text = _MASKED.sub(
        lambda found: f"{found[1]} & ffff:0:ffff:ffff::ff {found[2]} 2001:0:0:1::{int(found[3]):x}", text
    )
    return _ADDRESS.sub(_address, text)


def _address(found: re.Match[str]) -> str:
    prefix = int(found["prefix"][1:]) if found["prefix"] else 128
    length = "" if prefix == 128 else f"/{64 if prefix == 24 else prefix + 96}"
    address = address_in_ipv6(found["address"])
    return f"[{address}]{found['port']}" if found["port"] else f"{address}{length}"


def packet_in_ipv6(packet: Packet) -> Packet:
    """Return a packet of IPv4 as the one with the same ends in IPv6."""
    src, dst = (address_in_ipv6(address) for address in (packet.src or "", packet.dst or ""))
    return replace(packet, src=src, dst=dst, length=None if packet.length is None else packet.length + 20)


def _routing() -> Routing:
    here = [
        replace(one, address=address_in_ipv6(one.address), prefix=64) for one in ROUTING.interfaces if one.dev != "lo"
    ]
    ways = [
        replace(
            one, bits=128, prefix=64 if one.prefix else 0, gateway=one.gateway and address_in_ipv6(one.gateway),
            value=int(IPv6Address(address_in_ipv6(str(IPv4Address(one.value))))) if one.prefix else 0,
        )
        for one in ROUTING.routes
    ]  # fmt: skip
    return Routing((*ROUTING.interfaces, *here), (*ROUTING.routes, *ways))


# the same machine with both kinds of addresses
DUAL = _routing()
