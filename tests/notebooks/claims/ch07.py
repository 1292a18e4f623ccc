"""Chapter 07: what BGP and layer 2 did in the recording, what the simulator does, and what the standards say."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import kanslib
from kanslib import manifests
from kanslib.analysis.node_loss import NodeLoss, Setting, scenario_of
from kanslib.analysis.phases import DARK, PARTLY
from kanslib.analysis.timeline_events import BGPSessionEvent, HoldTimerEvent
from kanslib.backends.node_losses import node_losses
from kanslib.course.recordings import shipped
from kanslib.lab.lab import Lab
from kanslib.metallb.bgp import peers
from kanslib.metallb.expected_outage import Scenario, expected, lost_seconds
from kanslib.packets import bgp
from kanslib.recording import Recording
from tests.notebooks.claims import Claims

CLAIMS = Claims()
NODE = "myk8s-worker"
RECORDED = ("recorded",)


@cache
def losses() -> dict[Setting, NodeLoss]:
    """Return the loss of a node in each setting."""
    return {one.setting: one for one in node_losses(Recording.shared(shipped("l2")), "svc1")}


def hops(lab: Lab, service: str = "svc1") -> set[str]:
    """Return the router's next hops of a Service."""
    routes = lab.routes()
    return set(routes[f"{lab.vip(service)}/32" == routes.PREFIX].NODE)


def updates(lab: Lab) -> list[bgp.Message]:
    """Return the UPDATE messages of the capture that announce something."""
    lab.at("apply-bgp")
    found = [one.message for one in bgp.messages(lab.observation().frames("bgp"))]
    return [one for one in found if one.name == "UPDATE" and one.announced]


# ── a router beside the cluster ──────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("07-05", "crosses the border of a system", "Both numbers come from the private range", story="bgp")
def two_private_systems(lab: Lab) -> None:
    lab.at("apply-bgp")
    (peer,) = peers(lab.objects)
    assert not peer.is_internal
    assert all(64512 <= asn <= 65534 for asn in (peer.asn, peer.my_asn))


CLAIMS.fact("07-05", "private range", source="RFC 6996: 64512 to 65534")


@CLAIMS.claim("07-05", "opens a TCP connection to port 179 of the router", story="bgp", on=RECORDED)
def speakers_connect_to_the_router(lab: Lab) -> None:
    lab.at("apply-bgp")
    router = lab.address(lab.router)
    syns = [one for one in lab.observation().frames("tcp") if one.tcp and one.tcp.flags == "S" and one.tcp.dport == 179]
    to_router = {one.ip.src for one in syns if one.ip and one.ip.dst == router}
    assert to_router <= {lab.address(node) for node in lab.nodes().NAME}
    assert lab.address(NODE) in to_router


@CLAIMS.claim("07-05", "`router bgp` is `peerASN`", "`remote-as` is `myASN`", story="bgp", on=RECORDED)
@CLAIMS.claim("07-05", "The router names each node as a neighbor", story="bgp", on=RECORDED)
@CLAIMS.claim("07-19", "as `maximum-paths` in its configuration allows", story="bgp", on=RECORDED)
def router_has_the_other_half(lab: Lab) -> None:
    lab.at("apply-bgp")
    lines = str(lab.run(lab.router, "vtysh -c 'show running-config'")).split("\n")
    config = [line.strip() for line in lines]
    (peer,) = peers(lab.objects)
    assert f"router bgp {peer.asn}" in config
    assert f"neighbor MLB remote-as {peer.my_asn}" in config
    assert {f"neighbor {lab.address(node)} peer-group MLB" for node in lab.nodes().NAME} <= set(config)
    (paths,) = [int(line.split()[1]) for line in config if line.startswith("maximum-paths")]
    assert paths >= len(hops(lab)) > 1


@CLAIMS.claim("07-09", "The router has a session with each node", "control plane announced no prefix", story="bgp")
def four_sessions_three_announce(lab: Lab) -> None:
    lab.at("apply-bgp")
    summary = str(lab.run(lab.router, "vtysh -c 'show bgp ipv4 unicast summary json'"))
    assert all(lab.address(node) in summary for node in lab.nodes().NAME)
    assert set(lab.routes().NODE) == set(lab.nodes().NAME) - {lab.control_plane}


# ── the messages ─────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("07-12", "an `UPDATE` for each VIP", story="bgp", on=RECORDED)
@CLAIMS.claim("07-12", "The router also passes on what it learned", story="bgp", on=RECORDED)
def one_update_for_each_vip(lab: Lab) -> None:
    lab.at("apply-bgp")
    messages = lab.observation().bgp.messages(NODE)
    sent = messages[(messages.FROM == NODE) & (messages.MESSAGE == "UPDATE")]
    assert sorted(one.split("/")[0] for one in sent.INFO) == sorted(map(lab.vip, ("svc1", "svc2", "svc3")))
    assert "UPDATE" in messages[lab.router == messages.FROM].MESSAGE.tolist()


CLAIMS.fact("07-12", "MetalLB ignores that", source="MetalLB v0.14.8 internal/bgp/native/native.go consumeBGP")
CLAIMS.fact("07-16", "A router that finds its own number there ignores the route", source="RFC 4271, section 9.1.2")


@CLAIMS.claim("07-59", "Their `AS_PATH` is longer", "its length has a second byte", story="bgp", on=RECORDED)
@CLAIMS.claim("read-the-next-hop", "Attributes begin at byte 23", "NEXT_HOP has the type 3", story="bgp", on=RECORDED)
@CLAIMS.claim(
    "read-the-next-hop",
    "place += 3 + message[place + 2]",
    "the length has two bytes",
    "until the type is 3",
    story="bgp",
    on=RECORDED,
)
def attributes_can_be_walked(lab: Lab) -> None:
    found = updates(lab)
    assert {len(one.as_path) for one in found} == {1, 2}
    for message in found:
        place = 23
        while message.raw[place + 1] != 3:
            size = 2 if message.raw[place] & 0x10 else 1
            assert size == 1 or len(message.as_path) == 2
            place += 2 + size + int.from_bytes(message.raw[place + 2 : place + 2 + size])
        assert ".".join(map(str, message.raw[place + 3 : place + 7])) == message.next_hop


@CLAIMS.claim(
    "bytes-of-an-update", "a third of it is a marker", "The marker has sixteen bytes", story="bgp", on=RECORDED
)
def marker_is_a_third(lab: Lab) -> None:
    raw = updates(lab)[0].raw
    assert raw[:16] == b"\xff" * 16 != raw[1:17]
    assert len(raw) == 3 * 16


# ── several ways ─────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("07-19", "For each VIP the router uses *several* next hops at the same time", story="bgp")
def several_next_hops(lab: Lab) -> None:
    lab.at("apply-bgp")
    assert all(len(hops(lab, name)) > 1 for name in ("svc1", "svc2", "svc3"))
    assert set(lab.routes()["IN USE"]) == {"yes"}


@CLAIMS.claim("07-21", "each request was answered", story="bgp")
@CLAIMS.claim("cards-or-hash", "a hundred connections", story="bgp")
@CLAIMS.claim("07-78", "a hundred connections", story="bgp")
def every_request_answered(lab: Lab) -> None:
    lab.at("apply-bgp")
    lab.route_client()
    answers = lab.curl("svc1", times=100)
    assert answers.COUNT.sum() == 100
    assert set(answers.HOSTNAME) == {"webpod1", "webpod2"}


CLAIMS.fact(
    "07-21",
    "Linux hashes the addresses only",
    source="Linux Documentation/networking/ip-sysctl.rst, fib_multipath_hash_policy",
)


@CLAIMS.claim("07-25", "every announcing node still takes its share", "Only nodes with a ready endpoint", story="bgp")
@CLAIMS.claim("07-61", "no node replaces its address", story="bgp")
def local_shares_among_nodes_with_endpoints(lab: Lab) -> None:
    lab.at("bgp-etp-local")
    assert hops(lab) == {"myk8s-worker", "myk8s-worker2"}
    answers = lab.curl("svc1", times=100)
    assert set(answers.REMOTE) == {lab.address(lab.client)}
    assert answers.COUNT.min() > 30


# ── placement, both protocols ────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("07-27", "Let a node have three Pods, and another node a single one", story="bgp", on=("simulated",))
@CLAIMS.claim(
    "07-31", "serves as much as the other three together", "allows only one Pod", story="bgp", on=("simulated",)
)
@CLAIMS.claim("share-of-a-lonely-pod", "a next hop has three Pods, another one has a single Pod", story="bgp",
              on=("simulated",))  # fmt: skip
def single_pod_serves_as_much_as_three(lab: Lab) -> None:
    lab.at("bgp-etp-local")
    webpod1 = manifests.webpods.split("---")[0]
    for name in ("webpod3", "webpod4"):
        lab.apply(webpod1.replace("webpod1", name))
    answers = lab.curl("svc1", times=400)
    counts = dict(zip(answers.HOSTNAME, answers.COUNT, strict=True))
    assert 0.4 < counts["webpod2"] / 400 < 0.6
    nodes = [pod["spec"]["nodeName"] for pod in lab.objects("pods", "default")]
    assert sorted(map(nodes.count, set(nodes))) == [1, 3]


@CLAIMS.claim("07-64", "Each worker has a Pod now", "stays `Pending`", story="bgp", on=("simulated",))
def anti_affinity_spreads(lab: Lab) -> None:
    lab.at("bgp-etp-local")
    lab.delete(manifests.webpods)
    lab.apply(manifests.spread_webpods)
    assert hops(lab) == set(lab.nodes().NAME) - {lab.control_plane}
    answers = lab.curl("svc1", times=300)
    assert len(answers) == 3
    assert answers.COUNT.min() > 70
    lab.apply(manifests.spread_webpods.replace("replicas: 3", "replicas: 4"))
    assert [pod["status"]["phase"] for pod in lab.objects("pods", "default")].count("Pending") == 1


CLAIMS.fact(
    "07-64",
    "allow several Pods on a node, and keep their numbers on the nodes almost equal",
    source="Kubernetes docs, topology spread constraints",
)


@CLAIMS.claim("07-68", "Both work", story="bgp", on=("simulated",))
@CLAIMS.claim("both-at-once", "Two objects can name the same one", story="bgp", on=("simulated",))
def both_protocols_at_once(lab: Lab) -> None:
    lab.at("route-client")
    lab.apply(manifests.l2advertisement)
    assert len(hops(lab)) > 1
    assert lab.vip("svc1") in lab.arp_scan().ADDRESS.tolist()


@CLAIMS.claim("07-67", "The border between `b` and `c` moved", story="bgp")
@CLAIMS.claim("who-is-disturbed", "an ECMP group of three", story="bgp")
def borders_move(lab: Lab) -> None:
    del lab

    def way(value: int, names: str) -> str:
        return names[value * len(names) // 1000]

    assert any(way(value, "abc") == "b" and way(value, "bc") == "c" for value in range(1000))


# ── a node is killed, a node falls silent ────────────────────────────────────────────────────────────────────


@CLAIMS.claim("07-36", "No request failed", story="bgp", on=RECORDED)
@CLAIMS.claim("07-38", "There was no last BGP message", story="bgp", on=RECORDED)
@CLAIMS.claim("07-38", "A TCP segment with FIN closed the session", "at once", story="bgp", on=RECORDED)
def killed_node_closes_its_session(lab: Lab) -> None:
    lab.at("kill-node")
    outage = lab.observation().outage()
    assert not list(outage.failures("svc1"))
    first = next(one for one in outage.events if isinstance(one, BGPSessionEvent))
    assert "closes its session" in str(first)
    assert "[FA]" in str(first.evidence)
    assert 0 <= first.at < 0.5
    said = [one.message.name for one in bgp.messages(lab.observation().frames("bgp"))]
    assert "KEEPALIVE" in said
    assert "NOTIFICATION" not in said


CLAIMS.fact("07-38", "A server that loses power", source="RFC 4271, section 6.5: nothing but the hold timer is left")


@CLAIMS.claim(
    "07-43", "the router sends a share of the connections to the silent node",
    "requests fail until the router's timer ends", "that one ends later", story="bgp-silent", on=RECORDED,
)  # fmt: skip
def silent_node_costs_until_the_hold_timer_ends(lab: Lab) -> None:
    lab.at("cut-link")
    outage = lab.observation().outage()
    trouble = [one for one in outage.phases["svc1"] if one.name in (DARK, PARTLY)]
    assert [one.name for one in trouble] == [PARTLY]
    end, end_on_the_node = (one for one in outage.events if isinstance(one, HoldTimerEvent))
    assert str(end).startswith("router:")
    assert str(end_on_the_node).startswith(f"{NODE}:")
    assert end.at < end_on_the_node.at
    assert abs(end.at - trouble[0].end) < 1
    assert "9 s after its last message" in str(end)


@CLAIMS.claim("07-43", "Each side offers a hold time in its `OPEN`", story="bgp", on=RECORDED)
def both_sides_offer_a_hold_time(lab: Lab) -> None:
    lab.at("apply-bgp")
    messages = lab.observation().bgp.messages(NODE)
    opens = messages[messages.MESSAGE == "OPEN"]
    assert set(opens.FROM) == {NODE, lab.router}
    assert all("hold time 9 s" in info for info in opens.INFO)


CLAIMS.fact("07-43", "the smaller one counts", source="RFC 4271, section 4.2: Hold Time")
CLAIMS.fact(
    "07-43", "MetalLB's default is 90 s", source="MetalLB v0.14.8 internal/config/config.go, parsePeer: hold time"
)


@CLAIMS.claim("earliest-end-of-hold", "a keepalive every third of the hold time", story="bgp", on=RECORDED)
@CLAIMS.claim("earliest-end-of-hold", "a third of the hold time before the cut", story="bgp", on=RECORDED)
def keepalive_every_third(lab: Lab) -> None:
    lab.at("apply-bgp")
    seen = lab.observation()
    found = [one for one in bgp.messages(seen.frames("bgp")) if one.message.name == "KEEPALIVE"]
    times = [seen.seconds(one.frame.time) for one in found if one.flow.src == lab.address(NODE)]
    gaps = [after - before for before, after in pairwise(times)]
    (peer,) = peers(lab.objects)
    assert all(abs(gap - peer.hold / 3) < 0.1 for gap in gaps[1:])
    assert gaps


@CLAIMS.claim("07-45", "keeps the route for 75 s on average", "Why 75 s, and not 90 s?",
              "keepalive goes out every 30 s", "the last one came 15 s before the cut", story="bgp-silent")  # fmt: skip
def timer_runs_from_the_last_message(lab: Lab) -> None:
    del lab
    default = Scenario(protocol="BGP", policy="Local", death="silent")
    (phase,) = expected(default)
    assert (phase.end, default.hold, default.hold / 3) == (75, 90, 30)
    assert default.hold - phase.end == 15


@CLAIMS.claim("cost-of-four-next-hops", "MetalLB's default hold time, policy Local, four next hops", "Here are four",
              "stays for 75 s on average, and a quarter of the connections fails", story="bgp-silent")  # fmt: skip
@CLAIMS.claim("cost-of-four-next-hops", "had run for half of a keepalive's interval, on average",
              "Half of the connections fail with two next hops", story="bgp-silent")  # fmt: skip
def one_of_four_next_hops_is_a_quarter(lab: Lab) -> None:
    del lab
    silent = Scenario(protocol="BGP", policy="Local", death="silent")
    (two,), (four,) = expected(silent), expected(silent.replace(next_hops=4))
    assert (two.end, two.share, four.end, four.share) == (75, 0.5, 75, 0.25)
    assert silent.hold - four.end == silent.hold / 3 / 2


@CLAIMS.claim("what-bfd-changes", "BFD takes the place of the hold timer", "More next hops make the share smaller",
              story="bgp-silent")  # fmt: skip
def bfd_shortens_the_wait(lab: Lab) -> None:
    del lab
    silent = Scenario(protocol="BGP", policy="Local", death="silent")
    (without,), (bfd,), (four,) = map(expected, (silent, silent.replace(bfd=0.9), silent.replace(next_hops=4)))
    assert bfd.end < without.end == four.end
    assert bfd.share == without.share > four.share


@CLAIMS.claim("what-bfd-changes", "At once is right for a killed container", story="bgp", on=RECORDED)
def killed_container_is_noticed_at_once(lab: Lab) -> None:
    killed_node_closes_its_session(lab)


CLAIMS.fact(
    "one-client-by-the-default-hash", "A Linux router with its default settings has three next hops for a VIP",
    "One client opens a hundred connections", source="a setting that the question describes",
)  # fmt: skip
CLAIMS.fact(
    "one-client-by-the-default-hash", "the addresses are the same each time, and so is the hash",
    source="Linux Documentation/networking/ip-sysctl.rst, fib_multipath_hash_policy 0: layer 3",
)  # fmt: skip


@CLAIMS.claim("one-client-by-the-default-hash", "The course's router has that setting", story="bgp")
def the_router_hashes_ports(lab: Lab) -> None:
    lab.at("route-client")
    lab.curl("svc1", times=100)
    assert (lab.observation().bgp.shares("svc1").CONNECTIONS > 0).sum() == len(hops(lab))


CLAIMS.fact(
    "07-38", "the router keeps the routes", "It waits for the neighbor until a",
    source="RFC 4724, sections 3 and 4.2: a session that ends without a NOTIFICATION",
)  # fmt: skip
CLAIMS.fact(
    "07-38", "The default is off, and the native mode does not have it",
    source="MetalLB v0.14.8 api/v1beta2/bgppeer_types.go; internal/config/validation.go, DiscardFRROnly",
)  # fmt: skip
CLAIMS.fact(
    "routes-of-a-graceful-restart",
    "Until then a share of the connections goes to the dead node",
    source="RFC 4724, section 4.2",
)


@CLAIMS.claim("07-68", "its connections go to all announcing nodes", story="bgp", on=("simulated",))
def a_routed_client_uses_all_announcing_nodes(lab: Lab) -> None:
    lab.at("route-client")
    lab.apply(manifests.l2advertisement)
    assert lab.leader("svc1")
    answers = lab.curl("svc1", times=100)
    assert len(answers) == len(hops(lab)) * len(set(answers.HOSTNAME))  # REMOTE names the node, or its Pod network


@CLAIMS.claim("07-25", "each of them uses its own Pods only", story="bgp")
def local_rules_have_their_own_pods(lab: Lab) -> None:
    lab.at("bgp-etp-local")
    for node in hops(lab):
        ways = lab.trace("svc1", source=lab.client, node=node)
        here = {pod["status"]["podIP"] for pod in lab.objects("pods", "default") if pod["spec"]["nodeName"] == node}
        assert {way.packet.dst for way in ways} == here


CLAIMS.fact(
    "07-45", "MetalLB's charts install the mode FRR-K8s since v0.16", "FRR mode is deprecated",
    "no BFD",
    source="MetalLB release notes 0.16.0; v0.14.8 internal/config/validation.go: native refuses bfdProfile",
)  # fmt: skip
CLAIMS.fact(
    "07-45", "detects a silent node in less than a second",
    source="MetalLB BFDProfile defaults: 300 ms times a detectMultiplier of 3",
)  # fmt: skip
CLAIMS.fact("07-45", "FRR's own default counts there", source="MetalLB release notes 0.14.9: FRR's defaults for timers")
CLAIMS.fact("07-45", "Today (2026)", source="MetalLB release notes 0.16.0 and 0.16.2")


@CLAIMS.claim("07-48", "At first every request failed", "about half of them failed", story="bgp-silent", on=RECORDED)
def dark_then_half(lab: Lab) -> None:
    lab.at("cut-link-2")
    dark, partly = (one for one in lab.observation().outage().phases["svc1"] if one.name in (DARK, PARTLY))
    assert (dark.name, dark.success, partly.name) == (DARK, 0, PARTLY)
    low, high = partly.interval
    assert low < 0.5 < high


@CLAIMS.claim("07-46", "the policy differs, too", story="bgp-silent")
def the_policy_differs_too(lab: Lab) -> None:
    lab.at("bgp-etp-local")
    assert lab.object("service", "svc1")["spec"]["externalTrafficPolicy"] == "Local"
    lab.at("back-to-l2")
    assert lab.object("service", "svc1")["spec"]["externalTrafficPolicy"] == "Cluster"


@CLAIMS.claim("07-48", "declared all the *others* dead", "Another node led svc3 all the time",
              "it announced svc3 as well", story="bgp-silent",
              on=RECORDED)  # fmt: skip
def the_silent_node_declares_the_others_dead(lab: Lab) -> None:
    lab.at("cut-link-2", after=60)
    log = str(lab.log("speaker", node=NODE).matching("memberlist: Marking", since_action=True))
    assert all(f"Marking {node} as failed" in log for node in lab.nodes().NAME if node != NODE)
    lines = str(lab.log("speaker", node=NODE).matching("serviceAnnounced", since_action=True))
    assert lab.vip("svc3") in lines
    words = lab.observation("cut-link-2").leadership("svc3").describe()
    assert f"{NODE}: myk8s-worker3, then {NODE}" in words
    assert "the API's newest event: myk8s-worker3." in words


# ── side by side ─────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("07-53", "Some of these settings are in the recording", story="bgp", on=RECORDED)
@CLAIMS.claim("07-55", "with `Local` both protocols lose far less", "layer 2 and BGP cost about the same",
              "on layer 2 it makes no difference", "a closed session itself costs nothing",
              story="bgp", on=RECORDED)  # fmt: skip
def policy_matters_most(lab: Lab) -> None:
    del lab
    lost: dict[tuple[str, str, str], float] = {setting: one.seconds for setting, one in losses().items()}
    assert {one.provenance.source for one in losses().values()} == {"recorded", "simulated"}
    for protocol in ("layer 2", "BGP"):
        for death in ("killed", "silent"):
            assert lost[protocol, "Local", death] < 0.4 * lost[protocol, "Cluster", death]
    for death in ("killed", "silent"):
        assert 0.8 < lost["layer 2", "Cluster", death] / lost["BGP", "Cluster", death] < 1.25
    for policy in ("Cluster", "Local"):
        assert abs(lost["layer 2", policy, "killed"] - lost["layer 2", policy, "silent"]) < 3
    assert lost["BGP", "Local", "killed"] == 0 < lost["BGP", "Local", "silent"]


@CLAIMS.claim("07-55", "BGP loses more than layer 2 when a node falls silent", story="bgp", on=RECORDED)
def the_default_hold_time_is_the_worst(lab: Lab) -> None:
    lab.at("bgp-etp-local")
    scenario = scenario_of(lab.objects, "svc1", NODE, "silent")
    assert scenario
    assert lost_seconds(scenario.replace(hold=90.0)) > losses()["layer 2", "Local", "silent"].seconds


@CLAIMS.claim("07-55", "the change of the protocol lost nothing", story="bgp", on=RECORDED)
def acts_on_purpose_lost_nothing(lab: Lab) -> None:
    del lab
    rows = kanslib.outages("svc1").table
    lost = rows[rows["LOST SECONDS"] > 0].ACTION.tolist()
    assert all(one.startswith(("kill-node", "cut-link")) for one in lost)
    on_purpose = {"apply-etp-cluster", "exclude-leader", "include-leader", "delete-speaker-pod", "back-to-l2"}
    assert on_purpose <= set(rows.ACTION)
