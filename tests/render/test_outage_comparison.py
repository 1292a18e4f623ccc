"""Outages side by side: the order, the numbers, the layout."""

from __future__ import annotations

import pytest

import kanslib
from kanslib.metallb.expected_outage import Scenario, lost_seconds
from kanslib.render.figure import WIDTHS
from tests.figures import faults, texts

_NOW = Scenario(endpoints=2, lost=1)
_SCENARIOS = {
    "as it was": _NOW,
    "six endpoints, and a name that is long enough to need more than one line of a phone": _NOW.replace(endpoints=6),
    "its only endpoint": _NOW.replace(policy="Local", endpoints=1, lost=1),
    "killed under BGP": _NOW.replace(protocol="BGP", policy="Local"),
}


def test_expected_outages_parts_add_up() -> None:
    compared = kanslib.expected_outages(_SCENARIOS)
    for one, scenario in zip(compared.outages, _SCENARIOS.values(), strict=True):
        assert one.seconds == pytest.approx(lost_seconds(scenario), abs=0.1)


@pytest.mark.parametrize("width", WIDTHS)
def test_outage_comparison_longest_first(width: int) -> None:
    compared = kanslib.expected_outages(_SCENARIOS)
    assert faults(compared, width) == []
    places = {one.words: one.top for one in texts(compared, width)}
    assert places["no end"] < places["21.6 s lost"] < places["11.1 s lost"] < places["nothing lost"]
    assert compared.table["LOST SECONDS"].is_monotonic_decreasing


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_outages_of_the_course(width: int) -> None:
    compared = kanslib.outages("svc1")
    assert faults(compared, width) == []
    assert compared.describe().startswith("kill-node (l2): 20.1 s lost (4.8 dark, 15.3 partly dark).")
    assert len(compared.table) == len(compared.outages)
