"""The diagram beside the election."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanslib.answer import Provenance
from kanslib.metallb.election import order
from kanslib.render.election_diagram import HashOrder, hash_lines
from kanslib.render.figure import WIDTHS
from tests.figures import faults, texts
from tests.types import OpenLab

HERE = Provenance("recorded", 0.0, "opening", "")
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,40}[a-z0-9]", fullmatch=True)
ADDRESSES = st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address))


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(NAMES, ADDRESSES.map(str), min_size=1, max_size=4),
    st.lists(NAMES, min_size=1, max_size=12, unique=True),
    st.integers(0, 2),
)
def test_election_diagram_texts_never_overlap(vips: dict[str, str], nodes: list[str], imagined: int) -> None:
    joins, leaves = ["joins"] * bool(imagined), nodes[:imagined]
    figure = HashOrder(tuple(hash_lines(vips, nodes, joins, leaves)), HERE, tuple(joins), tuple(leaves))
    for width in WIDTHS:
        assert faults(figure, width) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_election_diagram_leader_named_leftmost(open_lab: OpenLab, width: int) -> None:
    picture = open_lab("election").hash_order("svc1", "svc2", "svc3")
    stars = [one for one in texts(picture, width) if one.words.startswith("★")]
    assert [one.words for one in stars] == [f"★ {row.after} (leads)" for row in picture.lines]


def test_election_diagram_equals_election(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    vips = {service: lab.vip(service) for service in ("svc1", "svc2", "svc3")}
    picture = lab.hash_order(*vips)
    for service, ip in vips.items():
        assert f"{service} {ip}: led by {lab.leader(service)}" in picture.describe()
    assert str(picture.svg()).count("<path") == 3 * 3  # a mark for each node on each line


def test_election_diagram_join_and_leave(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    gone = str(lab.leader("svc1"))
    nodes = [node for node in lab.election("svc1").candidates if node != gone] + ["myk8s-worker4"]
    words = lab.hash_order("svc1", "svc3", joins=["myk8s-worker4"], leaves=[gone]).describe()
    assert words.startswith(f"myk8s-worker4 joins.\n{gone} leaves.\n")
    assert f"moves from {gone} to {order(nodes, lab.vip('svc1'))[0]}" in words
    assert f"svc3 {lab.vip('svc3')}: led by {lab.leader('svc3')}" in words
    alone = lab.hash_order("svc1", leaves=lab.election("svc1").candidates).describe()
    assert "to nobody" in alone
