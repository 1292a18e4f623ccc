"""The story of ARP: its layout at each width, and its plotly twin."""

from __future__ import annotations

import pytest

from kanslib.render.figure import WIDTHS
from tests.figures import faults, texts
from tests.types import OpenLab


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("story", "moment"), [("arp", "apply-services"), ("failover", "kill-node"), ("bgp-silent", "cut-link-2")]
)
def test_arp_timeline_texts_stand_apart(open_lab: OpenLab, story: str, moment: str, width: int) -> None:
    assert faults(open_lab(story).observation(moment).arp.timeline(), width) == []


def test_arp_timeline_names_who_announces_and_who_holds(open_lab: OpenLab) -> None:
    figure = open_lab("failover").observation("kill-node").arp.timeline()
    words = [one.words for one in texts(figure, 960)]
    assert "20 announcements" in words
    assert words.count("mypc sends to myk8s-worker2") == 1
    assert words.count("myk8s-worker2") == 2  # beside its two runs of announcements


def test_arp_timeline_plotly_has_every_message(open_lab: OpenLab) -> None:
    figure = open_lab("failover").observation("kill-node").arp.timeline()
    assert sum(len(trace.x) for trace in figure.plotly().data) == len(figure.table)
