"""Exercises of chapter 08 (expected answers, hints, feedback): what is wrong, what fixes it, what proves it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kanslib.diagnosis import ClusterSnapshot, find
from kanslib.exceptions import KanslibError, NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import column
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import (
    Answer,
    DiagnosisFacts,
    ExpectedAnswer,
    Misconception,
    behaves_like,
    is_choice,
)
from kanslib.i18n import tr
from kanslib.k8s.objects import external_address

CAUSES = (
    Choice("stale configuration", "MetalLB refuses the newest configuration, and works with an older one"),
    Choice("pool exhausted", "every address of the pool is in use"),
    Choice("sharing refused", "it asks for an address that another Service has, without a common sharing key"),
    Choice("foreign network", "its address is not of the clients' network"),
    Choice("no advertisement", "no L2Advertisement covers the pool"),
    Choice("selects nobody", "the L2Advertisement's node selector matches no node"),
    Choice("no speakers", "no speakers run"),
    Choice("all excluded", "every node carries the exclude label"),
    Choice("no endpoints", "its selector matches no Pod"),
    Choice("local nowhere", "the policy Local, and no Pod on a node that may announce"),
    Choice("conflict", "another machine has the address, too"),
)
FIXES = (
    Choice("advertise", "apply an L2Advertisement for the pool"),
    Choice("nodes", "let the advertisement select nodes that exist, and that have a Pod"),
    Choice("larger pool", "a larger pool, or one Service less"),
    Choice("near pool", "a pool from the clients' network, or a route to this one"),
    Choice("selector", "correct the Service's selector"),
    Choice("cluster policy", "go back to the policy Cluster"),
    Choice("sharing key", "the same sharing key on both Services, or an address of its own"),
    Choice("daemonset", "let the speakers' DaemonSet run on the nodes again"),
    Choice("remove other", "take the address away from the other machine"),
    Choice("unlabel", "take the exclude label off the workers"),
    Choice("repair", "correct the object that MetalLB refuses"),
    Choice("restart", "restart MetalLB's controller"),
    Choice("flush", "empty the clients' ARP memory"),
)
EVIDENCE = (
    Choice("services", "lab.services()"), Choice("events", "lab.events(…)"), Choice("leader", "lab.leader(…)"),
    Choice("election", "lab.election(…)"), Choice("arp_scan", "lab.arp_scan()"),
    Choice("neighbors", "lab.neighbors()"), Choice("curl", "lab.curl(…)"),
    Choice("l2advertisements", "the L2Advertisement (lab.table, lab.object)"),
    Choice("pool", "the pool (lab.pool, lab.table('ipaddresspools'))"), Choice("network", "lab.network()"),
    Choice("endpointslices", "the EndpointSlices (lab.table, lab.objects)"), Choice("pods", "lab.pods()"),
    Choice("daemonsets", "the DaemonSet (lab.table, lab.object)"), Choice("nodes", "lab.nodes()"),
    Choice("containers", "lab.containers()"), Choice("rules", "lab.rules(…)"), Choice("log", "lab.log(…)"),
)  # fmt: skip
# which fixes take a cause away, and which queries show it rather than its effect
FIXES_OF = {
    "stale configuration": {"repair"},
    "pool exhausted": {"larger pool"}, "sharing refused": {"sharing key"}, "foreign network": {"near pool"},
    "no advertisement": {"advertise"}, "selects nobody": {"nodes"}, "no speakers": {"daemonset"},
    "all excluded": {"unlabel"}, "no endpoints": {"selector"}, "local nowhere": {"nodes", "cluster policy"},
    "conflict": {"remove other"},
}  # fmt: skip
PROOFS_OF = {
    "stale configuration": {"log"},
    "pool exhausted": {"events", "pool"}, "sharing refused": {"events", "services"},
    "foreign network": {"network"}, "no advertisement": {"l2advertisements", "election"},
    "selects nobody": {"l2advertisements", "election"}, "no speakers": {"pods", "daemonsets", "election"},
    "all excluded": {"nodes", "election"}, "no endpoints": {"endpointslices", "services"},
    "local nowhere": {"l2advertisements", "pods", "election"}, "conflict": {"arp_scan"},
}  # fmt: skip
COMPLAINTS = {
    "case-1": "svc1, svc2 and svc3 have the addresses of yesterday. Since this morning no client reaches them.",
    "case-2": "svc3 has no address. svc1 and svc2 have one each.",
    "case-3": "svc1 has an address, and no client reaches it.",
    "case-4": "svc1 stopped answering after a small change to its manifest. svc2 and svc3 answer, with the same Pods.",
    "case-5": "The Services have addresses, and there is an L2Advertisement. No client reaches them.",
    "case-6": "svc1 does not answer. Its Pods run, the L2Advertisement is there, and svc2 works.",
    "case-7": "svc2 was to share the address of svc1. Since that change svc2 has no address.",
    "case-8": "The Services have addresses, the L2Advertisement is in order, and no client gets an answer.",
    "case-9": "Some clients reach svc1, others do not. From here each request to svc1 fails. svc2 works.",
}
_HINTS = {
    "case-1": (
        "Ask the questions of the table in order. At which of them is the answer no?",
        "Which object lets the speakers announce an address?",
    ),
    "case-2": ("Which component gives addresses, and did it try?", "Read `lab.events('svc3')`, then `lab.pool()`."),
    "case-3": (
        "Read the address slowly.",
        "Compare the address with `lab.network()`. Whom must the client ask for it?",
    ),
    "case-4": (
        "The same Pods work behind another Service.",
        "Does svc1 know them? Read `lab.table('endpointslices')`.",
    ),
    "case-5": (
        "There is an L2Advertisement this time.",
        "The table does not show its whole spec. Read `lab.objects('l2advertisements')`.",
    ),
    "case-6": (
        "Which nodes may lead svc1, and why not the others?",
        "`print(lab.election('svc1'))` goes through every node.",
    ),
    "case-7": (
        "The controller wrote the reason into an event.",
        "Read `lab.events('svc2')`. Then look for an annotation with a key.",
    ),
    "case-8": ("A speaker has to announce the address.", "Which Pods should run on every node, and do not?"),
    "case-9": ("How many machines answer for that address?", "Read `lab.arp_scan()`, and then `lab.containers()`."),
}
_EXPLANATIONS = {
    "case-1": "The addresses stay, because the controller gave them. No speaker announces them. The nodes' rules still "
    "stand, so a client that remembers the old MAC address notices nothing for a while. The fix: apply the "
    "L2Advertisement again.",
    "case-2": "The Services that came first took the addresses, and the event AllocationFailed says so. The fix: a "
    "larger pool, or a Service less.",
    "case-3": "MetalLB announces the address that the pool gave. The client does not ask for it by ARP, because the "
    "address is outside the client's network. It sends the packet to its gateway, and the gateway has no route. The "
    "fix: a pool inside the clients' network, or a route to this pool.",
    "case-4": "No Pod carries that label, so svc1 has no endpoint. MetalLB does not announce a Service without a ready "
    "endpoint, so not even ARP gets an answer. The fix: the right selector.",
    "case-5": "The L2Advertisement names the pool, and its node selector matches no node. So it lets no speaker "
    "announce. The fix: remove the selector, or let it match a node.",
    "case-6": "Each condition alone does no harm. The L2Advertisement allows a single node. The policy Local allows "
    "only nodes with a Pod of svc1. No node meets both conditions. The fix: let a node with a Pod announce, or go back "
    "to the policy Cluster.",
    "case-7": "Services share an address only if they carry the same allow-shared-ip key. The controller refuses, so "
    "svc1 keeps its address. The fix: the same key on both, or an address of its own for svc2.",
    "case-8": "The DaemonSet of the speakers has a node selector that matches no node. The events still name leaders, "
    "because no speaker is left to write a newer event. The fix: remove that selector from the DaemonSet.",
    "case-9": "Both machines answer the client's ARP request. Linux keeps the answer that comes first and ignores "
    "another one for a second. Here the conflicting host answers first. It has no program on that port, so it resets "
    "each connection, and curl says “connection refused”. The fix: remove that host, and keep MetalLB's pool apart "
    "from the range from which Docker or DHCP gives addresses.",
}
_QUESTION = "Name the cause, what mends it, and the query of yours that proves it."
# where a learner can look, from the outside in, and the queries that look there
PLACES = {
    "the events of the Service": ("events",), "the pool": ("pool",), "the clients' network": ("network",),
    "the candidates of the Service": ("election",), "the L2Advertisements": ("l2advertisements",),
    "the wire": ("arp_scan", "neighbors"), "the endpoints": ("endpointslices",), "the Services": ("services",),
    "the Pods": ("pods",), "the DaemonSets": ("daemonsets",), "the nodes": ("nodes",), "the logs": ("log",),
}  # fmt: skip
_COMMON = {"no advertisement", "no endpoints", "conflict", "pool exhausted"}  # causes offered after any query
_MENDS_NOTHING = {"restart", "flush"}


def _offer(queries: Collection[str]) -> Mapping[str, tuple[Choice, ...]]:
    """Return the causes that these queries could show and a few common ones, their fixes, the queries as evidence."""
    evidence = tuple(one for one in EVIDENCE if one.key in queries)
    if not evidence:
        return {}
    offered = _COMMON | {cause.key for cause in CAUSES if PROOFS_OF[cause.key] & set(queries)}
    fixes = _MENDS_NOTHING.union(*(FIXES_OF[cause] for cause in offered))
    return {
        "cause": tuple(one for one in CAUSES if one.key in offered),
        "fix": tuple(one for one in FIXES if one.key in fixes), "evidence": evidence,
    }  # fmt: skip


def _find_arp_answers(lab: LabQueries) -> dict[str, set[str]]:
    """Ask who answers ARP for each VIP: MAC addresses by VIP; empty where that cannot be asked."""
    try:
        scan = lab.arp_scan()
    except KanslibError:
        return {}
    vips = {external_address(service) for service in lab.objects("services")} - {""}
    answers = list(zip(column(scan, "ADDRESS"), column(scan, "MAC"), strict=True))
    return {vip: {mac for address, mac in answers if address == vip} for vip in vips} if answers else {}


def _expect_cause(lab: LabQueries) -> ExpectedAnswer:
    """Find the cause that is at work in a lab, and what speaks against each other one."""
    findings = find(ClusterSnapshot(lab.objects, lab.network()))
    if not any(finding.holds for finding in findings.values()):  # an ARP scan takes seconds on a live cluster
        findings = find(ClusterSnapshot(lab.objects, lab.network(), _find_arp_answers(lab)))
    causes = tuple(cause for cause, finding in findings.items() if finding.holds)
    if not causes:
        raise NotFoundError(
            tr("a fault at this moment: nothing is wrong here"), hint=tr("lab.at('opening') goes back to it")
        )
    facts: dict[str, str] = {cause: finding.fact for cause, finding in findings.items()}
    diagnosis = DiagnosisFacts(causes, facts, PROOFS_OF[causes[0]], FIXES_OF[causes[0]])
    return ExpectedAnswer(causes[0], diagnosis=diagnosis)


def _expect_all_causes(lab: LabQueries) -> ExpectedAnswer:
    """Return every cause that is at work, as the objects of the cluster show it."""
    found = find(ClusterSnapshot(lab.objects, lab.network()))
    causes = {cause for cause, finding in found.items() if finding.holds}
    if not causes:
        raise NotFoundError(
            tr("a fault at this moment: nothing is wrong here"), hint=tr("apply the manifest of the case")
        )
    return ExpectedAnswer(causes)


def _is_part(answer: Answer, expected: ExpectedAnswer) -> bool:
    """Recognise some of the causes, without the others."""
    return isinstance(answer, frozenset) and answer < expected.names


def _conflicts(answers: list[tuple[str, str]]) -> set[str]:
    return {address for address, _ in answers if len({mac for one, mac in answers if one == address}) > 1}


def _answered_again(answers: list[tuple[str, str]]) -> set[str]:
    return {address for address, _ in answers if len([one for one, _ in answers if one == address]) > 1}


def _held_by_a_busy_machine(answers: list[tuple[str, str]]) -> set[str]:
    return {address for address, mac in answers if len({one for one, other in answers if other == mac}) > 1}


def _expect_conflicts(lab: LabQueries) -> ExpectedAnswer:
    """Try a function with the ARP scan of this cluster, and with parts of it."""
    scan = lab.arp_scan()
    answers = list(zip(column(scan, "ADDRESS"), column(scan, "MAC"), strict=True))
    if not _conflicts(answers):
        raise NotFoundError(tr("two machines with one address at this moment"), hint="kanslib.open_lab(story='case-9')")
    sound = list(dict(answers).items())  # one answer for each address
    tried = [[], sound, [*sound, sound[0]], answers, answers[:2]]
    return ExpectedAnswer([((one,), _conflicts(one)) for one in tried])


def _expect_check_on_a_node(lab: LabQueries) -> ExpectedAnswer:
    """Follow a packet to svc1 that a node itself sends: its rules bring it to a Pod, or leave it to the wire."""
    ways = lab.trace("svc1", lab.control_plane, lab.control_plane)
    return ExpectedAnswer("wire" if any(way.packet.dst == lab.vip("svc1") for way in ways) else "rules")


def _expect_sender_of_a_reset(lab: LabQueries) -> ExpectedAnswer:
    """Ask who answers ARP for the address that refuses."""
    if not _find_arp_answers(lab).get(lab.vip("svc1")):
        raise NotFoundError(tr("a machine that answers for svc1"), hint="kanslib.open_lab(story='case-9')")
    return ExpectedAnswer("somebody")


def _expect_what_a_leader_event_proves(lab: LabQueries) -> ExpectedAnswer:
    """An event says what a speaker did when it wrote it; it stays when the speaker is gone (case 8)."""
    del lab
    return ExpectedAnswer("past")


def _expect_sender_of_network_unreachable(lab: LabQueries) -> ExpectedAnswer:
    """A router without a route sends ICMP network unreachable (RFC 792), here the client's gateway (case 3)."""
    del lab
    return ExpectedAnswer("router")


_PARTS = {"cause": CAUSES, "fix": FIXES, "evidence": EVIDENCE}
_CAUSE_NAMES = [cause.key for cause in CAUSES]
_SOLUTION = """def conflicts(answers):
    owners = {}
    for address, mac in answers:
        owners.setdefault(address, set()).add(mac)
    return {address for address, macs in owners.items() if len(macs) > 1}"""

EXERCISES = (
    *(
        Exercise(
            case, "08", f"{complaint} {_QUESTION}", "diagnosis", _expect_cause,
            hints=_HINTS[case], explanation="{answer}. " + _EXPLANATIONS[case], story=case, parts=_PARTS,
            places=PLACES, offer=_offer,
        )
        for case, complaint in COMPLAINTS.items()
    ),
    Exercise(
        "case-10", "08",
        "A colleague applied `manifests.case_10`. Since then no client reaches svc1, svc2 or svc3. Which causes are at "
        "work? Name all of them.",
        "names", _expect_all_causes,
        hints=(
            "Take each Service alone. Do svc1 and svc2 fail for the same reason?",
            "Read `print(lab.election('svc1'))` to its end, and compare it with that of svc2.",
        ),
        explanation="The causes are: {answer}. The node selector of the L2Advertisement matches no node, so no Service "
        "has a candidate. The selector of svc1 matches no Pod, so svc1 stays silent after the first repair.",
        misconceptions=(
            Misconception(
                "one-complaint-has-one-cause",
                "That is at work, and it is not all. Mend it, ask again, and see which Service still fails. A fault "
                "can hide behind another.",
                sources.BRIEF, _is_part,
            ),
        ),
        options=lambda _: _CAUSE_NAMES,
    ),
    Exercise(
        "case-11", "08",
        "Another colleague applied `manifests.case_11`. Now svc1 does not answer, svc2 lost its address, and svc3 "
        "works. Which causes are at work? Name all of them.",
        "names", _expect_all_causes,
        hints=(
            "Begin with svc2. The controller wrote an event.",
            "For svc1, compare the nodes that may announce it with the nodes that run its Pods.",
        ),
        explanation="The causes are: {answer}. The Service svc2 asks for the address of svc3, and they carry no common "
        "key. The Service svc1 has the policy Local, and the L2Advertisement selects a node without a Pod of svc1.",
        misconceptions=(
            Misconception(
                "complaints-of-a-day-share-a-cause",
                "That explains a part of the complaint. Ask about the other Service alone: it has a cause of its own.",
                sources.BRIEF, _is_part,
            ),
        ),
        options=lambda _: _CAUSE_NAMES,
    ),
    Exercise(
        "write-the-conflict-check", "08",
        "Write the check: a function of the answers to an ARP scan, a list of pairs (address, MAC address). It returns "
        "the set of the addresses for which several machines answer.",
        "code", _expect_conflicts,
        hints=(
            "Collect the MAC addresses of each address. A set keeps each of them only in one copy.",
            "An address is in conflict when its set of MAC addresses has more than one member.",
        ),
        explanation="Such a check reads an ARP scan from a machine outside the cluster. It finds a conflict before a "
        "user does.",
        misconceptions=(
            Misconception(
                "a-repeated-answer-is-a-conflict",
                "A machine may answer again, with the same MAC address. That is no conflict. Compare MAC addresses; do "
                "not count answers.",
                sources.BRIEF, behaves_like(_answered_again),
            ),
            Misconception(
                "a-machine-has-a-single-address",
                "A machine may hold several addresses, as a leader does. A conflict is the reverse: an address with "
                "several machines.",
                sources.BRIEF, behaves_like(_held_by_a_busy_machine),
            ),
        ),
        starter="def conflicts(answers):\n    ...", solution=_SOLUTION,
    ),
    Exercise(
        "does-a-check-on-a-node-find-it", "08",
        "A monitoring system runs `curl` on a node, against the address of svc1. What happens to its packet?", "choice",
        _expect_check_on_a_node, quiz=True,
        hints=(
            "Where do the rules of kube-proxy stand?",
            "`lab.trace('svc1', source=lab.control_plane)` follows the packet.",
        ),
        explanation="{answer}. A check that ends at a Pod this way says nothing of MetalLB. Run it from a machine "
        "outside the cluster.",
        choices=(
            Choice("rules", "the node's own rules send it to a Pod"),
            Choice("wire", "it goes to the wire, and whoever answers ARP gets it"),
            Choice("leader", "the node passes it to the leader"),
        ),
        misconceptions=(
            Misconception(
                "a-node-asks-the-wire",
                "A node with the rules of kube-proxy does not ask the wire. The rules change the destination before "
                "the node looks for a neighbor.",
                sources.FROM_A_NODE, is_choice("wire"),
            ),
            Misconception(
                "a-node-needs-the-leader",
                "The leader answers ARP for clients. A node has the same rules as the leader, and needs no leader for "
                "its own packets.",
                sources.FROM_A_NODE, is_choice("leader"),
            ),
        ),
    ),
    Exercise(
        "what-a-reset-says", "08", "curl prints “connection refused” for svc1. What do you know of its address?",
        "choice", _expect_sender_of_a_reset, quiz=True,
        hints=(
            "Which packet makes curl print that?",
            "In case 9 the capture shows a reset. Which machine sent it?",
        ),
        explanation="{answer}. A `REJECT` rule can refuse, too, and the capture shows it: kube-proxy's rule for a "
        "Service without an endpoint answers with ICMP, and not with a reset.",
        choices=(
            Choice("nobody", "no machine holds it"),
            Choice("somebody", "a machine holds it, and no program there listens on the port"),
            Choice("filter", "a rule on the way drops the packets"),
        ),
        misconceptions=(
            Misconception(
                "refused-means-that-nobody-is-there",
                "A machine that is not there sends no reset. The client's ARP request gets no answer then, and curl "
                "prints “no route to host” or “timed out”.",
                sources.BRIEF, is_choice("nobody"),
            ),
            Misconception(
                "refused-means-dropped",
                "A rule that drops a packet sends no answer. curl waits then, and prints “timed out”.",
                sources.BRIEF, is_choice("filter"),
            ),
        ),
    ),
    Exercise(
        "what-a-leader-event-proves", "08", "The newest event of svc1 names a leader. What does that prove?", "choice",
        _expect_what_a_leader_event_proves, quiz=True,
        hints=("Who wrote the event, and when?", "In case 8 the event was there. Was its author?"),
        explanation="{answer}. For the present, ask the wire: `lab.arp_scan()`.",
        choices=(
            Choice("now", "that node answers ARP for svc1 now"),
            Choice("past", "that node announced svc1 when its speaker wrote the event"),
            Choice("endpoint", "svc1 has a ready endpoint"),
        ),
        misconceptions=(
            Misconception(
                "a-leader-event-is-the-present",
                "An event stays after the speaker that wrote it has gone. Case 8 had such an event, and no speaker.",
                sources.EVENTS, is_choice("now"),
            ),
            Misconception(
                "a-leader-event-proves-an-endpoint",
                "In case 4 the event is there, too, and svc1 has no endpoint. The event is older than the fault.",
                sources.EVENTS, is_choice("endpoint"),
            ),
        ),
    ),
    Exercise(
        "who-says-network-unreachable", "08",
        "A client has a default gateway. Its curl prints “network unreachable” for svc1. Where does that come from?",
        "choice", _expect_sender_of_network_unreachable, quiz=True,
        hints=("Which case had this message?", "Whom did the client ask by ARP in case 3?"),
        explanation="{answer}. So the address is outside the client's network, and the client did not ask for it by "
        "ARP.",
        choices=(
            Choice("router", "from a router that has no route to the address"),
            Choice("kernel", "from the client's kernel, because no machine answers ARP"),
            Choice("leader", "from the leader, because svc1 has no endpoint"),
        ),
        misconceptions=(
            Misconception(
                "no-answer-to-arp-is-an-unreachable-network",
                "Without an answer to ARP, curl prints “no route to host” or “timed out”, as in case 1.",
                sources.BRIEF, is_choice("kernel"),
            ),
            Misconception(
                "a-leader-without-pods-reports-it",
                "Without an endpoint there is no leader, so no machine answers ARP (case 4).",
                sources.BRIEF, is_choice("leader"),
            ),
        ),
    ),
    Exercise(
        "what-is-wrong", "08", f"Something is wrong with this cluster. {_QUESTION}", "diagnosis", _expect_cause,
        hints=(
            "Ask from the outside in: address, leader, wire, endpoints, rules.",
            "Behind the question with the answer no stands the cause.",
        ),
        explanation="It is this: {answer}.", parts=_PARTS, places=PLACES, offer=_offer,
    ),
)  # fmt: skip
