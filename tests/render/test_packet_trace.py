from __future__ import annotations

import xml.etree.ElementTree as ET
from html import unescape

from kanslib import iptables
from kanslib.answer import Provenance
from kanslib.iptables import Packet
from kanslib.render.figure.walk import WalkBox
from kanslib.render.outcome_tree import outcome_tree, shown_steps
from kanslib.render.packet_trace import Trace
from tests.iptables.kube_dump import kube_dump, vip
from tests.types import OpenLab

SVG = "{http://www.w3.org/2000/svg}"
HERE = Provenance("recorded", 0.0, "opening", "")


def boxes(box: WalkBox) -> list[WalkBox]:
    return [box, *(inner for part in box.branches for inner in boxes(part))]


def many(endpoints: int) -> Trace:
    packet = Packet("172.18.0.100", vip(1), dport=80, in_interface="eth0")
    return Trace(iptables.parse(kube_dump(3, endpoints)).trace(packet), "a packet", HERE)


def test_trace_svg_rules_focusable_and_labelled(open_lab: OpenLab) -> None:
    walk = open_lab("iptables").trace("svc1")
    picture = ET.fromstring(walk.svg())
    steps = [group for group in picture.iter(f"{SVG}g") if group.get("tabindex") == "0"]
    told = {step.rule.text for way in walk for step in shown_steps(way)}
    labels = [group.get("aria-label") or "" for group in steps]
    assert {label.partition("Rule: ")[2] for label in labels} == told
    assert any("came from outside, so mark for masquerade" in label for label in labels)
    assert picture.get("aria-label") == walk.summary


def test_trace_svg_shares_sum_to_one() -> None:
    for endpoints in (1, 2, 3, 6, 7, 200):
        walk = many(endpoints)
        for box in boxes(outcome_tree(walk.outcomes)):
            if box.branches:
                assert abs(sum(part.weight for part in box.branches) - 1) < 1e-6


def test_trace_svg_two_hundred_endpoints_folded() -> None:
    walk = many(200)
    found = boxes(outcome_tree(walk.outcomes))
    assert [box.hidden for box in found if box.hidden] == [196]
    assert walk.drawing(960).height < 1200
    words = walk.describe()
    assert all(f"{way.packet.dst}:80" in words for way in walk)
    assert words.count("1/200 → ") == 200


def test_trace_svg_conditions_in_box(open_lab: OpenLab) -> None:
    lab = open_lab("etp-local")
    lab.at("apply-session-affinity")
    walk = lab.trace("svc3")
    parts = outcome_tree(walk.outcomes).branches
    half = "1/2 of the connections (50 %)"
    assert [part.share for part in parts] == ["", "", half, half]
    assert ["holds" in part.conditions[0] for part in parts] == [True, False, False, False]
    assert "it depends on what is not known (the list KUBE-SEP-" in walk.summary


def test_trace_svg_share_of_packets_where_each_is_asked() -> None:
    """A random match outside nat meets every packet of a connection; in nat it meets the first one."""
    rules = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m statistic --mode random --probability 0.25 -j DROP\nCOMMIT\n"
    packet = Packet("10.0.0.9", "10.0.0.1", dport=80, in_interface="eth0")
    walk = Trace(iptables.parse(rules).trace(packet), "a packet", HERE)
    shares = {part.share for part in outcome_tree(walk.outcomes).branches}
    assert shares == {"1/4 of the packets (25 %)", "75 % of the packets"}
    assert all("of the connections" in part.share for part in outcome_tree(many(3).outcomes).branches)


def test_trace_svg_dropped_path_not_green(open_lab: OpenLab) -> None:
    lab = open_lab("etp-local")
    lab.at("apply-etp-local")
    assert "✗ DROP at FORWARD" in lab.trace("svc1", node="myk8s-worker3").svg()
    assert "stroke-dasharray" not in lab.trace("svc1").svg()


def test_trace_html_words_folded_with_provenance(open_lab: OpenLab) -> None:
    html = open_lab("iptables").trace("svc1")._repr_html_()
    assert html.count("<details") == 1
    assert "derived from that node's rules" in unescape(html)
    assert "recorded 2026-11-23" in html
