from __future__ import annotations

import sys
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanslib import iptables
from kanslib.iptables import Packet
from kanslib.iptables.packet import number
from kanslib.iptables.rule_index import RuleIndex, read_network

from .kube_dump import kube_dump, vip

NETWORKS = st.none() | st.sampled_from(["10.0.0.7/32", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "192.0.2.0/25"])
ADDRESSES = st.sampled_from(["10.0.0.7", "10.0.0.8", "10.9.0.1", "192.0.2.1", "192.0.2.200"])


@given(
    rules=st.lists(st.tuples(NETWORKS, NETWORKS, st.none() | st.integers(78, 82)), max_size=30),
    src=ADDRESSES,
    dst=ADDRESSES,
    dport=st.none() | st.integers(78, 82),
)
def test_candidates_are_the_rules_that_can_match(
    rules: list[tuple[str | None, str | None, int | None]], src: str, dst: str, dport: int | None
) -> None:
    index = RuleIndex(
        (read_network(one) if one else None, read_network(two) if two else None, port) for one, two, port in rules
    )
    wanted = [
        position
        for position, (one, two, port) in enumerate(rules)
        if (one is None or ip_address(src) in ip_network(one))
        and (two is None or ip_address(dst) in ip_network(two))
        and (port is None or dport is None or port == dport)
    ]
    assert index.candidates(number(src), number(dst), dport) == wanted


def count_calls(work: Callable[[], object]) -> int:
    """How many functions are called, whoever is using the machine at the same time."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def flat(rules: int) -> str:
    lines = [
        f"-A FORWARD -s 198.51.{at >> 8 & 255}.{at & 255}/32 -d 192.0.2.{at % 7 * 32}/27 -i eth0 -p tcp -m tcp "
        f'--dport {at % 60000 + 1} -m conntrack --ctstate NEW,RELATED -m comment --comment "rule {at}" -j DROP\n'
        for at in range(rules)
    ]
    return "*filter\n:FORWARD ACCEPT [0:0]\n" + "".join(lines) + "COMMIT\n"


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        (flat(4000), Packet("198.51.0.9", "192.0.2.1", dport=443, in_interface="eth0")),
        (kube_dump(400), Packet("172.18.0.100", vip(200), dport=80, in_interface="eth0")),
    ],
)
def test_work_for_each_rule_is_little(text: str, packet: Packet) -> None:
    def work() -> None:
        ruleset = iptables.parse(text)
        ruleset.trace(packet)
        assert ruleset.unknown == ()
        assert isinstance(ruleset.missing, tuple)

    assert count_calls(work) < 8 * text.count("\n"), "a rule taken apart is a hundred calls"


def test_trace_of_flat_chain_tries_few_rules() -> None:
    small, large = (iptables.parse(flat(rules)) for rules in (1000, 8000))
    packet = Packet("198.51.0.9", "192.0.2.1", dport=443, in_interface="eth0")
    for ruleset in (small, large):
        ruleset.trace(packet)  # makes the index
    assert count_calls(lambda: large.trace(packet)) < 2 * count_calls(lambda: small.trace(packet))
