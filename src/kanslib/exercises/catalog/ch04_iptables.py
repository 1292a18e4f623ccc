"""Exercises of chapter 04 (expected answers, hints, feedback): what iptables rules do with a packet."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from kanslib import nftables
from kanslib.course import dumps
from kanslib.exceptions import NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import (
    endpoint_slices,
    kubeproxy_config,
    name_of,
    node_port,
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
    behaves_like,
    is_choice,
    is_number,
    is_wrong_names,
    is_wrong_number,
)
from kanslib.i18n import tr, tr_later
from kanslib.iptables import Packet
from kanslib.k8s import kubeproxy, kubeproxy_nftables
from kanslib.k8s.objects import KubeObject, external_address
from kanslib.nftables.syntax import Concatenation, Lookup, Nat, NumGen, SetLiteral, SetReference, VerdictMap

_LOCAL = tr_later("lab.apply(manifests.services_local), or lab.at('apply-etp-local') in the story 'etp-local'")
_COMMENT = re.compile(r'-m comment --comment "[^"]*" ')
_ANOTHER_PORT = 8443  # of a Service that no story has: a rule with the port 80 in its text is not right for it


def _expect_number_of_ways(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer(float(len(lab.trace("svc1"))), {"nodes": len(nodes(lab))})


def _probabilities(count: int) -> list[Fraction]:
    """Return what kube-proxy writes on the rules of a KUBE-SVC chain with so many endpoints, in its ten digits."""
    return [Fraction(kubeproxy.probability(count - place)) for place in range(count)]


def _slice_with_endpoints(lab: LabQueries) -> KubeObject:
    """Return the EndpointSlice of svc1, which has an endpoint at least."""
    slices = endpoint_slices(lab)
    if not slices or not slices[0].get("endpoints"):
        raise NotFoundError(tr("endpoints of svc1 at this moment"), hint="lab.at('opening')")
    return slices[0]


def _expect_probabilities_of_three(lab: LabQueries) -> ExpectedAnswer:
    """Write the rules of svc1 as if it had three endpoints."""
    recorded = _slice_with_endpoints(lab)
    endpoint = recorded["endpoints"][0]
    prefix = endpoint["addresses"][0].rpartition(".")[0]
    endpoints = [{**endpoint, "addresses": [f"{prefix}.{last}"]} for last in (201, 202, 203)]
    service = [one for one in lab.objects("services") if name_of(one) == "svc1"]
    node = min(nodes(lab))
    lines = kubeproxy.nat_rules(service, [{**recorded, "endpoints": endpoints}], node, kubeproxy_config(lab))
    choosing = [line for line in lines if line.startswith("-A KUBE-SVC-") and "KUBE-SEP" in line]
    texts = [line.partition("--probability ")[2].split(" ")[0] for line in choosing]
    rounded = [round(float(text), 2) if text else 1.0 for text in texts]
    return ExpectedAnswer("rest" if rounded == [0.33, 0.5, 1.0] else "thirds" if rounded == [0.33] * 3 else "halves")


def _expect_how_pods_are_chosen(lab: LabQueries) -> ExpectedAnswer:
    """Find the match by which the rules of svc1 choose an endpoint, where there are two or more."""
    ruleset = lab.rules(lab.leader("svc1") or lab.control_plane)
    rules = [rule.raw for rule in ruleset.rules() if "KUBE-SVC-" in rule.chain and "default/svc1" in rule.text]
    modes = {"random" if "--mode random" in rule else "turns" for rule in rules if "-m statistic" in rule}
    if len(modes) != 1:
        raise NotFoundError(tr("two endpoints behind svc1 at this moment"), hint="lab.at('opening')")
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
        raise NotFoundError(tr("a chain KUBE-SVC at this moment"))
    recorded: list[Case] = [((count,), result) for count, results in found.items() for result in results]
    larger: list[Case] = [
        ((count,), [float(one) for one in _probabilities(count)]) for count in range(3, 9) if not found.get(count)
    ]
    return ExpectedAnswer(recorded + larger)


def _expect_vip_rules(lab: LabQueries) -> ExpectedAnswer:
    """Return (VIP, port, end of the chain's name) → the rule of KUBE-SERVICES, of each Service and of one more."""
    lines = [rule.text for rule in lab.rules(_leader(lab)).chain("KUBE-SERVICES")]
    service = lab.object("service", "svc1")
    ports = [{**service["spec"]["ports"][0], "port": _ANOTHER_PORT}]
    another = {**service, "spec": {**service["spec"], "ports": ports}}
    lines += kubeproxy.nat_rules([another], endpoint_slices(lab), min(nodes(lab)), kubeproxy_config(lab))
    cases: list[Case] = []
    for line in lines:
        if '"' in line and "loadbalancer IP" in line and " -j KUBE-EXT-" in line:
            words = line.split()
            vip, port = words[words.index("-d") + 1].removesuffix("/32"), int(words[words.index("--dport") + 1])
            cases.append(((vip, port, words[-1].removeprefix("KUBE-EXT-")), _COMMENT.sub("", line)))
    return ExpectedAnswer(cases)


def _vip_rule(vip: str, port: int, suffix: str, chain: str = "KUBE-EXT") -> str:
    return f"-A KUBE-SERVICES -d {vip}/32 -p tcp -m tcp --dport {port} -j {chain}-{suffix}"


def _expect_dropping_chain(lab: LabQueries) -> ExpectedAnswer:
    """Find the one of these chains that has a rule with the target DROP, on the leader of svc1."""
    droppers = {rule.chain for rule in lab.rules(_leader(lab)).rules() if rule.target in ("DROP", "REJECT")}
    found = [name for name in ("KUBE-MARK-MASQ", "KUBE-SVC", "KUBE-FORWARD") if any(map(_named(name), droppers))]
    if len(found) != 1:
        raise NotFoundError(tr("one chain of these three that drops, at this moment"), hint="lab.at('opening')")
    return ExpectedAnswer(found[0])


def _named(name: str) -> Callable[[str], bool]:
    return lambda chain: chain == name or chain.startswith(f"{name}-")


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
        raise NotFoundError(tr("a leader of svc1 at this moment"), hint="lab.at('opening')")
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
        raise NotFoundError(tr("externalTrafficPolicy: Local at this moment"), hint=tr(_LOCAL))
    everybody = nodes(lab)
    wrong_names = {"workers": everybody - {lab.control_plane}, "everybody": everybody}
    return ExpectedAnswer(set(lab.election("svc3").candidates), wrong_names=wrong_names)


def _expect_local_without_pod(lab: LabQueries) -> ExpectedAnswer:
    """Find the rule that kube-proxy writes for svc1 with Local, on a node that has none of its Pods."""
    workers_without_pod = nodes(lab) - nodes_with_endpoints(lab) - {lab.control_plane}
    if not workers_without_pod:
        raise NotFoundError(tr("a worker without a Pod of svc1 at this moment"))
    rules = kubeproxy.filter_rules(
        _with_policy_local(lab), endpoint_slices(lab), min(workers_without_pod), kubeproxy_config(lab)
    )
    verdicts = {line.partition(" -j ")[2] for line in rules if "no local endpoints" in line}
    return ExpectedAnswer("dropped" if verdicts == {"DROP"} else "refused" if verdicts else "passed on")


def _expect_cost_of_local(lab: LabQueries) -> ExpectedAnswer:
    """Count to how many of its endpoints svc1 would still be sent, with Local, by a node that has one of them."""
    node = min(nodes_with_endpoints(lab), default=None)
    if node is None:
        raise NotFoundError(tr("a ready Pod of svc1 at this moment"))
    rules = kubeproxy.nat_rules(_with_policy_local(lab), endpoint_slices(lab), node, kubeproxy_config(lab))
    local = [line for line in rules if line.startswith("-A KUBE-SVL-") and "KUBE-SEP-" in line]
    everywhere = [line for line in rules if line.startswith("-A KUBE-SVC-") and "KUBE-SEP-" in line]
    return ExpectedAnswer("pods" if 0 < len(local) < len(everywhere) else "nothing")


def _expect_health_answer(lab: LabQueries) -> ExpectedAnswer:
    """Find out what kube-proxy answers on the health check port of svc1 with Local, on a worker without its Pods."""
    workers_without_pod = nodes(lab) - nodes_with_endpoints(lab) - {lab.control_plane}
    if not workers_without_pod:
        raise NotFoundError(tr("a worker without a Pod of svc1 at this moment"))
    node, [service] = min(workers_without_pod), _with_policy_local(lab)
    service["spec"].setdefault("healthCheckNodePort", node_port(service))  # the API server chooses one with Local
    checks = kubeproxy.health_checks([service], endpoint_slices(lab), node, kubeproxy_config(lab))
    return ExpectedAnswer(str(checks[0].status) if checks else "nothing")


def _expect_firewall_chain(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether there is a chain KUBE-FW for Services without source ranges."""
    ruleset = lab.rules(max(nodes(lab) - {lab.control_plane}))
    services = [one for one in services_with_vip(lab) if not one["spec"].get("loadBalancerSourceRanges")]
    matches = [f"-d {external_address(service)}/32" for service in services]
    jumps = [rule.text for rule in ruleset.rules() if "KUBE-FW-" in rule.text]
    has_chain = any(name.startswith("KUBE-FW-") for name in ruleset.names())
    return ExpectedAnswer("always" if has_chain and any(m in text for m in matches for text in jumps) else "ranges")


def _expect_rules_that_find_a_service(_lab: LabQueries) -> ExpectedAnswer:
    """Count the rules that look for the address of a Service, beside the addresses."""
    table = nftables.parse(dumps.nftables_leader()).table("ip", "kube-proxy")
    statements = [one for chain in table.chains.values() for rule in chain.rules for one in rule.statements]
    asking = [one for one in statements if isinstance(one, VerdictMap) and one.map == SetReference("service-ips")]
    return ExpectedAnswer("all" if len(asking) == 1 < len(table.sets["service-ips"].elements) else "address")


def _expect_numbered_endpoints(lab: LabQueries) -> ExpectedAnswer:
    """Return (addresses, port) → the choice of an endpoint: those of the dump, then of more endpoints of svc1."""
    service, recorded = lab.object("service", "svc1"), _slice_with_endpoints(lab)
    first, config = recorded["endpoints"][0], kubeproxy_config(lab)
    texts = [str(dumps.nftables_leader())]
    for count in (3, 5):
        endpoints = [{**first, "addresses": [f"10.10.{place}.{place + 7}"]} for place in range(count)]
        slice_of_more = {**recorded, "endpoints": endpoints}
        texts.append(str(kubeproxy_nftables.write([service], [slice_of_more], min(nodes(lab)), config)))
    choices = [choice for text in texts for choice in _choices(nftables.parse(text).table("ip", "kube-proxy"))]
    return ExpectedAnswer([case for place, case in enumerate(choices) if case not in choices[:place]])


def _choices(table: nftables.Table) -> list[Case]:
    """Return (addresses, port) → the choice by a random number, of each Service port; svc1 and its like come first."""
    found: list[Case] = []
    for _, chain in sorted(table.chains.items(), key=lambda named: "/svc" not in named[0]):
        for statement in (one for rule in chain.rules for one in rule.statements):
            match statement:
                case Nat(address=Lookup(NumGen(), SetLiteral(elements)) as choice):
                    endpoints = [one.data.parts for one in elements if isinstance(one.data, Concatenation)]
                    arguments = ([str(address) for address, _ in endpoints], int(str(endpoints[0][1])))
                    found.append((arguments, str(choice)))
    return found


def _numbered(addresses: list[str], port: int, first: int = 0) -> str:
    endpoints = ", ".join(f"{number} : {address} . {port}" for number, address in enumerate(addresses, first))
    return f"numgen random mod {len(addresses)} map {{ {endpoints} }}"


EXERCISES = (
    Exercise(
        "ways-of-one-packet", "04", "How many ways can the first packet of a connection to svc1 take?", "number",
        _expect_number_of_ways, unit="ways", scale=(0, 8, 1),
        hints=("Where do the ways part?", "They part in KUBE-SVC: one way for each endpoint."),
        explanation="{answer}: one for each endpoint.",
        misconceptions=(
            Misconception(
                "leader-serves-alone",
                "One way would mean that the leader sends only to its own Pod. With the policy Cluster it can choose "
                "every endpoint.",
                sources.ENDPOINTS_FIRST, is_number(lambda _: 1, 0.0),
            ),
            Misconception(
                "one-way-for-each-node",
                "You counted nodes. The packet is at one node, the leader. The rules of the leader list endpoints.",
                sources.BALANCES, is_wrong_number("nodes", 0.0),
            ),
        ),
        scored_by=("trace",),
        gives_away=(r"\b1/2 to ", r"1/2 of (the packets|what comes)", r"\b(a|one)( way)? for each endpoint"),
    ),
    Exercise(
        "source-behind-the-leader", "04", "Which address does the Pod behind svc1 see as its client?",
        "choice", _expect_source_behind_leader,
        choices=(Choice("client", "the client's"), Choice("leader", "one of the leader's")),
        hints=(
            "KUBE-EXT marks packets from outside. What does the mark do?",
            "KUBE-POSTROUTING looks for the mark and rewrites the source.",
        ),
        explanation="{answer}: the leader masquerades packets from outside.",
        misconceptions=(
            Misconception(
                "layer-2-keeps-the-source",
                "The client's packet reaches the leader untouched, that is true. Then the leader masquerades it, so "
                "that the answer comes back through the leader.",
                sources.SOURCE_ADDRESS, is_choice("client"),
            ),
        ),
        scored_by=("trace", "curl"),
        gives_away=(r"the source becomes", r"(?i)rewrites the \*?source", r"\*{0,2}MASQUERADE\*{0,2} (is|takes)"),
    ),
    Exercise(
        "which-chain-drops", "04", "Which of these chains can drop a packet?", "choice", _expect_dropping_chain,
        choices=(
            Choice("KUBE-MARK-MASQ", "KUBE-MARK-MASQ"), Choice("KUBE-SVC", "KUBE-SVC"),
            Choice("KUBE-FORWARD", "KUBE-FORWARD"),
        ),
        hints=("Two of them are in the table nat. What does that table do?", "The table filter drops packets."),
        explanation="{answer}, in the table filter: it drops packets that belong to no connection in conntrack.",
        misconceptions=(
            Misconception(
                "mark-masq-drops",
                "KUBE-MARK-MASQ sets a bit on the packet, and the packet goes on. Old clusters had a chain "
                "KUBE-MARK-DROP, which looked similar.",
                sources.BRIEF, is_choice("KUBE-MARK-MASQ"),
            ),
            Misconception(
                "no-endpoint-drops",
                "KUBE-SVC chooses an endpoint. Its last rule has no condition, so no packet is left over. A Service "
                "without endpoints has no KUBE-SVC chain.",
                sources.BRIEF, is_choice("KUBE-SVC"),
            ),
        ),
        scored_by=("run",),
        gives_away=(r"-j DROP", r"(?i)KUBE-FORWARD\S* (can )?drops?", r"(?i)they drop nothing"),
    ),
    Exercise(
        "write-the-vip-rule", "04",
        "Write the rule of KUBE-SERVICES that sends packets for a VIP to KUBE-EXT-<suffix>, as iptables-save prints "
        "it. Leave out the counters and the comment.",
        "code", _expect_vip_rules,
        starter="def vip_rule(vip, port, suffix):\n    ...",
        hints=(
            "Take svc1's line with “loadbalancer IP” from the text above. Which of its words are the VIP and the port?",
            "The line begins with -A KUBE-SERVICES -d, then the VIP with /32, then -p tcp -m tcp --dport.",
        ),
        explanation="A destination, a port and a target: a packet from outside needs no other rule to come in.",
        solution='def vip_rule(vip, port, suffix):\n'
        '    return f"-A KUBE-SERVICES -d {vip}/32 -p tcp -m tcp --dport {port} -j KUBE-EXT-{suffix}"',
        misconceptions=(
            Misconception(
                "vip-goes-straight-to-kube-svc",
                "Only the rule of the ClusterIP jumps to KUBE-SVC. KUBE-EXT comes first for a packet from outside: it "
                "sets the mark.",
                sources.BRIEF, behaves_like(lambda vip, port, suffix: _vip_rule(vip, port, suffix, "KUBE-SVC")),
            ),
            Misconception(
                "vip-goes-through-the-node-port",
                "The packet for the VIP does not pass KUBE-NODEPORTS. That chain is another entrance to KUBE-EXT.",
                "MetalLB issue #328", behaves_like(
                    lambda vip, port, suffix: _vip_rule(vip, port, suffix).replace("KUBE-SERVICES", "KUBE-NODEPORTS")
                ),
            ),
        ),
    ),
    Exercise(
        "chances-of-three", "04", "Three endpoints, three rules in KUBE-SVC. Which chances are on them?", "choice",
        _expect_probabilities_of_three, quiz=True,
        choices=(
            Choice("thirds", "1/3, 1/3, 1/3"), Choice("rest", "1/3, 1/2, and none (always)"),
            Choice("halves", "1/2, 1/2, 1/2"),
        ),
        hints=("The kernel tries rules from top to bottom.", "Which packets reach the second rule?"),
        explanation="{answer}: each chance is a share of the packets that are left.",
        misconceptions=(
            Misconception(
                "each-rule-has-a-third",
                "The second rule sees only the packets that the first one left over. A third of two thirds is 2/9: too "
                "little.",
                sources.BRIEF, is_choice("thirds"),
            ),
            Misconception(
                "each-rule-has-a-half",
                "Then the first endpoint would get half of all packets, the second a quarter.",
                sources.BRIEF, is_choice("halves"),
            ),
        ),
    ),
    Exercise(
        "how-pods-are-chosen", "04", "How does a node choose a Pod for each new connection?",
        "choice", _expect_how_pods_are_chosen,
        quiz=True,
        choices=(
            Choice("turns", "in turn: first, second, first, second"), Choice("random", "at random, each time anew"),
            Choice("load", "the one with the fewest connections"),
        ),
        hints=(
            "Compare the counts of several hundreds of requests, here and in chapter 03.",
            "Which match is on the rules of KUBE-SVC?",
        ),
        explanation="{answer}: the match statistic in its mode random. A rule remembers no turn and knows no load.",
        misconceptions=(
            Misconception(
                "kube-proxy-takes-turns",
                "Turns would give exactly half and half, for every hundred requests. The recorded counts of this "
                "chapter and of chapter 03 are uneven. One even count, as in chapter 01, can be chance.",
                sources.BRIEF, is_choice("turns"),
            ),
            Misconception(
                "kube-proxy-knows-load",
                "A rule sees one packet. It knows no number of open connections. The mode ipvs has schedulers that do.",
                sources.BRIEF, is_choice("load"),
            ),
        ),
    ),
    Exercise(
        "write-kube-svc", "04",
        "Write KUBE-SVC: from a number of endpoints to the chances on its rules. The last one is 1.",
        "code", _expect_written_probabilities,
        starter="def chances(count):\n    ...",
        hints=(
            "The first of n takes 1/n. How many are left for the second, and which share of the rest is its own?",
            "1 / (count - place) for each place from 0 on",
        ),
        explanation="1/n, then 1/(n-1) of the rest, and so on, as the kernel has it.",
        solution="def chances(count):\n    return [1 / (count - place) for place in range(count)]",
        misconceptions=(
            Misconception(
                "equal-chances-are-fair",
                "Equal chances are not equal shares: each rule sees only what the rules above it left over. The last "
                "rule must take everything.",
                sources.BRIEF, behaves_like(lambda count: [1 / count] * count),
            ),
        ),
    ),
    Exercise(
        "counted-per", "04", "One request is several packets. What do the counters of KUBE-EXT count?", "choice",
        _expect_what_is_counted,
        choices=(Choice("packet", "each packet"), Choice("connection", "each connection once")),
        hints=("Does the kernel choose an endpoint for each packet?", "conntrack keeps the result of the first one."),
        explanation="{answer}: only the first packet of a connection meets the rules of nat.",
        misconceptions=(
            Misconception(
                "nat-counts-every-packet",
                "A counter counts what its rule sees. The later packets of a connection do not see the rules of nat: "
                "conntrack rewrites them.",
                sources.BRIEF, is_choice("packet"),
            ),
        ),
        scored_by=("rules",),
        gives_away=(
            r"(?i)only the \*?first\*? packet", r"(?i)(once|one) per connection", r"(?i)later packets of a connection",
        ),
    ),
    Exercise(
        "packet-at-another-node", "04", "A packet for svc1's VIP comes to a worker that does not lead svc1. Then?",
        "choice", _expect_packet_at_another_node,
        choices=(
            Choice("served", "it goes to a Pod, as at the leader"), Choice("dropped", "the node drops it"),
            Choice("leader", "the node passes it on to the leader"),
        ),
        hints=("Which rule knows who leads?", "No rule does. kube-proxy does not know leaders."),
        explanation="{answer}. Every node could serve it. Only ARP decides which node gets it.",
        misconceptions=(
            Misconception(
                "only-the-leader-has-the-rules",
                "MetalLB writes no rules. kube-proxy does, on every node, and it knows no leaders.",
                sources.FROM_A_NODE, is_choice("dropped"),
            ),
            Misconception(
                "nodes-pass-on-to-the-leader",
                "No rule names the leader. This node rewrites the destination itself, and sends the packet to a Pod.",
                sources.FROM_A_NODE, is_choice("leader"),
            ),
        ),
        scored_by=("trace",),
        gives_away=(
            r"(?i)iptables knows nothing", r"(?i)(every|any) node \*?(could|can)\*? (serve|take)",
        ),
    ),
    Exercise(
        "who-may-lead-with-local", "04", "externalTrafficPolicy: Local. Which nodes may lead svc3 now?", "names",
        _expect_leaders_with_local, options=sorted_nodes,
        hints=("The leader may not pass a packet on.", "Only nodes with a ready Pod of the Service."),
        explanation="{answer}: those with a ready endpoint of their own.",
        misconceptions=(
            Misconception(
                "policy-does-not-touch-the-election",
                "kube-proxy reads the policy, and the speakers read it as well. A leader without a Pod would drop "
                "everything.",
                sources.LOCAL, is_wrong_names("workers"),
            ),
            Misconception(
                "local-lets-all-nodes-lead",
                "The control plane is out by its label. A node without a Pod is out by the policy.",
                sources.LABEL, is_wrong_names("everybody"),
            ),
        ),
        scored_by=("leader", "election"),
        gives_away=(r"(?i)(elect|lead)\w*\b[^.]{0,60}\b(ready|own) (Pod|endpoint)",),
    ),
    Exercise(
        "local-without-a-pod", "04", "With Local, a packet comes to a node that has no Pod of the Service. Then?",
        "choice", _expect_local_without_pod, quiz=True,
        choices=(
            Choice("passed on", "the node passes it on to another node"),
            Choice("refused", "the node refuses it with a reset"),
            Choice("dropped", "the node drops it without an answer"),
        ),
        hints=("The node must not pass it on.", "The filter table has a rule for it: no local endpoints."),
        explanation="{answer}: its rule has the comment “no local endpoints” and the target DROP.",
        misconceptions=(
            Misconception(
                "local-is-a-preference",
                "Local is a rule, not a preference. A node without a Pod of the Service drops the packet.",
                sources.LOCAL, is_choice("passed on"),
            ),
            Misconception(
                "local-refuses",
                "kube-proxy refuses with REJECT where a Service has no endpoint at all. Here the Service has "
                "endpoints, only not on this node, and the target is DROP.",
                sources.BRIEF, is_choice("refused"),
            ),
        ),
        scored_by=("trace",),
    ),
    Exercise(
        "what-the-health-port-says", "04",
        "With Local, kube-proxy answers HTTP on the healthCheckNodePort. What does a worker without a Pod of svc1 say?",
        "choice", _expect_health_answer,
        choices=(
            Choice("200", "200: the node is healthy"), Choice("503", "503: service unavailable"),
            Choice("nothing", "nothing: it drops the request"),
        ),
        hints=("Who asks this port, and why?", "A load balancer asks which nodes it may send to."),
        explanation="{answer}. The port is about the Service on this node, not about the node.",
        misconceptions=(
            Misconception(
                "health-port-is-about-the-node",
                "The node is healthy, but it would drop packets for svc1. So kube-proxy warns the load balancer.",
                sources.LOCAL, is_choice("200"),
            ),
            Misconception(
                "health-port-drops-like-the-vip",
                "The node drops packets for the VIP. The health port is another port, and kube-proxy itself answers it "
                "on every node.",
                sources.LOCAL, is_choice("nothing"),
            ),
        ),
        scored_by=("curl",),
        gives_away=(r"\b503\b",),
    ),
    Exercise(
        "what-local-costs", "04", "On layer 2, Local saves a hop and keeps the client's address. What does it cost?",
        "choice", _expect_cost_of_local, quiz=True,
        choices=(
            Choice("nothing", "nothing: it is simply better"),
            Choice("pods", "the Pods on other nodes get no traffic"),
            Choice("speed", "a slower failover of the address"),
            Choice("half", "half of the requests: their endpoint is on another node"),
        ),
        hints=("To which endpoints do the leader's rules send?", "lab.trace('svc1') has one way now."),
        explanation="{answer}. They wait until their node becomes the leader.",
        misconceptions=(
            Misconception(
                "local-is-faster-for-free",
                "Local does save a hop. But on layer 2 all traffic comes to one node, and with Local it stays there. "
                "The other Pods are idle.",
                sources.LOCAL, is_choice("nothing"),
            ),
            Misconception(
                "local-slows-failover",
                "The same gossip finds a dead node, so the address moves equally fast. Clients even lose less: the new "
                "leader sends to its own Pod, not to the dead one.",
                sources.BRIEF, is_choice("speed"),
            ),
            Misconception(
                "local-halves-the-traffic",
                "The leader loses no request. It sends all of them to its own Pod, because it knows no other endpoint.",
                sources.BRIEF, is_choice("half"),
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
        hints=("Look for one among the rules of svc1.", "Which field names the clients that may come in?"),
        explanation="It is there {answer}: it comes before KUBE-EXT and lets only these clients pass.",
        misconceptions=(
            Misconception(
                "firewall-chain-is-always-there",
                "It was, years ago, and old dumps have it. Today the rule of a Service without source ranges jumps "
                "straight to KUBE-EXT.",
                "MetalLB issue #284 (a dump of 2018)", is_choice("always"),
            ),
            Misconception(
                "firewall-chain-is-for-local",
                "Local adds a chain KUBE-SVL, for the endpoints of this node. A firewall needs to know clients, and "
                "the policy knows only endpoints.",
                sources.BRIEF, is_choice("local"),
            ),
        ),
    ),
    Exercise(
        "rules-that-find-a-service", "04",
        "KUBE-SERVICES has one rule for each address and port of a Service. How many rules does nftables need to "
        "find the Service of a packet?",
        "choice", _expect_rules_that_find_a_service,
        choices=(
            Choice("address", "one for each address and port, as iptables"), Choice("service", "one for each Service"),
            Choice("all", "one for all Services"),
        ),
        hints=(
            "iptables compares. nftables can also look up, as Python does in a dict.",
            "One rule names a map that holds the addresses and ports of all Services.",
        ),
        explanation="{answer}: it looks the packet's address, protocol and port up in a map.",
        misconceptions=(
            Misconception(
                "nftables-is-iptables-with-another-syntax",
                "That is how iptables does it, and it gets slower with each Service. nftables has maps: one look-up "
                "finds one address among all of them.",
                sources.BRIEF, is_choice("address"),
            ),
            Misconception(
                "one-rule-for-each-service",
                "A Service has a chain of its own there, too. But the rule that finds it is shared: the addresses of "
                "all Services are the keys of one map.",
                sources.BRIEF, is_choice("service"),
            ),
        ),
        scored_by=("trace",),
        gives_away=(r"service-ips", r"(?i)(one|same|single) (look-up|rule for all)"),
    ),
    Exercise(
        "write-the-numbered-endpoints", "04",
        "Write how nftables chooses an endpoint. choose gets several addresses and a port. It returns the text that "
        "begins with numgen and ends with the closing brace.",
        "code", _expect_numbered_endpoints,
        starter="def choose(addresses, port):\n    ...",
        hints=(
            "mod n gives the numbers from 0 to n-1. Each number needs an endpoint.",
            "In the braces stands “number : address . port” for each endpoint, with a comma and a blank between them.",
        ),
        explanation="One random number, and each endpoint has a number of its own: no chances to compute.",
        solution="def choose(addresses, port):\n"
        '    parts = ", ".join(f"{number} : {address} . {port}" for number, address in enumerate(addresses))\n'
        '    return f"numgen random mod {len(addresses)} map {{ {parts} }}"',
        misconceptions=(
            Misconception(
                "numbers-start-at-one",
                "mod n gives the numbers from 0 to n-1. With numbers from 1 on, the number 0 finds no endpoint, and "
                "the last endpoint gets no packet.",
                sources.BRIEF, behaves_like(lambda addresses, port: _numbered(addresses, port, 1)),
            ),
            Misconception(
                "two-endpoints-always",
                "mod 2 stands there because svc1 has two endpoints. With more of them it is another number.",
                sources.BRIEF, behaves_like(
                    lambda addresses, port: _numbered(addresses, port).replace(f"mod {len(addresses)} ", "mod 2 ")
                ),
            ),
        ),
    ),
)  # fmt: skip
