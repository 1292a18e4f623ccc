"""Exercises of chapter 04 (expected answers, hints, feedback): what iptables rules do with a packet."""

from __future__ import annotations

from fractions import Fraction

from kanslib.exceptions import NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import (
    endpoint_slices,
    kubeproxy_config,
    name_of,
    nodes,
    nodes_with_endpoints,
    services_with_vip,
    sorted_nodes,
)
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import (
    Case,
    ExpectedAnswer,
    Misconception,
    is_choice,
    is_number,
    is_wrong_names,
    is_wrong_number,
)
from kanslib.iptables import Packet
from kanslib.k8s import kubeproxy
from kanslib.k8s.objects import KubeObject, external_address

_LOCAL = "lab.apply(manifests.services_local), or lab.at('apply-etp-local') in the story 'etp-local'"


def _expect_number_of_ways(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer(float(len(lab.trace("svc1"))), {"nodes": len(nodes(lab))})


def _probabilities(count: int) -> list[Fraction]:
    """Return what kube-proxy writes on the rules of a KUBE-SVC chain with so many endpoints, in its ten digits."""
    return [Fraction(kubeproxy.probability(count - place)) for place in range(count)]


def _expect_probabilities_of_three(lab: LabQueries) -> ExpectedAnswer:
    """Write the rules of svc1 as if it had three endpoints."""
    slices = endpoint_slices(lab)
    if not slices or not slices[0].get("endpoints"):
        raise NotFoundError("endpoints of svc1 at this moment", hint="lab.at('opening')")
    endpoint = slices[0]["endpoints"][0]
    prefix = endpoint["addresses"][0].rpartition(".")[0]
    endpoints = [{**endpoint, "addresses": [f"{prefix}.{last}"]} for last in (201, 202, 203)]
    service = [one for one in lab.objects("services") if name_of(one) == "svc1"]
    node = min(nodes(lab))
    lines = kubeproxy.nat_rules(service, [{**slices[0], "endpoints": endpoints}], node, kubeproxy_config(lab))
    choosing = [line for line in lines if line.startswith("-A KUBE-SVC-") and "KUBE-SEP" in line]
    texts = [line.partition("--probability ")[2].split(" ")[0] for line in choosing]
    rounded = [round(float(text), 2) if text else 1.0 for text in texts]
    return ExpectedAnswer("rest" if rounded == [0.33, 0.5, 1.0] else "thirds" if rounded == [0.33] * 3 else "halves")


def _expect_how_pods_are_chosen(lab: LabQueries) -> ExpectedAnswer:
    """Find the match by which the rules of svc1 choose an endpoint, where there are two or more."""
    ruleset = lab.rules(lab.leader("svc1") or lab.control_plane)
    rules = [rule.raw for rule in ruleset.rules() if "KUBE-SVC-" in rule.chain and "default/svc1" in rule.text]
    modes = {"dice" if "--mode random" in rule else "turns" for rule in rules if "-m statistic" in rule}
    if len(modes) != 1:
        raise NotFoundError("two endpoints behind svc1 at this moment", hint="lab.at('opening')")
    return ExpectedAnswer(modes.pop())


def _expect_written_probabilities(lab: LabQueries) -> ExpectedAnswer:
    """Return (number of endpoints) → probabilities: of every KUBE-SVC chain of a node that is up, then larger ones."""
    found: dict[int, list[list[float]]] = {}
    for node in sorted_nodes(lab):
        ruleset = lab.rules(node)
        for name in ruleset.names():
            if name.startswith("KUBE-SVC-"):
                rules = [rule for rule in ruleset.chain(name) if "KUBE-SEP" in rule.text]
                probabilities = [float(rule.probability or 1) for rule in rules]
                if probabilities and probabilities not in found.setdefault(len(rules), []):
                    found[len(rules)].append(probabilities)
    if not any(found.values()):
        raise NotFoundError("a chain KUBE-SVC at this moment")
    recorded: list[Case] = [((count,), result) for count, results in found.items() for result in results]
    larger: list[Case] = [
        ((count,), [float(one) for one in _probabilities(count)]) for count in range(3, 9) if not found.get(count)
    ]
    return ExpectedAnswer(recorded + larger)


def _expect_what_is_counted(lab: LabQueries) -> ExpectedAnswer:
    """Find out which packets of one connection meet KUBE-EXT: the first, or later ones as well."""
    ruleset, client, vip = lab.rules(_leader(lab)), lab.address(lab.client), lab.vip("svc1")
    is_met = {}
    for state in ("NEW", "ESTABLISHED"):
        packet = Packet(client, vip, dport=80, in_interface="eth0", ctstate=state)
        ways = ruleset.trace(packet)
        is_met[state] = any(rule.chain.startswith("KUBE-EXT") for way in ways for rule in way.walked)
    return ExpectedAnswer("connection" if is_met == {"NEW": True, "ESTABLISHED": False} else "packet")


def _leader(lab: LabQueries) -> str:
    """Return the leader of svc1; NotFoundError where it has none."""
    leader = lab.leader("svc1")
    if leader is None:
        raise NotFoundError("a leader of svc1 at this moment", hint="lab.at('opening')")
    return leader


def _expect_packet_at_another_node(lab: LabQueries) -> ExpectedAnswer:
    """Find out what a node that does not lead svc1 does with a packet for it."""
    leader = _leader(lab)
    other_node = max(nodes(lab) - {leader, lab.control_plane})
    ways = lab.trace("svc1", node=other_node)
    destinations = {way.packet.dst for way in ways if way.verdict == "ACCEPT"}
    if not destinations:
        return ExpectedAnswer("dropped")
    return ExpectedAnswer("leader" if destinations == {lab.address(leader)} else "served")


def _expect_source_behind_leader(lab: LabQueries) -> ExpectedAnswer:
    sources_seen = {way.packet.src for way in lab.trace("svc1")}
    return ExpectedAnswer("client" if sources_seen == {lab.address(lab.client)} else "leader")


def _with_policy_local(lab: LabQueries) -> list[KubeObject]:
    """Return svc1 as if it had the policy Local, for a function that takes several Services."""
    service = lab.object("service", "svc1")
    return [{**service, "spec": {**service["spec"], "externalTrafficPolicy": "Local"}}]


def _expect_leaders_with_local(lab: LabQueries) -> ExpectedAnswer:
    if lab.object("service", "svc1")["spec"].get("externalTrafficPolicy") != "Local":
        raise NotFoundError("externalTrafficPolicy: Local at this moment", hint=_LOCAL)
    everybody = nodes(lab)
    wrong_names = {"workers": everybody - {lab.control_plane}, "everybody": everybody}
    return ExpectedAnswer(set(lab.election("svc3").candidates), wrong_names=wrong_names)


def _expect_local_without_pod(lab: LabQueries) -> ExpectedAnswer:
    """Find the rule that kube-proxy writes for svc1 with Local, on a node that has none of its Pods."""
    workers_without_pod = nodes(lab) - nodes_with_endpoints(lab) - {lab.control_plane}
    if not workers_without_pod:
        raise NotFoundError("a worker without a Pod of svc1 at this moment")
    rules = kubeproxy.filter_rules(
        _with_policy_local(lab), endpoint_slices(lab), min(workers_without_pod), kubeproxy_config(lab)
    )
    verdicts = {line.partition(" -j ")[2] for line in rules if "no local endpoints" in line}
    return ExpectedAnswer("dropped" if verdicts == {"DROP"} else "refused" if verdicts else "passed on")


def _expect_cost_of_local(lab: LabQueries) -> ExpectedAnswer:
    """Count to how many of its endpoints svc1 would still be sent, with Local, by a node that has one of them."""
    node = min(nodes_with_endpoints(lab), default=None)
    if node is None:
        raise NotFoundError("a ready Pod of svc1 at this moment")
    rules = kubeproxy.nat_rules(_with_policy_local(lab), endpoint_slices(lab), node, kubeproxy_config(lab))
    local = [line for line in rules if line.startswith("-A KUBE-SVL-") and "KUBE-SEP-" in line]
    everywhere = [line for line in rules if line.startswith("-A KUBE-SVC-") and "KUBE-SEP-" in line]
    return ExpectedAnswer("pods" if 0 < len(local) < len(everywhere) else "nothing")


def _expect_firewall_chain(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether there is a chain KUBE-FW for Services without source ranges."""
    ruleset = lab.rules(max(nodes(lab) - {lab.control_plane}))
    services = [one for one in services_with_vip(lab) if not one["spec"].get("loadBalancerSourceRanges")]
    matches = [f"-d {external_address(service)}/32" for service in services]
    jumps = [rule.text for rule in ruleset.rules() if "KUBE-FW-" in rule.text]
    has_chain = any(name.startswith("KUBE-FW-") for name in ruleset.names())
    return ExpectedAnswer("always" if has_chain and any(m in text for m in matches for text in jumps) else "ranges")


EXERCISES = (
    Exercise(
        "ways-of-one-packet", "04", "In how many ways can the first packet of a connection to svc1 go?", "number",
        _expect_number_of_ways, unit="ways", scale=(0, 8, 1),
        hints=("Where do the ways part?", "At the dice of KUBE-SVC: one way for each endpoint."),
        explanation="In {answer}: one for each endpoint.",
        misconceptions=(
            Misconception(
                "leader-serves-alone",
                "One way would mean that the leader sends to a Pod of its own and to no other. With the policy Cluster "
                "every endpoint can be chosen.",
                sources.ENDPOINTS_FIRST, is_number(lambda _: 1, 0.0),
            ),
            Misconception(
                "one-way-for-each-node",
                "You counted nodes. The packet is at one node, the leader, and its dice know endpoints.",
                sources.BALANCES, is_wrong_number("nodes", 0.0),
            ),
        ),
        scored_by=("trace",),
    ),
    Exercise(
        "chances-of-three", "04", "Three endpoints, three rules in KUBE-SVC. Which chances stand on them?", "choice",
        _expect_probabilities_of_three, quiz=True,
        choices=(
            Choice("thirds", "1/3, 1/3, 1/3"), Choice("rest", "1/3, 1/2, and none (always)"),
            Choice("halves", "1/2, 1/2, 1/2"),
        ),
        hints=("Rules are tried from top to bottom.", "Who comes to the second rule was not taken by the first."),
        explanation="{answer}: each is a share of what is left.",
    ),
    Exercise(
        "how-pods-are-chosen", "04", "How does a node choose a Pod for each new connection?",
        "choice", _expect_how_pods_are_chosen,
        quiz=True,
        choices=(
            Choice("turns", "in turn: first, second, first, second"), Choice("dice", "by dice, each time anew"),
            Choice("load", "the one with the fewest connections"),
        ),
        hints=("Count a hundred answers. Is it fifty and fifty?", "Which match stands on the rules of KUBE-SVC?"),
        explanation="{answer}: statistic mode random. Neither turns nor load are known to a rule.",
        misconceptions=(
            Misconception(
                "kube-proxy-takes-turns",
                "Turns would give fifty and fifty, each time. The counts of chapter 01 stray from it, as dice do.",
                sources.BRIEF, is_choice("turns"),
            ),
        ),
    ),
    Exercise(
        "write-kube-svc", "04",
        "Write KUBE-SVC: from a number of endpoints to the chances on its rules, the last one 1.",
        "code", _expect_written_probabilities,
        starter="def chances(count):\n    ...",
        hints=(
            "The first of n takes 1/n. How many are left for the second, and which share of the rest is its own?",
            "1 / (count - place) for each place from 0 on",
        ),
        explanation="1/n, then 1/(n-1) of the rest, and so on, as the kernel has it.",
        solution="def chances(count):\n    return [1 / (count - place) for place in range(count)]",
    ),
    Exercise(
        "counted-per", "04", "One request is a dozen packets. What do the counters of KUBE-EXT count?", "choice",
        _expect_what_is_counted,
        choices=(Choice("packet", "each packet"), Choice("connection", "each connection once")),
        hints=("Does each packet have to be decided anew?", "conntrack remembers what was decided for the first."),
        explanation="{answer}: only the first packet of a connection walks the nat rules.",
        scored_by=("rules",),
    ),
    Exercise(
        "source-behind-the-leader", "04", "Whom will the Pod behind svc1 see as its client?",
        "choice", _expect_source_behind_leader,
        choices=(Choice("client", "the client"), Choice("leader", "the leader")),
        hints=("KUBE-EXT marks what comes from outside.", "KUBE-POSTROUTING finds the mark."),
        explanation="{answer}, by the rules of this moment.",
        misconceptions=(
            Misconception(
                "layer-2-keeps-the-source",
                "The client's packet reaches the leader untouched, that is true. Then the leader masquerades it, so "
                "that the answer comes back through it.",
                sources.SOURCE_ADDRESS, is_choice("client"),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "packet-at-another-node", "04", "A packet for svc1's VIP comes to a worker that does not lead it. Then?",
        "choice", _expect_packet_at_another_node,
        choices=(
            Choice("served", "it is served like at the leader"), Choice("dropped", "it is dropped"),
            Choice("leader", "it is passed on to the leader"),
        ),
        hints=("Which rule knows who leads?", "None. Every node has the same rules."),
        explanation="{answer}. Any node could serve it; only ARP decides who gets it.",
        misconceptions=(
            Misconception(
                "only-the-leader-has-the-rules",
                "MetalLB writes no rules. kube-proxy does, the same on every node, and knows nothing of leaders.",
                sources.FROM_A_NODE, is_choice("dropped"),
            ),
        ),
        scored_by=("trace",),
    ),
    Exercise(
        "who-may-lead-with-local", "04", "externalTrafficPolicy: Local. Which nodes may lead svc3 now?", "names",
        _expect_leaders_with_local, options=sorted_nodes,
        hints=("The leader may not pass a packet on.", "Only nodes with a ready Pod of the Service."),
        explanation="{answer}: those with a ready endpoint of their own.",
        misconceptions=(
            Misconception(
                "policy-does-not-touch-the-election",
                "The policy is kube-proxy's, but the speakers read it as well: a leader without a Pod would drop "
                "everything.",
                sources.LOCAL, is_wrong_names("workers"),
            ),
            Misconception(
                "local-lets-all-nodes-lead",
                "The control plane is out by its label, and without a Pod a node is out by the policy.",
                sources.LABEL, is_wrong_names("everybody"),
            ),
        ),
        scored_by=("leader", "election"),
    ),
    Exercise(
        "local-without-a-pod", "04", "With Local, a packet comes to a node that has no Pod of the Service. Then?",
        "choice", _expect_local_without_pod, quiz=True,
        choices=(
            Choice("passed on", "it is passed on to another node"), Choice("refused", "it is refused with a reset"),
            Choice("dropped", "it is dropped without a word"),
        ),
        hints=("The node must not pass it on.", "The filter table has a rule for it: no local endpoints."),
        explanation="{answer}: no local endpoints, and nobody is told.",
        misconceptions=(
            Misconception(
                "local-is-a-preference",
                "Local is no preference but a rule: a node without a Pod of the Service keeps the packet and drops it.",
                sources.LOCAL, is_choice("passed on"),
            ),
        ),
        scored_by=("trace",),
    ),
    Exercise(
        "what-local-costs", "04", "On layer 2, Local saves a hop and keeps the client's address. What does it cost?",
        "choice", _expect_cost_of_local, quiz=True,
        choices=(
            Choice("nothing", "nothing: it is simply better"),
            Choice("pods", "the Pods on other nodes get no traffic"),
            Choice("speed", "a slower failover of the address"),
        ),
        hints=("Where do the leader's dice send to?", "lab.trace('svc1') has one way now."),
        explanation="{answer}. They stand by, in case their node becomes the leader.",
        misconceptions=(
            Misconception(
                "local-is-faster-for-free",
                "It does save a hop. But on layer 2 all traffic is at one node, and with Local it stays there: the "
                "other Pods are idle.",
                sources.LOCAL, is_choice("nothing"),
            ),
        ),
    ),
    Exercise(
        "is-there-a-firewall-chain", "04", "Older texts show a chain KUBE-FW for every LoadBalancer. When is it there?",
        "choice", _expect_firewall_chain, quiz=True,
        choices=(
            Choice("always", "always"), Choice("ranges", "only with loadBalancerSourceRanges"),
            Choice("local", "only with the policy Local"),
        ),
        hints=("Look at the rules of svc1 for one.", "Which field names who may come in?"),
        explanation="It is there {answer}: it stands before KUBE-EXT and lets in who may.",
        misconceptions=(
            Misconception(
                "firewall-chain-is-always-there",
                "It was, years ago, and old dumps have it. Today a Service without source ranges goes straight to "
                "KUBE-EXT.",
                "MetalLB issue #284 (a dump of 2018)", is_choice("always"),
            ),
        ),
    ),
)  # fmt: skip
