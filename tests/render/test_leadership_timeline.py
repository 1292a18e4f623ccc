"""Who leads in whose view: the disagreement that is too short to see is drawn again, stretched."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanslib.analysis.leadership import LeaderView
from kanslib.answer import Provenance
from kanslib.render.figure import WIDTHS
from kanslib.render.leadership_timeline import LeadershipTimeline
from tests.figures import faults, texts
from tests.types import OpenLab

_NOWHERE = Provenance("simulated", 0.0, "opening", "none")
_NAMES = ["mypc", "node-with-a-rather-long-name.example.org", "2001:db8:1234:5678:9abc:def0:1234:5678", ""]


@pytest.mark.parametrize("width", WIDTHS)
def test_leadership_shows_the_tenth_of_a_second(open_lab: OpenLab, width: int) -> None:
    figure = open_lab("failover").observation("kill-node").leadership("svc1")
    assert faults(figure, width) == []
    words = " ".join(one.words for one in texts(figure, width))
    assert "Not all agree, +5.31 to +5.41 s" in words
    assert words.count("the API's newest event") == 2  # once more on the stretched axis


def test_leadership_of_a_long_disagreement_needs_no_second_axis(open_lab: OpenLab) -> None:
    found = texts(open_lab("bgp-silent").observation("cut-link-2").leadership("svc3"), 960)
    assert not [one for one in found if "Not all agree" in one.words]


_VIEWS = st.builds(
    LeaderView, st.sampled_from(_NAMES[:3]), st.floats(-5, 60), st.floats(61, 130), st.sampled_from(_NAMES)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_VIEWS, min_size=1, max_size=6, unique_by=lambda view: view.viewer))
def test_leadership_no_text_touches_another(views: list[LeaderView]) -> None:
    for width in WIDTHS:
        assert faults(LeadershipTimeline(views, "Who has svc1 (192.0.2.50)?", "kill-node", _NOWHERE), width) == []
