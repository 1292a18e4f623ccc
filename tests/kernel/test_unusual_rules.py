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
    rules = ("ct state new counter", "ct state invalid counter", "udp dport 53 counter notrack")
    asked = ("ct state untracked counter", "ct state new counter")
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
    chains = (
        chain("own", f"{kind} hook output priority mangle", f"ip daddr 10.0.1.20 counter {change}"),
        chain("way", "filter hook postrouting priority 0", 'oifname "eth0" counter', 'oifname "eth1" counter'),
    )
    compare(made, table(*chains), OWN, 1)
