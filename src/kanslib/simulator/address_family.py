"""The addresses of a simulated cluster in one family, IPv4 or IPv6: of its places, Pods and Services. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class AddressFamily:
    """The addresses of a cluster in one family.

    `network`: the Docker network (CIDR). `addresses`: of nodes, client and router on it, by name. `cluster_cidr`: the
    range of Pods. `service_cidr`: the range of ClusterIPs (empty: the /24 of the Service `kubernetes`).

    >>> AddressFamily("192.0.2.0/24", {"n1": "192.0.2.2"}, "10.10.0.0/16").place_at("192.0.2.2")
    'n1'
    """

    network: str
    addresses: Mapping[str, str]
    cluster_cidr: str
    service_cidr: str = ""

    @property
    def is_ipv6(self) -> bool:
        """True for IPv6."""
        return is_ipv6(self.network)

    def place_at(self, address: str) -> str | None:
        """Return the place that has an address on the Docker network; None for an address that no place has."""
        return next((place for place, own in self.addresses.items() if own == address), None)


def is_ipv6(address: str) -> bool:
    """Return True for an address or a range (CIDR) of IPv6."""
    return ":" in address


def family_name(address: str) -> str:
    """Return the family of an address as the API names it.

    >>> family_name("192.0.2.1"), family_name("2001:db8::1")
    ('IPv4', 'IPv6')
    """
    return "IPv6" if is_ipv6(address) else "IPv4"


def is_cidr(text: str) -> bool:
    """Return True for a range in CIDR notation; host bits may be set.

    >>> is_cidr("192.0.2.9/24"), is_cidr("2001:db8::/64"), is_cidr("192.0.2.9")
    (True, True, False)
    """
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def is_within(address: str, prefix: str) -> bool:
    """Return True when an address is in a range (CIDR) of its family.

    >>> is_within("192.0.2.9", "192.0.2.0/24"), is_within("2001:db8::1", "192.0.2.0/24")
    (True, False)
    """
    return ip_address(address) in ip_network(prefix)
