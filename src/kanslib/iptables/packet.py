"""The packet to trace, and the addresses and routes of the machine that has the rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from itertools import chain
from socket import AF_INET, inet_pton
from typing import TypeVar

from kanslib.exceptions import PacketError
from kanslib.i18n import listed, tr
from kanslib.iptables.names import ICMPV6_TYPES, PROTOCOLS, TCP_FLAGS, icmp, tcp_flags

Read = TypeVar("Read")
WITH_PORTS = frozenset(PROTOCOLS[name] for name in ("tcp", "udp", "sctp", "dccp", "udplite"))
_HIGHEST = {
    "sport": 65535, "dport": 65535, "mark": 0xFFFFFFFF, "length": 65535, "ttl": 255, "dscp": 63, "uid": 0xFFFFFFFF,
    "gid": 0xFFFFFFFF,
}  # fmt: skip
_NAME_BYTES = 16  # with the zero at the end (Linux uapi/linux/if.h, IFNAMSIZ)
STATES = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")


@lru_cache(maxsize=65536)
def number(address: str) -> tuple[int, int]:
    """Return an address as (bits, value): `10.0.0.1` is (32, 167772161). ValueError for any other text."""
    with suppress(OSError):  # nearly always; and it takes a tenth of the time
        return 32, int.from_bytes(inet_pton(AF_INET, address))
    parsed = ip_address(address)
    return parsed.max_prefixlen, int(parsed)


_MAC = re.compile(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")


@dataclass(frozen=True)
class Packet:
    """A packet as it arrives at a machine. None means unknown: where a rule depends on such a field, the path branches.

    Without `in_interface` the machine itself sends it. `ctstate` is its state in conntrack. For firewall rules that
    match them: `source_mac`, `uid` and `gid` (the sending user and group, for packets of the machine itself), `length`
    (bytes), `ttl`, `dscp` (0 to 63), `tcp_flags` (`"SYN,ACK"`, `""` for none), `icmp_type` (`"8"`, `"3/4"`), and the
    ports of a bridge by which it comes and goes, `physdev_in` and `physdev_out`. PacketError for a wrong value.

    >>> Packet("172.18.0.100", "172.18.255.200", dport=80, in_interface="eth0").dport
    80
    """

    src: str | None
    dst: str | None
    protocol: str = "tcp"
    sport: int | None = None
    dport: int | None = None
    in_interface: str | None = None
    out_interface: str | None = None
    mark: int | None = 0
    ctstate: str | None = "NEW"
    tcp_flags: str | None = None
    icmp_type: str | None = None
    length: int | None = None
    ttl: int | None = None
    source_mac: str | None = None
    uid: int | None = None
    gid: int | None = None
    dscp: int | None = None
    physdev_in: str | None = None
    physdev_out: str | None = None

    def __post_init__(self) -> None:
        for field in ("src", "dst"):
            try:
                value = getattr(self, field)
                if value is not None:
                    number(value)
            except ValueError:
                raise PacketError(
                    tr("{field}={value!r} is no address; expected one such as 172.18.255.200", field=field, value=value)
                ) from None
        if self.src and self.dst and (":" in self.src) != (":" in self.dst):
            raise PacketError(
                tr(
                    "src={src!r}, dst={dst!r}: expected addresses of one family, IPv4 or IPv6",
                    src=self.src,
                    dst=self.dst,
                )
            )
        for field, top in _HIGHEST.items():
            value = getattr(self, field)
            if value is not None and not 0 <= value <= top:
                raise PacketError(
                    tr(
                        "{field}={value} is out of range; expected 0 to {top}, or None for not known",
                        field=field,
                        value=value,
                        top=top,
                    )
                )
        if self.ctstate is not None and self.ctstate not in STATES:
            raise PacketError(
                tr(
                    "ctstate={ctstate!r}; expected one of {states}, or None for not known",
                    ctstate=self.ctstate,
                    states=listed(STATES),
                )
            )
        if self.protocol not in PROTOCOLS and not (self.protocol.isdecimal() and int(self.protocol) < 256):
            raise PacketError(
                tr(
                    "protocol={protocol!r}; expected a number up to 255, or a name such as tcp or icmp",
                    protocol=self.protocol,
                )
            )
        self._check_names()

    def _check_names(self) -> None:
        try:
            tcp_flags(self.tcp_flags or "")
        except ValueError:
            expected = tr("names of {tcp_flags}, such as SYN,ACK", tcp_flags=listed(TCP_FLAGS))
            raise PacketError(
                tr("tcp_flags={tcp_flags!r}; expected {expected}", tcp_flags=self.tcp_flags, expected=expected)
            ) from None
        try:
            icmp(self.icmp_type or "0", ICMPV6_TYPES if self.protocol in ("ipv6-icmp", "icmpv6", "58") else None)
        except ValueError:
            expected = tr("a type such as 8, 3/4 or echo-request")
            raise PacketError(
                tr("icmp_type={icmp_type!r}; expected {expected}", icmp_type=self.icmp_type, expected=expected)
            ) from None
        for field in ("in_interface", "out_interface"):
            name = getattr(self, field)
            if name is not None and not 0 < len(name.encode(errors="surrogateescape")) < _NAME_BYTES:
                raise PacketError(
                    tr(
                        "{field}={name!r}; expected the name of an interface, of 1 to {most} bytes, such as eth0",
                        field=field,
                        name=name,
                        most=_NAME_BYTES - 1,
                    )
                )
        if self.source_mac is not None and not _MAC.fullmatch(self.source_mac):
            raise PacketError(
                tr(
                    "source_mac={source_mac!r}; expected an address such as 02:42:ac:12:00:05",
                    source_mac=self.source_mac,
                )
            )

    @property
    def family(self) -> int:
        """The family of its addresses, 4 or 6; 4 where neither an address nor its protocol shows it."""
        address = self.src or self.dst
        is_six = ":" in address if address else self.protocol in ("ipv6-icmp", "icmpv6", "58")
        return 6 if is_six else 4

    def __str__(self) -> str:
        return f"{endpoint(self.src, self.sport)} → {endpoint(self.dst, self.dport)}"


def endpoint(address: str | None, port: int | None) -> str:
    """Return an address with its port; `?` for an unknown address, and no port for an unknown one.

    >>> endpoint("10.0.0.1", 80), endpoint(None, None)
    ('10.0.0.1:80', '?')
    """
    host = "?" if address is None else f"[{address}]" if ":" in address and port is not None else address
    return host if port is None else f"{host}:{port}"


@dataclass(frozen=True)
class Route:
    """A line of the main routing table: a destination (the first `prefix` of the `bits` of `value`), and its way out.

    `dev` is the interface, `gateway` the next hop; None for a network that is directly connected. `source`: the address
    from which the machine itself sends this way; None for one of the interface. `others`: the interfaces of further
    next hops, among which the kernel chooses by a hash.
    """

    bits: int
    value: int
    prefix: int
    dev: str
    gateway: str | None = None
    metric: int = 0
    source: str | None = None
    others: tuple[str, ...] = ()

    def covers(self, bits: int, value: int) -> bool:
        """Return whether the destination includes an address, given as (bits, value)."""
        return bits == self.bits and (value ^ self.value) >> (bits - self.prefix) == 0


@dataclass(frozen=True)
class Interface:
    """An address of the machine: its interface (`dev`), prefix length and scope, as in `ip addr`."""

    dev: str
    address: str
    prefix: int
    scope: str = "global"


@dataclass(frozen=True)
class Routing:
    """A machine's own addresses and its main routing table. Policy routing (`ip rule`) is not taken into account.

    `Routing.read(addr, route)` parses the output of `ip -j addr` and `ip -j route`.
    """

    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...]

    @staticmethod
    def read(addresses: str, routes: str) -> Routing:
        """Return the routing from the output of `ip -j addr` and `ip -j route`. PacketError for other texts.

        >>> here = Routing.read(
        ...     '[{"ifname":"eth0","addr_info":[{"local":"10.0.0.2","prefixlen":24,"scope":"global"}]}]',
        ...     '[{"dst":"default","gateway":"10.0.0.1","dev":"eth0"}]')
        >>> here.type_of("10.0.0.2"), here.route("8.8.8.8").gateway
        ('LOCAL', '10.0.0.1')
        """
        of_links = _read_entries("ip -j addr", addresses, _interfaces)
        return Routing(tuple(chain.from_iterable(of_links)), tuple(_read_entries("ip -j route", routes, _route)))

    def type_of(self, address: str, dev: str = "") -> str:
        """Return LOCAL, BROADCAST, MULTICAST, ANYCAST or UNICAST (Linux net/ipv4/fib_frontend.c __inet_dev_addr_type).

        ANYCAST is the first address of a network of IPv6: it belongs to all of its routers (RFC 4291, section 2.6.1).

        With `dev`, the addresses of other interfaces are UNICAST.
        """
        bits, value = number(address)
        if fixed := well_known(bits, value):
            return "UNICAST" if fixed == "LOCAL" and dev not in ("", "lo") else fixed
        for interface in self.interfaces:
            if dev not in ("", interface.dev):
                continue
            own_bits, own = number(interface.address)
            if own_bits != bits:
                continue
            if own == value:
                return "LOCAL"
            host = bits - interface.prefix
            if bits == 32 and host > 1 and (own ^ value) >> host == 0 and value & (1 << host) - 1 == (1 << host) - 1:
                return "BROADCAST"
            if bits == 128 and host > 1 and value == own >> host << host:
                return "ANYCAST"
        return "UNICAST"

    def route(self, address: str) -> Route | None:
        """Return the route to an address: the longest prefix, then the lowest metric; None where there is none."""
        bits, value = number(address)
        found = [route for route in self.routes if route.covers(bits, value)]
        return min(found, key=lambda route: (-route.prefix, route.metric), default=None)

    def source(self, dev: str, towards: str) -> str | None:
        """Return the address of `dev` that MASQUERADE takes for a packet to the address `towards`; None without any.

        Linux net/ipv4/devinet.c inet_select_addr.
        """
        bits, value = number(towards)
        usable = [one for one in self.interfaces if one.scope == "global" and number(one.address)[0] == bits]
        own = [one for one in usable if one.dev == dev]
        same_network = [one for one in own if (number(one.address)[1] ^ value) >> (bits - one.prefix) == 0]
        chosen = next(iter([*same_network, *own, *usable]), None)
        return chosen.address if chosen else None

    def own_source(self, towards: str) -> str | None:
        """Return the source of a packet that a program of the machine sends from a socket that is bound to no address.

        Linux net/ipv4/route.c ip_route_output_key_hash_rcu: chosen once, by the way to the destination that the program
        names; the rules change the way, and this address stays.
        """
        if self.type_of(towards) == "LOCAL":
            return towards
        route = self.route(towards)
        return None if route is None else route.source or self.source(route.dev, route.gateway or towards)


def well_known(bits: int, value: int) -> str:
    """Return the type of an address that is the same on every machine; empty for any other address."""
    if bits == 32:
        if value >> 24 == 127:
            return "LOCAL"
        if value in (0, 0xFFFFFFFF) or value >> 24 == 0:
            return "BROADCAST"
        return "MULTICAST" if value >> 28 == 0xE else ""
    if value == 1:
        return "LOCAL"
    return "MULTICAST" if value >> 120 == 0xFF else ""


def _read_entries(command: str, text: str, read: Callable[[dict[str, object]], Read]) -> list[Read]:
    """Return what `read` makes of each entry of the list that a command prints. PacketError names the place."""
    found: list[Read] = []
    try:
        for one in json.loads(text):
            found.append(read(one))  # noqa: PERF401 (an error is about the entry behind those that were read)
    except json.JSONDecodeError as exc:
        problem = tr("line {line}, column {column}: expected JSON", line=exc.lineno, column=exc.colno)
    except KeyError as exc:
        problem = tr("entry {entry} has no {name}", entry=len(found) + 1, name=exc)
    except ValueError as exc:
        problem = tr("entry {entry}: {problem}", entry=len(found) + 1, problem=exc)
    except (TypeError, AttributeError, RecursionError):
        problem = tr("expected a list of objects")
    else:
        return found
    raise PacketError(tr("not what `{command}` prints: {problem}", command=command, problem=problem))


def _interfaces(link: dict[str, object]) -> list[Interface]:
    held = link.get("addr_info", [])
    return [_interface(link, info) for info in (held if isinstance(held, list) else []) if "local" in info]


def _interface(link: dict[str, object], info: dict[str, object]) -> Interface:
    address = str(info["local"])
    prefix = _length(info["prefixlen"], number(address)[0])
    return Interface(str(link["ifname"]), address, prefix, str(info.get("scope", "global")))


def _length(prefix: object, bits: int) -> int:
    """Return the length of a prefix. ValueError where addresses of so many bits have none."""
    length = int(str(prefix))
    if not 0 <= length <= bits:
        raise ValueError(tr("a prefix of {length} bits", length=length))
    return length


def _route(entry: dict[str, object]) -> Route:
    dst = str(entry["dst"])
    several = entry.get("nexthops")
    hop, *others = several if isinstance(several, list) and several else [entry]
    gateway = str(hop["gateway"]) if hop.get("gateway") else None
    source = str(entry["prefsrc"]) if entry.get("prefsrc") else None
    for address in filter(None, (gateway, source)):
        number(address)  # raises ValueError
    if dst == "default":
        bits, value, prefix = 128 if ":" in (gateway or "") else 32, 0, 0
    else:
        address, _, length = dst.partition("/")
        bits, value = number(address)
        prefix = _length(length or bits, bits)
    dev, metric = str(hop.get("dev", "")), int(str(entry.get("metric", 0)))
    return Route(bits, value, prefix, dev, gateway, metric, source, tuple(str(other["dev"]) for other in others))
