"""The claims of chapter 08 and of its exercises."""

from __future__ import annotations

from kanslib.course import manifests
from kanslib.diagnosis import ClusterSnapshot, find
from kanslib.exercises.catalog.ch08_broken_labs import CAUSES
from kanslib.k8s.objects import external_addresses
from kanslib.lab.lab import Lab
from tests.notebooks.claims import Claims

CLAIMS = Claims()


def answers(lab: Lab, service: str) -> list[str]:
    """Return what five requests to a Service ended with."""
    return [str(name) for name in lab.curl(service, times=5).HOSTNAME]


def answering(lab: Lab, service: str) -> int:
    """Return how many machines answer ARP for a Service's address."""
    scan = lab.arp_scan()
    return int(scan.ADDRESS.tolist().count(lab.vip(service)))


def ends_at_a_pod(lab: Lab) -> bool:
    """Return True where a request that a node sends to svc1 ends at a Pod."""
    return all(way.packet.dst != lab.vip("svc1") for way in lab.trace("svc1", source=lab.control_plane))


@CLAIMS.claim("08-05", "Both messages have the same reason here.", story="case-1", on=("recorded",))
def both_messages(lab: Lab) -> None:
    assert set(answers(lab, "svc1")) == {"(no answer): timed out", "(no answer): no route to host"}
    assert answering(lab, "svc1") == 0


CLAIMS.fact(
    "08-05", "curl waits for two seconds and prints `timed out`.",
    source="kanslib.cluster.probes: curl -m 2; curl's manual, --max-time",
)  # fmt: skip
CLAIMS.fact(
    "08-05", "asks three times, once a second, and then gives an error",
    source="Linux arp(7): mcast_solicit 3; Documentation/networking/ip-sysctl: retrans_time_ms 1000",
)  # fmt: skip


@CLAIMS.claim("08-07", "No machine answers", story="case-1")
@CLAIMS.claim("08-51", "The wire has no answer for any address of the pool", story="case-8")
def nobody_answers(lab: Lab) -> None:
    assert lab.arp_scan().empty


@CLAIMS.claim("08-09", "The first line gives the reason.", story="case-1")
def election_says_why(lab: Lab) -> None:
    assert "no L2Advertisement covers the pool" in str(lab.election("svc1")).splitlines()[0]


@CLAIMS.claim("08-09", "finds none", story="case-1")
def no_l2advertisement(lab: Lab) -> None:
    assert lab.objects("l2advertisements") == []


@CLAIMS.claim("08-11", "The course recorded this fix", story="case-1", on=("recorded",))
def fix_was_recorded(lab: Lab) -> None:
    lab.apply(manifests.l2advertisement)
    assert lab.nodes().provenance.source == "recorded"
    assert lab.leader("svc1")


@CLAIMS.claim("08-17", "The controller wrote an event about svc3, and svc3 is only seconds old.", story="case-2")
def controller_answered(lab: Lab) -> None:
    assert "AllocationFailed" in lab.events("svc3").REASON.tolist()
    ages = lab.services().query("NAME == 'svc3'").AGE.tolist()
    assert all(age.endswith("s") and "m" not in age for age in ages)
    assert len(ages) == 1


@CLAIMS.claim("08-21", "You saw `network unreachable` in chapter 01.", story="case-3", on=("recorded",))
@CLAIMS.claim("08-23", "The table has no entry for svc1.", story="case-3", on=("recorded",))
def gateway_answered(lab: Lab) -> None:
    assert "(no answer): network unreachable" in answers(lab, "svc1")
    assert not lab.neighbors().empty
    assert lab.vip("svc1") not in lab.neighbors().ADDRESS.tolist()


@CLAIMS.claim("08-21", "so the other requests timed out", story="case-3", on=("recorded",))
def the_gateway_answers_some_requests(lab: Lab) -> None:
    assert set(answers(lab, "svc1")) == {"(no answer): timed out", "(no answer): network unreachable"}
    errors = [one for one in map(str, lab.observation().frames("ip")) if f"> {lab.address(lab.client)} network" in one]
    assert 0 < len(errors) < 5


CLAIMS.fact(
    "08-21", "Linux limits the rate of such errors", source="Linux net/ipv4/route.c ip_error: error_cost, error_burst"
)


@CLAIMS.claim("08-33", "It names the pool", "It does not print every field of the object.", story="case-5")
def table_hides_the_selector(lab: Lab) -> None:
    assert "my-ippool" in lab.table("l2advertisements").to_string()
    assert "nodeSelectors" in lab.objects("l2advertisements")[0]["spec"]
    assert "no-such-node" not in lab.table("l2advertisements").to_string()


CLAIMS.fact("08-33", "Use at most three queries", source="a budget that the course sets; no fact of a cluster")


@CLAIMS.claim("08-39", "The cluster has four nodes, and none of them announces svc1.", story="case-6")
def nobody_announces(lab: Lab) -> None:
    assert len(lab.objects("nodes")) == 4
    assert not lab.election("svc1").candidates


@CLAIMS.claim("08-45", "The pool has room for many Services, so this is not case 2.", story="case-7")
def pool_has_room(lab: Lab) -> None:
    used = {ip for one in lab.objects("services") for ip in external_addresses(one)}
    assert set(lab.pool()) - used
    assert any("sharing key" in message for message in lab.events("svc2").MESSAGE)


@CLAIMS.claim("08-49", "The newest event of svc1 names a leader", story="case-8")
def event_names_a_leader(lab: Lab) -> None:
    assert lab.leader("svc1")
    assert lab.election("svc1").leader is None


@CLAIMS.claim("08-74", "Each SYN gets a reset.", story="case-9", on=("recorded",))
@CLAIMS.claim("case-9", "it resets each connection", story="case-9", on=("recorded",))
def every_syn_is_reset(lab: Lab) -> None:
    assert set(answers(lab, "svc1")) == {"(no answer): connection refused"}
    flags = [str(frame).rpartition("[")[2] for frame in lab.observation().frames("tcp")]
    assert flags[::2] == ["S]"] * (len(flags) // 2)
    assert flags[1::2] == ["RA]"] * (len(flags) // 2)


@CLAIMS.claim("case-9", "Both machines answer the client's ARP request.", story="case-9")
def both_machines_answer(lab: Lab) -> None:
    assert answering(lab, "svc1") == 2


@CLAIMS.claim("case-9", "Here the conflicting host answers first.", story="case-9", on=("recorded",))
def conflicting_host_is_first(lab: Lab) -> None:
    lab.curl("svc1", times=5)
    replies = [str(frame) for frame in lab.observation().frames("arp")]
    first = next(one for one in replies if f"{lab.vip('svc1')} is-at" in one)
    assert first.rpartition(" ")[2] not in lab.observation().mac_owners()
    assert first.rpartition(" ")[2] in lab.neighbors().MAC.tolist()


@CLAIMS.claim(
    "08-63", "The list has one container less than before the fix: the conflicting host is gone.", story="case-9"
)
def conflicting_host_left(lab: Lab) -> None:
    before = set(lab.containers().NAMES)
    lab.at("fix")
    assert len(before - set(lab.containers().NAMES)) == 1


@CLAIMS.claim(
    "08-98", "The entry still has the MAC address of the machine that left", story="case-9", on=("recorded",)
)  # fmt: skip
def client_remembers_who_left(lab: Lab) -> None:
    lab.at("fix")
    entry = lab.neighbors().query(f"ADDRESS == {lab.vip('svc1')!r}").iloc[0]
    assert entry.STATE == "STALE"
    assert entry.MAC not in lab.observation().mac_owners()


CLAIMS.fact(
    "08-98", "`STALE` means that the kernel checks the entry when it uses it.",
    "The check fails after some seconds, and only then the client asks by ARP again.",
    source="Linux ip-neighbour(8), arp(7): delay_first_probe_time 5 s, then ucast_solicit 3 probes",
)  # fmt: skip


@CLAIMS.claim("08-85", "After the first repair svc2 and svc3 answer, and svc1 does not.", story="arp")
@CLAIMS.claim("case-10", "so svc1 stays silent after the first repair", story="arp")
def second_fault_behind_the_first(lab: Lab) -> None:
    lab.apply(manifests.case_10)
    assert all("no answer" in one for name in ("svc1", "svc2", "svc3") for one in answers(lab, name))
    lab.apply(manifests.l2advertisement)
    assert all("no answer" in one for one in answers(lab, "svc1"))
    assert not any("no answer" in one for name in ("svc2", "svc3") for one in answers(lab, name))


@CLAIMS.claim("08-99", "svc1 does not answer, svc2 lost its address, and svc3 works.", story="arp")
@CLAIMS.claim("case-11", "svc1 does not answer, svc2 lost its address, and svc3 works.", story="arp")
def two_complaints(lab: Lab) -> None:
    lab.apply(manifests.case_11)
    assert all("no answer" in one for one in answers(lab, "svc1"))
    assert not any("no answer" in one for one in answers(lab, "svc3"))
    assert not external_addresses(lab.object("service", "svc2"))
    found = find(ClusterSnapshot(lab.objects, lab.network()))
    assert [cause for cause, finding in found.items() if finding.holds] == ["sharing refused", "local nowhere"]


@CLAIMS.claim("08-93", "The request ends at a Pod", story="case-9")
@CLAIMS.claim("08-93", "The same holds for svc1 in case 1", story="case-1")
@CLAIMS.claim("08-93", "case 3", story="case-3")
@CLAIMS.claim("08-93", "case 5", story="case-5")
@CLAIMS.claim("08-93", "case 6", story="case-6")
@CLAIMS.claim("08-93", "case 8", story="case-8")
def a_check_on_a_node_is_content(lab: Lab) -> None:
    assert ends_at_a_pod(lab)


@CLAIMS.claim("08-93", "Only in case 4 does such a check fail", "the packet goes to the wire", story="case-4")
def a_check_on_a_node_fails(lab: Lab) -> None:
    assert not ends_at_a_pod(lab)


@CLAIMS.claim("08-93", "In case 2 and case 7 a Service has no address", story="case-2")
@CLAIMS.claim("08-93", "In case 2 and case 7 a Service has no address", story="case-7")
def a_service_waits(lab: Lab) -> None:
    balancers = [one for one in lab.objects("services") if one["spec"].get("type") == "LoadBalancer"]
    assert not all(map(external_addresses, balancers))


CLAIMS.fact(
    "case-9", "Linux keeps the answer that comes first and ignores another one for a second.",
    source="Linux Documentation/networking/ip-sysctl: neigh locktime, 1 s; net/ipv4/arp.c arp_process",
)  # fmt: skip


@CLAIMS.claim("08-64", "1, 5, 6, 8: no candidate", story="case-1")
@CLAIMS.claim("08-64", "1, 5, 6, 8: no candidate", story="case-5")
@CLAIMS.claim("08-64", "1, 5, 6, 8: no candidate", story="case-6")
@CLAIMS.claim("08-64", "1, 5, 6, 8: no candidate", story="case-8")
def no_node_is_a_candidate(lab: Lab) -> None:
    assert not lab.election("svc1").candidates
    assert answering(lab, "svc1") == 0


@CLAIMS.claim("who-says-network-unreachable", "Without an endpoint there is no leader", story="case-4")
def no_endpoint_no_leader(lab: Lab) -> None:
    assert lab.election("svc1").leader is None
    assert answering(lab, "svc1") == 0


@CLAIMS.claim("08-64", "2, 7: none given", story="case-2")
@CLAIMS.claim("08-64", "2, 7: none given", story="case-7")
def a_service_has_no_address(lab: Lab) -> None:
    a_service_waits(lab)


@CLAIMS.claim("08-64", "3: asks its gateway", story="case-3", on=("recorded",))
@CLAIMS.claim("who-says-network-unreachable", "the client did not ask for it by ARP", story="case-3", on=("recorded",))
def the_client_asks_its_gateway(lab: Lab) -> None:
    gateway_answered(lab)


@CLAIMS.claim("08-64", "9: two machines answer", story="case-9")
def two_machines_answer(lab: Lab) -> None:
    both_machines_answer(lab)


@CLAIMS.claim("08-64", "4: no endpoint", "without an endpoint no speaker announces the address", story="case-4")
@CLAIMS.claim(
    "what-a-leader-event-proves", "In case 4 the event is there, too, and svc1 has no endpoint", story="case-4"
)
def no_endpoint_behind_the_event(lab: Lab) -> None:
    assert lab.leader("svc1")
    endpoints = [one for piece in lab.objects("endpointslices", "default") for one in piece["endpoints"] or ()
                 if piece["metadata"]["labels"]["kubernetes.io/service-name"] == "svc1"]  # fmt: skip
    assert endpoints == []
    assert answering(lab, "svc1") == 0


@CLAIMS.claim("what-a-leader-event-proves", "Case 8 had such an event, and no speaker", story="case-8")
@CLAIMS.claim("what-a-leader-event-proves", "In case 8 the event was there", story="case-8")
def an_event_outlives_its_speaker(lab: Lab) -> None:
    assert lab.leader("svc1")
    assert not [pod for pod in lab.objects("pods") if pod["metadata"].get("labels", {}).get("component") == "speaker"]


@CLAIMS.claim("08-87", "the map has a line for svc1 that ends early, and none for svc2", story="arp")
def map_of_case_11(lab: Lab) -> None:
    lab.apply(manifests.case_11)
    drawn = lab.map().describe()
    assert f"Nobody leads svc1 {lab.vip('svc1')}." in drawn
    assert "svc2" not in drawn


CLAIMS.fact(
    "08-79", *(f"| {cause.key} | {cause.text} |" for cause in CAUSES),
    source="kanslib.exercises.catalog.ch08_broken_labs: the causes that the form of case 10 offers",
)  # fmt: skip
CLAIMS.fact("08-66", "Today (2026)", source="the day on which the sources were read, 2026-11-26")
CLAIMS.fact(
    "08-66", "writes the event `nodeAssigned` only when the announcement changes",
    "writes it at every reconcile", source="MetalLB release notes v0.16.2 (#3134)",
)  # fmt: skip
