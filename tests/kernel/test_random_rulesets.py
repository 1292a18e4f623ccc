"""Random rules, random packets: what the trace says beside what this kernel counts."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanslib import iptables
from kanslib.iptables import Packet
from kanslib.iptables.compiled import CompiledDump
from kanslib.iptables.questions import Question
from kanslib.iptables.ranges import contains
from kanslib.iptables.tracer import Tracer
from tests.iptables.rulesets import HOOKS, PORTS, ROUTING, SETS, TRIES, dumps, packets, remembering_dumps

from .machine import Machine, machine
from .test_recorded_dumps import Flow, check

KINDS = st.lists(packets(), min_size=1, max_size=4, unique=True)
FLAVOURS = st.sampled_from(["nft", "legacy"])
EACH = 40  # packets of a kind
EMPTY = "".join(
    f"*{table}\n{''.join(f':{hook} ACCEPT [0:0]{chr(10)}' for hook in hooks)}COMMIT\n" for table, hooks in HOOKS.items()
)


class Namespace:
    """What is so in a namespace: no program takes packets from a queue, lists are empty, sets hold what SETS says.

    What is a number is 0: TOS, group, type of the frame.
    """

    def answer(self, question: Question) -> bool:
        subject = question.subject
        kind, _, name = subject.name.partition(" ")
        if kind == "target":
            return "has no program" in subject.words
        if kind == "set":
            return any(holds(entry, subject.value) for entry in SETS[name][1])
        return kind != "recent" and (subject.is_fact or contains(question.values, 0))


def holds(entry: str, value: str) -> bool:
    """Return whether an entry of SETS is the value that a question names."""
    network, _, port = entry.partition(",udp:")
    address = value.rpartition(", ")[2] if port else value
    host, _, asked_port = address.partition(":")
    return ip_address(host) in ip_network(network) and (not port or port == asked_port)


@pytest.fixture(scope="module")
def machines() -> Iterator[dict[str, Machine]]:
    """One for each flavour: in one namespace both would be asked."""
    with machine(ROUTING) as nft, machine(ROUTING) as legacy:
        nft.listen(PORTS)
        legacy.listen(PORTS)
        yield {"nft": nft, "legacy": legacy}


def flows(text: str, kinds: list[Packet]) -> list[Flow]:
    tracer = Tracer((CompiledDump(iptables.parse(text)),))
    found = []
    for packet in kinds:
        outcomes = tuple(tracer.trace(packet, ROUTING, answers=Namespace()))
        assert sum(way.probability for way in outcomes) == 1
        found.append(Flow(packet, (packet.src or "",), outcomes))
    return found


def compare(machine: Machine, text: str, kinds: list[Packet], flavour: str) -> None:
    """Send many packets of each kind; what the rules do to one does not matter for the next."""
    check(machine, flavour, text, flows(text, kinds), quiet=True, each=EACH)


def compare_once(machine: Machine, text: str, kinds: list[Packet], flavour: str) -> None:
    """Send one packet of each kind, each to empty lists and the same sets."""
    for sent in flows(text, kinds):
        machine.load(EMPTY, flavour)
        machine.sets(SETS)
        check(machine, flavour, text, [sent], quiet=True, each=1)


@pytest.mark.kernel
@settings(TRIES, max_examples=60)
@given(text=dumps(), kinds=KINDS, flavour=FLAVOURS)
def test_trace_equals_kernel_on_random_rulesets(
    machines: dict[str, Machine], text: str, kinds: list[Packet], flavour: str
) -> None:
    compare(machines[flavour], text, kinds, flavour)


@pytest.mark.kernel
@settings(TRIES, max_examples=30)
@given(text=remembering_dumps(), kinds=KINDS, flavour=FLAVOURS)
def test_trace_equals_kernel_on_random_rulesets_with_memory(
    machines: dict[str, Machine], text: str, kinds: list[Packet], flavour: str
) -> None:
    compare_once(machines[flavour], text, kinds, flavour)


@pytest.mark.kernel_long
@settings(TRIES, max_examples=200)
@given(text=dumps(), kinds=KINDS, flavour=FLAVOURS)
def test_trace_equals_kernel_on_many_random_rulesets(
    machines: dict[str, Machine], text: str, kinds: list[Packet], flavour: str
) -> None:
    compare(machines[flavour], text, kinds, flavour)


@pytest.mark.kernel_long
@settings(TRIES, max_examples=100)
@given(text=remembering_dumps(), kinds=KINDS, flavour=FLAVOURS)
def test_trace_equals_kernel_on_many_random_rulesets_with_memory(
    machines: dict[str, Machine], text: str, kinds: list[Packet], flavour: str
) -> None:
    compare_once(machines[flavour], text, kinds, flavour)
