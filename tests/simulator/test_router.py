"""A BGP session needs both ends: what the router has when BGPPeers and its own configuration agree, and when not."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

import kanslib
from kanslib.course.addressing import LESSON_NETWORK, address_plan
from kanslib.k8s.logs import timestamp_of
from kanslib.lab.lab import Lab
from tests.types import OpenLab

ROUTER = address_plan(LESSON_NETWORK).router
NOBODY = "172.18.0.77"
CLUSTER = """
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}, {role: worker}, {role: worker}]
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: pears, namespace: metallb-system}
spec: {addresses: [172.18.255.10-172.18.255.20]}
---
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: web}}
spec: {containers: [{name: c, image: whoami, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: till}
spec: {type: LoadBalancer, ports: [{port: 80}], selector: {app: web}}
"""


def peer(name: str = "edge", address: str = ROUTER, mine: int = 65000, theirs: int = 65001, more: str = "") -> str:
    spec = f"{{myASN: {mine}, peerASN: {theirs}, peerAddress: {address}{more}}}"
    kind = "apiVersion: metallb.io/v1beta2\nkind: BGPPeer"
    return f"---\n{kind}\nmetadata: {{name: {name}, namespace: metallb-system}}\nspec: {spec}\n"


def advertisement(spec: str = "{}") -> str:
    kind = "apiVersion: metallb.io/v1beta1\nkind: BGPAdvertisement"
    return f"---\n{kind}\nmetadata: {{name: all, namespace: metallb-system}}\nspec: {spec}\n"


def started(manifest: str) -> Lab:
    lab = kanslib.simulate(CLUSTER + manifest)
    lab.start_router()
    lab.route_client()
    return lab


def neighbors(lab: Lab) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(str(lab.run(lab.router, "vtysh -c 'show bgp neighbors json'")))
    return found


@pytest.mark.parametrize(
    ("manifest", "routes"),
    [
        pytest.param(peer() + advertisement(), 3, id="right peer"),
        pytest.param(peer(address=NOBODY) + advertisement(), 0, id="nobody at the peerAddress"),
        pytest.param(peer(mine=64999, theirs=64998) + advertisement(), 0, id="other AS numbers"),
        pytest.param(peer(theirs=64998) + advertisement(), 0, id="another peerASN"),
        pytest.param(peer(more=", peerPort: 1790") + advertisement(), 0, id="nobody listens on the peerPort"),
        pytest.param(peer(more=", password: pepper") + advertisement(), 0, id="a password that the router has not"),
        pytest.param(peer(more=f", sourceAddress: {NOBODY}") + advertisement(), 0, id="another node's source"),
        pytest.param(
            peer("attic", NOBODY) + peer() + advertisement("{peers: [edge]}"), 3, id="the router is the second peer"
        ),
        pytest.param(
            peer("attic", NOBODY) + peer() + advertisement("{peers: [attic]}"), 0, id="advertised to the other peer"
        ),
        pytest.param(
            peer(more=", nodeSelectors: [{matchLabels: {kubernetes.io/hostname: myk8s-worker2}}]") + advertisement(),
            1,
            id="one node is selected",
        ),
    ],
)
def test_routes_need_both_ends(manifest: str, routes: int) -> None:
    lab = started(manifest)
    assert len(lab.routes()) == routes
    answers = set(lab.curl("till", times=3)["HOSTNAME"])
    assert answers == ({"p1"} if routes else {"(no answer): timed out"})


def test_neighbors_established_with_their_prefixes() -> None:
    states = {one["bgpState"] for one in neighbors(started(peer() + advertisement())).values()}
    assert states == {"Established"}


def test_neighbors_bad_peer_as_is_notified() -> None:
    found = neighbors(started(peer(mine=64999) + advertisement()))
    assert {one["bgpState"] for one in found.values()} == {"Active"}
    assert {one["lastNotificationReason"] for one in found.values()} == {"OPEN Message Error/Bad Peer AS"}
    assert not any("lastNotificationReason" in one for one in neighbors(started(peer(theirs=64998))).values())


def summary(lab: Lab) -> dict[str, tuple[str, int, int, int]]:
    text = str(lab.run("router", "vtysh -c 'show bgp ipv4 unicast summary json'"))
    peers: dict[str, dict[str, Any]] = json.loads(text)["peers"]
    fields = ("state", "pfxRcd", "pfxSnt", "remoteAs")
    return {address: tuple(peer[field] for field in fields) for address, peer in peers.items()}


@pytest.mark.parametrize("story", ["bgp", "bgp-silent"])
def test_summary_equals_what_the_recorded_router_printed(story: str, open_lab: OpenLab) -> None:
    recorded, simulated = open_lab(story=story), open_lab(story=story, backend="simulated")
    compared = 0
    for moment in recorded.moments().table["MOMENT"]:
        recorded.at(moment)
        simulated.at(moment)
        if any(name.startswith("router") for name in recorded.containers().table["NAMES"]):
            assert summary(simulated) == summary(recorded), moment
            compared += 1
    assert compared >= 6


def test_neighbors_silent_node_expires_then_connects_then_waits() -> None:
    """A node whose link is down keeps its session until the hold timer expires; then FRR connects in vain.

    FRR 8.4 printed Connect for 74 s and 72 s after the timer had expired, then Active.
    """
    lab = started(peer(more=", holdTime: 6s") + advertisement())
    address = lab.address("myk8s-worker")
    lab.link_down("myk8s-worker")
    lab.at("link-down-myk8s-worker", after=3)
    assert neighbors(lab)[address]["bgpState"] == "Established"
    assert len(lab.routes()) == 3
    lab.at("link-down-myk8s-worker", after=7)
    assert neighbors(lab)[address]["bgpState"] == "Connect"
    assert len(lab.routes()) == 2
    lab.at("link-down-myk8s-worker", after=90)
    assert neighbors(lab)[address]["bgpState"] == "Active"


def test_neighbors_node_lost_without_a_session_is_active() -> None:
    lab = started(peer(theirs=64998) + advertisement())
    lab.link_down("myk8s-worker")
    assert {one["bgpState"] for one in neighbors(lab).values()} == {"Active"}


def test_routes_follow_a_corrected_peer() -> None:
    lab = started(peer(mine=64999) + advertisement())
    assert not len(lab.routes())
    lab.apply(peer())
    assert len(lab.routes()) == 3


def session_log(lab: Lab, node: str = "myk8s-worker") -> list[dict[str, Any]]:
    lines = [json.loads("{" + line.partition(" {")[2]) for line in str(lab.log("speaker", node)).splitlines()]
    return [line for line in lines if line["caller"].startswith(("native.go", "bgp_controller.go"))]


def test_log_speaker_session_up_and_down() -> None:
    lab = started(peer() + advertisement())
    assert [line.get("event") for line in session_log(lab)][-1] == "sessionUp"
    up = session_log(lab)[-1]
    assert up == {
        "caller": "native.go:109", "event": "sessionUp", "level": "info", "localASN": 65000,
        "msg": "BGP session established", "peer": f"{ROUTER}:179", "peerASN": 65001, "ts": up["ts"],
    }  # fmt: skip
    lab.stop_router()
    assert session_log(lab)[-1]["event"] == "sessionDown"
    lab.at(lab.moments().MOMENT.iloc[-1], after=40)
    failures = [line["error"] for line in session_log(lab) if line.get("op") == "connect"]
    assert set(failures) == {f'dial "{ROUTER}:179": getsockopt: no route to host'}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (peer(address=NOBODY), f'dial "{NOBODY}:179": getsockopt: no route to host'),
        (peer(more=", peerPort: 1790"), f'dial "{ROUTER}:1790": getsockopt: connection refused'),
        (peer(more=", password: secret"), f'dial "{ROUTER}:179": timeout'),
        (peer(theirs=65002), "unexpected peer ASN 65001, want 65002"),
        (
            peer(more=", sourceAddress: 192.0.2.9"),
            f'dial "{ROUTER}:179": address "192.0.2.9" doesn\'t exist on this host',
        ),
        (peer(mine=64999), f'read OPEN from "{ROUTER}:179": got BGP notification code 0x0202 (Bad peer AS)'),
    ],
)
def test_log_speaker_session_that_fails(wrong: str, error: str) -> None:
    """MetalLB v0.14.8's own sessions said so beside bgpd of FRR 8.4.4."""
    lab = started(wrong + advertisement())
    lab.at(lab.moments().MOMENT.iloc[-1], after=60)
    failed = [line for line in session_log(lab) if line["msg"] == "failed to connect to peer"]
    assert {line["error"] for line in failed} == {error}
    assert {(line["caller"], line["level"], line["op"]) for line in failed} == {("native.go:101", "error", "connect")}
    assert len(failed) >= 3
    flaps = [line for line in session_log(lab) if line.get("event") == "peerNotification"]
    assert bool(flaps) == ("Bad peer AS" in error)


def test_log_speaker_waits_longer_after_each_failure() -> None:
    """internal/bgp/native/backoff.go: 0, 1, 2, 4 … seconds."""
    lab = started(peer(theirs=65002) + advertisement())
    lab.at(lab.moments().MOMENT.iloc[-1], after=60)
    lines = [line for line in str(lab.log("speaker", "myk8s-worker")).splitlines() if "failed to connect" in line]
    moments = [timestamp_of(line) or 0 for line in lines]
    pauses = [round(b - a) for a, b in pairwise(moments)]
    assert pauses[:6] == [0, 1, 2, 4, 8, 16]


def test_log_speaker_peer_that_is_removed() -> None:
    lab = started(peer() + advertisement())
    lab.delete_object("bgppeer/edge")
    last = session_log(lab)[-1]
    assert (last["event"], last["reason"], last["peer"]) == ("peerRemoved", "removedFromConfig", ROUTER)
