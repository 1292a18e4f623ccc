"""The map beside what the lab says, and its drawing for random clusters."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kanslib
from kanslib import manifests
from kanslib.answer import Provenance
from kanslib.palette import SERVICE_COLOURS, VERMILLION
from kanslib.render.cluster_map import ClusterMap
from kanslib.render.figure import WIDTHS
from kanslib.render.map_views import MapView, NodeView, PodView, VIPView
from tests.figures import SVG, faults, texts
from tests.types import OpenLab

NOWHERE = Provenance("simulated", 0.0, "opening", "none")


def test_map_follows_clock(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    before = lab.map().describe()
    lab.at("kill-node")
    after = lab.map()
    address = lab.address("myk8s-worker")
    assert f"myk8s-worker (worker, {address}, zone ap-northeast-2a): speaker; pods webpod1; leads svc1" in before
    assert "NotReady" in after.describe()
    assert "leads svc1 172.18.255.200" in after.describe()


def test_map_node_dead_before_the_api_says_so(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node", after=3)
    assert "True" in str(lab.objects("nodes")[1]["status"]["conditions"])
    drawn = lab.map()
    assert "down, the API still says Ready" in drawn.table.set_index("NODE").STATE["myk8s-worker"]
    assert VERMILLION in str(drawn.svg())


def test_map_names_paths_of_requests(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    assert "Requests to svc1 172.18.255.200: mypc → myk8s-worker → webpod1 or webpod2." in lab.map().describe()
    lab.at("kill-node")
    assert "Requests to svc1 172.18.255.200: mypc → myk8s-worker2 → webpod2." in lab.map().describe()


def test_map_addresses_without_leader(open_lab: OpenLab) -> None:
    drawn = open_lab("case-1").map()
    assert "Nobody leads svc1 172.18.255.200" in drawn.describe()
    assert any("nobody announces it" in text.words for text in texts(drawn, 960))


def test_map_router_and_its_routes(open_lab: OpenLab) -> None:
    lab = open_lab("bgp")
    assert "router" not in lab.map().describe()
    lab.at("route-client")
    advertising = lab.map().table.set_index("NODE").ADVERTISES
    hops = lab.routes()
    addresses = {node: lab.address(node) for node in advertising.index}
    for node, vips in advertising.items():
        assert ("svc1" in vips) == any(addresses[str(node)] in str(row) for row in hops.itertuples())
    assert "The router router at 172.18.0.200." in lab.map().describe()


def test_map_local_policy_stays_on_its_node(open_lab: OpenLab) -> None:
    lab = open_lab("bgp")
    lab.at("bgp-etp-local")
    local = [one["metadata"]["name"] for one in lab.objects("services")
             if one["spec"].get("externalTrafficPolicy") == "Local"]  # fmt: skip
    assert local
    nodes = {pod["spec"]["nodeName"] for pod in lab.objects("pods") if pod["metadata"]["namespace"] == "default"}
    shown = lab.map().table.set_index("NODE").ADVERTISES
    assert {str(node) for node, vips in shown.items() if local[0] in vips} == nodes


def test_map_client_reaches_routes_once_it_uses_the_router(open_lab: OpenLab) -> None:
    lab = open_lab("bgp")
    lab.at("apply-bgp")
    assert "Routes to svc1 172.18.255.200: router → myk8s-worker or" in lab.map().describe()
    lab.at("route-client")
    assert "Requests to svc1 172.18.255.200: mypc → router → myk8s-worker or" in lab.map().describe()


def test_map_pool_with_both_advertisements_follows_the_clients_route() -> None:
    lab = kanslib.open_lab(story="bgp", backend="simulated")
    lab.at("apply-bgp")
    lab.apply(manifests.l2advertisement)
    assert f"Requests to svc1 {lab.vip('svc1')}: mypc → {lab.leader('svc1')} →" in lab.map().describe()
    lab.route_client()
    assert f"Requests to svc1 {lab.vip('svc1')}: mypc → router →" in lab.map().describe()


@pytest.mark.parametrize(("story", "silent"), [("case-4", 1), ("case-6", 1), ("case-8", 3)])
def test_map_event_of_a_leader_that_is_gone_draws_no_path(open_lab: OpenLab, story: str, silent: int) -> None:
    lab = open_lab(story)
    drawn = lab.map()
    leader = lab.leader("svc1")
    assert leader
    assert "Requests to svc1" not in drawn.describe()
    assert f"svc1: the API's newest event names {leader}, the election no node." in drawn.describe()
    assert len([one for one in texts(drawn, 960) if "nobody announces it" in one.words]) == silent


def test_map_lines_to_pods_stay_on_their_node_with_local() -> None:
    def lines(*, local: bool) -> int:
        pod = PodView("web", ready=True, services=("svc",))
        nodes = [NodeView(name, "192.0.2.9", "", "worker", True, False, True, False, (pod,)) for name in "ab"]
        view = MapView(tuple(nodes), (VIPView("svc", "192.0.2.1", ("a", "b"), by_bgp=True, local=local),))
        below = ET.fromstring(str(ClusterMap(view, NOWHERE).svg(960))).iter(SVG + "path")
        return max(str(path.get("d")).count("Q") for path in below)

    assert lines(local=True) < lines(local=False)


def test_map_prints_words(open_lab: OpenLab) -> None:
    assert str(open_lab("failover").map()).startswith("4 nodes on one network, and the client mypc")


def test_map_text_follows_theme(open_lab: OpenLab) -> None:
    for story, moment in (("failover", "kill-node"), ("case-1", "opening")):
        lab = open_lab(story)
        lab.at(moment)
        root = ET.fromstring(str(lab.map().svg()))
        assert {text.get("fill") for text in root.iter(SVG + "text")} == {"currentColor"}


def test_map_since_points_out_what_changed(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node", after=3)
    before = lab.map()
    lab.at("kill-node", after=15)
    after = lab.map().since(before)
    assert after.changed == {"svc1", "svc2"}
    assert str(after.body_html()).count("kans-changed") > str(before.body_html()).count("kans-changed")
    assert lab.map().since(lab.map()).changed == frozenset()


def test_map_dual_stack_shows_both_addresses() -> None:
    view = MapView((), (VIPView("svc", "192.0.2.1 2001:db8::1", ()),))
    assert "2001:db8::1" in " ".join(text.words for text in texts(ClusterMap(view, NOWHERE), 320))


@st.composite
def clusters(draw: st.DrawFn) -> MapView:
    """Return a cluster of up to 12 nodes, 10 VIPs and 30 Pods a node, with names of any length."""
    word = st.text("abcdefghmwiz0189-.", min_size=1, max_size=30)
    services = draw(st.lists(word, max_size=10, unique=True))
    names = draw(st.lists(word, max_size=12, unique=True))
    address = st.sampled_from(["172.18.0.4", "2001:db8:1111:2222:3333:4444:5555:6666", ""])
    nodes = []
    for name in names:
        count = draw(st.sampled_from([0, 0, 1, 2, 4, 5, 30]))
        served = st.lists(st.sampled_from(services), max_size=3, unique=True) if services else st.just([])
        pods = [PodView(f"{draw(word)}-{place}", draw(st.booleans()), tuple(draw(served))) for place in range(count)]
        ready, stopped, speaker, excluded = (draw(st.booleans()) for _ in range(4))
        zone, role = draw(st.one_of(st.just(""), word)), draw(st.sampled_from(["worker", "control plane"]))
        nodes.append(NodeView(name, draw(address), zone, role, ready, stopped, speaker, excluded, tuple(pods)))
    vips = []
    for service in services:
        leaders = draw(st.lists(st.sampled_from([*names, "gone"]), max_size=4, unique=True))
        vips.append(
            VIPView(
                service,
                draw(st.sampled_from(["192.0.2.1", "192.0.2.1 2001:db8::1"])),
                tuple(leaders),
                len(leaders) > 1,
                draw(st.booleans()),
            )
        )
    client, router = (draw(st.one_of(st.none(), st.tuples(word, address))) for _ in range(2))
    notes = tuple(draw(st.lists(word, max_size=2)))
    return MapView(tuple(nodes), tuple(vips), client, router, notes, is_routed=draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(clusters(), st.sampled_from(WIDTHS))
def test_map_of_any_cluster_texts_apart_and_inside(view: MapView, width: int) -> None:
    figure = ClusterMap(view, NOWHERE)
    found = texts(figure, width)
    assert not found or faults(figure, width) == []  # a cluster of nothing has no text
    shown = re.sub(r"\s", "", "".join(text.words for text in found))
    assert all(node.name in shown for node in view.nodes)


def test_map_many_pods_are_counted() -> None:
    pods = tuple(PodView(f"web-{number}", ready=True, services=("svc",)) for number in range(30))
    node = NodeView("a", "192.0.2.9", "", "worker", True, False, True, False, pods)
    figure = ClusterMap(MapView((node,), (VIPView("svc", "192.0.2.1", ("a",)),)), NOWHERE)
    assert [one.words for one in texts(figure, 960) if one.words.startswith("+")] == ["+27 Pods"]


def test_map_services_have_their_colours() -> None:
    vips = tuple(VIPView(f"svc{number}", f"192.0.2.{number}", ("a",)) for number in range(8))
    node = NodeView("a", "192.0.2.9", "", "worker", True, False, True, False, ())
    figure = ClusterMap(MapView((node,), vips, ("mypc", "192.0.2.100")), NOWHERE)
    for width in WIDTHS:
        paths = ET.fromstring(str(figure.svg(width))).iter(SVG + "path")
        assert {path.get("stroke") for path in paths} >= set(SERVICE_COLOURS)
