"""The address plan of the course on a Docker network: the lesson's, or the same one moved to another network. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, summarize_address_range

from kanslib.exceptions import ClusterError
from kanslib.i18n import tr

LESSON_NETWORK = "172.18.0.0/16"


@dataclass(frozen=True)
class AddressPlan:
    """The addresses of the course on a Docker network: its range (CIDR), client, router, first and last of the pool."""

    network: str
    client: str
    router: str
    pool_first: str
    pool_last: str

    @property
    def pool_networks(self) -> list[str]:
        """The pool as CIDRs, the destinations of routes."""
        first, last = IPv4Address(self.pool_first), IPv4Address(self.pool_last)
        return [str(network) for network in summarize_address_range(first, last)]


def address_plan(network: str) -> AddressPlan:
    """Return the address plan on `network` (CIDR): client, router, and 51 pool addresses at its upper end.

    Raises ClusterError for a network of fewer than 256 addresses.

    >>> address_plan("172.18.0.0/16").pool_first, address_plan("192.168.228.0/24").pool_first
    ('172.18.255.200', '192.168.228.200')
    """
    net = IPv4Network(network)
    if net.num_addresses < 256:
        raise ClusterError(
            tr(
                "the Docker network {network} is too small for the course: it needs 256 addresses (a /24)",
                network=network,
            )
        )
    wide = net.num_addresses >= 65536
    base, top = net.network_address, net.broadcast_address
    return AddressPlan(
        network=network,
        client=str(base + 100),
        router=str(base + 200 if wide else base + 150),
        pool_first=str(top - 55),
        pool_last=str(top - 5),
    )


def move_addresses(text: str, network: str) -> str:
    """Return a text of the lesson with every address of the plan moved to `network` (CIDR).

    >>> move_addresses("peerAddress: 172.18.0.200", "172.20.0.0/16")
    'peerAddress: 172.20.0.200'
    """
    if network == LESSON_NETWORK:
        return text
    old, new = address_plan(LESSON_NETWORK), address_plan(network)
    moved = {old.client: new.client, old.router: new.router}
    for offset in range(51):
        moved[str(IPv4Address(old.pool_first) + offset)] = str(IPv4Address(new.pool_first) + offset)
    return re.sub(r"\b172\.18\.\d+\.\d+\b", lambda match: moved.get(match[0], match[0]), text)
