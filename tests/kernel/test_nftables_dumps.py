"""kube-proxy's rules in nftables mode: where connections go by a trace, beside where this kernel sends them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import pytest

from kanslib import iptables, nftables
from kanslib.iptables import Outcome, Packet, Routing
from tests.nftables.recorded_dumps import RecordedDump, recorded_dumps

from .machine import Machine, chi_squared, fits, machine, text_of

EACH = 100  # connections of a kind


@dataclass(frozen=True)
class Family:
    """Addresses of IPv4 or IPv6: a client and many others, and three targets at which no Service is."""

    name: str
    bits: int
    client: str
    others: str
    nowhere: tuple[tuple[str, int], ...]

    def has(self, address: str) -> bool:
        """Return whether an address is of this family."""
        return (":" in address) == (self.bits == 128)


IPV4 = Family(
    "ip", 32, "172.18.0.100", "172.18.{}.{}", (("8.8.8.8", 53), ("10.200.1.10", 81), ("10.200.1.250", 80))
)  # fmt: skip
IPV6 = Family(
    "ip6", 128, "fc00:f853:ccd:e793::100", "fc00:f853:ccd:e793::{}:{}",
    (("2001:4860:4860::8888", 53), ("fd00:10:96::a", 81), ("fd00:10:96::fa", 80)),
)  # fmt: skip


@dataclass(frozen=True)
class Flow:
    """Connections of one kind, from one source or from many, and what the trace says of each."""

    packet: Packet
    sources: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def disturbs(self) -> bool:
        """True where the machine itself answers: its answers leave it, too."""
        return any(way.hook == "INPUT" or way.verdict == "REJECT" for way in self.outcomes)


def flows(dump: RecordedDump, family: Family) -> Iterator[Flow]:
    """Yield connections to every address of each Service: from outside, from a Pod of the node, from the node."""
    ruleset, beside = nftables.parse(dump.text), [iptables.parse(dump.saved)] if dump.saved else []
    routes = [one for one in dump.routing.routes if one.bits == one.prefix == family.bits]
    held = [one.address for one in dump.routing.interfaces if one.dev == "eth0" and one.scope == "global"]
    own = next(filter(family.has, held))
    addresses = {one.address for one in dump.routing.interfaces}
    pods = [(text, one.dev) for one in routes if (text := text_of(one.bits, one.value)) not in addresses]
    senders = [(family.client, "eth0"), (own, None), *[pod for pod in pods if pod[1].startswith("veth")][:1]]
    for number, (dst, dport) in enumerate(targets(ruleset, own, family)):
        for src, dev in senders:
            packet = Packet(src, dst, dport=dport, in_interface=dev)
            outcomes = tuple(ruleset.trace(packet, dump.routing, beside=beside))
            assert sum(way.probability for way in outcomes) == 1
            assert not any(way.assumes for way in outcomes)
            remembers = any("update @affinity-" in rule.text for way in outcomes for rule in way.walked)
            if remembers and dev != "eth0":
                continue
            many = tuple(family.others.format(100 + number, host) for host in range(1, EACH + 1))
            yield Flow(packet, many if remembers else (src,), outcomes)


def targets(ruleset: nftables.Ruleset, own: str, family: Family) -> list[tuple[str, int]]:
    """Return the addresses and ports of the Services, and three at which no Service is."""
    table = ruleset.table(family.name, "kube-proxy")
    found = [*family.nowhere]
    for name in ("service-ips", "no-endpoint-services"):
        for element in table.sets[name].elements:
            address, _, port = str(element.key).split(" . ")
            found.append((address, int(port)))
    for name in ("service-nodeports", "no-endpoint-nodeports"):
        found += [(own, int(str(element.key).split(" . ")[1])) for element in table.sets[name].elements]
    return list(dict.fromkeys(found))


def check(made: Machine, flow: Flow, what: object, each: int = EACH) -> tuple[float, int]:
    """Send, and compare where connections left; return χ² and its degrees of freedom."""
    seen = made.send(flow.packet, each, flow.sources)
    is_one = len(flow.sources) == 1
    wanted: dict[object, Fraction] = defaultdict(Fraction)
    for way in flow.outcomes:
        if way.verdict == "ACCEPT" and way.hook == "POSTROUTING":
            source = way.packet.src if is_one or way.packet.src != flow.packet.src else "?"
            wanted[way.packet.out_interface, source, way.packet.dst, way.packet.dport or 0] += way.probability
    counted: dict[object, int] = defaultdict(int)
    for (dev, src, dst, dport), number in seen.items():
        is_any = (dev, None, dst, dport) in wanted  # one of several addresses: which one, a hash of the kernel's says
        counted[dev, None if is_any else "?" if not is_one and src in flow.sources else src, dst, dport] += number
    if flow.disturbs:
        counted = {key: number for key, number in counted.items() if key in wanted}
    assert set(counted) <= set(wanted), (what, flow.packet, dict(counted), dict(wanted))
    return fit(counted, wanted, (what, flow.packet), each)


def fit(counted: dict[object, int], wanted: Mapping[object, Fraction], what: object, each: int) -> tuple[float, int]:
    whole: dict[object, Fraction] = {**wanted, "lost": 1 - sum(wanted.values(), Fraction(0))}
    counted["lost"] = each - sum(counted.values())
    for key, probability in whole.items():
        assert fits(counted.get(key, 0), each, probability), (what, key, dict(counted), whole)
    possible = {key: probability for key, probability in whole.items() if probability}
    if len(possible) < 2:
        return 0.0, 0
    found, most = chi_squared(counted, possible)
    assert found <= most, (what, dict(counted), whole)
    return found, len(possible) - 1


def compare(dumps: Sequence[RecordedDump], family: Family = IPV4) -> tuple[int, float, int]:
    """Compare each dump in one family; return how many connections there were, χ² of all, its degrees of freedom."""
    connections = freedom = 0
    squared = 0.0
    by_node: dict[Routing, list[RecordedDump]] = defaultdict(list)
    for dump in dumps:
        by_node[dump.routing].append(dump)
    for routing, of_node in by_node.items():
        with machine(routing) as made:
            for dump in of_node:
                load(made, dump)
                for flow in flows(dump, family):
                    found, degrees = check(made, flow, str(dump))
                    squared, freedom, connections = squared + found, freedom + degrees, connections + EACH
    return connections, squared, freedom


def load(made: Machine, dump: RecordedDump) -> None:
    """Load the tables of kube-proxy; those that iptables-nft manages come from what iptables-save printed."""
    made.load_nftables(own_tables(dump.text))
    if dump.saved:
        made.load(dump.saved, "nft")


def own_tables(text: str) -> str:
    """Return kube-proxy's tables of a listing."""
    tables = re.split(r"(?m)^(?=table )", text)
    return "".join(one for one in tables if re.match(r"table ip6? kube-proxy ", one))


def of_ipv4() -> list[RecordedDump]:
    return [dump for dump in recorded_dumps() if dump.cluster == "ipv4"]


def dual() -> list[RecordedDump]:
    return [dump for dump in recorded_dumps() if dump.cluster == "dual"]


@pytest.mark.kernel
def test_nftables_trace_equals_kernel_on_a_dump() -> None:
    connections, _, freedom = compare([one for one in of_ipv4() if one.moment == "two-ports"][1:2])
    assert connections > 2000
    assert freedom > 10


@pytest.mark.kernel
def test_nftables_trace_equals_kernel_on_a_dump_of_ipv6() -> None:
    connections, _, freedom = compare([one for one in dual() if one.moment == "two-ports"][1:2], IPV6)
    assert connections > 2000
    assert freedom > 10


@pytest.mark.kernel_long
@pytest.mark.parametrize("family", [IPV4, IPV6], ids=lambda family: family.name)
def test_nftables_trace_equals_kernel_on_every_dump(family: Family) -> None:
    dumps = [*(of_ipv4() if family is IPV4 else ()), *dual()]
    connections, squared, freedom = compare(dumps, family)
    print(f"{len(dumps)} dumps, {connections:,} connections, χ² {squared:.0f} at {freedom} degrees of freedom")
    assert abs(squared - freedom) < 6 * (2 * freedom) ** 0.5, "all dice together"
