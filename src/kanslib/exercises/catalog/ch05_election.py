"""Exercises of chapter 05 (expected answers, hints, feedback): which node leads, and why."""

from __future__ import annotations

from kanslib.exceptions import NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import (
    load_balancers,
    name_of,
    nodes,
    nodes_with_endpoints,
    sorted_nodes,
)
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import (
    Case,
    ExpectedAnswer,
    Misconception,
    behaves_like,
    is_choice,
    is_number,
    is_wrong_names,
    is_wrong_number,
)
from kanslib.k8s.objects import KubeObject
from kanslib.metallb import election

_NEW_NODE = "myk8s-worker4"  # the one that chapter 05 imagines


def _expect_leader(lab: LabQueries) -> ExpectedAnswer:
    leader = lab.election("svc1").leader
    wrong_names = {"control plane": {lab.control_plane}, "with pods": nodes_with_endpoints(lab)}
    return ExpectedAnswer({leader} if leader else set(), wrong_names=wrong_names)


def _expect_candidates(lab: LabQueries) -> ExpectedAnswer:
    wrong_names = {"everybody": nodes(lab), "with pods": nodes_with_endpoints(lab)}
    return ExpectedAnswer(set(lab.election("svc1").candidates), wrong_names=wrong_names)


def _expect_what_is_hashed(lab: LabQueries) -> ExpectedAnswer:
    """Find the text that, hashed, puts every leader of this moment first."""
    candidates = lab.election("svc1").candidates
    leaders = {name: lab.leader(name) for name in map(name_of, load_balancers(lab))}
    if None in leaders.values() or not leaders:
        raise NotFoundError("Services that are led by somebody", hint="lab.at('opening')")
    is_address = all(election.order(candidates, lab.vip(name))[0] == leader for name, leader in leaders.items())
    return ExpectedAnswer("address" if is_address else "name")


def _expect_addresses_of_new_node(lab: LabQueries) -> ExpectedAnswer:
    candidates, pool = lab.election("svc1").candidates, lab.pool()
    return ExpectedAnswer(float(len(election.won_by_new_node(_NEW_NODE, candidates, pool))), {"pool": len(pool)})


def _expect_distribution(lab: LabQueries) -> ExpectedAnswer:
    """Compare the most and the least loaded candidate, over the whole pool."""
    counts = election.distribution(lab.election("svc1").candidates, lab.pool()).counts
    return ExpectedAnswer("uneven" if max(counts.values()) - min(counts.values()) > 1 else "even")


def _expect_effect_of_cordon(lab: LabQueries) -> ExpectedAnswer:
    """Hold the election with the leader cordoned."""
    leader = lab.election("svc1").leader

    def cordon(node: KubeObject) -> KubeObject:
        return {**node, "spec": {**node.get("spec", {}), "unschedulable": True}}

    def objects(kind: str) -> list[KubeObject]:
        return [cordon(one) if kind == "nodes" and name_of(one) == leader else one for one in lab.objects(kind)]

    return ExpectedAnswer("stays" if election.explain(objects, "svc1").leader == leader else "moves")


def _moved(lab: LabQueries, before: list[str], after: list[str]) -> set[tuple[str, str]]:
    """Return the old and the new leader of every address of the pool that moves when the candidates change."""
    leaders = [(election.order(before, address)[0], election.order(after, address)[0]) for address in lab.pool()]
    return {(old, new) for old, new in leaders if old != new}


def _expect_effect_of_renaming(lab: LabQueries) -> ExpectedAnswer:
    """Compare every leader before and after a candidate has another name."""
    candidates = list(lab.election("svc1").candidates)
    renamed = candidates[0]
    moved = _moved(lab, candidates, [_NEW_NODE, *candidates[1:]])
    if any(old != renamed and new != _NEW_NODE for old, new in moved):
        return ExpectedAnswer("all")
    return ExpectedAnswer("both" if any(old != renamed for old, _ in moved) else "its own" if moved else "none")


def _expect_leaders_of_partition(lab: LabQueries) -> ExpectedAnswer:
    """Count the leaders of an address when the speakers hear only half of each other."""
    result = lab.election("svc1")
    if len(result.candidates) < 2:
        raise NotFoundError("two candidates at this moment", hint="lab.at('opening')")
    halves = result.candidates[:1], result.candidates[1:]
    leaders = {election.order(half, result.address)[0] for half in halves}
    return ExpectedAnswer("two" if len(leaders) == 2 else "one")


def _first_by_name(nodes: list[str], _address: str) -> str:
    return min(nodes)


def _expect_moves_to_new_node(lab: LabQueries) -> ExpectedAnswer:
    candidates = list(lab.election("svc1").candidates)
    moved = _moved(lab, candidates, [*candidates, _NEW_NODE])
    return ExpectedAnswer("newcomer" if all(new == _NEW_NODE for _, new in moved) else "all about")


def _expect_leader_after_return(lab: LabQueries) -> ExpectedAnswer:
    result = lab.election("svc1")
    first = election.order(result.candidates, lab.vip("svc1"))[0]
    return ExpectedAnswer("back" if first == result.leader else "stay")


def _expect_elected_leaders(lab: LabQueries) -> ExpectedAnswer:
    """Return every leader event with two candidates or more: the candidates, by name backwards, and the leader."""
    cases: list[Case] = []
    for row in lab.observation().leader_history().to_dict("records"):
        candidates = row["CANDIDATES"]
        if isinstance(candidates, list) and len(candidates) > 1:
            cases.append(((sorted(candidates, reverse=True), row["ADDRESS"]), row["LEADER"]))
    return ExpectedAnswer(cases)


EXERCISES = (
    Exercise(
        "leader-of-svc1", "05", "Which node leads svc1 at this moment?", "names", _expect_leader,
        options=sorted_nodes,
        hints=(
            "A speaker decides alone, from what everybody knows: the nodes' names and the address.",
            "lab.hash_order('svc1') draws it; the leftmost leads.",
        ),
        explanation="It is {answer}: of all candidates its name and the address have the smallest hash.",
        misconceptions=(
            Misconception(
                "control-plane-may-lead",
                "The control plane runs a speaker, but it carries the label exclude-from-external-load-balancers: "
                "it takes part in the gossip and never leads.",
                sources.LABEL, is_wrong_names("control plane"),
            ),
            Misconception(
                "leader-has-the-pod",
                "Those are the nodes with a Pod of svc1. With the policy Cluster that plays no part: any candidate may "
                "lead, and pass the packet on.",
                sources.ENDPOINTS_FIRST, is_wrong_names("with pods"),
            ),
        ),
        scored_by=("election", "hash_order", "leader"),
    ),
    Exercise(
        "candidates-of-svc1", "05", "Which nodes are candidates for svc1?", "names", _expect_candidates,
        quiz=True, options=sorted_nodes,
        hints=("Not every node with a speaker is one.", "print(lab.election('svc1')) says who is out, and why."),
        explanation="They are {answer}.",
        misconceptions=(
            Misconception(
                "every-speaker-is-a-candidate",
                "A speaker runs on every node, but a label can take a node out of the race. The control plane has it.",
                sources.LABEL, is_wrong_names("everybody"),
            ),
            Misconception(
                "only-nodes-with-endpoints",
                "Only the policy Local asks for an endpoint on the node. svc1 has the policy Cluster.",
                sources.ENDPOINTS_FIRST, is_wrong_names("with pods"),
            ),
        ),
        scored_by=("election",),
    ),
    Exercise(
        "who-moves-for-a-newcomer", "05",
        f"A fourth worker ({_NEW_NODE}) joins. Where do the addresses go that change their leader?", "choice",
        _expect_moves_to_new_node, quiz=True,
        choices=(
            Choice("newcomer", "all of them to the newcomer"),
            Choice("all about", "some to the newcomer, some from one old node to another"),
            Choice("evened out", "as many as needed to make all nodes equal"),
        ),
        hints=("What can make an old node's hash smaller than it was?", "Nothing. So who alone can overtake a leader?"),
        explanation="{answer}: the old nodes' hashes are what they were, so only the newcomer can be smaller.",
        misconceptions=(
            Misconception(
                "election-balances",
                "Nobody counts how many a node leads already. The shares are even only as far as chance allows.",
                sources.UNEVEN, is_choice("evened out"),
            ),
        ),
        scored_by=("hash_order",),
    ),
    Exercise(
        "does-it-move-back", "05", "The old leader may lead again. Where will its VIPs be?",
        "choice", _expect_leader_after_return,
        choices=(
            Choice("stay", "where they are: nobody gives up an address that works"),
            Choice("back", "back on the old leader"),
        ),
        hints=("What does a speaker remember of former leaders?", "Work out the order with the node in it."),
        explanation="{answer}: the hash has not changed, and it is all that counts.",
        misconceptions=(
            Misconception(
                "leaders-are-sticky",
                "You would want that, and many have asked for it. But a speaker keeps no memory of who led.",
                sources.STICKY, is_choice("stay"),
            ),
        ),
        scored_by=("leader", "election"),
    ),
    Exercise(
        "write-the-election", "05", "Write the election: a function of the candidates' names and the address.", "code",
        _expect_elected_leaders,
        starter="def elect(nodes, address):\n    ...",
        hints=(
            "hashlib.sha256(text.encode()).digest() gives bytes, and bytes can be compared.",
            "The text is the node's name, a '#', the address; the smallest leads: min(nodes, key=…)",
        ),
        explanation="A real cluster decided so: the smallest sha256 of name#address leads.",
        solution=(
            "from hashlib import sha256\n\n"
            "def elect(nodes, address):\n"
            "    def rank(node):\n"
            "        return sha256(f'{node}#{address}'.encode()).digest()\n\n"
            "    return min(nodes, key=rank)"
        ),
        misconceptions=(
            Misconception(
                "order-is-alphabetic",
                "Your function takes the first by name. Then one node would lead every address, and no node that "
                "joins with a later name would ever lead any.",
                sources.BRIEF, behaves_like(_first_by_name),
            ),
        ),
    ),
    Exercise(
        "what-is-hashed", "05", "A leader is found by a hash of its node's name and of something else. Of what?",
        "choice", _expect_what_is_hashed, quiz=True,
        choices=(
            Choice("name", "the Service's namespace and name"), Choice("address", "the Service's external address"),
            Choice("load", "how many addresses the node leads already"),
        ),
        hints=("Two Services that share an address must have one leader.", "lab.hash_order() has a line for each …"),
        explanation="{answer}: so Services that share an address share its leader.",
        misconceptions=(
            Misconception(
                "the-services-name-is-hashed",
                "It was so until 0.10. Then two Services that share an address could have two leaders, and were half "
                "dead.",
                sources.NAME_HASHED, is_choice("name"),
            ),
            Misconception(
                "the-least-loaded-leads",
                "That would need somebody who counts, and everybody would have to agree on the count. It has been "
                "asked for.",
                sources.PREFERRED, is_choice("load"),
            ),
        ),
    ),
    Exercise(
        "addresses-for-a-newcomer", "05", f"{_NEW_NODE} joins. About how many of the pool's addresses will it lead?",
        "number", _expect_addresses_of_new_node, unit="addresses", tolerance=0.4, scale=(0, 51, 1),
        hints=("Each address is a fair draw among four.", "A quarter of the pool, give or take."),
        explanation="{answer}: near a quarter, as chance has it.",
        misconceptions=(
            Misconception(
                "leaders-stay-when-a-node-joins",
                "A leader stays *unless* the newcomer's hash is smaller, and among so many addresses it often is.",
                "MetalLB docs, concepts/layer2 (adding or removing nodes)", is_number(lambda _: 0, 0.0),
            ),
            Misconception(
                "newcomer-stirs-everything",
                "All leaders are computed again, that is true. But the old nodes' hashes are what they were, so "
                "only those move that the newcomer wins.",
                sources.LESSON + " (it has to say that they do not)", is_wrong_number("pool"),
            ),
        ),
    ),
    Exercise(
        "how-even", "05", "Three nodes share all addresses of the pool. How evenly?",
        "choice", _expect_distribution, quiz=True,
        choices=(
            Choice("even", "as evenly as can be: they differ by one at the most"),
            Choice("uneven", "only as evenly as chance allows"),
        ),
        hints=("Does anybody count?", "Three dice thrown fifty times do not fall equally often either."),
        explanation="{answer}: nobody counts.",
        misconceptions=(
            Misconception(
                "a-hash-is-fair-in-the-small",
                "In the long run, yes. A pool is a short run, and the differences have been reported as a fault.",
                "MetalLB issue #2284; MetalLB PR #2246", is_choice("even"),
            ),
        ),
    ),
    Exercise(
        "does-a-cordon-move-it", "05", "You cordon the leader (kubectl cordon). What happens to its VIPs?", "choice",
        _expect_effect_of_cordon, quiz=True,
        choices=(Choice("moves", "they move to other nodes"), Choice("stays", "nothing")),
        hints=("Which questions does a speaker ask about a node?", "None about spec.unschedulable, in v0.14.8."),
        explanation="{answer}. A cordon says where new Pods may go, and the speaker is not new.",
        misconceptions=(
            Misconception(
                "cordon-moves-the-vip",
                "You are in company: 0.14.9 did it so, and 0.15.0 took it back. In v0.14.8 nobody asks.",
                sources.CORDON, is_choice("moves"),
            ),
        ),
    ),
    Exercise(
        "rename-a-node", "05", "You rename a node. Which VIPs may change their leader?",
        "choice", _expect_effect_of_renaming, quiz=True,
        choices=(
            Choice("none", "none: it is the same machine"), Choice("its own", "those that it led"),
            Choice("both", "those that it led, and those that the new name wins"), Choice("all", "any of them"),
        ),
        hints=("A name goes and a name comes.", "A leave moves the leaver's, a join takes what it wins."),
        explanation="{answer}: for the hash, one node left and another one joined.",
        misconceptions=(
            Misconception(
                "machines-lead-not-names",
                "The speakers know no machines. They hash a name, and the name is another one.",
                sources.STICKY, is_choice("none"),
            ),
            Misconception(
                "a-leave-without-a-join",
                "Those move for sure. But the new name has hashes of its own, and where one is the smallest, it leads.",
                "MetalLB docs, concepts/layer2 (adding or removing nodes)", is_choice("its own"),
            ),
            Misconception(
                "every-change-deals-anew",
                "All is computed again, and for most addresses with the same result: the other names did not change.",
                sources.LESSON + " (it has to say that they do not)", is_choice("all"),
            ),
        ),
    ),
    Exercise(
        "cut-in-two", "05",
        "The network breaks in two, with candidates on both sides. How many speakers announce svc1?", "choice",
        _expect_leaders_of_partition, quiz=True,
        choices=(
            Choice("one", "one: the side with more nodes decides"), Choice("two", "two, one on each side"),
            Choice("none", "none, until they agree again"),
        ),
        hints=("Whom does a speaker ask before it announces?", "Nobody. It goes by whom it believes alive."),
        explanation="{answer}. Each is right on its own side, and the clients there are served.",
        misconceptions=(
            Misconception(
                "a-majority-decides",
                "There is no quorum, and by design: each side goes on for the clients that it can reach.",
                sources.SPLIT, is_choice("one"),
            ),
            Misconception(
                "speakers-rather-keep-quiet",
                "Nothing tells a speaker that it is cut off. It sees others die, and takes over what they led.",
                "MetalLB docs, concepts/layer2 (brain split)", is_choice("none"),
            ),
        ),
    ),
)  # fmt: skip
