"""Random rules, random packets: what the trace says beside what this kernel counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanslib import iptables
from kanslib.iptables import Packet
from tests.iptables.rulesets import PORTS, ROUTING, TRIES, dumps, packets

from .machine import Machine, machine
from .test_recorded_dumps import Flow, check


@pytest.fixture(scope="module")
def machines() -> Iterator[dict[str, Machine]]:
    """One for each flavour: in one namespace both would be asked."""
    with machine(ROUTING) as nft, machine(ROUTING) as legacy:
        nft.listen(PORTS)
        legacy.listen(PORTS)
        yield {"nft": nft, "legacy": legacy}


@pytest.mark.kernel
@TRIES
@given(
    text=dumps(),
    kinds=st.lists(packets(), min_size=1, max_size=4, unique=True),
    flavour=st.sampled_from(["nft", "legacy"]),
)
def test_trace_equals_kernel_on_random_rulesets(
    machines: dict[str, Machine], text: str, kinds: list[Packet], flavour: str
) -> None:
    ruleset = iptables.parse(text)
    sent = []
    for packet in kinds:
        outcomes = tuple(ruleset.trace(packet, ROUTING))
        assert sum(way.probability for way in outcomes) == 1
        assert not any(way.assumes for way in outcomes)
        sent.append(Flow(packet, (packet.src or "",), outcomes))
    check(machines[flavour], flavour, text, sent, quiet=True)
