"""Chapter 05: who leads, and why."""

from __future__ import annotations

from typing import Any

from kanslib.exceptions import NotRecordedError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import balancers, nodes, with_endpoints
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, behaves, chose, names, number
from kanslib.metallb import election

_NODE = "myk8s-worker4"  # the one that chapter 05 imagines


def _leader(lab: Any) -> ExpectedAnswer:
    held = lab.election("svc1")
    return ExpectedAnswer({held.leader}, {"control plane": {lab.control_plane}, "endpoints": with_endpoints(lab)})


def _candidates(lab: Any) -> ExpectedAnswer:
    return ExpectedAnswer(
        set(lab.election("svc1").candidates), {"everybody": nodes(lab), "endpoints": with_endpoints(lab)}
    )


def _hashed(lab: Any) -> ExpectedAnswer:
    """Which text, hashed, puts every leader of this moment first."""
    able = list(lab.election("svc1").candidates)
    led = {one["metadata"]["name"]: lab.leader(one["metadata"]["name"]) for one in balancers(lab)}
    if None in led.values() or not led:
        raise NotRecordedError("Services that are led by somebody", hint="lab.at('opening')")
    fits = {}
    for what in ("address", "name"):
        texts = {name: lab.vip(name) if what == "address" else f"default/{name}" for name in led}
        fits[what] = all(election.order(able, texts[name])[0] == leader for name, leader in led.items())
    return ExpectedAnswer("address" if fits["address"] else "name")


def _taken(lab: Any) -> ExpectedAnswer:
    old, pool = list(lab.election("svc1").candidates), lab.pool()
    return ExpectedAnswer(float(len(election.won_by_new_node(_NODE, old, pool))), {"pool": len(pool)})


def _even(lab: Any) -> ExpectedAnswer:
    """How far the most and the least loaded candidate are apart, over the whole pool."""
    counts = election.distribution(lab.election("svc1").candidates, lab.pool()).counts
    return ExpectedAnswer("uneven" if max(counts.values()) - min(counts.values()) > 1 else "even")


def _cordoned(lab: Any) -> ExpectedAnswer:
    """The election with the leader cordoned: does it come out otherwise?"""
    leader = lab.election("svc1").leader

    def objects(kind: str) -> list[Any]:
        return [
            {**one, "spec": {**one.get("spec", {}), "unschedulable": True}}
            if kind == "nodes" and one["metadata"]["name"] == leader
            else one
            for one in lab.objects(kind)
        ]

    return ExpectedAnswer("stays" if election.explain(objects, "svc1").leader == leader else "moves")


def _renamed(lab: Any) -> ExpectedAnswer:
    """Every address of the pool, before and after a candidate has another name: which leaders change, and how."""
    old, pool = list(lab.election("svc1").candidates), lab.pool()
    gone = old[0]
    now = [_NODE, *old[1:]]
    pairs = [(election.order(old, ip)[0], election.order(now, ip)[0]) for ip in pool]
    moved = {(before == gone, after == _NODE) for before, after in pairs if before != after}
    if (False, False) in moved:
        return ExpectedAnswer("all")
    return ExpectedAnswer("both" if any(not led for led, _ in moved) else "its own" if moved else "none")


def _cut_in_two(lab: Any) -> ExpectedAnswer:
    """How many leaders an address has when the speakers can only hear half of each other."""
    held = lab.election("svc1")
    if len(held.candidates) < 2:
        raise NotRecordedError("two candidates at this moment", hint="lab.at('opening')")
    able = list(held.candidates)
    halves = (able[:1], able[1:])
    claims = {election.order(half, held.address)[0] for half in halves}
    return ExpectedAnswer("two" if len(claims) == 2 else "one")


def _by_name(nodes: Any, _address: Any) -> Any:
    return min(nodes)


def _moves_of_a_newcomer(lab: Any) -> ExpectedAnswer:
    old = list(lab.election("svc1").candidates)
    pairs = [(election.order(old, ip)[0], election.order([*old, _NODE], ip)[0]) for ip in lab.pool()]
    return ExpectedAnswer("newcomer" if all(now in (before, _NODE) for before, now in pairs) else "all about")


def _back(lab: Any) -> ExpectedAnswer:
    held = lab.election("svc1")
    again = election.order(sorted(held.candidates), lab.vip("svc1"))[0]
    return ExpectedAnswer("back" if again == held.leader else "stay")


def _cases(lab: Any) -> ExpectedAnswer:
    """Every claim so far with two candidates or more, in no helpful order, and the leader that its event named."""
    found = [
        ((sorted(row.CANDIDATES, reverse=True), row.ADDRESS), row.LEADER)
        for row in lab.claims().itertuples()
        if len(row.CANDIDATES) > 1
    ]
    return ExpectedAnswer(found)


EXERCISES = (
    Exercise(
        "leader-of-svc1", "05", "Which node leads svc1 at this moment?", "names", _leader,
        options=lambda lab: sorted(nodes(lab)),
        hints=(
            "A speaker decides alone, from what everybody knows: the nodes' names and the address.",
            "lab.hash_order('svc1') draws it; the leftmost leads.",
        ),
        explanation="It is {truth}: of all candidates its name and the address have the smallest hash.",
        misconceptions=(
            Misconception(
                "control-plane-may-lead",
                "The control plane runs a speaker, but it carries the label exclude-from-external-load-balancers: "
                "it takes part in the gossip and never leads.",
                sources.LABEL, names("control plane"),
            ),
            Misconception(
                "leader-has-the-pod",
                "Those are the nodes with a Pod of svc1. With the policy Cluster that plays no part: any candidate may "
                "lead, and pass the packet on.",
                sources.ENDPOINTS_FIRST, names("endpoints"),
            ),
        ),
        scored_by=("election", "hash_order", "leader"),
    ),
    Exercise(
        "candidates-of-svc1", "05", "Which nodes are candidates for svc1?", "names", _candidates,
        quiz=True, options=lambda lab: sorted(nodes(lab)),
        hints=("Not every node with a speaker is one.", "print(lab.election('svc1')) says who is out, and why."),
        explanation="They are {truth}.",
        misconceptions=(
            Misconception(
                "every-speaker-is-a-candidate",
                "A speaker runs on every node, but a label can take a node out of the race. The control plane has it.",
                sources.LABEL, names("everybody"),
            ),
            Misconception(
                "only-nodes-with-endpoints",
                "Only the policy Local asks for an endpoint on the node. svc1 has the policy Cluster.",
                sources.ENDPOINTS_FIRST, names("endpoints"),
            ),
        ),
        scored_by=("election",),
    ),
    Exercise(
        "who-moves-for-a-newcomer", "05",
        f"A fourth worker ({_NODE}) joins. Where do the addresses go that change their leader?", "choice",
        _moves_of_a_newcomer, quiz=True,
        choices=(
            Choice("newcomer", "all of them to the newcomer"),
            Choice("all about", "some to the newcomer, some from one old node to another"),
            Choice("evened out", "as many as needed to make all nodes equal"),
        ),
        hints=("What can make an old node's hash smaller than it was?", "Nothing. So who alone can overtake a leader?"),
        explanation="{truth}: the old nodes' hashes are what they were, so only the newcomer can be smaller.",
        misconceptions=(
            Misconception(
                "election-balances",
                "Nobody counts how many a node leads already. The shares are even only as far as chance allows.",
                sources.UNEVEN, chose("evened out"),
            ),
        ),
        scored_by=("hash_order",),
    ),
    Exercise(
        "does-it-move-back", "05", "The old leader may lead again. Where will its VIPs be?", "choice", _back,
        choices=(
            Choice("stay", "where they are: nobody gives up an address that works"),
            Choice("back", "back on the old leader"),
        ),
        hints=("What does a speaker remember of former leaders?", "Work out the order with the node in it."),
        explanation="{truth}: the hash has not changed, and it is all that counts.",
        misconceptions=(
            Misconception(
                "leaders-are-sticky",
                "You would want that, and many have asked for it. But a speaker keeps no memory of who led.",
                sources.STICKY, chose("stay"),
            ),
        ),
        scored_by=("leader", "election"),
    ),
    Exercise(
        "write-the-election", "05", "Write the election: a function of the candidates' names and the address.", "code",
        _cases,
        starter="def elect(nodes, address):\n    ...",
        hints=(
            "hashlib.sha256(text.encode()).digest() gives bytes, and bytes can be compared.",
            "The text is the node's name, a '#', the address; the smallest leads: min(nodes, key=…)",
        ),
        explanation="Right in {truth} that a real cluster decided: the smallest sha256 of name#address leads.",
        misconceptions=(
            Misconception(
                "order-is-alphabetic",
                "Your function takes the first by name. Then one node would lead every address, and no node that "
                "joins with a later name would ever lead any.",
                sources.BRIEF, behaves(_by_name),
            ),
        ),
    ),
    Exercise(
        "what-is-hashed", "05", "A leader is found by a hash of its node's name and of something else. Of what?",
        "choice", _hashed, quiz=True,
        choices=(
            Choice("name", "the Service's namespace and name"), Choice("address", "the Service's external address"),
            Choice("load", "how many addresses the node leads already"),
        ),
        hints=("Two Services that share an address must have one leader.", "lab.hash_order() has a line for each …"),
        explanation="{truth}: so Services that share an address share its leader.",
        misconceptions=(
            Misconception(
                "the-services-name-is-hashed",
                "It was so until 0.10. Then two Services that share an address could have two leaders, and were half "
                "dead.",
                sources.NAME_HASHED, chose("name"),
            ),
            Misconception(
                "the-least-loaded-leads",
                "That would need somebody who counts, and everybody would have to agree on the count. It has been "
                "asked for.",
                sources.PREFERRED, chose("load"),
            ),
        ),
    ),
    Exercise(
        "addresses-for-a-newcomer", "05", f"{_NODE} joins. About how many of the pool's addresses will it lead?",
        "number", _taken, unit="addresses", tolerance=0.4, scale=(0, 51, 1),
        hints=("Each address is a fair draw among four.", "A quarter of the pool, give or take."),
        explanation="{truth}: near a quarter, as chance has it.",
        misconceptions=(
            Misconception(
                "leaders-stay-when-a-node-joins",
                "A leader stays *unless* the newcomer's hash is smaller, and among so many addresses it often is.",
                "MetalLB docs, concepts/layer2 (adding or removing nodes)", number(lambda _: 0, 0.0),
            ),
            Misconception(
                "newcomer-stirs-everything",
                "All addresses are worked out again, that is true. But the old nodes' hashes are what they were, so "
                "only those move that the newcomer wins.",
                sources.LESSON + " (it has to say that they do not)", number(lambda truth: truth.facts["pool"]),
            ),
        ),
    ),
    Exercise(
        "how-even", "05", "Three nodes share all addresses of the pool. How evenly?", "choice", _even, quiz=True,
        choices=(
            Choice("even", "as evenly as can be: they differ by one at the most"),
            Choice("uneven", "only as evenly as chance allows"),
        ),
        hints=("Does anybody count?", "Three dice thrown fifty times do not fall equally often either."),
        explanation="{truth}: nobody counts.",
        misconceptions=(
            Misconception(
                "a-hash-is-fair-in-the-small",
                "In the long run, yes. A pool is a short run, and the differences have been reported as a fault.",
                "MetalLB issue #2284; MetalLB PR #2246", chose("even"),
            ),
        ),
    ),
    Exercise(
        "does-a-cordon-move-it", "05", "You cordon the leader (kubectl cordon). What happens to its VIPs?", "choice",
        _cordoned, quiz=True,
        choices=(Choice("moves", "they move to other nodes"), Choice("stays", "nothing")),
        hints=("Which questions does a speaker ask about a node?", "None about spec.unschedulable, in v0.14.8."),
        explanation="{truth}. A cordon says where new Pods may go, and the speaker is not new.",
        misconceptions=(
            Misconception(
                "cordon-moves-the-vip",
                "You are in company: 0.14.9 did it so, and 0.15.0 took it back. In v0.14.8 nobody asks.",
                sources.CORDON, chose("moves"),
            ),
        ),
    ),
    Exercise(
        "rename-a-node", "05", "You rename a node. Which VIPs may change their leader?", "choice", _renamed, quiz=True,
        choices=(
            Choice("none", "none: it is the same machine"), Choice("its own", "those that it led"),
            Choice("both", "those that it led, and those that the new name wins"), Choice("all", "any of them"),
        ),
        hints=("A name goes and a name comes.", "A leave moves the leaver's, a join takes what it wins."),
        explanation="{truth}: for the hash, one node left and another one joined.",
        misconceptions=(
            Misconception(
                "machines-lead-not-names",
                "The speakers know no machines. They hash a name, and the name is another one.",
                sources.STICKY, chose("none"),
            ),
            Misconception(
                "a-leave-without-a-join",
                "Those move for sure. But the new name has hashes of its own, and where one is the smallest, it leads.",
                "MetalLB docs, concepts/layer2 (adding or removing nodes)", chose("its own"),
            ),
            Misconception(
                "every-change-deals-anew",
                "All is worked out again, and for most addresses with the same result: the other names did not change.",
                sources.LESSON + " (it has to say that they do not)", chose("all"),
            ),
        ),
    ),
    Exercise(
        "cut-in-two", "05",
        "The network breaks in two, with candidates on both sides. How many speakers announce svc1?", "choice",
        _cut_in_two, quiz=True,
        choices=(
            Choice("one", "one: the side with more nodes decides"), Choice("two", "two, one on each side"),
            Choice("none", "none, until they agree again"),
        ),
        hints=("Whom does a speaker ask before it announces?", "Nobody. It goes by whom it believes alive."),
        explanation="{truth}. Each is right on its own side, and the clients there are served.",
        misconceptions=(
            Misconception(
                "a-majority-decides",
                "There is no quorum, and by design: each side goes on for the clients that it can reach.",
                sources.SPLIT, chose("one"),
            ),
            Misconception(
                "speakers-rather-keep-quiet",
                "Nothing tells a speaker that it is cut off. It sees others die, and takes over what they led.",
                "MetalLB docs, concepts/layer2 (brain split)", chose("none"),
            ),
        ),
    ),
)  # fmt: skip
