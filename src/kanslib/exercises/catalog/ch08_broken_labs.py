"""Exercises of chapter 08 (expected answers, hints, feedback): what is wrong, what fixes it, what proves it."""

from __future__ import annotations

from kanslib.diagnosis import ClusterSnapshot, find
from kanslib.exceptions import KanslibError, NotFoundError
from kanslib.exercises.catalog.queries import column
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import DiagnosisFacts, ExpectedAnswer
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
    "case-1": "svc1, svc2 and svc3 have addresses, as they had yesterday. Today nobody reaches any of them.",
    "case-2": "svc3 has no address. svc1 and svc2 are fine.",
    "case-3": "svc1 has an address, and nobody can reach it.",
    "case-4": "svc1 stopped answering after a small change to its manifest. svc2 and svc3 answer, with the same Pods.",
    "case-5": "As in the first case: addresses, and nobody who reaches them.",
    "case-6": "svc1 is dead. Its Pods are fine, the advertisement is there, and svc2 works.",
    "case-7": "svc2 was to share an address with svc1, to save one. Since then it has none.",
    "case-8": "Addresses are there, the advertisement is in order, and yet nobody gets an answer.",
    "case-9": "svc1 answers sometimes, for some clients. From here it does not answer at all. svc2 is fine.",
}
_HINTS = {
    "case-1": (
        "Ask the five questions in order. Which is the first with a no?",
        "What makes speakers announce at all?",
    ),
    "case-2": ("Who gives addresses, and did somebody try?", "lab.events('svc3'), and then lab.pool()."),
    "case-3": ("Read the address slowly.", "Compare it with lab.network(). Whom would the client have to ask?"),
    "case-4": ("The same Pods behind another Service work.", "Does svc1 know them? lab.table('endpointslices')"),
    "case-5": ("There is an advertisement this time.", "The table does not show all of it: look into the object."),
    "case-6": ("Who may lead svc1, and why nobody else?", "print(lab.election('svc1')) goes through every node."),
    "case-7": ("The controller has said why.", "lab.events('svc2'); then who carries an annotation with a key."),
    "case-8": ("Somebody has to carry out an advertisement.", "Who should run on every node, and does not?"),
    "case-9": ("How many machines answer for that address?", "lab.arp_scan(), and then lab.containers()."),
}
_EXPLANATIONS = {
    "case-1": "The addresses stay, because the controller gave them; no speaker announces them. A client that still "
    "remembered the old MAC address would not have noticed. The fix: apply the L2Advertisement again.",
    "case-2": "As many addresses as Services that came first; the event AllocationFailed says so. The fix: a larger "
    "pool, or one Service less.",
    "case-3": "The client does not ask for it by ARP at all, because it is not near; it sends the packet to its "
    "gateway, which knows no way either. MetalLB does what it was told. The fix: a pool inside the clients' network.",
    "case-4": "No Pod carries that label, so there is no endpoint. Without an endpoint nobody announces the address, "
    "so not even ARP gets an answer. The fix: the right selector.",
    "case-5": "The advertisement exists, it names the pool, and it lets nobody announce. The fix: take the selector "
    "away, or give a node that label.",
    "case-6": "Two conditions, each harmless alone: the advertisement allows one node, the policy only nodes with a "
    "Pod. No node meets both. The fix: let a node with a Pod announce, or go back to the policy Cluster.",
    "case-7": "An address is shared only among Services that carry the same allow-shared-ip key. The controller "
    "refuses rather than take the address from under svc1. The fix: the same key on both, or an address of its own.",
    "case-8": "Their DaemonSet was given a node selector that no node matches. The events still name leaders, because "
    "nobody is left who could say otherwise. The fix: take the selector off the DaemonSet.",
    "case-9": "Which of the two a client talks to depends on whose answer came last. The fix: remove the other one, "
    "and keep the pool and Docker's own range apart.",
}
_QUESTION = "Name the cause, what would mend it, and the query of yours that proves it."


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
        raise NotFoundError("a fault at this moment: nothing is wrong here", hint="lab.at('opening') goes back to it")
    facts: dict[str, str] = {cause: finding.fact for cause, finding in findings.items()}
    diagnosis = DiagnosisFacts(causes, facts, PROOFS_OF[causes[0]], FIXES_OF[causes[0]])
    return ExpectedAnswer(causes[0], diagnosis=diagnosis)


_PARTS = {"cause": CAUSES, "fix": FIXES, "evidence": EVIDENCE}

EXERCISES = (
    *(
        Exercise(
            case, "08", f"{complaint} {_QUESTION}", "diagnosis", _expect_cause,
            hints=_HINTS[case], explanation="{answer}. " + _EXPLANATIONS[case], story=case, parts=_PARTS,
        )
        for case, complaint in COMPLAINTS.items()
    ),
    Exercise(
        "what-is-wrong", "08", f"Something is wrong with this cluster. {_QUESTION}", "diagnosis", _expect_cause,
        hints=(
            "From the outside in: address, leader, answer, endpoints, rules.",
            "The first question with a no has the cause behind it.",
        ),
        explanation="It is this: {answer}.", parts=_PARTS,
    ),
)  # fmt: skip
