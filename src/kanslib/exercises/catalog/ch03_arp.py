"""Exercises of chapter 03 (expected answers, hints, feedback): ARP on the wire."""

from __future__ import annotations

import re
from collections import Counter

from kanslib.exceptions import NotFoundError, NotRecordedError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import (
    advertisements,
    column,
    name_of,
    nodes,
    nodes_with_endpoints,
    pairs,
    services_with_vip,
    sorted_nodes,
)
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import Case, ExpectedAnswer, Misconception, is_choice, is_wrong_names
from kanslib.metallb import election
from kanslib.packets.arp import ARP

_REPLY = 2  # the operation of an ARP reply (RFC 826)
_SOME_REPLIES = "lab.at('apply-services') has some"


def _arp_messages(lab: LabQueries) -> list[ARP]:
    return [frame.arp for frame in lab.observation().frames("arp") if frame.arp]


def _expect_ping_reply(lab: LabQueries) -> ExpectedAnswer:
    text = lab.run(lab.client, f"ping -c 2 -W 1 {lab.vip('svc1')}")
    received = re.search(r"(\d+) (?:packets )?received", text)
    if received is None:
        raise NotRecordedError("how many answers the ping got")
    return ExpectedAnswer("yes" if int(received[1]) else "no")


def _expect_number_of_announcements(lab: LabQueries) -> ExpectedAnswer:
    table = lab.observation().arp.announcements("svc1")
    if table.empty:
        raise NotFoundError("an announcement of svc1 around this action", hint="lab.at('apply-services') has one")
    rounds, seconds = int(column(table, "ROUNDS")[0]), float(column(table, "SECONDS")[0])
    return ExpectedAnswer("once" if rounds == 1 else "a few" if seconds < 10 else "for ever")


def _expect_who_answers_arp(lab: LabQueries) -> ExpectedAnswer:
    """Find whoever answered for svc1 on the captured wire, and two sets of nodes that people expect."""
    vip, owners = lab.vip("svc1"), lab.observation().mac_owners()
    macs = [one.sender_mac for one in _arp_messages(lab) if one.operation == _REPLY and one.sender_ip == vip]
    if not macs:
        raise NotFoundError("an ARP answer for svc1 around this moment", hint=_SOME_REPLIES)
    wrong_names = {"everybody": nodes(lab), "with pods": nodes_with_endpoints(lab)}
    return ExpectedAnswer({owners.get(mac, mac) for mac in macs}, wrong_names=wrong_names)


def _expect_owner_of_mac(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer("card" if _expect_who_answers_arp(lab).names <= nodes(lab) else "virtual")


def _expect_one_leader_of_two(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether one node leads more than one VIP."""
    leaders = Counter(lab.leader(name_of(service)) for service in services_with_vip(lab))
    leaders.pop(None, None)
    return ExpectedAnswer("yes" if max(leaders.values(), default=0) > 1 else "no")


def _expect_curl_without_advertisement(lab: LabQueries) -> ExpectedAnswer:
    """After the advertisement is gone: find out whether the client still remembers a MAC address."""
    if any(advertisements(lab, service) for service in services_with_vip(lab)):
        raise NotFoundError("a moment without an L2Advertisement", hint="lab.at('delete-l2advertisement')")
    return ExpectedAnswer("works" if pairs(lab.neighbors(), "ADDRESS", "MAC").get(lab.vip("svc1")) else "dead")


def _expect_number_of_leaders(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer("one" if election.explain(lab.objects, "svc1").leader else "none")


def _expect_curl_on_a_node(lab: LabQueries) -> ExpectedAnswer:
    """Find out where a node's own packet for the VIP is caught: by its rules, or on the wire."""
    other_node = min(nodes(lab) - {lab.leader("svc1")})
    vip, ways = lab.vip("svc1"), lab.trace("svc1", source=other_node)
    return ExpectedAnswer("rules" if all(way.packet.dst != vip for way in ways) else "metallb")


def _expect_parsed_replies(lab: LabQueries) -> ExpectedAnswer:
    """Return ARP messages from the wire, each with its sender's addresses if it is a reply, else with None."""
    cases: list[Case] = []
    for frame in lab.observation().frames("arp"):
        if frame.ethernet and frame.arp:
            reply = (frame.arp.sender_ip, frame.arp.sender_mac) if frame.arp.operation == _REPLY else None
            case = ((bytes(frame.ethernet.payload[:28]),), reply)
            if case not in cases:
                cases.append(case)
    if not any(result for _, result in cases):
        raise NotFoundError("an ARP answer around this moment", hint=_SOME_REPLIES)
    return ExpectedAnswer(cases[:40])


EXERCISES = (
    Exercise(
        "one-machine-for-two", "03", "May one machine answer for two addresses?", "choice", _expect_one_leader_of_two,
        choices=(Choice("yes", "yes, for as many as it likes"), Choice("no", "no, one MAC address has one IP address")),
        hints=("What does a router with several networks do?", "Compare the column MAC of the scan."),
        explanation="{answer}. ARP has no rule against it.",
        misconceptions=(
            Misconception(
                "one-vip-per-node",
                "Two VIPs on one node look like a fault, and were reported as one. ARP does not mind, and nobody "
                "spreads VIPs evenly.",
                sources.UNEVEN, is_choice("no"),
            ),
        ),
        scored_by=("arp_scan",),
    ),
    Exercise(
        "who-answers-for-svc1", "03", "Which machines answer when a client asks for the address of svc1?", "names",
        _expect_who_answers_arp, quiz=True, options=sorted_nodes,
        hints=("Every node hears the question.", "Three speakers keep silent: they know that they do not lead."),
        explanation="{answer}, and no other.",
        misconceptions=(
            Misconception(
                "all-speakers-answer",
                "All of them hear the question. With kube-proxy in IPVS mode and without strictARP all of them would "
                "answer, and that is a fault. Here only the leader does.",
                sources.STRICT_ARP, is_wrong_names("everybody"),
            ),
            Misconception(
                "nodes-with-pods-answer",
                "Those run the Pods. Who answers ARP does not depend on it, with the policy Cluster; it did before "
                "0.11.",
                sources.ENDPOINTS_FIRST, is_wrong_names("with pods"),
            ),
        ),
        scored_by=("arp_scan",),
    ),
    Exercise(
        "whose-mac", "03", "Whose MAC address stands in the answer for a VIP?",
        "choice", _expect_owner_of_mac, quiz=True,
        choices=(
            Choice("virtual", "a virtual one that moves along with the VIP"),
            Choice("card", "that of the leader's own network card"), Choice("pod", "that of the Pod"),
        ),
        hints=("What would have to change at a failover, the IP address or the MAC?", "HOLDER is whose card it is."),
        explanation="{answer}. So at a failover everybody has to learn another one.",
        misconceptions=(
            Misconception(
                "virtual-mac",
                "Keepalived can do that (VRRP has MAC addresses of its own). A speaker answers with the card that the "
                "question came in by.",
                sources.KEEPALIVED, is_choice("virtual"),
            ),
        ),
    ),
    Exercise(
        "read-the-answer", "03",
        "Write a reader: from the 28 bytes of an ARP message to (address, MAC) if it is an answer, else None.", "code",
        _expect_parsed_replies,
        starter="def read(message):\n    ...",
        hints=(
            "Bytes 6 and 7 are the operation; 2 is an answer. The sender's MAC address begins at 8.",
            "message[8:14].hex(':') and '.'.join(map(str, message[14:18]))",
        ),
        explanation="On the wire the operation is at 6, the sender's MAC at 8, the sender's address at 14.",
        solution=(
            "def read(message):\n"
            "    if int.from_bytes(message[6:8]) != 2:\n"
            "        return None\n"
            "    return '.'.join(map(str, message[14:18])), message[8:14].hex(':')"
        ),
    ),
    Exercise(
        "does-the-vip-answer-ping", "03", "The address answers ARP. Will it answer a ping?",
        "choice", _expect_ping_reply,
        choices=(Choice("yes", "yes: somebody has it"), Choice("no", "no")),
        hints=("Which program would have to answer an ICMP echo?", "The kernel answers for its own addresses only."),
        explanation="{answer}: a speaker answers ARP for it, but no interface has it, so no kernel answers an echo.",
        misconceptions=(
            Misconception(
                "vip-is-on-an-interface",
                "Ping asks a kernel that owns the address. No interface of the leader has it: the speaker only says so "
                "by ARP. Test the port that the Service offers.",
                sources.PING, is_choice("yes"),
            ),
        ),
        scored_by=("run",),
    ),
    Exercise(
        "how-often-announced", "03", "A Service gets its address. How often will its leader announce itself?", "choice",
        _expect_number_of_announcements,
        choices=(
            Choice("once", "once"), Choice("a few", "a few times, then never again"),
            Choice("for ever", "every few seconds, for ever"),
        ),
        hints=("A broadcast can get lost, and nobody confirms it.",
            "lab.observation().arp.announcements('svc1') counts the rounds.",
        ),
        explanation="{answer}: rounds a second and a bit apart, for five seconds. Every sync begins them anew.",
        misconceptions=(
            Misconception(
                "gratuitous-arp-goes-on",
                "After its rounds a speaker is silent until something changes. A switch or a client that forgets has "
                "to ask by itself.",
                sources.FORGETS, is_choice("for ever"),
            ),
        ),
        scored_by=("arp.announcements", "arp.timeline"),
    ),
    Exercise(
        "does-curl-survive", "03",
        "The advertisement is gone and nobody answers ARP. Does curl still work, from this client?",
        "choice", _expect_curl_without_advertisement,
        choices=(Choice("works", "yes"), Choice("dead", "no")),
        hints=("Does the client ask each time?", "lab.neighbors() shows what it remembers."),
        explanation="{answer}: by what the client remembers of the address.",
        misconceptions=(
            Misconception(
                "no-answer-no-traffic",
                "A client that remembers does not ask. That is why a Service can seem fine and break later, when the "
                "entry ends.",
                sources.WARM, is_choice("dead"),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "what-carries-the-traffic", "03", "svc1 gets ten times the traffic. How many nodes take it from the clients?",
        "choice", _expect_number_of_leaders, quiz=True,
        choices=(
            Choice("one", "one: the leader"), Choice("pods", "those with a Pod"), Choice("all", "all workers, evenly"),
        ),
        hints=("How many answers does one question get?", "Distribution happens behind the leader, not before it."),
        explanation="{answer}. Its link is the limit, however many nodes there are.",
        misconceptions=(
            Misconception(
                "layer-2-balances-nodes",
                "Many posts have it so. Layer 2 is a failover and no balancing: one node takes all, and only then the "
                "Pods share.",
                sources.BALANCES, is_choice("all"),
            ),
            Misconception(
                "clients-reach-the-pods-nodes",
                "Behind the leader, yes. But every packet comes to one node first, whether or not it runs a Pod.",
                sources.ENDPOINTS_FIRST, is_choice("pods"),
            ),
        ),
    ),
    Exercise(
        "what-a-curl-on-a-node-proves", "03", "curl to the VIP works when you run it on a node. What does it prove?",
        "choice", _expect_curl_on_a_node, quiz=True,
        choices=(
            Choice("metallb", "that MetalLB announces the address"), Choice("rules", "that kube-proxy wrote its rules"),
            Choice("leader", "that this node leads"),
        ),
        hints=("Does that packet ever leave the node as one for the VIP?", "lab.trace('svc1', source=a node)"),
        explanation="{answer}: the node's own rules catch the packet before anybody asks the wire.",
        misconceptions=(
            Misconception(
                "curl-on-a-node-tests-metallb",
                "MetalLB's own troubleshooting page begins with this one. The packet meets the node's rules and never "
                "asks for the address.",
                sources.FROM_A_NODE, is_choice("metallb"),
            ),
        ),
    ),
)  # fmt: skip
