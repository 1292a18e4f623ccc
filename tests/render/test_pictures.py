"""Figures say in words what they show, hold their contrast, and come from data."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from kanslib.metallb.election import order
from kanslib.palette import BLUE, GREEN, GREY, PAPER, PURPLE, VERMILLION
from tests.contrast import contrast
from tests.types import OpenLab, OpenReference

LIGHT, DARK = "#ffffff", "#111111"


@pytest.mark.parametrize("colour", [BLUE, VERMILLION, GREEN, PURPLE, GREY])
@pytest.mark.parametrize("ground", [LIGHT, DARK])
def test_palette_marks_contrast(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 3


def test_palette_badge_text_contrast() -> None:
    assert contrast("#ffffff", BLUE) >= 4.5


def test_outage_timeline_text_contrast(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node")
    layout = lab.timeline().layout
    assert contrast(layout.font.color, layout.paper_bgcolor) >= 4.5
    assert layout.paper_bgcolor == layout.plot_bgcolor


def test_cluster_map_text_follows_theme(open_lab: OpenLab) -> None:
    for story, moment in (("failover", "kill-node"), ("case-1", "opening")):
        lab = open_lab(story)
        lab.at(moment)
        texts = [node for node in ElementTree.fromstring(lab.map()).iter() if node.tag.endswith("text")]
        assert {text.get("fill") for text in texts} <= {"currentColor", "#ffffff"}


def test_cluster_map_valid_svg_with_description(open_lab: OpenLab) -> None:
    picture = open_lab("failover").map()
    root = ElementTree.fromstring(picture)
    assert root.get("role") == "img"
    assert root.get("aria-label") == picture.describe()
    drawn = " ".join(node.text or "" for node in root.iter() if node.tag.endswith("text"))
    for name in ("myk8s-control-plane", "myk8s-worker3", "webpod1", "172.18.255.200", "ap-northeast-2c", "mypc"):
        assert name in drawn
        assert name in picture.describe()


def test_cluster_map_follows_clock(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    before = lab.map().describe()
    lab.at("kill-node")
    after = lab.map()
    address = lab.address("myk8s-worker")
    assert f"myk8s-worker (worker, {address}, zone ap-northeast-2a): speaker; pods webpod1; leads svc1" in before
    assert "NotReady" in after.describe()
    assert "stroke-dasharray" in after  # a dead node is dashed, not only red
    assert "leads svc1 172.18.255.200" in after.describe()


def test_cluster_map_names_addresses_without_leader(open_lab: OpenLab) -> None:
    assert "Nobody leads svc1 172.18.255.200" in open_lab("case-1").map().describe()


def test_cluster_map_shows_running_router(open_lab: OpenLab) -> None:
    lab = open_lab("bgp")
    assert "router" not in lab.map().describe()
    lab.at("start-router")
    assert "The router router at 172.18.0.200." in lab.map().describe()


def test_election_diagram_equals_election(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    vips = {service: lab.vip(service) for service in ("svc1", "svc2", "svc3")}
    picture = lab.hash_order(*vips)
    root = ElementTree.fromstring(picture)
    assert root.get("aria-label") == picture.describe()
    texts = [node for node in root.iter() if node.tag.endswith("text")]
    assert texts
    assert all(contrast(str(text.get("fill")), PAPER) >= 4.5 for text in texts)
    for service, ip in vips.items():
        assert f"{service} {ip}: led by {lab.leader(service)}" in picture.describe()
    shapes = [tag.rpartition("}")[2] for node in root.iter() for tag in [node.tag] if "}g" in node.tag]
    assert len(shapes) == 3 * 3 + 3  # a mark for each node on each line, and in the legend


def test_election_diagram_join_and_leave(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    gone = str(lab.leader("svc1"))
    nodes = [node for node in lab.election("svc1").candidates if node != gone] + ["myk8s-worker4"]
    words = lab.hash_order("svc1", "svc3", joins=["myk8s-worker4"], leaves=[gone]).describe()
    assert words.startswith(f"myk8s-worker4 joins. {gone} leaves. ")
    assert f"moves from {gone} to {order(nodes, lab.vip('svc1'))[0]}" in words
    assert f"svc3 {lab.vip('svc3')}: led by {lab.leader('svc3')}" in words
    alone = lab.hash_order("svc1", leaves=lab.election("svc1").candidates).describe()
    assert "to nobody" in alone


def test_outage_timeline_every_probe_and_phase(open_reference: OpenReference) -> None:
    lab = open_reference("failover")
    with lab.observe(probes=["svc1"], seconds=120):
        lab.kill_node("myk8s-worker")
    figure = lab.timeline()
    requests = [trace for trace in figure.data if trace.legendgroup in ("requests", "failures")]
    assert sum(len(trace.x) for trace in requests) == len(lab.probes("svc1"))
    symbols = {trace.name: trace.marker.symbol for trace in requests}
    assert symbols["answered"] != symbols["no answer"]
    words = figure.describe()
    assert "VIP dark (13 of 13 failed: leader gone 11, unreachable 2)" in words
    assert "partly dark (60 of 112 failed: endpoint gone 60)" in words
    assert "healthy with stragglers (5 of" in words
    for lane in (
        "memberlist at +1.6 s",
        "speaker at +5.7 s",
        "leader at +5.6 s",
        "gratuitous ARP at +5.7 s",
        "node at +38.2 s",
        "endpoints at +38.2 s",
        "rules at +",
    ):
        assert lane in words


def test_outage_timeline_no_upload_link(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node")
    bundle = lab.timeline()._repr_mimebundle_()
    plotly = next(value for key, value in bundle.items() if "plotly" in key)
    assert plotly["config"]["showSendToCloud"] is False
    assert json.dumps(plotly)
