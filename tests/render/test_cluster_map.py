"""The map beside what the lab says."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.types import OpenLab


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
