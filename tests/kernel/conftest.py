"""A machine for each test, and both kinds of iptables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.iptables.rulesets import ROUTING

from .machine import Machine, machine


@pytest.fixture(params=["nft", "legacy"])
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made() -> Iterator[Machine]:
    with machine(ROUTING) as found:
        yield found
