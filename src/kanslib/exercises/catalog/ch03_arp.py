"""Chapter 03: what the wire says."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from kanslib.exceptions import NotRecordedError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import advertisements, nodes, with_an_address, with_endpoints
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, chose, names
from kanslib.metallb import election

_LIES = "lab.at('delete-l2advertisement')"


def _ping(lab: Any) -> ExpectedAnswer:
    text = lab.run(lab.client, f"ping -c 2 -W 1 {lab.vip('svc1')}")
    received = re.search(r"(\d+) (?:packets )?received", text)
    if received is None:
        raise NotRecordedError("how many answers the ping got")
    return ExpectedAnswer("yes" if int(received[1]) else "no")


def _rounds(lab: Any) -> ExpectedAnswer:
    rows = lab.announcements("svc1")
    if rows.empty:
        raise NotRecordedError("an announcement of svc1 around this act", hint="lab.at('apply-services') has one")
    return ExpectedAnswer("once" if rows.ROUNDS[0] == 1 else "a few" if rows.SECONDS[0] < 10 else "for ever")


def _answering(lab: Any) -> ExpectedAnswer:
    """Whoever answered for svc1 on the captured wire, beside two sets that people expect."""
    vip, macs = lab.vip("svc1"), lab._backend.mac_owners()
    said = [f.arp for f in lab.frames("arp") if f.arp.operation == 2 and f.arp.sender_ip == vip]
    if not said:
        raise NotRecordedError("an ARP answer for svc1 around this moment", hint="lab.at('apply-services') has some")
    return ExpectedAnswer(
        {macs.get(one.sender_mac, one.sender_mac) for one in said},
        {"everybody": nodes(lab), "endpoints": with_endpoints(lab)},
    )


def _of_two(lab: Any) -> ExpectedAnswer:
    """Whether one network card answers for more than one VIP."""
    leaders = Counter(lab.leader(one["metadata"]["name"]) for one in with_an_address(lab))
    leaders.pop(None, None)
    return ExpectedAnswer("yes" if max(leaders.values(), default=0) > 1 else "no")


def _mac(lab: Any) -> ExpectedAnswer:
    holders = _answering(lab).value
    return ExpectedAnswer("card" if holders <= nodes(lab) else "virtual")


def _warm(lab: Any) -> ExpectedAnswer:
    """After the advertisement is gone: does the client still have a way, by what it remembers?"""
    if any(advertisements(lab, one) for one in with_an_address(lab)):
        raise NotRecordedError("a moment without an L2Advertisement", hint=_LIES)
    known = lab.neighbors().set_index("ADDRESS")
    vip = lab.vip("svc1")
    return ExpectedAnswer("works" if vip in known.index and known.MAC[vip] else "dead")


def _shares(lab: Any) -> ExpectedAnswer:
    """How many machines take svc1's packets from the clients."""
    return ExpectedAnswer("one" if election.explain(lab.objects, "svc1").leader else "none")


def _from_a_node(lab: Any) -> ExpectedAnswer:
    """Where a node's own packet for the VIP is caught: by its rules, or on the wire."""
    outside = sorted(nodes(lab) - {lab.leader("svc1")})[0]
    ways = lab.trace("svc1", source=outside)
    caught = all(way.packet.dst != lab.vip("svc1") for way in ways)
    return ExpectedAnswer("rules" if caught else "metallb")


def _replies(lab: Any) -> ExpectedAnswer:
    """Answers as they were on the wire, and what each says; every other kind of ARP frame is no answer."""
    cases = []
    for frame in lab.frames("arp"):
        said = frame.arp
        told = (said.sender_ip, said.sender_mac) if said.operation == 2 else None
        case = ((bytes(frame.ethernet.payload[:28]),), told)
        if case not in cases:
            cases.append(case)
    if not any(told for _, told in cases):
        raise NotRecordedError("an ARP answer around this moment", hint="lab.at('apply-services') has some")
    return ExpectedAnswer(cases[:40])


EXERCISES = (
    Exercise(
        "one-machine-for-two", "03", "May one machine answer for two addresses?", "choice", _of_two,
        choices=(Choice("yes", "yes, for as many as it likes"), Choice("no", "no, one MAC address has one IP address")),
        hints=("What does a router with several networks do?", "Compare the column MAC of the scan."),
        explanation="{truth}. ARP has no rule against it.",
        misconceptions=(
            Misconception(
                "one-vip-per-node",
                "Two VIPs on one node look like a fault, and were reported as one. ARP does not mind, and nobody "
                "spreads VIPs evenly.",
                sources.UNEVEN, chose("no"),
            ),
        ),
        scored_by=("arp_scan",),
    ),
    Exercise(
        "who-answers-for-svc1", "03", "Which machines answer when a client asks for the address of svc1?", "names",
        _answering, quiz=True, options=lambda lab: sorted(nodes(lab)),
        hints=("Every node hears the question.", "Three speakers keep silent: they know that they do not lead."),
        explanation="{truth}, and no other.",
        misconceptions=(
            Misconception(
                "all-speakers-answer",
                "All of them hear the question. With kube-proxy in IPVS mode and without strictARP all of them would "
                "answer, and that is a fault. Here only the leader does.",
                sources.STRICT_ARP, names("everybody"),
            ),
            Misconception(
                "nodes-with-pods-answer",
                "Those run the Pods. Who answers ARP does not depend on it, with the policy Cluster; it did before "
                "0.11.",
                sources.ENDPOINTS_FIRST, names("endpoints"),
            ),
        ),
        scored_by=("arp_scan",),
    ),
    Exercise(
        "whose-mac", "03", "Whose MAC address stands in the answer for a VIP?", "choice", _mac, quiz=True,
        choices=(
            Choice("virtual", "a virtual one that moves along with the VIP"),
            Choice("card", "that of the leader's own network card"), Choice("pod", "that of the Pod"),
        ),
        hints=("What would have to change at a failover, the IP address or the MAC?", "HOLDER is whose card it is."),
        explanation="{truth}. So at a failover everybody has to learn another one.",
        misconceptions=(
            Misconception(
                "virtual-mac",
                "Keepalived can do that (VRRP has MAC addresses of its own). A speaker answers with the card that the "
                "question came in by.",
                sources.KEEPALIVED, chose("virtual"),
            ),
        ),
    ),
    Exercise(
        "read-the-answer", "03",
        "Write a reader: from the 28 bytes of an ARP message to (address, MAC) if it is an answer, else None.", "code",
        _replies,
        starter="def read(message):\n    ...",
        hints=(
            "Bytes 6 and 7 are the operation; 2 is an answer. The sender's MAC address begins at 8.",
            "message[8:14].hex(':') and '.'.join(map(str, message[14:18]))",
        ),
        explanation=(
            "Right on {truth} from the wire: operation"
            " at 6, the sender's MAC at 8, the sender's address at 14."
        ),
    ),
    Exercise(
        "does-the-vip-answer-ping", "03", "The address answers ARP. Will it answer a ping?", "choice", _ping,
        choices=(Choice("yes", "yes: somebody has it"), Choice("no", "no")),
        hints=("Which program would have to answer an ICMP echo?", "The kernel answers for its own addresses only."),
        explanation="{truth}: a speaker answers ARP for it, but no interface has it, so no kernel answers an echo.",
        misconceptions=(
            Misconception(
                "vip-is-on-an-interface",
                "Ping asks a kernel that owns the address. No interface of the leader has it: the speaker only says so "
                "by ARP. Test the port that the Service offers.",
                sources.PING, chose("yes"),
            ),
        ),
        scored_by=("run",),
    ),
    Exercise(
        "how-often-announced", "03", "A Service gets its address. How often will its leader announce itself?", "choice",
        _rounds,
        choices=(
            Choice("once", "once"), Choice("a few", "a few times, then never again"),
            Choice("for ever", "every few seconds, for ever"),
        ),
        hints=("A broadcast can get lost, and nobody confirms it.", "lab.announcements('svc1') counts the rounds."),
        explanation="{truth}: rounds a second and a bit apart, for five seconds. Every sync begins them anew.",
        misconceptions=(
            Misconception(
                "gratuitous-arp-goes-on",
                "After its rounds a speaker is silent until something changes. A switch or a client that forgets has "
                "to ask by itself.",
                sources.FORGETS, chose("for ever"),
            ),
        ),
        scored_by=("announcements", "arp_story"),
    ),
    Exercise(
        "does-curl-survive", "03",
        "The advertisement is gone and nobody answers ARP. Does curl still work, from this client?", "choice", _warm,
        choices=(Choice("works", "yes"), Choice("dead", "no")),
        hints=("Does the client ask each time?", "lab.neighbors() shows what it remembers."),
        explanation="{truth}: by what the client remembers of the address.",
        misconceptions=(
            Misconception(
                "no-answer-no-traffic",
                "A client that remembers does not ask. That is why a Service can seem fine and break later, when the "
                "entry ends.",
                sources.WARM, chose("dead"),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "what-carries-the-traffic", "03", "svc1 gets ten times the traffic. How many nodes take it from the clients?",
        "choice", _shares, quiz=True,
        choices=(
            Choice("one", "one: the leader"), Choice("pods", "those with a Pod"), Choice("all", "all workers, evenly"),
        ),
        hints=("How many answers does one question get?", "Distribution happens behind the leader, not before it."),
        explanation="{truth}. Its link is the limit, however many nodes there are.",
        misconceptions=(
            Misconception(
                "layer-2-balances-nodes",
                "Many posts have it so. Layer 2 is a failover and no balancing: one node takes all, and only then the "
                "Pods share.",
                sources.BALANCES, chose("all"),
            ),
            Misconception(
                "clients-reach-the-pods-nodes",
                "Behind the leader, yes. But every packet comes to one node first, whether or not it runs a Pod.",
                sources.ENDPOINTS_FIRST, chose("pods"),
            ),
        ),
    ),
    Exercise(
        "what-a-curl-on-a-node-proves", "03", "curl to the VIP works when you run it on a node. What does it prove?",
        "choice", _from_a_node, quiz=True,
        choices=(
            Choice("metallb", "that MetalLB announces the address"), Choice("rules", "that kube-proxy wrote its rules"),
            Choice("leader", "that this node leads"),
        ),
        hints=("Does that packet ever leave the node as one for the VIP?", "lab.trace('svc1', source=a node)"),
        explanation="{truth}: the node's own rules catch the packet before anybody asks the wire.",
        misconceptions=(
            Misconception(
                "curl-on-a-node-tests-metallb",
                "MetalLB's own troubleshooting page begins with this one. The packet meets the node's rules and never "
                "asks for the address.",
                sources.FROM_A_NODE, chose("metallb"),
            ),
        ),
    ),
)  # fmt: skip
