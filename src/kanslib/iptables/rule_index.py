"""An index of the rules of a long chain: which of them can match a packet with these addresses and this port."""

from __future__ import annotations

from collections.abc import Iterable
from socket import inet_aton

Network = tuple[int, int, int]  # bits of the family, prefix length, the first `prefix` bits of the address
_Address = tuple[int, int]  # bits of the family, value


# what a rule wants of a packet's source, destination and destination port; None where any value can match
Condition = tuple[Network | None, Network | None, int | None]
# how long the prefixes are that a rule wants, as (bits, prefix), and whether it wants a port
_Shape = tuple[tuple[int, int] | None, tuple[int, int] | None, bool]


class RuleIndex:
    """Positions of rules by their conditions. Rules of one shape are found with one look-up."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._shapes: dict[_Shape, dict[Condition, list[int]]] = {}
        for position, condition in enumerate(conditions):
            src, dst, dport = condition
            shape = (src and src[:2], dst and dst[:2], dport is not None)
            self._shapes.setdefault(shape, {}).setdefault(condition, []).append(position)

    def candidates(self, src: _Address, dst: _Address, dport: int | None) -> list[int]:
        """Return the positions of the rules that can match such a packet, in order. A port of None is unknown."""
        found: list[int] = []
        for shape, positions in self._shapes.items():
            src_length, dst_length, has_port = shape
            networks = _prefix(src, src_length), _prefix(dst, dst_length)
            if not has_port:
                found += positions.get((*networks, None), ())
            elif dport is not None:
                found += positions.get((*networks, dport), ())
            else:
                found += [at for (*wanted, _), places in positions.items() if (*wanted,) == networks for at in places]
        found.sort()
        return found


def _prefix(address: _Address, length: tuple[int, int] | None) -> Network | None:
    """Return the network of a length that holds an address; None for no length."""
    if length is None:
        return None
    bits, prefix = length
    return bits, prefix, address[1] >> (bits - prefix) if bits == address[0] else -1


def read_network(text: str) -> Network:
    """Return an IPv4 network as iptables-save prints it.

    >>> read_network("10.0.0.0/8"), read_network("192.0.2.7/32")
    ((32, 8, 10), (32, 32, 3221225991))
    """
    address, _, prefix = text.partition("/")
    length = int(prefix)
    return 32, length, int.from_bytes(inet_aton(address)) >> (32 - length)
