"""Sets of addresses, ports and interfaces, as `ipset save` prints them, and whether they hold a packet (ipset(8))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Protocol

from kanslib.exceptions import DumpError
from kanslib.i18n import tr
from kanslib.iptables.names import ICMPV6_TYPES, PORTS, PROTOCOLS, icmp
from kanslib.iptables.packet import number

_LINE = re.compile(r"(?P<command>create|add|-N|-A)\s+(?P<name>\S+)\s+(?P<value>\S+)(?P<options>.*)")
_QUOTED = re.compile(r'"[^"]*"')
_ICMP = (PROTOCOLS["icmp"], PROTOCOLS["ipv6-icmp"])
_PARTS = ("ip", "net", "port", "mac", "iface", "mark", "set")


class SetPacket(Protocol):
    """The fields of a packet that sets hold. None means unknown."""

    protocol: int

    def set_value(self, part: str, side: str) -> str | int | None:
        """Return the value of a part (`ip`, `port`, `mac`, `iface`, `mark`) at a side, `src` or `dst`."""
        ...


@dataclass(frozen=True, slots=True)
class SetRange:
    """An address from `first` to `last` of the family with so many bits; `prefix`: how exact it is."""

    bits: int
    first: int
    last: int
    prefix: int

    def holds(self, value: str | int, _protocol: int) -> bool:
        """Compare an address."""
        bits, address = number(str(value))
        return bits == self.bits and self.first <= address <= self.last


@dataclass(frozen=True, slots=True)
class PortRange:
    """A port from `first` to `last` of a protocol (None: of any); for ICMP its type·256+code."""

    protocol: int | None
    first: int
    last: int
    prefix: int = 0

    def holds(self, value: str | int, protocol: int) -> bool:
        """Compare a port and the packet's protocol."""
        return self.protocol in (None, protocol) and self.first <= int(value) <= self.last


@dataclass(frozen=True, slots=True)
class Word:
    """An interface, a MAC address in lower case, or a mark; empty for any."""

    text: str
    prefix: int = 0

    def holds(self, value: str | int, _protocol: int) -> bool:
        """Compare the text."""
        return self.text in ("", str(value).lower())


Part = SetRange | PortRange | Word


@dataclass(frozen=True)
class IPSet:
    """A set: its name, its type in parts such as ("ip", "port"), and its entries.

    `entries`: the values of each, and whether it excludes them (`nomatch`). `members`: the sets of a list:set.
    `netmask`: the length of prefix to which addresses are cut; None for whole addresses.
    """

    name: str
    parts: tuple[str, ...]
    netmask: int | None = None
    entries: dict[tuple[Part, ...], bool] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)


class IPSets(Mapping[str, IPSet]):
    r"""Every set of a machine, by name.

    >>> sets = parse("create office hash:net family inet\nadd office 192.0.2.0/24\n")
    >>> list(sets), len(sets["office"].entries)
    (['office'], 1)
    """

    def __init__(self, sets: Mapping[str, IPSet]) -> None:
        self._sets = dict(sets)

    def __getitem__(self, name: str) -> IPSet:
        return self._sets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)

    def holds(self, name: str, sides: Sequence[str], packet: SetPacket) -> bool | None:
        """Return whether a set holds a packet, with the side (`src`, `dst`) of each of its parts; None where unknown.

        An entry with longer prefixes goes before one with shorter ones, and the first decides: `nomatch` says no.
        """
        found = self.get(name)
        if found is None:
            return None
        if found.members:
            answers = {self.holds(member, sides, packet) for member in found.members}
            return True if True in answers else None if None in answers else False
        if not found.entries:
            return False
        if len(sides) < len(found.parts):
            return None  # iptables-restore refuses such a rule
        values = [packet.set_value(part, side) for part, side in zip(found.parts, sides, strict=False)]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        entries = list(found.entries)
        if "iface" in found.parts:  # the longest prefix decides, whatever its interfaces (Linux ip_set_hash_gen.h)
            entries = [entry for entry in entries if entry[0].holds(known[0], packet.protocol)]
            longest = max((entry[0].prefix for entry in entries), default=0)
            entries = [entry for entry in entries if entry[0].prefix == longest]
        holding = [
            entry
            for entry in entries
            if all(part.holds(value, packet.protocol) for part, value in zip(entry, known, strict=True))
        ]
        if not holding:
            return False
        return not found.entries[max(holding, key=lambda entry: [part.prefix for part in entry])]


def parse(text: str) -> IPSets:
    """Return the sets that `ipset save` printed. DumpError names the first wrong line."""
    sets: dict[str, IPSet] = {}
    undecidable: set[str] = set()  # with ports of bridges, which no packet here has
    for at, raw in enumerate(text.splitlines(), 1):
        line = raw.removeprefix("\ufeff").strip()
        if not line or line.startswith("#") or line == "COMMIT":
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise DumpError(at, 1, raw, tr("what `ipset save` prints: create NAME TYPE …, or add NAME ENTRY"))
        name, value = found["name"], found["value"]
        options = _QUOTED.sub("", found["options"]).split()
        if "physdev:" in value:
            undecidable.add(name)
        try:
            if found["command"] in ("create", "-N"):
                netmask = int(options[options.index("netmask") + 1]) if "netmask" in options[:-1] else None
                sets[name] = IPSet(name, _parts_of(value), netmask)
            else:
                _add(sets[name], value, options)
        except KeyError:
            raise DumpError(
                at, found.start("name") + 1, line, tr("`create {name} TYPE` before its first entry", name=name)
            ) from None
        except ValueError:
            kind = (
                tr("a type of ipset(8), such as hash:net")
                if name not in sets
                else tr("an entry of {parts}", parts=",".join(sets[name].parts))
            )
            raise DumpError(at, found.start("value") + 1, line, kind) from None
    return IPSets({name: one for name, one in sets.items() if name not in undecidable})


def _parts_of(kind: str) -> tuple[str, ...]:
    """Return the parts of a type such as `hash:ip,port`."""
    method, colon, parts = kind.partition(":")
    found = tuple(parts.split(","))
    if not colon or method not in ("hash", "bitmap", "list") or not {*found} <= {*_PARTS}:
        raise ValueError(kind)
    return found


def _add(target: IPSet, entry: str, options: Sequence[str]) -> None:
    if target.parts == ("set",):
        target.members.append(entry)
        return
    texts = entry.split(",")
    if len(texts) > len(target.parts):
        raise ValueError(entry)
    texts += [""] * (len(target.parts) - len(texts))  # the MAC of bitmap:ip,mac may be left out
    default = None if len(texts) == 1 else PROTOCOLS["tcp"]  # bitmap:port holds the ports of every protocol
    if target.netmask is not None:
        texts[0] = f"{texts[0]}/{target.netmask}"
    parts = tuple(_part(kind, text, default) for kind, text in zip(target.parts, texts, strict=True))
    target.entries[parts] = "nomatch" in options


def _part(kind: str, text: str, protocol: int | None) -> Part:
    if kind in ("ip", "net"):
        return _addresses(text)
    if kind == "port":
        return _ports(text, protocol)
    if kind == "mark":
        return Word(str(int(text, 0)))
    return Word(text.lower())


def _addresses(text: str) -> SetRange:
    first, dash, last = text.partition("-")
    if dash:
        (bits, low), (_, high) = number(first), number(last)
        return SetRange(bits, low, high, bits)
    network = ip_network(text, strict=False)
    return SetRange(
        network.max_prefixlen, int(network.network_address), int(network.broadcast_address), network.prefixlen
    )


def _ports(text: str, protocol: int | None) -> PortRange:
    name, colon, ports = text.rpartition(":")
    if colon:
        protocol = PROTOCOLS[name.lower()] if name.lower() in PROTOCOLS else int(name)
    if protocol in _ICMP:
        return PortRange(protocol, *icmp(ports, ICMPV6_TYPES if protocol == PROTOCOLS["ipv6-icmp"] else None))
    first, _, last = ports.partition("-")
    low, high = (PORTS[one] if one in PORTS else int(one) for one in (first, last or first))
    return PortRange(protocol, low, high)
