"""What is expected of an outage, beside every outage that was recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kanslib.analysis import Outage, Phase
from kanslib.analysis.phases import DARK, PARTLY
from kanslib.metallb.expected_outage import ExpectedPhase, Scenario, compare, expected, lost_seconds
from tests.types import OpenLab, OpenReference

L2 = Scenario()
SILENT = Scenario(protocol="BGP", policy="Local", death="silent", hold=9.0)
CHANCE = 0.05  # one interval of 95 % in twenty misses its share
CASES = [
    ("failover", "kill-node", "svc1", L2),
    ("failover", "kill-node", "svc2", L2),
    ("failover", "kill-node", "svc3", replace(L2, leads=False)),
    ("bgp-silent", "cut-link", "svc1", SILENT),
    ("bgp-silent", "cut-link-2", "svc1", replace(L2, death="silent")),
]


def trouble(outage: Outage, service: str) -> list[Phase]:
    return [one for one in outage.phases[service] if one.name in (DARK, PARTLY) and one.end - one.start > 1]


def fits(stretches: tuple[ExpectedPhase, ...], phases: list[Phase]) -> None:
    assert len(stretches) == len(phases)
    for stretch, phase in zip(stretches, phases, strict=True):
        assert stretch.earliest - 0.5 <= phase.end <= stretch.latest + 0.5, stretch
        low, high = phase.interval
        assert low - CHANCE <= 1 - stretch.share <= high + CHANCE, stretch


@pytest.mark.parametrize(("story", "act", "service", "setup"), CASES)
def test_expected_equals_recorded_outages(
    open_lab: OpenLab, story: str, act: str, service: str, setup: Scenario
) -> None:
    lab = open_lab(story)
    lab.at(act)
    fits(expected(setup), trouble(lab.observation().outage(), service))


@pytest.mark.parametrize(("story", "act", "service", "setup"), CASES)
def test_expected_equals_reference_outages(
    open_reference: OpenReference, story: str, act: str, service: str, setup: Scenario
) -> None:
    lab = open_reference(story)
    lab.at(act)
    if service in lab.observation().outage().phases:
        fits(expected(setup), trouble(lab.observation().outage(), service))


def test_expected_kill_node_bgp_costs_nothing(open_lab: OpenLab) -> None:
    setup = Scenario(protocol="BGP", policy="Local", death="killed")
    assert expected(setup) == ()
    lab = open_lab("bgp")
    lab.at("kill-node-2")
    assert trouble(lab.observation().outage(), "svc1") == []


def test_lost_seconds_shortened_by_settings() -> None:
    rows = {
        row["SETUP"]: row["LOST SECONDS"]
        for row in compare(
            {
                "now": L2, "four endpoints": replace(L2, endpoints=4), "grace 20 s": replace(L2, grace=20.0),
                "three members": replace(L2, members=3), "silent": SILENT, "BFD": replace(SILENT, bfd=0.9),
                "default hold": replace(SILENT, hold=90.0),
            }
        )
    }  # fmt: skip
    assert rows["four endpoints"] < rows["now"]
    assert rows["grace 20 s"] < rows["now"]
    assert rows["BFD"] < rows["silent"] < rows["default hold"]
    assert lost_seconds(replace(L2, leads=False, lost=0)) == 0


def test_expected_all_endpoints_lost_until_new_pods() -> None:
    assert expected(replace(L2, endpoints=1, lost=1))[-1].share == 1.0
    local = expected(replace(L2, policy="Local", endpoints=1, lost=1))
    assert local[-1].end == float("inf")
