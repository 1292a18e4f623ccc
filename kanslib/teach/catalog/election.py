"""Chapter 05: who leads, and why."""

from __future__ import annotations

from typing import Any

from kanslib.models import election
from kanslib.objects import endpoints_of
from kanslib.teach.exercise import Choice, Exercise
from kanslib.teach.ideas import Idea, Truth, chose, names

_NODE = "myk8s-worker4"  # the one that chapter 05 imagines
_LABEL = "MetalLB issues #2274, #2285, #2353, #2505; kind issue #3506"
_STICKY = "MetalLB issues #561, #795, #800, #1907"


def _with_endpoints(lab: Any) -> set[str]:
    slices = lab.objects("endpointslices", "default")
    return {one["nodeName"] for one in endpoints_of(slices, "svc1") if one.get("nodeName")}


def _leader(lab: Any) -> Truth:
    held = lab.election("svc1")
    return Truth({held.leader}, {"control plane": {lab.control_plane}, "endpoints": _with_endpoints(lab)})


def _candidates(lab: Any) -> Truth:
    everybody = {node["metadata"]["name"] for node in lab.objects("nodes")}
    return Truth(set(lab.election("svc1").candidates), {"everybody": everybody, "endpoints": _with_endpoints(lab)})


def _moves_of_a_newcomer(lab: Any) -> Truth:
    old = list(lab.election("svc1").candidates)
    pairs = [(election.order(old, ip)[0], election.order([*old, _NODE], ip)[0]) for ip in lab.pool()]
    return Truth("newcomer" if all(now in (before, _NODE) for before, now in pairs) else "all about")


def _back(lab: Any) -> Truth:
    held = lab.election("svc1")
    again = election.order(sorted(held.candidates), lab.vip("svc1"))[0]
    return Truth("back" if again == held.leader else "stay")


def _cases(lab: Any) -> Truth:
    """Every claim so far with two candidates or more, in no helpful order, and the leader that its event named."""
    found = [
        ((sorted(row.CANDIDATES, reverse=True), row.ADDRESS), row.LEADER)
        for row in lab.claims().itertuples()
        if len(row.CANDIDATES) > 1
    ]
    return Truth(found)


EXERCISES = (
    Exercise(
        "leader-of-svc1", "05", "Which node leads svc1 at this moment?", "names", _leader,
        hints=(
            "A speaker decides alone, from what everybody knows: the nodes' names and the address.",
            "lab.hash_order('svc1') draws it; the leftmost leads.",
        ),
        because="It is {truth}: of all candidates its name and the address have the smallest hash.",
        ideas=(
            Idea(
                "control-plane-may-lead",
                "The control plane runs a speaker, but it carries the label exclude-from-external-load-balancers: "
                "it takes part in the gossip and never leads.",
                _LABEL, names("control plane"),
            ),
            Idea(
                "leader-has-the-pod",
                "Those are the nodes with a Pod of svc1. With the policy Cluster that plays no part: any candidate may "
                "lead, and pass the packet on.",
                "MetalLB itself did it so before 0.11.0 (commit de027b1d)", names("endpoints"),
            ),
        ),
        reveals=("election", "hash_order", "leader"),
    ),
    Exercise(
        "candidates-of-svc1", "05", "Which nodes are candidates for svc1?", "names", _candidates,
        hints=("Not every node with a speaker is one.", "print(lab.election('svc1')) says who is out, and why."),
        because="They are {truth}.",
        ideas=(
            Idea(
                "every-speaker-is-a-candidate",
                "A speaker runs on every node, but a label can take a node out of the race. The control plane has it.",
                _LABEL, names("everybody"),
            ),
            Idea(
                "only-nodes-with-endpoints",
                "Only the policy Local asks for an endpoint on the node. svc1 has the policy Cluster.",
                "MetalLB itself did it so before 0.11.0 (commit de027b1d)", names("endpoints"),
            ),
        ),
        reveals=("election",),
    ),
    Exercise(
        "who-moves-for-a-newcomer", "05",
        f"A fourth worker ({_NODE}) joins. Where do the addresses go that change their leader?", "choice",
        _moves_of_a_newcomer,
        choices=(
            Choice("newcomer", "all of them to the newcomer"),
            Choice("all about", "some to the newcomer, some from one old node to another"),
            Choice("evened out", "as many as needed to make all nodes equal"),
        ),
        hints=("What can make an old node's hash smaller than it was?", "Nothing. So who alone can overtake a leader?"),
        because="{truth}: the old nodes' hashes are what they were, so only the newcomer can be smaller.",
        ideas=(
            Idea(
                "election-balances",
                "Nobody counts how many a node leads already. The shares are even only as far as chance allows.",
                "MetalLB issue #2284", chose("evened out"),
            ),
        ),
        reveals=("hash_order",),
    ),
    Exercise(
        "does-it-move-back", "05", "The old leader may lead again. Where will its VIPs be?", "choice", _back,
        choices=(
            Choice("stay", "where they are: nobody gives up an address that works"),
            Choice("back", "back on the old leader"),
        ),
        hints=("What does a speaker remember of former leaders?", "Work out the order with the node in it."),
        because="{truth}: the hash has not changed, and it is all that counts.",
        ideas=(
            Idea(
                "leaders-are-sticky",
                "You would want that, and many have asked for it. But a speaker keeps no memory of who led.",
                _STICKY, chose("stay"),
            ),
        ),
        reveals=("leader", "election"),
    ),
    Exercise(
        "write-the-election", "05", "Write the election: a function of the candidates' names and the address.", "code",
        _cases,
        starter="def elect(nodes, address):\n    ...",
        hints=(
            "hashlib.sha256(text.encode()).digest() gives bytes, and bytes can be compared.",
            "The text is the node's name, a '#', the address; the smallest leads: min(nodes, key=…)",
        ),
        because="Right in {truth} that a real cluster decided: the smallest sha256 of name#address leads.",
    ),
)  # fmt: skip
