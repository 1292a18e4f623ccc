"""BGP's states as a figure: nothing overlaps, whatever happened to the session."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanslib.answer import Provenance
from kanslib.lab.lab import Lab
from kanslib.packets.bgp_fsm import STATES, Transition
from kanslib.render.bgp_states import BGPStates
from kanslib.render.figure import WIDTHS
from tests.figures import faults, texts
from tests.types import OpenLab

HERE = Provenance("recorded", 0.0, "opening", "")
EVENTS = ("TCP opens (SYN sent)", "KEEPALIVE received", "NOTIFICATION received", "hold timer expired", "UPDATE sent")
STEPS = st.builds(
    Transition, st.floats(0, 900), st.sampled_from(STATES), st.sampled_from(EVENTS), st.sampled_from(STATES), st.just(1)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_bgp_states_texts_never_overlap(steps: list[Transition]) -> None:
    figure = BGPStates(tuple(steps), "myk8s-worker", "frr", 0.0, HERE)
    for width in WIDTHS:
        assert faults(figure, width) == []


@pytest.fixture
def lab(open_lab: OpenLab) -> Lab:
    lab = open_lab("bgp")
    lab.at("apply-bgp")
    return lab


def test_bgp_states_stand_in_a_row_or_below_one_another(lab: Lab) -> None:
    figure = lab.observation().bgp.states("myk8s-worker")
    wide, narrow = ({one.words: one for one in texts(figure, width)} for width in (960, 320))
    assert len({wide[state].top for state in STATES}) == 1
    assert len({narrow[state].left + narrow[state].right for state in STATES}) == 1
    tops = [narrow[state].top for state in STATES]
    assert tops == sorted(tops)


def test_bgp_states_arrow_names_event_and_time(lab: Lab) -> None:
    figure = lab.observation().bgp.states("myk8s-worker")
    first = next(step for step in figure.steps if step.after == "Established")
    shown = " ".join(one.words for one in texts(figure, 640))
    assert f"{first.event} {first.time - figure.zero:+.1f}\u00a0s" in shown
