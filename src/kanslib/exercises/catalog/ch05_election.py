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
    Answer,
    Case,
    ExpectedAnswer,
    Misconception,
    behaves_like,
    is_choice,
    is_number,
    is_wrong_names,
    is_wrong_number,
)
from kanslib.i18n import tr
from kanslib.k8s.objects import KubeObject
from kanslib.metallb import election

_NEW_NODE = "myk8s-worker4"  # the one that chapter 05 imagines


def _expect_leader(lab: LabQueries) -> ExpectedAnswer:
    leader = lab.election("svc1").leader
    wrong_names = {"control plane": {lab.control_plane}, "with pods": nodes_with_endpoints(lab)}
    return ExpectedAnswer({leader} if leader else set(), wrong_names=wrong_names)


def _expect_next_leader(lab: LabQueries) -> ExpectedAnswer:
    """Return the successor of svc2's leader, and whom two rules without a hash would take."""
    result = lab.election("svc2")
    others = [node for node in result.candidates if node != result.leader]
    leads = [lab.leader(name) for name in map(name_of, load_balancers(lab))]
    wrong_names = {
        "control plane": {lab.control_plane}, "next by name": set(others[:1]),
        "fewest Services": {min(others, key=leads.count)} if others else set(), "stays": {result.leader or ""},
    }  # fmt: skip
    return ExpectedAnswer(set(result.successors[:1]), wrong_names=wrong_names)


def _is_next_or_idle(answer: Answer, expected: ExpectedAnswer) -> bool:
    return answer != expected.names and answer in (
        expected.wrong_names["next by name"], expected.wrong_names["fewest Services"],
    )  # fmt: skip


def _expect_candidates(lab: LabQueries) -> ExpectedAnswer:
    wrong_names = {"everybody": nodes(lab), "with pods": nodes_with_endpoints(lab)}
    return ExpectedAnswer(set(lab.election("svc1").candidates), wrong_names=wrong_names)


def _expect_what_is_hashed(lab: LabQueries) -> ExpectedAnswer:
    """Find the text that, hashed, puts every leader of this moment first."""
    candidates = lab.election("svc1").candidates
    leaders = {name: lab.leader(name) for name in map(name_of, load_balancers(lab))}
    if None in leaders.values() or not leaders:
        raise NotFoundError(tr("Services that are led by somebody"), hint="lab.at('opening')")
    is_address = all(election.order(candidates, lab.vip(name))[0] == leader for name, leader in leaders.items())
    return ExpectedAnswer("address" if is_address else "name")


def _expect_addresses_of_new_node(lab: LabQueries) -> ExpectedAnswer:
    candidates, pool = lab.election("svc1").candidates, lab.pool()
    wrong_numbers = {"pool": len(pool), "share without it": len(pool) / len(candidates)}
    return ExpectedAnswer(float(len(election.won_by_new_node(_NEW_NODE, candidates, pool))), wrong_numbers)


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
        raise NotFoundError(tr("two candidates at this moment"), hint="lab.at('opening')")
    halves = result.candidates[:1], result.candidates[1:]
    leaders = {election.order(half, result.address)[0] for half in halves}
    return ExpectedAnswer("two" if len(leaders) == 2 else "one")


def _expect_way_to_agree(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether the names and the addresses alone explain who leads."""
    leaders = {name: lab.leader(name) for name in map(name_of, load_balancers(lab))}
    is_computed = all(lab.election(name).leader == leader for name, leader in leaders.items())
    return ExpectedAnswer("computed" if is_computed else "controller")


def _expect_reason_of_odd_events(lab: LabQueries) -> ExpectedAnswer:
    """Ask whether the node behind the last event against the rule announced every Service at that moment."""
    events = lab.observation().leader_history().to_dict("records")
    odd = [one for one in events if one["LEADER"] != _first(one["CANDIDATES"], str(one["ADDRESS"]))]
    if not odd:
        raise NotFoundError(tr("leader events against the rule"), hint="lab.at('delete-speaker-pod')")
    last = odd[-1]
    near = [one for one in events if abs(float(str(one["AT"])) - float(str(last["AT"]))) < 1]
    announced = {one["SERVICE"] for one in near if one["LEADER"] == last["LEADER"]}
    return ExpectedAnswer("alone" if announced == {one["SERVICE"] for one in events} else "memory")


def _first(candidates: object, address: str) -> str | None:
    return election.order(candidates, address)[0] if isinstance(candidates, list) and candidates else None


def _expect_moved_addresses(lab: LabQueries) -> ExpectedAnswer:
    """Return the addresses that move when a candidate leaves, one joins, one has a new name, and when none changes."""
    before, pool = list(lab.election("svc1").candidates), lab.pool()
    changes = [before[1:], before[:-1], [*before, _NEW_NODE], [_NEW_NODE, *before[1:]], before]
    cases: list[Case] = [((before, after, pool), _moved_addresses(before, after, pool)) for after in changes]
    return ExpectedAnswer(cases)


def _moved_addresses(before: list[str], after: list[str], addresses: list[str]) -> list[str]:
    old, new = election.leaders(before, addresses), election.leaders(after, addresses)
    return [address for address in addresses if old[address] != new[address]]


# ── wrong functions ──────────────────────────────────────────────────────────────────────────────────────


def _first_by_name(nodes: list[str], _address: str) -> str:
    return min(nodes)


def _in_turn(nodes: list[str], address: str) -> str:
    """Deal the addresses out, by their last number."""
    return sorted(nodes)[int(address.rpartition(".")[2]) % len(nodes)]


def _largest_hash(nodes: list[str], address: str) -> str:
    return election.order(nodes, address)[-1]


def _contradicts_itself(answer: Answer, expected: ExpectedAnswer) -> bool:
    """Recognise a function that answers the same question differently: it counts its calls, or draws lots."""
    if not callable(answer):
        return False
    arguments, _ = expected.cases[0]
    return len({str(answer(*arguments)) for _ in range(12)}) > 1


def _move_all(before: list[str], after: list[str], addresses: list[str]) -> list[str]:
    return addresses if before != after else []


def _move_those_of_leavers(before: list[str], after: list[str], addresses: list[str]) -> list[str]:
    leaders = election.leaders(before, addresses)
    return [address for address in addresses if leaders[address] not in after]


def _move_in_turn(before: list[str], after: list[str], addresses: list[str]) -> list[str]:
    return [address for address in addresses if _in_turn(before, address) != _in_turn(after, address)]


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
        "who-takes-over-svc2", "05", "The leader of svc2 leaves. Which node leads svc2 next?", "names",
        _expect_next_leader, options=sorted_nodes,
        hints=(
            "svc2 has an order of its own. Compute it from the names and the address.",
            "lab.hash_order('svc2') draws the order. The second mark is the answer.",
        ),
        explanation="It is {answer}: its hash with svc2's address is the second smallest.",
        misconceptions=(
            Misconception(
                "an-excluded-node-steps-in",
                "The control plane's label excludes it from every election. It does not become a candidate because "
                "another node leaves.",
                sources.LABEL, is_wrong_names("control plane"),
            ),
            Misconception(
                "the-next-or-the-idle-node-leads",
                "That node is the next by name, and it leads no Service yet. MetalLB asks for neither. Only the hash "
                "of name and address counts.",
                sources.PREFERRED, _is_next_or_idle,
            ),
            Misconception(
                "the-leader-stays",
                "That is the node that leaves. A speaker drops it from its list, so it cannot lead.",
                sources.STICKY, is_wrong_names("stays"),
            ),
        ),
        scored_by=("hash_order",),
        gives_away=(r"svc2\W+myk8s-worker3", r"smallest hash on: myk8s-worker, myk8s-worker3"),
    ),
    Exercise(
        "leader-of-svc1", "05",
        "Somebody deletes svc1 and applies it again. It gets its old address. Which node leads it?", "names",
        _expect_leader, quiz=True, options=sorted_nodes,
        hints=(
            "Compare with chapter 02, where the Services came back.",
            "lab.hash_order('svc1') draws the order. The leftmost mark leads.",
        ),
        explanation="It is {answer}. The same address and the same candidates give the same leader.",
        misconceptions=(
            Misconception(
                "control-plane-may-lead",
                "The control plane runs a speaker, but it carries the label exclude-from-external-load-balancers. "
                "It takes part in the gossip and cannot lead.",
                sources.LABEL, is_wrong_names("control plane"),
            ),
            Misconception(
                "leader-has-the-pod",
                "Those are the nodes with a Pod of svc1. With the policy Cluster the Pods do not matter. Any "
                "candidate may lead and forward the packet.",
                sources.ENDPOINTS_FIRST, is_wrong_names("with pods"),
            ),
        ),
        scored_by=("election", "hash_order", "leader"),
    ),
    Exercise(
        "how-they-agree", "05", "How do MetalLB's speakers agree on the leader of a VIP?", "choice",
        _expect_way_to_agree, quiz=True,
        choices=(
            Choice("lease", "the leader holds a Lease in the API and renews it"),
            Choice("vote", "the memberlist members vote, and a majority decides"),
            Choice("controller", "the controller elects a node, and the speakers follow"),
            Choice("computed", "each speaker computes the leader alone"),
        ),
        hints=(
            "Does the election work while a speaker cannot reach the API?",
            "Compare your function: what did it need besides names and an address?",
        ),
        explanation="{answer}. The same names and the same address give each speaker the same result.",
        misconceptions=(
            Misconception(
                "a-lease-elects",
                "Cilium and kube-vip work like that. MetalLB has no Lease and no TTL for a VIP, so nothing expires "
                "and no re-election runs on a timer.",
                "MetalLB docs before v0.9.4, concepts/layer2 (a lease); Cilium docs, l2-announcements",
                is_choice("lease"),
            ),
            Misconception(
                "memberlist-is-a-consensus",
                "memberlist is a gossip protocol, not etcd. It tells each speaker who is alive. It stores no leader "
                "and takes no vote.",
                sources.SPLIT, is_choice("vote"),
            ),
            Misconception(
                "the-controller-elects",
                "The controller allocates addresses. It does not know the leader. You can stop it, and the VIPs still "
                "fail over.",
                sources.BRIEF, is_choice("controller"),
            ),
        ),
    ),
    Exercise(
        "why-the-rule-looks-broken", "05", "Why did this speaker announce a Service that another node should lead?",
        "choice", _expect_reason_of_odd_events,
        choices=(
            Choice("memory", "it remembered what it led before its restart"),
            Choice("alone", "it knew of no other speaker at that moment"),
            Choice("exception", "the rule has an exception for a new speaker"),
            Choice("slow", "it had an old list of nodes from the API"),
        ),
        hints=(
            "Which Services did this speaker announce in its first moment? Compare with what the rule gives it.",
            "Its log says NodeJoin for each member that it meets. Look at the order.",
        ),
        explanation="{answer}. With a single candidate, every address has the same leader.",
        misconceptions=(
            Misconception(
                "a-speaker-remembers",
                "Its Pod is new and stores nothing. And this node did not lead svc3 before.",
                sources.STICKY, is_choice("memory"),
            ),
            Misconception(
                "new-speakers-are-special",
                "The code has no such exception. The rule was the same, but one of its inputs was not.",
                sources.BRIEF, is_choice("exception"),
            ),
            Misconception(
                "the-api-says-who-is-alive",
                "The list of nodes did not change, and it had every worker. But who is alive comes from the gossip, "
                "not from the API.",
                sources.BRIEF, is_choice("slow"),
            ),
        ),
        scored_by=("log",),
        gives_away=(r"knew of no other speaker", r"met was itself"),
    ),
    Exercise(
        "candidates-of-svc1", "05", "Which nodes are candidates for svc1?", "names", _expect_candidates,
        quiz=True, options=sorted_nodes,
        hints=("Not every node with a speaker is one.", "print(lab.election('svc1')) says which node is out, and why."),
        explanation="They are {answer}.",
        misconceptions=(
            Misconception(
                "every-speaker-is-a-candidate",
                "A speaker runs on every node, but a label can exclude a node. The control plane carries it.",
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
        hints=(
            "What can make an old node's hash smaller than it was?",
            "Nothing can. So which node can overtake a leader?",
        ),
        explanation="{answer}. The old nodes keep their hashes, so only the newcomer's can be smaller.",
        misconceptions=(
            Misconception(
                "old-nodes-exchange-addresses",
                "Between old nodes nothing changes: their names are the same, so their hashes are the same. A rule "
                "that deals addresses in turn would exchange them.",
                "MetalLB docs, concepts/layer2 (adding or removing nodes)", is_choice("all about"),
            ),
            Misconception(
                "election-balances",
                "No speaker counts how many addresses a node leads. The shares are as even as chance allows.",
                sources.UNEVEN, is_choice("evened out"),
            ),
        ),
        scored_by=("hash_order",),
    ),
    Exercise(
        "does-it-move-back", "05", "The old leader may lead again. Where will its VIPs be?",
        "choice", _expect_leader_after_return,
        choices=(
            Choice("stay", "where they are: the new leader keeps an address that works"),
            Choice("back", "back on the old leader"),
        ),
        hints=("What does a speaker remember of former leaders?", "Work out the order with the node in it."),
        explanation="{answer}. The candidates are the same as before, so the leader is the same.",
        misconceptions=(
            Misconception(
                "leaders-are-sticky",
                "Many users have asked for that. But a speaker does not remember who led.",
                sources.STICKY, is_choice("stay"),
            ),
        ),
        scored_by=("leader", "election"),
        gives_away=(r"fail(s|ed)? ?back", r"mov(es?|ed) back", r"back on the old leader"),
    ),
    Exercise(
        "write-the-election", "05", "Write the election: a function of the candidates' names and the address.", "code",
        _expect_elected_leaders,
        starter="def elect(nodes, address):\n    ...",
        hints=(
            "hashlib.sha256(text.encode()).digest() gives bytes, and bytes can be compared.",
            "The text is the node's name, a '#', the address; the smallest leads: min(nodes, key=…)",
        ),
        explanation="This cluster decided so: the smallest sha256 of name#address leads.",
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
                "Your function takes the first by name. Then one node would lead every address, and a node that "
                "joins with a later name would lead none.",
                sources.BRIEF, behaves_like(_first_by_name),
            ),
            Misconception(
                "a-leader-is-counted-or-drawn",
                "Your function named different nodes for the same candidates and the same address. So it counts who "
                "leads least, or it draws lots. Each speaker runs the function alone: the result has to be the same "
                "on every node and in every call.",
                sources.PREFERRED, _contradicts_itself,
            ),
            Misconception(
                "addresses-go-in-turn",
                "Your function deals out the addresses in turn. That is even, but most addresses would change their "
                "leader when a node joins or leaves.",
                sources.UNEVEN, behaves_like(_in_turn),
            ),
            Misconception(
                "the-largest-hash-leads",
                "Your hashes are right, and you take the last in order. MetalLB sorts upwards and takes the first.",
                sources.BRIEF, behaves_like(_largest_hash),
            ),
        ),
    ),
    Exercise(
        "what-is-hashed", "05", "The speakers hash a node's name together with something else. With what?",
        "choice", _expect_what_is_hashed, quiz=True,
        choices=(
            Choice("name", "the Service's namespace and name"), Choice("address", "the Service's external address"),
            Choice("load", "how many addresses the node leads already"),
        ),
        hints=("Two Services that share an address need one leader.", "lab.hash_order() has a line for each …"),
        explanation="{answer}. So Services that share an address share its leader.",
        misconceptions=(
            Misconception(
                "the-services-name-is-hashed",
                "MetalLB did that before v0.11.0. Then two Services that share an address could have different "
                "leaders, and a part of their traffic was lost.",
                sources.NAME_HASHED, is_choice("name"),
            ),
            Misconception(
                "the-least-loaded-leads",
                "Then all speakers would have to agree on a count first. Users have asked for it. MetalLB compares "
                "hashes only.",
                sources.PREFERRED, is_choice("load"),
            ),
        ),
    ),
    Exercise(
        "addresses-for-a-newcomer", "05", f"{_NEW_NODE} joins. About how many of the pool's addresses will it lead?",
        "number", _expect_addresses_of_new_node, unit="addresses", tolerance=0.4, scale=(0, 51, 1),
        hints=("Each address is a fair draw among four candidates.", "Take a quarter of the pool as a guess."),
        explanation="{answer}. The expected share is a quarter; the rest is chance.",
        misconceptions=(
            Misconception(
                "leaders-stay-when-a-node-joins",
                "A leader stays *unless* the newcomer's hash is smaller. In a whole pool that happens often.",
                "MetalLB docs, concepts/layer2 (adding or removing nodes)", is_number(lambda _: 0, 0.0),
            ),
            Misconception(
                "newcomer-stirs-everything",
                "The speakers compute all leaders again, that is true. But the old nodes keep their hashes, so only "
                "the addresses move that the newcomer wins.",
                sources.LESSON + " (it has to say that they do not)", is_wrong_number("pool"),
            ),
            Misconception(
                "the-newcomer-is-not-counted",
                "That is the share of each node before the newcomer came. Count the newcomer, too.",
                sources.BRIEF, is_wrong_number("share without it"),
            ),
        ),
    ),
    Exercise(
        "write-the-moves", "05",
        "Harder. Which addresses get another leader? Write moved(before, after, addresses): two lists of "
        "candidates, and the addresses. Return a list of those that move, in their order.",
        "code", _expect_moved_addresses,
        starter="def moved(before, after, addresses):\n    ...",
        hints=(
            "An address moves if elect(before, address) and elect(after, address) name different nodes.",
            "[address for address in addresses if …] keeps the order.",
        ),
        explanation="A leave moves what the leaver led. A join moves what the newcomer wins. The rest stays.",
        solution=(
            "from hashlib import sha256\n\n"
            "def moved(before, after, addresses):\n"
            "    def elect(nodes, address):\n"
            "        return min(nodes, key=lambda node: sha256(f'{node}#{address}'.encode()).digest())\n\n"
            "    return [one for one in addresses if elect(before, one) != elect(after, one)]"
        ),
        misconceptions=(
            Misconception(
                "a-change-moves-all",
                "Your function moves every address. Compute both leaders of each address: most are the same node.",
                sources.LESSON + " (it has to say that they do not)", behaves_like(_move_all),
            ),
            Misconception(
                "only-a-leave-moves",
                "Your function finds what a leaver led. A newcomer also takes addresses, from nodes that stay.",
                "MetalLB docs, concepts/layer2 (adding or removing nodes)", behaves_like(_move_those_of_leavers),
            ),
            Misconception(
                "the-pool-is-dealt-in-turn",
                "Your function deals the addresses in turn. Then most of them move with each change. Use the hash.",
                sources.UNEVEN, behaves_like(_move_in_turn),
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
        hints=(
            "Does a speaker count addresses?", "Throw a die often: its faces do not come equally often.",
        ),
        explanation="{answer}. No speaker counts.",
        misconceptions=(
            Misconception(
                "a-hash-is-fair-in-the-small",
                "A hash is even for very many addresses. A pool has few, and users have reported the differences as a "
                "fault.",
                "MetalLB issue #2284; MetalLB PR #2246", is_choice("even"),
            ),
        ),
    ),
    Exercise(
        "does-a-cordon-move-it", "05", "You cordon the leader (kubectl cordon). What happens to its VIPs?", "choice",
        _expect_effect_of_cordon, quiz=True,
        choices=(Choice("moves", "they move to other nodes"), Choice("stays", "nothing")),
        hints=(
            "Which checks does a speaker make about a node?", "In v0.14.8 it does not read spec.unschedulable.",
        ),
        explanation="{answer}. A cordon concerns new Pods, and the speaker's Pod runs already.",
        misconceptions=(
            Misconception(
                "cordon-moves-the-vip",
                "v0.14.9 did that, and v0.15.0 took it back. v0.14.8 does not ask about a cordon.",
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
        hints=(
            "A name leaves, and a name joins.", "Which addresses move for a leave? Which for a join?",
        ),
        explanation="{answer}. For the hash, one node left and another joined.",
        misconceptions=(
            Misconception(
                "machines-lead-not-names",
                "The speakers hash the name, not the machine, and the name is a new one.",
                sources.STICKY, is_choice("none"),
            ),
            Misconception(
                "a-leave-without-a-join",
                "Those may move. But the new name has its own hashes, and it leads where one is the smallest.",
                "MetalLB docs, concepts/layer2 (adding or removing nodes)", is_choice("its own"),
            ),
            Misconception(
                "every-change-deals-anew",
                "The speakers compute all leaders again, mostly with the same result: the other names did not change.",
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
        hints=(
            "Which other speaker does a speaker ask before it announces?",
            "It asks no other. It uses its own list of members.",
        ),
        explanation="{answer}. Each side elects among the members that it knows.",
        misconceptions=(
            Misconception(
                "a-majority-decides",
                "MetalLB has no quorum, by design. Each side serves the clients that it can reach.",
                sources.SPLIT, is_choice("one"),
            ),
            Misconception(
                "speakers-rather-keep-quiet",
                "A speaker cannot tell a broken network from dead members. So it takes over what they led.",
                "MetalLB docs, concepts/layer2 (brain split)", is_choice("none"),
            ),
        ),
    ),
)  # fmt: skip
