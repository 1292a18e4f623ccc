"""What chapter 06 and its exercises say."""

from __future__ import annotations

import signal
from itertools import pairwise

import pytest

import kanslib
from kanslib.analysis import Attempt, Cause, EventKind, Outage
from kanslib.analysis.clocks import ClockKind, clocks
from kanslib.analysis.phases import DARK, PARTLY, Phase
from kanslib.analysis.timeline_events import EndpointEvent, LeaderEvent, MemberlistEvent, NodeEvent
from kanslib.exceptions import LeaderDisagreementWarning
from kanslib.k8s.objects import KubeObject, endpoints_of, is_ready
from kanslib.lab.lab import Lab
from kanslib.metallb import expected_outage, memberlist
from tests.notebooks.claims import Claims

CLAIMS = Claims()
SERVICES = ("svc1", "svc2", "svc3")


def kill(lab: Lab) -> Outage:
    """Return the outage after the kill."""
    lab.at("kill-node")
    return lab.observation().outage()


def phase(outage: Outage, service: str, name: str) -> Phase:
    """Return the phase of a name; where there are several, the longest."""
    return max((one for one in outage.phases[service] if one.name == name), key=lambda one: one.end - one.start)


def times(outage: Outage, kind: EventKind, service: str = "") -> list[float]:
    """Return the times of the timeline events of a kind."""
    return [event.at for event in outage.events if event.kind is kind and service in ("", event.service)]


def leader_events(outage: Outage, service: str) -> list[LeaderEvent]:
    return [event for event in outage.events if isinstance(event, LeaderEvent) and event.service == service]


def cause(attempt: Attempt) -> Cause | None:
    return attempt.reason.cause if attempt.reason else None


def pods_of(lab: Lab) -> list[KubeObject]:
    """Return the endpoints of svc1."""
    return endpoints_of(lab.objects("endpointslices", "default"), "svc1")


# ── before, and the kill ─────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("06-03", "This node leads *two* Services, svc1 and svc2.", story="failover")
@CLAIMS.claim("06-03", "Another node leads svc3", story="failover")
def victim_leads_two(lab: Lab) -> None:
    victim = lab.leader("svc1")
    assert [service for service in SERVICES if lab.leader(service) == victim] == ["svc1", "svc2"]


@CLAIMS.claim("06-03", "One of the two web Pods runs on it.", story="failover")
def victim_has_a_pod(lab: Lab) -> None:
    pods = [pod["spec"]["nodeName"] for pod in lab.objects("pods", "default")]
    assert len(pods) == 2
    assert pods.count(str(lab.leader("svc1"))) == 1


@CLAIMS.claim("06-05", "the client asks each VIP up to twenty times a second", story="failover")
def twenty_requests_a_second(lab: Lab) -> None:
    for attempts in kill(lab).attempts.values():
        assert 10 <= sum(-0.999 < one.at < 0 for one in attempts) <= 20


@CLAIMS.claim("06-09", "A few seconds later a speaker *declares the node dead*", story="failover")
@CLAIMS.claim("seconds-until-declared-dead", "a suspicion lasts only a few seconds", story="failover")
def suspected_then_dead(lab: Lab) -> None:
    events = [event for event in kill(lab).events if isinstance(event, MemberlistEvent)]
    suspected = min(event.at for event in events if event.change == "suspects")
    dead = min(event.at for event in events if event.change == "declares dead")
    assert 1 < dead - suspected < 6


@CLAIMS.claim("06-09", "A speaker that suspects a node alone waits 24 seconds.", story="failover")
@CLAIMS.claim("06-09", "With two confirmations it is four seconds, the minimum.", story="failover")
def suspicion_lasts(lab: Lab) -> None:
    members = len(lab.objects("nodes"))
    assert memberlist.suspicion_timeout(members) == 24
    assert memberlist.suspicion_timeout(members, 2) == min(
        memberlist.suspicion_timeout(members, confirmations) for confirmations in range(members)
    )
    assert memberlist.suspicion_timeout(members, 2) == 4


@CLAIMS.claim("06-11", "It does not count elections", story="failover")
@CLAIMS.claim("06-59", "The holder is the same node each time.", story="failover")
@CLAIMS.claim("06-59", "The endpoints of svc1 changed at the moment of the second burst", story="failover")
@CLAIMS.claim("why-announced-again", "The election had the same result", story="failover")
@CLAIMS.claim(
    "why-announced-again", "Half a minute after the failover, the leader announced svc1 again", story="failover"
)
def announced_again_without_election(lab: Lab) -> None:
    outage = kill(lab)
    announcements = lab.observation().arp.announcements("svc1")
    assert announcements.HOLDER.nunique() == 1
    first, again = announcements.AT
    assert 25 < again - first < 40
    assert any(earlier.node == later.node for earlier, later in pairwise(leader_events(outage, "svc1")))
    assert any(0 <= again - at < 1 for at in times(outage, EventKind.ENDPOINTS, "svc1"))


@CLAIMS.claim("06-11", "and the client corrects its neighbor table", story="failover", on=("recorded",))
def client_learns_by_announcement(lab: Lab) -> None:
    lab.at("kill-node")
    holders = lab.neighbors().set_index("ADDRESS").HOLDER
    assert {holders[lab.vip(service)] == lab.leader(service) for service in ("svc1", "svc2")} == {True}


# ── the traffic ──────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("06-16", "So the VIP moved within seconds.", story="failover")
@CLAIMS.claim("06-18", "In a short phase every request fails, until the VIP has moved.", story="failover")
def short_dark_phase(lab: Lab) -> None:
    outage = kill(lab)
    for service in ("svc1", "svc2"):
        dark = phase(outage, service, DARK)
        assert dark.failed == dark.tried
        assert abs(dark.end - times(outage, EventKind.GRATUITOUS_ARP, service)[0]) < 1
        assert 3 < dark.end < 10


@CLAIMS.claim("06-18", "**Its leader is alive**, and the same share of its requests fails.", story="failover")
@CLAIMS.claim(
    "06-20", "In the long phases the interval includes one half.", "one of the two Pods is dead", story="failover"
)
@CLAIMS.claim("06-73", "a second in which half of the requests fail counts as half a second", story="failover")
def long_phase_fails_half(lab: Lab) -> None:
    before = lab.leader("svc3")
    outage = kill(lab)
    assert lab.leader("svc3") == before
    for service in SERVICES:
        low, high = phase(outage, service, PARTLY).interval
        assert low < 0.5 < high


CLAIMS.fact("06-20", "its 95 % interval", source="kanslib.analysis.phases: Wilson's interval with z = 1.96")


@CLAIMS.claim("06-22", "chose one of two Pods at random", story="failover")
@CLAIMS.claim("06-24", "Both endpoints are still there.", story="failover")
@CLAIMS.claim("06-24", "the moment at which the two paths become one", story="failover")
def rules_keep_the_dead_pod(lab: Lab) -> None:
    lab.at("kill-node", after=15)
    assert len(lab.trace("svc1")) == 2
    lab.at("kill-node")
    assert len(lab.trace("svc1")) == 1


@CLAIMS.claim("06-26", "**The gossip moves VIPs. Kubernetes removes endpoints.**", story="failover")
@CLAIMS.claim("what-ends-the-long-part", "{answer}, its endpoints are no longer ready", story="failover")
def not_ready_ends_the_long_phase(lab: Lab) -> None:
    outage = kill(lab)
    not_ready = next(event.at for event in outage.events if isinstance(event, NodeEvent))
    removed = times(outage, EventKind.ENDPOINTS, "svc1")[0]
    assert 0 <= removed - not_ready < 1
    for service in SERVICES:
        assert abs(phase(outage, service, PARTLY).end - removed) < 1


CLAIMS.fact(
    "06-26", "waits forty seconds after the last one",
    source="Kubernetes v1.31 pkg/controller/nodelifecycle/config/v1alpha1/defaults.go",
)  # fmt: skip
CLAIMS.fact(
    "06-26", "the grace period is fifty seconds since v1.32",
    source="Kubernetes v1.32 pkg/controller/nodelifecycle/config/v1alpha1/defaults.go",
)  # fmt: skip
CLAIMS.fact(
    "06-11", "MetalLB v0.14.8 writes the event at each resync", "The leader announces the Service again.",
    source="MetalLB v0.14.8 speaker/main.go handleService, internal/layer2/announcer.go SetBalancer",
)  # fmt: skip
CLAIMS.fact(
    "06-11", "since v0.16.2 a speaker writes this event only when the announcement changes",
    source="MetalLB release notes 0.16.2 (#3134)",
)  # fmt: skip


# ── a kill is not a power cut ────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("06-61", "`Exited (137)` means 128 + 9", story="failover", on=("recorded",))
def killed_by_signal_9(lab: Lab) -> None:
    victim = str(lab.leader("svc1"))
    lab.at("kill-node")
    status = lab.containers().set_index("NAMES").STATUS[victim]
    assert status.startswith(f"Exited ({128 + signal.SIGKILL})")


@CLAIMS.claim(
    "06-61", "the host's kernel answered some packets with *network unreachable*", story="failover", on=("recorded",)
)
def kernel_answers_for_the_dead_node(lab: Lab) -> None:
    outage = kill(lab)
    found = [one.at for service in SERVICES for one in outage.failures(service) if cause(one) is Cause.UNREACHABLE]
    assert found
    assert max(found) < 1


@CLAIMS.claim("06-42", "The simulated node is silent from the first moment", story="failover", on=("simulated",))
def simulated_kill_is_silent(lab: Lab) -> None:
    outage = kill(lab)
    assert all(cause(one) is not Cause.UNREACHABLE for service in SERVICES for one in outage.failures(service))


@CLAIMS.claim("06-65", "No request got the answer *unreachable*.", story="bgp-silent")
@CLAIMS.claim(
    "06-65",
    "The same two clocks run",
    "come in the same order, with the same causes, and take about as long",
    story="bgp-silent",
)
def cut_link_costs_as_much(lab: Lab) -> None:
    lab.at("cut-link-2")
    cut = lab.observation().outage()
    assert {cause(one) for one in cut.failures("svc1")} <= {Cause.LEADER_GONE, Cause.ENDPOINT_GONE, Cause.REMEMBERED}
    killed = kill(kanslib.open_lab(story="failover", backend="recorded"))
    for name in (DARK, PARTLY):
        assert abs(phase(cut, "svc1", name).end - phase(killed, "svc1", name).end) < 6


@CLAIMS.claim("06-65", "come from the node that was cut off", story="bgp-silent", on=("recorded",))
def cut_node_declares_the_others_dead(lab: Lab) -> None:
    lab.at("cut-link-2")
    declared = [
        event for event in lab.observation().outage().events
        if isinstance(event, MemberlistEvent) and event.change == "declares dead"
    ]  # fmt: skip
    [cut] = {event.node for event in declared if event.at < 10}
    assert {event.speaker for event in declared if event.at > 10} == {cut}


@CLAIMS.claim("06-65", "on layer 2 a silent death and a kill cost about the same", story="failover")
def silent_death_costs_the_same(lab: Lab) -> None:
    now = expected_outage.Scenario(endpoints=len(pods_of(lab)), lost=1)
    assert expected_outage.expected(now) == expected_outage.expected(now.replace(death="silent"))


@CLAIMS.claim("06-65", "Under BGP they do not.", story="bgp")
def silence_is_worse_under_bgp(lab: Lab) -> None:
    now = expected_outage.Scenario(protocol="BGP", policy="Local", endpoints=len(pods_of(lab)), lost=1)
    assert expected_outage.lost_seconds(now.replace(death="silent")) > expected_outage.lost_seconds(now) + 10


# ── what kubectl still shows ─────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("06-33", "Each row says `1/1 Running`.", story="failover")
def pods_of_the_dead_node_run(lab: Lab) -> None:
    victim = lab.leader("svc1")
    lab.at("kill-node", after=78)
    pods = lab.pods()
    rows = pods[victim == pods.NODE]
    assert len(rows) > 1
    assert set(zip(rows.READY, rows.STATUS, strict=True)) == {("1/1", "Running")}


@CLAIMS.claim("06-33", "changed only the condition `Ready` of the Pods", story="failover", on=("recorded",))
def node_controller_changes_one_condition(lab: Lab) -> None:
    victim = lab.leader("svc1")
    lab.at("kill-node", after=78)
    for pod in lab.objects("pods"):
        if pod["spec"].get("nodeName") == victim:
            conditions = {one["type"]: one["status"] for one in pod["status"]["conditions"]}
            assert [name for name, status in conditions.items() if status == "False"] == ["Ready"]


@CLAIMS.claim("06-33", "The EndpointSlice still lists the Pod's address as well.", story="failover")
def slice_lists_what_is_not_ready(lab: Lab) -> None:
    lab.at("kill-node", after=78)
    assert sorted(one["conditions"]["ready"] for one in pods_of(lab)) == [False, True]


@CLAIMS.claim("06-37", "A row of the new leader can be missing.", story="failover", on=("recorded",))
def status_of_new_leader_is_missing(lab: Lab) -> None:
    lab.at("kill-node", after=78)
    leading = {(service, lab.leader(service)) for service in SERVICES}
    listed = {(one["status"]["serviceName"], one["status"]["node"]) for one in lab.objects("servicel2statuses")}
    assert leading - listed


@CLAIMS.claim("06-37", "a row still names the dead node", story="failover")
def status_names_the_dead_node(lab: Lab) -> None:
    victim = lab.leader("svc1")
    lab.at("kill-node", after=78)
    lost = [node["metadata"]["name"] for node in lab.objects("nodes") if not is_ready(node)]
    assert lost == [victim]
    assert victim in {one["status"].get("node") for one in lab.objects("servicel2statuses")}
    assert victim not in {lab.leader(service) for service in SERVICES}


CLAIMS.fact(
    "06-33", "Kubernetes deletes webpod1 when its tolerations end, five minutes after NotReady.",
    source="Kubernetes v1.31 plugin/pkg/admission/defaulttolerationseconds: 300 s",
)  # fmt: skip
CLAIMS.fact(
    "what-kubectl-says-of-the-pod", "Kubernetes waits five minutes before it deletes the Pods of a silent node",
    source="Kubernetes v1.31 plugin/pkg/admission/defaulttolerationseconds: 300 s",
)  # fmt: skip
CLAIMS.fact("06-37", "v0.16 removes such old objects", source="MetalLB release notes 0.16.0 (#2930, #2938)")


# ── what would shorten it ────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("06-40", "Faster gossip shortens the dark phase", story="failover")
@CLAIMS.claim("lost-seconds", "The long phase costs more than the dark one", story="failover")
@CLAIMS.claim("what-helps-most", "But the long phase costs more", story="failover")
def settings_shorten_their_phase(lab: Lab) -> None:
    outage = kill(lab)
    assert outage.lost_seconds("svc1", PARTLY) > outage.lost_seconds("svc1", DARK)
    now = expected_outage.Scenario(endpoints=2, lost=1)
    faster = now.replace(memberlist=memberlist.MemberlistConfig(probe_interval=0.5))
    assert expected_outage.expected(faster)[0].end < expected_outage.expected(now)[0].end
    assert expected_outage.expected(now.replace(endpoints=6))[1].share < expected_outage.expected(now)[1].share


@CLAIMS.claim("06-40", "Of the single changes in the picture, this one saves most.", story="failover")
def more_pods_save_most(lab: Lab) -> None:
    now = expected_outage.Scenario(endpoints=len(pods_of(lab)), lost=1)
    faster = now.replace(memberlist=memberlist.MemberlistConfig(probe_interval=0.5))
    pods, *others = map(expected_outage.lost_seconds, (now.replace(endpoints=6), now.replace(grace=20), faster))
    assert pods < min(others)


@CLAIMS.claim("06-42", "The dark phase and the long phase have the same order and the same causes.", story="failover")
@CLAIMS.claim("06-42", "Their lengths differ by some seconds, and so they would in another kill.", story="failover")
def phases_end_where_the_model_expects(lab: Lab) -> None:
    outage = kill(lab)
    dark, partly = expected_outage.expected(expected_outage.Scenario(endpoints=2, lost=1))
    assert dark.earliest - 0.5 <= phase(outage, "svc1", DARK).end <= dark.latest
    assert partly.earliest <= phase(outage, "svc1", PARTLY).end <= partly.latest


CLAIMS.fact(
    "06-42", "that lease is up to ten seconds old when the node dies",
    source="Kubernetes v1.31 pkg/kubelet: nodeLeaseDurationSeconds 40, renewed at a quarter of it",
)  # fmt: skip
CLAIMS.fact(
    "06-40", "v0.14.8 has no setting for it; v0.16 reads one from a file",
    source="MetalLB internal/speakerlist/speakerlist.go of v0.14.8 and of v0.16.2",
)  # fmt: skip


# ── and back ─────────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "06-45", "The node is Ready soon after its start", "its Pod is an endpoint again", "the VIPs come back much later",
    story="failover",
)  # fmt: skip
@CLAIMS.claim("06-77", "the VIPs move back with the join", story="failover")
def ready_before_the_gossip(lab: Lab) -> None:
    victim = lab.leader("svc1")
    kill(lab)
    leader = lab.leader("svc1")
    lab.at("start-node")
    outage = lab.observation().outage()
    ready = next(event.at for event in outage.events if isinstance(event, NodeEvent))
    joined = min(
        event.at for event in outage.events
        if isinstance(event, MemberlistEvent) and (event.change, event.node) == ("takes in", victim)
    )  # fmt: skip
    assert ready < 6
    assert any(isinstance(event, EndpointEvent) and event.is_ready and event.at < joined for event in outage.events)
    assert joined - ready > 10
    found = leader_events(outage, "svc1")
    assert {event.node for event in found if event.at < joined} == {leader}
    assert [event.node for event in found if event.at >= joined][-1] == victim
    assert 0 <= found[-1].at - joined < 1


@CLAIMS.claim(
    "06-45", "the client sent its first request only after that", story="failover", on=("recorded",)
)  # fmt: skip
def client_asks_late(lab: Lab) -> None:
    lab.at("start-node")
    outage = lab.observation().outage()
    assert outage.attempts["svc1"][0].at > leader_events(outage, "svc1")[-1].at


@CLAIMS.claim("06-77", "did not reach the API of Kubernetes, and ended", story="failover", on=("recorded",))
@CLAIMS.claim("06-77", "The kubelet started it again only after a wait.", story="failover", on=("recorded",))
def speaker_starts_twice(lab: Lab) -> None:
    victim = str(lab.leader("svc1"))
    kill(lab)
    lab.at("start-node")
    log = lab.log("speaker", node=victim).matching(
        "MetalLB speaker starting|unable to start manager", since_action=True
    )
    first, failed, again = str(log).splitlines()
    assert "starting" in first
    assert "unable to start manager" in failed
    assert "starting" in again
    assert "network is unreachable" in str(lab.log("speaker", node=victim))


@CLAIMS.claim("06-68", "No request failed.", story="failover")
def deleted_speaker_costs_nothing(lab: Lab) -> None:
    lab.at("delete-speaker-pod")
    assert not list(lab.observation().outage().failures("svc1"))


@CLAIMS.claim("06-70", "In the recording, the newest leader event of svc3 names the node whose speaker came back.",
              story="failover", on=("recorded",))  # fmt: skip
@CLAIMS.claim("06-70", "The other speakers disagree, and so does the client.", story="failover", on=("recorded",))
@CLAIMS.claim("06-70", "its event reached the API after the leader's own", story="failover", on=("recorded",))
@CLAIMS.claim(
    "06-70",
    "**An event says who led at its time. Only an ARP answer says who leads now.**",
    story="failover",
    on=("recorded",),
)
def newest_event_is_wrong(lab: Lab) -> None:
    back = lab.leader("svc1")
    lab.at("delete-speaker-pod")
    with pytest.warns(LeaderDisagreementWarning):
        assert lab.leader("svc3") == back
    leader = lab.election("svc3").leader
    assert leader != back
    events = leader_events(lab.observation().outage(), "svc3")
    assert [event.node for event in events][-2:] == [leader, back]
    announced = lab.observation().arp.announcements("svc3")
    ends = announced.AT + announced.SECONDS
    assert announced.HOLDER[ends == ends.max()].tolist() == [leader]


# ── the riddle ───────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("06-51", "first in the long phase, and again after its end", story="failover", on=("recorded",))
@CLAIMS.claim("06-53", "with the last request that met such a row", story="failover", on=("recorded",))
def late_failures_repeat_those_of_the_long_phase(lab: Lab) -> None:
    outage = kill(lab)
    partly = phase(outage, "svc1", PARTLY)
    late = outage.stragglers("svc1")[-4:]
    first = {one.port: one.at for one in reversed(list(outage.failures("svc1")))}
    assert all(partly.start < first[one.port] < partly.end < one.at for one in late)
    conntrack = next(one for one in clocks(outage) if one.kind == ClockKind.CONNTRACK)
    assert conntrack.end == max(outage.stragglers(service)[-1].at for service in SERVICES)


@CLAIMS.claim("06-51", "Each port failed twice", story="failover")
@CLAIMS.claim("who-remembers-the-dead-pod", "Only ports that had failed before failed again.", story="failover")
@CLAIMS.claim("when-is-the-last-failure", "still remembers connections to the dead Pod", story="failover")
def late_failures_have_known_ports(lab: Lab) -> None:
    lab.at("kill-node", after=78)
    outage = lab.observation().outage()
    late = outage.stragglers("svc1")
    assert late
    assert late[-1].at > 60
    ports = [one.port for one in outage.failures("svc1")]
    assert all(ports.count(one.port) >= 2 for one in late)


@CLAIMS.claim("06-53", "how long conntrack keeps such a row: two minutes", story="failover", on=("recorded",))
def conntrack_keeps_a_syn(lab: Lab) -> None:
    lab.at("kill-node", after=78)
    said = lab.run(str(lab.leader("svc1")), "sysctl net.netfilter.nf_conntrack_tcp_timeout_syn_sent")
    assert said.split()[-1] == "120"


# ── the exercises ────────────────────────────────────────────────────────────────────────────────────────────

CLAIMS.fact(
    "seconds-until-declared-dead", "Kubernetes waits about 40 s for a silent node",
    source="Kubernetes v1.31 kube-controller-manager --node-monitor-grace-period, 40s",
)  # fmt: skip
CLAIMS.fact(
    "seconds-until-declared-dead", "since 0.9.2 its speakers have a gossip of their own",
    source="MetalLB release notes 0.9.2 (PR #527)",
)  # fmt: skip
CLAIMS.fact(
    "why-announced-again", "Cilium and kube-vip hold a lease for an address.",
    source="Cilium docs, L2 announcements; kube-vip docs, leader election",
)  # fmt: skip
CLAIMS.fact(
    "all-pods-on-the-dead-node", "five minutes after NotReady Kubernetes deletes the Pods",
    source="Kubernetes v1.31 plugin/pkg/admission/defaulttolerationseconds: 300 s",
)  # fmt: skip
CLAIMS.fact(
    "write-the-report",
    "cut the time into slices of five seconds",
    "Where no request failed, the second value is 0.",
    source="the exercise's own definition: _SLICE = 5, and _report",
)
