"""A packet's walk as a picture: nothing overlaps and nothing is outside, whatever the rules are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from kanslib import iptables
from kanslib.answer import Provenance
from kanslib.exceptions import TooManyPathsError
from kanslib.iptables import Packet
from kanslib.render.figure import WIDTHS, Drawing, Figure
from kanslib.render.figure.walk import WalkBox, WalkedRule, draw_walk
from kanslib.render.packet_trace import Trace
from tests.figures import faults, texts
from tests.iptables.rulesets import ROUTING, TRIES, dumps, packets

HERE = Provenance("recorded", 0.0, "opening", "")
SIX = "2001:db8:1234:5678:9abc:def0:1234:5678"


class _Walk(Figure):
    """A tree of boxes that no trace has made."""

    def __init__(self, root: WalkBox, title: str = "a packet") -> None:
        self.root, self.title = root, title

    def drawing(self, width: int) -> Drawing:
        return draw_walk(self.root, self.title, width)

    def describe(self) -> str:
        return self.title


@pytest.mark.slow
@settings(TRIES, max_examples=30)
@given(dumps(), packets())
def test_walk_texts_of_random_traces_never_overlap(text: str, packet: Packet) -> None:
    try:
        trace = Trace(iptables.parse(text).trace(packet, ROUTING), str(packet), HERE)
    except TooManyPathsError:
        return
    for width in WIDTHS:
        assert faults(trace, width) == []


def rule(words: str) -> WalkedRule:
    return WalkedRule("KUBE-SVC", "PREROUTING", words, f"-A KUBE-SVC -d {SIX}/128 -j DNAT", "nat, line 12", words)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("depth", [1, 2, 3, 6, 12])
def test_walk_deep_tree_with_ipv6_fits(width: int, depth: int) -> None:
    box = WalkBox((rule(f"the destination becomes [{SIX}]:8080"),), "1/3 of the packets (33.3 %)", 1 / 3, end=(SIX,))
    for _ in range(depth - 1):
        box = WalkBox((rule("on to all endpoints"),), "2/3 of the packets", 2 / 3, branches=(box, WalkBox(end=(SIX,))))
    assert faults(_Walk(box, f"a packet to [{SIX}]:80, by the rules of a node"), width) == []


def test_walk_wide_figure_has_columns_and_narrow_figure_has_rows() -> None:
    figure = _Walk(WalkBox((rule("first"),), branches=(WalkBox((rule("left"),)), WalkBox((rule("right"),)))))
    wide, narrow = ({one.words: one for one in texts(figure, width)} for width in (960, 320))
    assert wide["left"].left > wide["first"].right
    assert narrow["left"].top > narrow["first"].bottom


def test_walk_thickness_shows_unequal_shares() -> None:
    branches = (WalkBox(weight=0.9, end=("often",)), WalkBox(weight=0.1, end=("seldom",)))
    svg = str(_Walk(WalkBox((rule("first"),), branches=branches)).svg(960))
    assert 'stroke-width="8.7"' in svg
    assert 'stroke-width="2.3"' in svg


@pytest.mark.parametrize("width", WIDTHS)
def test_walk_printed_rules_stay_inside(width: int) -> None:
    long = WalkedRule(
        "FORWARD", "", "dropped", "-A FORWARD " + "--comment something " * 60, "filter, line 1", "dropped"
    )
    figure = _Walk(WalkBox((long, rule("second")), end=("DROP",), let_through=False))
    height = figure.drawing(width).height
    shown = [one for one in texts(figure, width, hidden="") if one.words.startswith(("-A", "filter", "nat"))]
    assert len(shown) == 4
    assert all(one.top >= 0 and one.bottom <= height and one.right <= width for one in shown)
