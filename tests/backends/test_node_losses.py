"""The loss of a node in each setting: what is recorded, what the simulator adds, and what the timers let expect."""

from __future__ import annotations

from functools import cache

import pytest

import kanslib
from kanslib.analysis.node_loss import NodeLoss, Setting
from kanslib.backends import node_losses as module
from kanslib.backends.node_losses import SETTINGS, node_losses
from kanslib.course.recordings import shipped
from kanslib.metallb.expected_outage import expected
from kanslib.recording import Recording

RECORDED: set[Setting] = {
    ("layer 2", "Cluster", "killed"), ("layer 2", "Cluster", "silent"),
    ("BGP", "Local", "killed"), ("BGP", "Local", "silent"),
}  # fmt: skip


def course() -> Recording:
    return Recording.shared(shipped("l2"))


@cache
def losses() -> dict[Setting, NodeLoss]:
    return {one.setting: one for one in node_losses(course(), "svc1")}


@pytest.mark.slow
def test_every_setting_recorded_else_simulated() -> None:
    assert tuple(losses()) == SETTINGS
    assert {setting for setting, one in losses().items() if one.provenance.source == "recorded"} == RECORDED
    assert {one.provenance.source for one in losses().values()} == {"recorded", "simulated"}


def test_recorded_losses_are_those_of_outages() -> None:
    rows = kanslib.outages("svc1").table
    lost = {f"{row['ACTION']} ({row['STORY']})": row["LOST SECONDS"] for row in rows.to_dict("records")}
    for setting in RECORDED:
        assert losses()[setting].seconds == lost[losses()[setting].action]


@pytest.mark.parametrize("setting", SETTINGS)
def test_loss_lies_where_the_timers_let_expect(setting: Setting) -> None:
    loss = losses()[setting]
    low = high = at_low = at_high = 0.0
    for phase in expected(loss.scenario):
        low += (phase.earliest - at_low) * phase.share
        high += (phase.latest - at_high) * phase.share
        at_low, at_high = phase.earliest, phase.latest
    least, most = loss.interval
    assert least <= high + 0.5
    assert low - 0.5 <= most


@pytest.mark.slow
def test_simulated_losses_agree_with_the_recorded_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_as_recorded", lambda *_: None)
    simulated = {one.setting: one for one in node_losses(course(), "svc1")}
    assert {one.provenance.source for one in simulated.values()} == {"simulated"}
    for setting in RECORDED:
        (low, high), (least, most) = simulated[setting].interval, losses()[setting].interval
        assert low <= most + 0.5, setting
        assert least <= high + 0.5, setting


@pytest.mark.slow
def test_no_loss_of_a_service_that_is_not_led() -> None:
    assert {one.scenario.protocol for one in node_losses(course(), "svc3")} == {"BGP"}
    assert node_losses(course(), "svc9") == []
