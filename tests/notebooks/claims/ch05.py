"""What chapter 05 and its exercises say of the clusters: who may lead, who leads, and what moves."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable
from typing import Any

import pytest

from kanslib.exceptions import LeaderDisagreementWarning
from kanslib.exercises.catalog.queries import endpoint_slices, nodes_with_endpoints
from kanslib.k8s.objects import endpoints_of, is_ready
from kanslib.lab.lab import Lab
from kanslib.lab.observation import Observation
from kanslib.metallb import election
from tests.notebooks.claims import Claims

CLAIMS = Claims()
SERVICES = ("svc1", "svc2", "svc3")
NEWCOMER = "myk8s-worker4"
CODE = "MetalLB v0.14.8 speaker/layer2_controller.go ShouldAnnounce, speakersForPool"
LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"


def _leaders(lab: Lab) -> dict[str, str | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeaderDisagreementWarning)
        return {service: lab.leader(service) for service in SERVICES}


def _candidates(lab: Lab) -> list[str]:
    return list(lab.election("svc1").candidates)


def _odd_events(lab: Lab) -> list[dict[Hashable, Any]]:
    """Return the leader events that name another node than the rule."""
    rows = lab.observation().leader_history().to_dict("records")
    return [row for row in rows if election.order(row["CANDIDATES"], row["ADDRESS"])[0] != row["LEADER"]]


def _exclude_leader(lab: Lab) -> Observation:
    with lab.observe(probes=["svc1"], capture="arp", seconds=6) as seen:
        lab.label(str(lab.leader("svc1")), f"{LABEL}=true")
    return seen


def _seconds(lines: Iterable[str]) -> list[float]:
    """Return the seconds since the action at the start of each line of a log."""
    return [float(line.split()[0].lstrip("+")) for line in lines if line.strip()]


# ── the leaders at the beginning ─────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("05-03", "svc1 and svc2 have the same leader", story="election")
@CLAIMS.claim("05-05", "svc1 and svc2 have the same leader", "svc3 has another leader", story="election")
@CLAIMS.claim("05-27", "svc3 has another leader", story="election")
def leaders_at_the_beginning(lab: Lab) -> None:
    leaders = _leaders(lab)
    assert leaders["svc1"] == leaders["svc2"] != leaders["svc3"]


@CLAIMS.claim("05-05", "svc3's leader runs none of its Pods", story="election")
def leader_without_pod(lab: Lab) -> None:
    assert endpoints_of(endpoint_slices(lab, "svc3"), "svc3")
    assert lab.leader("svc3") not in nodes_with_endpoints(lab, "svc3")


@CLAIMS.claim("05-05", "In chapter 02 you also deleted the Services and got the same leaders back", story="metallb")
@CLAIMS.claim("leader-of-svc1", "The same address and the same candidates give the same leader", story="metallb")
def same_leaders_after_redeploy(lab: Lab) -> None:
    lab.at("apply-services")
    before = _leaders(lab), [lab.vip(service) for service in SERVICES]
    lab.at("apply-services-2")
    assert (_leaders(lab), [lab.vip(service) for service in SERVICES]) == before


@CLAIMS.claim("05-06", "In this cluster a label makes the difference", story="election")
@CLAIMS.claim("candidates-of-svc1", "The control plane carries it", "svc1 has the policy Cluster", story="election")
def label_excludes(lab: Lab) -> None:
    out = {one.node: one.rule for one in lab.election("svc1").eligibilities if not one.is_candidate}
    assert out == {lab.control_plane: "exclude label"}
    assert lab.object("services", "svc1")["spec"]["externalTrafficPolicy"] == "Cluster"


@CLAIMS.claim("05-17", "It is not the node that is next by name and leads no VIP", story="election")
@CLAIMS.claim(
    "who-takes-over-svc2", "That node is the next by name, and it leads no Service yet",
    "its hash with svc2's address is the second smallest", story="election",
)  # fmt: skip
def successor_of_svc2(lab: Lab) -> None:
    result = lab.election("svc2")
    following = next(node for node in sorted(result.candidates) if node != result.leader)
    assert following not in _leaders(lab).values()
    assert result.successors[0] != following
    assert (
        sorted(result.candidates, key=lambda node: election.sort_key(node, result.address))[1] == result.successors[0]
    )


# ── every leader event ───────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "05-22", "All other events follow the rule, and these do not", "They come from the same node",
    "at almost the same moment", story="l2", on=("recorded",),
)  # fmt: skip
@CLAIMS.claim(
    "05-67", "whose leader is right", "When svc2's event came, the control plane", story="l2",
    on=("recorded",),
)  # fmt: skip
@CLAIMS.claim(
    "why-the-rule-looks-broken", "And this node did not lead svc3 before", "it had every worker",
    story="l2", on=("recorded",),
)  # fmt: skip
def odd_events_from_one_speaker(lab: Lab) -> None:
    lab.at("start-node")
    before, candidates = _leaders(lab), _candidates(lab)
    lab.at("delete-speaker-pod")
    first, second = _odd_events(lab)
    assert (first["SERVICE"], second["SERVICE"]) == ("svc1", "svc3")
    assert first["LEADER"] == second["LEADER"] != before["svc3"]
    assert abs(first["AT"] - second["AT"]) < 1
    assert first["LEADER"] not in first["CANDIDATES"]
    assert second["CANDIDATES"] == candidates
    events = lab.observation().leader_history().to_dict("records")
    near = [one for one in events if one["SERVICE"] == "svc2" and one["AT"] >= first["AT"]]
    assert near
    assert all(one["CANDIDATES"] == candidates for one in near)
    assert {node["metadata"]["name"] for node in lab.objects("nodes") if is_ready(node)} >= set(candidates)


@CLAIMS.claim(
    "05-24", "The first member that this speaker met was itself", "its list of candidates had a single name",
    story="l2", on=("recorded",),
)  # fmt: skip
@CLAIMS.claim(
    "05-67", "so the speaker announced all Services", "One mark is left on each line",
    "and it withdrew svc3 (`notOwner`)", "It kept svc1 and svc2, because the rule gives them to this node",
    "The newest event of svc3 now names a node that no longer announces it", story="l2", on=("recorded",),
)  # fmt: skip
@CLAIMS.claim("05-64", "the new speaker met itself first and wrote an event for svc3", story="l2", on=("recorded",))
def speaker_met_itself_first(lab: Lab) -> None:
    lab.at("delete-speaker-pod")
    node = str(_odd_events(lab)[-1]["LEADER"])
    log = lab.log("speaker", node=node).matching("NodeJoin|serviceAnnounced|serviceWithdrawn", since_action=True)
    lines = log.splitlines()
    joins = [place for place, line in enumerate(lines) if "NodeJoin" in line]
    assert lines[joins[0]].endswith(node)
    alone = lines[joins[0] + 1 : joins[1]]
    assert all(any(lab.vip(service) in line for line in alone) for service in SERVICES)
    withdrawn = [line for line in lines if "serviceWithdrawn" in line]
    assert len(withdrawn) == 1
    assert lab.vip("svc3") in withdrawn[0]
    assert "notOwner" in withdrawn[0]
    assert _leaders(lab)["svc3"] == node != lab.election("svc3").leader
    assert [lab.election(service).leader for service in SERVICES[:2]] == [node, node]


# ── a node joins or leaves ───────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("05-27", "and it stays there", "Only the leaver's VIPs move", story="election")
@CLAIMS.claim("05-27", "No address moves from one old node to another", story="election")
@CLAIMS.claim("write-the-moves", "Compute both leaders of each address", story="election")
@CLAIMS.claim(
    "who-moves-for-a-newcomer", "The old nodes keep their hashes, so only the newcomer's can be smaller",
    "A rule that deals addresses in turn would exchange them", story="election",
)  # fmt: skip
def moves_of_a_leave_and_of_a_join(lab: Lab) -> None:
    candidates, pool = _candidates(lab), lab.pool()
    before = election.leaders(candidates, pool)
    for gone in candidates:
        after = election.leaders([node for node in candidates if node != gone], pool)
        assert {ip for ip in pool if before[ip] != after[ip]} == {ip for ip in pool if before[ip] == gone}
    joined = election.leaders([*candidates, NEWCOMER], pool)
    assert {joined[ip] for ip in pool if before[ip] != joined[ip]} == {NEWCOMER}
    more = [*candidates, NEWCOMER]
    dealt = {(candidates[n % len(candidates)], more[n % len(more)]) for n, _ in enumerate(pool)}
    assert any(old != new != NEWCOMER for old, new in dealt)


@CLAIMS.claim(
    "05-33", "With four candidates the hash moves a quarter of the addresses on average",
    "Giving them out in turn moves about three quarters", story="election",
)  # fmt: skip
@CLAIMS.claim(
    "addresses-for-a-newcomer", "Each address is a fair draw among four candidates", "Take a quarter of the pool",
    "The expected share is a quarter", story="election",
)  # fmt: skip
@CLAIMS.claim("write-the-election", "most addresses would change their leader when a node joins", story="election")
@CLAIMS.claim("write-the-moves", "Then most of them move with each change", story="election")
def moves_in_turn_and_by_hash(lab: Lab) -> None:
    candidates, pool = _candidates(lab), lab.pool()
    more = [*candidates, NEWCOMER]
    assert len(more) == 4
    dealt = sum(candidates[n % len(candidates)] != more[n % len(more)] for n, _ in enumerate(pool))
    assert abs(dealt / len(pool) - 3 / 4) < 0.05
    won = len(election.won_by_new_node(NEWCOMER, candidates, pool))
    many = [f"10.{n // 256}.{n % 256}.7" for n in range(4000)]
    assert abs(len(election.won_by_new_node(NEWCOMER, candidates, many)) / len(many) - 1 / 4) < 0.03
    assert won < dealt


@CLAIMS.claim("05-35", "the differences are what chance alone gives", story="election")
@CLAIMS.claim("how-even", "A pool has few", "Three nodes share all addresses of the pool", story="election")
def shares_within_chance(lab: Lab) -> None:
    shares = election.distribution(_candidates(lab), lab.pool())
    assert all(abs(count - shares.expected) <= shares.deviation for count in shares.counts.values())
    assert max(shares.counts.values()) - min(shares.counts.values()) > 1


@CLAIMS.claim("write-the-election", "a node that joins with a later name would lead none", story="election")
def first_by_name(lab: Lab) -> None:
    assert min([*_candidates(lab), NEWCOMER]) == min(_candidates(lab))


# ── the label ────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("05-42", "the forecast holds for every Service", story="election")
@CLAIMS.claim("05-44", "The new leaders announce svc1 and svc2", story="election")
def forecast_holds(lab: Lab) -> None:
    before = _leaders(lab)
    forecast = {service: lab.election(service).without(str(before["svc1"])) for service in SERVICES}
    seen = _exclude_leader(lab)
    assert _leaders(lab) == forecast
    holders = {row["ADDRESS"]: row["HOLDER"] for row in seen.arp.announcements().to_dict("records")}
    for service in ("svc1", "svc2"):
        assert forecast[service] != before[service]
        assert holders[lab.vip(service)] == forecast[service]


@CLAIMS.claim(
    "05-44", "svc3 has an announcement, too, although its leader did not change",
    "So a burst of gratuitous ARP does not prove a new leader", story="election",
)  # fmt: skip
def burst_without_new_leader(lab: Lab) -> None:
    before = lab.leader("svc3")
    seen = _exclude_leader(lab)
    bursts = {row["ADDRESS"]: row for row in seen.arp.announcements().to_dict("records")}
    assert bursts[lab.vip("svc3")]["HOLDER"] == before == lab.leader("svc3")
    assert bursts[lab.vip("svc3")]["ROUNDS"] == 5


@CLAIMS.claim(
    "05-46", "No request failed", "counts only the requests after the label", "This table also has the earlier ones",
    story="election",
)  # fmt: skip
def no_request_failed(lab: Lab) -> None:
    probes = _exclude_leader(lab).probes("svc1")
    assert len(probes) > 50
    assert probes.OK.all()
    assert probes.SECONDS.min() < 0


@CLAIMS.claim("05-50", "The VIPs moved back", "The same candidates give the same result", story="election")
@CLAIMS.claim("does-it-move-back", "The candidates are the same as before, so the leader is the same", story="election")
def moved_back(lab: Lab) -> None:
    before = _leaders(lab)
    lab.at("include-leader")
    assert _leaders(lab) == before


@CLAIMS.claim(
    "05-50",
    "In this recording the failback after the label takes less than a second",
    story="election",
    on=("recorded",),
)
def failback_after_label(lab: Lab) -> None:
    leader = lab.leader("svc1")
    lab.at("include-leader")
    seconds = _seconds(lab.log("speaker", node=leader).matching("serviceAnnounced", since_action=True).splitlines())
    assert seconds
    assert seconds[0] < 1


@CLAIMS.claim(
    "05-50", "In the lesson's recording that took more than twenty seconds, although the node was Ready long before",
    "the node's speaker has to start and to join the gossip first", story="l2", on=("recorded",),
)  # fmt: skip
def failback_after_crash(lab: Lab) -> None:
    lab.at("start-node")
    node = str(lab.leader("svc1"))
    announced = _seconds(lab.log("speaker", node=node).matching("serviceAnnounced", since_action=True).splitlines())
    joined = _seconds(lab.log("speaker", node=node).matching("NodeJoin", since_action=True).splitlines())
    assert announced[0] > 20
    assert joined[0] <= announced[0]
    lab.at("start-node", after=10)
    ready = {one["metadata"]["name"]: is_ready(one) for one in lab.objects("nodes")}
    assert ready[node]
    assert lab.leader("svc1") != node


# ── recording and simulation ─────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("05-51", "The hash lines above show it", story="election", on=("simulated",))
def killed_leader_of_svc3(lab: Lab) -> None:
    before, successor = _leaders(lab), lab.election("svc3").successors[0]
    lab.kill_node(str(before["svc3"]))
    assert _leaders(lab) == {**before, "svc3": successor}


@CLAIMS.claim(
    "05-55", "At this moment they agree: on addresses, leaders and endpoints, and on the rules of the nodes that live",
    "that node cannot answer", "a `ServiceL2Status` still names the dead leader", story="failover",
    on=("recorded",),
)  # fmt: skip
def agree_after_kill(lab: Lab) -> None:
    dead = str(lab.leader("svc1"))
    lab.at("kill-node")
    compared = lab.compare()
    assert (compared.DIFFERENCE == 0).all()
    asked = {what.removeprefix("rules on ") for what in compared.WHAT if what.startswith("rules on")}
    assert asked == {node["metadata"]["name"] for node in lab.objects("nodes")} - {dead}
    assert compared.set_index("WHAT").RECORDED["ServiceL2Status of svc2"] == dead


@CLAIMS.claim("05-20", "The exclude label, the policy Local and dead nodes change them", story="l2", on=("recorded",))
@CLAIMS.claim("05-18", "and the recording kept each count", story="l2", on=("recorded",))
def many_elections(lab: Lab) -> None:
    lab.at("delete-speaker-pod")
    events = lab.observation().leader_history().to_dict("records")
    assert len({tuple(one["CANDIDATES"]) for one in events}) > 3
    assert len(events) > len({(one["SERVICE"], one["LEADER"]) for one in events})


@CLAIMS.claim("05-67", "the control plane had not met the new speaker yet", story="l2", on=("recorded",))
def control_plane_met_it_later(lab: Lab) -> None:
    lab.at("delete-speaker-pod")
    node = str(_odd_events(lab)[-1]["LEADER"])
    announced = _seconds(lab.log("speaker", node=node).matching("serviceAnnounced", since_action=True).splitlines())
    met = lab.log("speaker", node=lab.control_plane).matching("NodeJoin", since_action=True).splitlines()
    assert met[0].endswith(node)
    assert announced[0] < _seconds(met)[0]


@CLAIMS.claim("05-67", "returns that name with a warning", story="l2", on=("recorded",))
def leader_warns(lab: Lab) -> None:
    lab.at("delete-speaker-pod")
    with pytest.warns(LeaderDisagreementWarning, match="svc3"):
        lab.leader("svc3")


@CLAIMS.claim("05-55", "They do not agree everywhere, though", story="failover", on=("recorded",))
@CLAIMS.claim("05-64", "In the simulation, it met the others in time", story="failover", on=("recorded",))
def differ_after_new_speaker(lab: Lab) -> None:
    lab.at("delete-speaker-pod")
    compared = lab.compare()
    different = compared[compared.DIFFERENCE > 0]
    assert different.WHAT.tolist() == ["leader of svc3"]
    assert different.SIMULATED.tolist() == [lab.election("svc3").leader]


# ── what no lab can check ────────────────────────────────────────────────────────────────────────────────

CLAIMS.fact(
    "05-05", "small messages over UDP and TCP port 7946", "The gossip stores no leader and takes no vote",
    source="MetalLB v0.14.8 speaker/main.go --ml-bindport and internal/speakerlist; hashicorp/memberlist v0.5.1",
)  # fmt: skip
CLAIMS.fact(
    "05-05", "the leader holds a **Lease** in the API and renews it", source="docs.cilium.io, network/l2-announcements"
)
CLAIMS.fact(
    "05-08", "Each speaker asks in this order", "Does an L2Advertisement of the pool select *my own* node",
    "If not, no speaker announces it", "It does not ask about a cordon, a taint", source=CODE,
)  # fmt: skip
CLAIMS.fact(
    "05-44", "A change of this label makes every speaker check every Service again",
    source="MetalLB v0.14.8 speaker/main.go SetNode (SyncStateReprocessAll)",
)  # fmt: skip
CLAIMS.fact("05-11", "the 32 bytes that sha256 makes from a text", source="FIPS 180-4; bytes.Compare in the sort")
CLAIMS.fact("05-35", "MetalLB v0.14.8 has no weights", source=CODE)
CLAIMS.fact(
    "05-35", "**Today (2026)**", "It adds up the weights for each node; the highest sum leads",
    "A cordon moved VIPs in v0.14.9 only", "The hash decides between equal sums",
    "An L2Advertisement can also select Services", source="MetalLB v0.16.2 speaker/layer2_controller.go; PR #2715",
)  # fmt: skip
CLAIMS.fact("05-50", "v0.14.8 has no such option", source="MetalLB issues #561, #795, #800, #1907")
CLAIMS.fact(
    "05-56", "Two functions have the name `SetBalancer`", "first BGP, then layer 2",
    "Only the first address of a Service counts", "**Today (2026)**",
    "v0.16.2 writes `nodeAssigned` only when a speaker starts to announce a Service",
    "Send gratuitous ARP for five seconds",
    source="MetalLB v0.14.8 speaker/main.go, speaker/layer2_controller.go, internal/layer2/announcer.go; #3134",
)  # fmt: skip
CLAIMS.fact(
    "05-65",
    "A cordon alone does not move the VIPs",
    source="MetalLB v0.14.8; PRs #2470, #2715 (v0.14.9 alone moved them)",
)
CLAIMS.fact(
    "what-is-hashed", "Two Services that share an address need one leader", "MetalLB did that before v0.11.0",
    "Then two Services that share an address could have different leaders",
    source="MetalLB commit 0d463605",
)  # fmt: skip
CLAIMS.fact("how-they-agree", "MetalLB has no Lease and no TTL for a VIP", "You can stop it", source=CODE)
CLAIMS.fact(
    "how-they-agree", "Cilium and kube-vip work like that", source="docs.cilium.io; kube-vip.io, leader election"
)
CLAIMS.fact("does-a-cordon-move-it", "v0.14.9 did that, and v0.15.0 took it back", source="MetalLB PRs #2470, #2715")
CLAIMS.fact("write-the-moves", "two lists of candidates", source="the function that the question asks for")
CLAIMS.fact("cut-in-two", "The network breaks in two", source="the question's own case")
CLAIMS.fact("write-the-election", "MetalLB sorts upwards and takes the first", source=CODE)
