"""The diagram beside the election."""

from __future__ import annotations

from xml.etree import ElementTree

from kanslib.metallb.election import order
from kanslib.palette import PAPER
from tests.contrast import contrast
from tests.types import OpenLab


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
