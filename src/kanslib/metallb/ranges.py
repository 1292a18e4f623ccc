"""Read addresses and the entries of pools as MetalLB does: a CIDR, or a range from one address to another. Pure.

MetalLB v0.14.8 internal/config/config.go ParseCIDR; Go net.ParseIP and net.ParseCIDR.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.go_text import quoted

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class AddressRange:
    """An entry of a pool: its text, its networks, and the shortest prefix among them (None without a network)."""

    text: str
    networks: tuple[Network, ...]
    shortest_prefix: int | None


def parse_ip(text: str) -> Address | None:
    """Return an address, an IPv4-mapped one as IPv4; None for any other text, one with a zone too (net.ParseIP).

    >>> parse_ip("::ffff:192.0.2.1"), parse_ip("192.0.2.01")
    (IPv4Address('192.0.2.1'), None)
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if "%" in text else address.ipv4_mapped or address
    return address


def parse_range(entry: str) -> AddressRange:
    """Return an entry of a pool. Raises ConfigurationError in MetalLB's words for what is no CIDR and no range.

    >>> parse_range("192.0.2.0/24").shortest_prefix
    24
    """
    return _from_to(entry) if "-" in entry else _cidr(entry)


def ranges(entry: str) -> list[Network]:
    """Return the networks of an entry of a pool. Raises ConfigurationError for what is no CIDR and no range.

    >>> [str(network) for network in ranges("172.18.255.200-172.18.255.210")]
    ['172.18.255.200/29', '172.18.255.208/31', '172.18.255.210/32']
    """
    return list(parse_range(entry).networks)


def avoids_buggy_ips(address: Address) -> bool:
    """Return True for an IPv4 address that ends in 0 or 255, which some home routers drop (`avoidBuggyIPs`)."""
    return address.version == 4 and int(address) & 255 in (0, 255)


def ipv4_addresses(pools: Iterable[KubeObject]) -> list[str]:
    """Return every IPv4 address that IPAddressPool objects may give, in the order of their ranges.

    >>> ipv4_addresses([{"spec": {"addresses": ["192.0.2.254-192.0.3.1", "2001:db8::/64"], "avoidBuggyIPs": True}}])
    ['192.0.2.254', '192.0.3.1']
    """
    return [
        str(address)
        for pool in pools
        for entry in pool["spec"]["addresses"]
        for network in ranges(entry)
        if isinstance(network, IPv4Network)
        for address in network
        if not (pool["spec"].get("avoidBuggyIPs") and avoids_buggy_ips(address))
    ]


def _cidr(entry: str) -> AddressRange:
    text, _, mask = entry.partition("/")
    address = parse_ip(text)
    length = int(mask) if mask.isascii() and mask.isdigit() else -1
    if address is None or not 0 <= length <= (128 if ":" in text else 32):
        raise ConfigurationError(f"invalid CIDR {quoted(entry)}")
    is_mapped = isinstance(address, IPv4Address) and ":" in text
    if is_mapped and length < 96:  # the mask reaches beyond the mapped address, so the network is IPv6
        return AddressRange(entry, (IPv6Network((IPv6Address(text), length), strict=False),), length)
    network = ip_network((address, length - 96 if is_mapped else length), strict=False)
    return AddressRange(entry, (network,), length)


def _from_to(entry: str) -> AddressRange:
    first, last = entry.split("-", 1)
    start, end = parse_ip(first.strip()), parse_ip(last.strip())
    for name, text, address in (("start", first, start), ("end", last, end)):
        if address is None:
            raise ConfigurationError(f"invalid IP range {quoted(entry)}: invalid {name} IP {quoted(text)}")
    assert start is not None
    assert end is not None
    if _bytes(start) > _bytes(end):
        order = f"start IP {quoted(str(start))} is after the end IP {quoted(str(end))}"
        raise ConfigurationError(f"invalid IP range {quoted(entry)}: {order}")
    if start.version != end.version:  # MetalLB accepts this, and finds no address in it
        return AddressRange(entry, (), None)
    networks: tuple[Network, ...] = tuple(summarize_address_range(start, end))
    return AddressRange(entry, networks, min(network.prefixlen for network in networks))


def _bytes(address: Address) -> bytes:
    """Return the 16 bytes that Go compares."""
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
