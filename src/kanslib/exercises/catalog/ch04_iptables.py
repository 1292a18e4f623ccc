"""Chapter 04: what the rules do with a packet."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from kanslib.exceptions import NotRecordedError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import nodes, slices, with_an_address, with_endpoints
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, chose, names, number
from kanslib.iptables import Packet
from kanslib.k8s import kubeproxy
from kanslib.k8s.objects import external_address

_LOCAL = "lab.apply(manifests.services_local), or lab.at('apply-etp-local') in the story 'etp-local'"


def _ways(lab: Any) -> ExpectedAnswer:
    return ExpectedAnswer(float(len(lab.trace("svc1"))), {"nodes": len(nodes(lab))})


def _chances(count: int) -> list[Fraction]:
    """What kube-proxy writes on the rules of a KUBE-SVC with so many endpoints, by its own ten digits."""
    return [Fraction(kubeproxy.probability(count - place)) for place in range(count)]


def _of_three(lab: Any) -> ExpectedAnswer:
    """The rules of svc1, if it had three endpoints: the model that equals this cluster's rules, given one more."""
    pieces = slices(lab)
    if not pieces or not pieces[0].get("endpoints"):
        raise NotRecordedError("endpoints of svc1 at this moment", hint="lab.at('opening')")
    first = pieces[0]["endpoints"][0]
    address = first["addresses"][0].rpartition(".")[0]
    three = [{**first, "addresses": [f"{address}.{last}"]} for last in (201, 202, 203)]
    config = kubeproxy.Config.of(lab.objects("nodes"), kubeproxy.pod_range(lab.objects("nodes")))
    node = sorted(nodes(lab))[0]
    service = [one for one in lab.objects("services") if one["metadata"]["name"] == "svc1"]
    lines = kubeproxy.nat_rules(service, [{**pieces[0], "endpoints": three}], node, config)
    dice = [line for line in lines if line.startswith("-A KUBE-SVC-") and "KUBE-SEP" in line]
    thrown = [line.partition("--probability ")[2].split(" ")[0] for line in dice]
    told = [round(float(chance), 2) if chance else 1.0 for chance in thrown]
    return ExpectedAnswer("rest" if told == [0.33, 0.5, 1.0] else "thirds" if told == [0.33] * 3 else "halves")


def _chosen(lab: Any) -> ExpectedAnswer:
    """By which match the rules of svc1 choose an endpoint, where there are two or more."""
    rules = lab.rules(lab.leader("svc1") or lab.control_plane)
    mine = [rule.raw for rule in rules.rules() if "KUBE-SVC-" in rule.chain and "default/svc1" in rule.text]
    matched = {"dice" if "--mode random" in text else "turns" for text in mine if "-m statistic" in text}
    if len(matched) != 1:
        raise NotRecordedError("two endpoints behind svc1 at this moment", hint="lab.at('opening')")
    return ExpectedAnswer(matched.pop())


def _dice(lab: Any) -> ExpectedAnswer:
    """Every KUBE-SVC chain of every node that is up, as (number of endpoints) → chances; then larger ones, computed."""
    cases = []
    for node in sorted(nodes(lab)):
        rules = lab.rules(node)
        for name in rules.names():
            if name.startswith("KUBE-SVC-"):
                thrown = [rule.probability for rule in rules.chain(name) if "KUBE-SEP" in rule.text]
                chances = [float(chance or 1) for chance in thrown]
                if chances and ((len(chances),), chances) not in cases:
                    cases.append(((len(chances),), chances))
    if not cases:
        raise NotRecordedError("a chain KUBE-SVC at this moment")
    known = {arguments[0] for arguments, _ in cases}
    larger = [((count,), [float(one) for one in _chances(count)]) for count in range(3, 9) if count not in known]
    return ExpectedAnswer(cases + larger)


def _per_connection(lab: Any) -> ExpectedAnswer:
    """Which packets of one connection meet KUBE-EXT: the first, or later ones as well."""
    leader = lab.leader("svc1")
    rules, vip = lab.rules(leader), lab.vip("svc1")
    met = {}
    for state in ("NEW", "ESTABLISHED"):
        packet = Packet(lab.address(lab.client), vip, dport=80, in_interface="eth0", ctstate=state)
        met[state] = any(rule.chain.startswith("KUBE-EXT") for way in rules.trace(packet) for rule in way.walked)
    return ExpectedAnswer("connection" if met == {"NEW": True, "ESTABLISHED": False} else "packet")


def _elsewhere(lab: Any) -> ExpectedAnswer:
    """What a node that does not lead svc1 does with a packet for it."""
    other = sorted(nodes(lab) - {lab.leader("svc1"), lab.control_plane})[-1]
    ways = lab.trace("svc1", node=other)
    ends = {way.packet.dst for way in ways if way.verdict == "ACCEPT"}
    return ExpectedAnswer(
        "dropped" if not ends else "leader" if ends == {lab.address(lab.leader("svc1"))} else "served"
    )


def _source_seen(lab: Any) -> ExpectedAnswer:
    seen = {way.packet.src for way in lab.trace("svc1")}
    return ExpectedAnswer("client" if seen == {lab.address(lab.client)} else "leader")


def _as_local(lab: Any) -> tuple[list[Any], list[Any], kubeproxy.Config]:
    """svc1 with the policy Local, its endpoints, and how this cluster's kube-proxy writes rules."""
    service = lab.object("service", "svc1")
    local = {**service, "spec": {**service["spec"], "externalTrafficPolicy": "Local"}}
    pieces = slices(lab)
    return [local], pieces, kubeproxy.Config.of(lab.objects("nodes"), kubeproxy.pod_range(lab.objects("nodes")))


def _must_be_local(lab: Any) -> None:
    if lab.object("service", "svc1")["spec"].get("externalTrafficPolicy") != "Local":
        raise NotRecordedError("externalTrafficPolicy: Local at this moment", hint=_LOCAL)


def _local_leaders(lab: Any) -> ExpectedAnswer:
    _must_be_local(lab)
    workers = nodes(lab) - {lab.control_plane}
    return ExpectedAnswer(set(lab.election("svc3").candidates), {"workers": workers, "everybody": nodes(lab)})


def _local_elsewhere(lab: Any) -> ExpectedAnswer:
    """The rule that kube-proxy writes for svc1 with Local, on a node that has none of its Pods."""
    empty = sorted(nodes(lab) - with_endpoints(lab) - {lab.control_plane})
    if not empty:
        raise NotRecordedError("a worker without a Pod of svc1 at this moment")
    services, pieces, config = _as_local(lab)
    rules = kubeproxy.filter_rules(services, pieces, empty[0], config)
    refusals = {line.partition(" -j ")[2] for line in rules if "no local endpoints" in line}
    return ExpectedAnswer("dropped" if refusals == {"DROP"} else "refused" if refusals else "passed on")


def _local_costs(lab: Any) -> ExpectedAnswer:
    """To how many of its endpoints svc1 would still be sent, with Local, by a node that has one of them."""
    home = min(with_endpoints(lab), default=None)
    if home is None:
        raise NotRecordedError("a ready Pod of svc1 at this moment")
    services, pieces, config = _as_local(lab)
    lines = kubeproxy.nat_rules(services, pieces, home, config)
    local = [line for line in lines if line.startswith("-A KUBE-SVL-") and "KUBE-SEP-" in line]
    everywhere = [line for line in lines if line.startswith("-A KUBE-SVC-") and "KUBE-SEP-" in line]
    return ExpectedAnswer("pods" if 0 < len(local) < len(everywhere) else "nothing")


def _firewalls(lab: Any) -> ExpectedAnswer:
    """Whether the chain KUBE-FW is there for Services that name no source ranges."""
    rules = lab.rules(sorted(nodes(lab) - {lab.control_plane})[-1])
    open_ones = [one for one in with_an_address(lab) if not one["spec"].get("loadBalancerSourceRanges")]
    walls = [name for name in rules.names() if name.startswith("KUBE-FW-")]
    vips = {external_address(one) for one in open_ones}
    fenced = {vip for vip in vips for rule in rules.rules() if f"-d {vip}/32" in rule.text and "KUBE-FW-" in rule.text}
    return ExpectedAnswer("always" if fenced and walls else "ranges")


EXERCISES = (
    Exercise(
        "ways-of-one-packet", "04", "In how many ways can the first packet of a connection to svc1 go?", "number",
        _ways, unit="ways", scale=(0, 8, 1),
        hints=("Where do the ways part?", "At the dice of KUBE-SVC: one way for each endpoint."),
        explanation="In {truth}: one for each endpoint.",
        misconceptions=(
            Misconception(
                "leader-serves-alone",
                "One way would mean that the leader sends to a Pod of its own and to no other. With the policy Cluster "
                "every endpoint can be chosen.",
                sources.ENDPOINTS_FIRST, number(lambda _: 1, 0.0),
            ),
            Misconception(
                "one-way-for-each-node",
                "You counted nodes. The packet is at one node, the leader, and its dice know endpoints.",
                sources.BALANCES, number(lambda truth: truth.facts["nodes"], 0.0),
            ),
        ),
        scored_by=("trace",),
    ),
    Exercise(
        "chances-of-three", "04", "Three endpoints, three rules in KUBE-SVC. Which chances stand on them?", "choice",
        _of_three, quiz=True,
        choices=(
            Choice("thirds", "1/3, 1/3, 1/3"), Choice("rest", "1/3, 1/2, and none (always)"),
            Choice("halves", "1/2, 1/2, 1/2"),
        ),
        hints=("Rules are tried from top to bottom.", "Who comes to the second rule was not taken by the first."),
        explanation="{truth}: each is a share of what is left.",
    ),
    Exercise(
        "how-pods-are-chosen", "04", "How does a node choose a Pod for each new connection?", "choice", _chosen,
        quiz=True,
        choices=(
            Choice("turns", "in turn: first, second, first, second"), Choice("dice", "by dice, each time anew"),
            Choice("load", "the one with the fewest connections"),
        ),
        hints=("Count a hundred answers. Is it fifty and fifty?", "Which match stands on the rules of KUBE-SVC?"),
        explanation="{truth}: statistic mode random. Neither turns nor load are known to a rule.",
        misconceptions=(
            Misconception(
                "kube-proxy-takes-turns",
                "Turns would give fifty and fifty, each time. The counts of chapter 01 stray from it, as dice do.",
                sources.BRIEF, chose("turns"),
            ),
        ),
    ),
    Exercise(
        "write-kube-svc", "04",
        "Write KUBE-SVC: from a number of endpoints to the chances on its rules, the last one 1.", "code", _dice,
        starter="def chances(count):\n    ...",
        hints=(
            "The first of n takes 1/n. How many are left for the second, and which share of the rest is its own?",
            "1 / (count - place) for each place from 0 on",
        ),
        explanation="Right in {truth}: 1/n, then 1/(n-1) of the rest, and so on, as the kernel has it.",
    ),
    Exercise(
        "counted-per", "04", "One request is a dozen packets. What do the counters of KUBE-EXT count?", "choice",
        _per_connection,
        choices=(Choice("packet", "each packet"), Choice("connection", "each connection once")),
        hints=("Does each packet have to be decided anew?", "conntrack remembers what was decided for the first."),
        explanation="{truth}: only the first packet of a connection walks the nat rules.",
        scored_by=("rule_changes",),
    ),
    Exercise(
        "source-behind-the-leader", "04", "Whom will the Pod behind svc1 see as its client?", "choice", _source_seen,
        choices=(Choice("client", "the client"), Choice("leader", "the leader")),
        hints=("KUBE-EXT marks what comes from outside.", "KUBE-POSTROUTING finds the mark."),
        explanation="{truth}, by the rules of this moment.",
        misconceptions=(
            Misconception(
                "layer-2-keeps-the-source",
                "The client's packet reaches the leader untouched, that is true. Then the leader masquerades it, so "
                "that the answer comes back through it.",
                sources.SOURCE_ADDRESS, chose("client"),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "packet-at-another-node", "04", "A packet for svc1's VIP comes to a worker that does not lead it. Then?",
        "choice", _elsewhere,
        choices=(
            Choice("served", "it is served like at the leader"), Choice("dropped", "it is dropped"),
            Choice("leader", "it is passed on to the leader"),
        ),
        hints=("Which rule knows who leads?", "None. Every node has the same rules."),
        explanation="{truth}. Any node could serve it; only ARP decides who gets it.",
        misconceptions=(
            Misconception(
                "only-the-leader-has-the-rules",
                "MetalLB writes no rules. kube-proxy does, the same on every node, and knows nothing of leaders.",
                sources.FROM_A_NODE, chose("dropped"),
            ),
        ),
        scored_by=("trace",),
    ),
    Exercise(
        "who-may-lead-with-local", "04", "externalTrafficPolicy: Local. Which nodes may lead svc3 now?", "names",
        _local_leaders, options=lambda lab: sorted(nodes(lab)),
        hints=("The leader may not pass a packet on.", "Only nodes with a ready Pod of the Service."),
        explanation="{truth}: those with a ready endpoint of their own.",
        misconceptions=(
            Misconception(
                "policy-does-not-touch-the-election",
                "The policy is kube-proxy's, but the speakers read it as well: a leader without a Pod would drop "
                "everything.",
                sources.LOCAL, names("workers"),
            ),
            Misconception(
                "local-lets-all-nodes-lead",
                "The control plane is out by its label, and without a Pod a node is out by the policy.",
                sources.LABEL, names("everybody"),
            ),
        ),
        scored_by=("leader", "election"),
    ),
    Exercise(
        "local-without-a-pod", "04", "With Local, a packet comes to a node that has no Pod of the Service. Then?",
        "choice", _local_elsewhere, quiz=True,
        choices=(
            Choice("passed on", "it is passed on to another node"), Choice("refused", "it is refused with a reset"),
            Choice("dropped", "it is dropped without a word"),
        ),
        hints=("The node must not pass it on.", "The filter table has a rule for it: no local endpoints."),
        explanation="{truth}: no local endpoints, and nobody is told.",
        misconceptions=(
            Misconception(
                "local-is-a-preference",
                "Local is no preference but a rule: a node without a Pod of the Service keeps the packet and drops it.",
                sources.LOCAL, chose("passed on"),
            ),
        ),
        scored_by=("trace",),
    ),
    Exercise(
        "what-local-costs", "04", "On layer 2, Local saves a hop and keeps the client's address. What does it cost?",
        "choice", _local_costs, quiz=True,
        choices=(
            Choice("nothing", "nothing: it is simply better"),
            Choice("pods", "the Pods on other nodes get no traffic"),
            Choice("speed", "a slower failover of the address"),
        ),
        hints=("Where do the leader's dice send to?", "lab.trace('svc1') has one way now."),
        explanation="{truth}. They stand by, in case their node becomes the leader.",
        misconceptions=(
            Misconception(
                "local-is-faster-for-free",
                "It does save a hop. But on layer 2 all traffic is at one node, and with Local it stays there: the "
                "other Pods are idle.",
                sources.LOCAL, chose("nothing"),
            ),
        ),
    ),
    Exercise(
        "is-there-a-firewall-chain", "04", "Older texts show a chain KUBE-FW for every LoadBalancer. When is it there?",
        "choice", _firewalls, quiz=True,
        choices=(
            Choice("always", "always"), Choice("ranges", "only with loadBalancerSourceRanges"),
            Choice("local", "only with the policy Local"),
        ),
        hints=("Look at the rules of svc1 for one.", "Which field names who may come in?"),
        explanation="It is there {truth}: it stands before KUBE-EXT and lets in who may.",
        misconceptions=(
            Misconception(
                "firewall-chain-is-always-there",
                "It was, years ago, and old dumps have it. Today a Service without source ranges goes straight to "
                "KUBE-EXT.",
                "MetalLB issue #284 (a dump of 2018)", chose("always"),
            ),
        ),
    ),
)  # fmt: skip
