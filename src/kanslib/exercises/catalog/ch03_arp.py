"""Exercises of chapter 03 (expected answers, hints, feedback): ARP on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from kanslib.exceptions import NotFoundError, NotRecordedError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import (
    advertisements,
    column,
    nodes,
    nodes_with_endpoints,
    pairs,
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
    is_wrong_names,
)
from kanslib.i18n import tr, tr_later
from kanslib.k8s.objects import external_addresses
from kanslib.metallb import election
from kanslib.packets.arp import ARP, REPLY, REQUEST, ZERO_MAC

_SOME_REPLIES = tr_later("lab.at('apply-services') has some")


def _arp_messages(lab: LabQueries) -> list[ARP]:
    return [frame.arp for frame in lab.observation().frames("arp") if frame.arp]


def _expect_route_to_the_vip(lab: LabQueries) -> ExpectedAnswer:
    """Find the route that the client takes to the VIP: for the VIP alone, by a gateway, or its own network's."""
    vip = ip_address(lab.vip("svc1"))
    routes = {
        ip_network("0.0.0.0/0" if route["dst"] == "default" else route["dst"]): route
        for route in json.loads(lab.run(lab.client, "ip -j route"))
    }
    narrowest = max((network for network in routes if vip in network), key=lambda network: network.prefixlen)
    if narrowest.num_addresses == 1:
        return ExpectedAnswer("host")
    return ExpectedAnswer("gateway" if "gateway" in routes[narrowest] else "network")


def _expect_ping_reply(lab: LabQueries) -> ExpectedAnswer:
    text = lab.run(lab.client, f"ping -c 2 -W 1 {lab.vip('svc1')}")
    received = re.search(r"(\d+) (?:packets )?received", text)
    if received is None:
        raise NotRecordedError(tr("how many answers the ping got"))
    return ExpectedAnswer("yes" if int(received[1]) else "no")


def _expect_number_of_announcements(lab: LabQueries) -> ExpectedAnswer:
    table = lab.observation().arp.announcements("svc1")
    if table.empty:
        raise NotFoundError(
            tr("an announcement of svc1 around this action"), hint=tr("lab.at('apply-services') has one")
        )
    rounds, seconds = int(column(table, "ROUNDS")[0]), float(column(table, "SECONDS")[0])
    return ExpectedAnswer("once" if rounds == 1 else "a few" if seconds < 10 else "for ever")


def _expect_who_answers_arp(lab: LabQueries) -> ExpectedAnswer:
    """Find whoever answered for svc1 on the captured wire, and two sets of nodes that people expect."""
    vip, owners = lab.vip("svc1"), lab.observation().mac_owners()
    macs = [one.sender_mac for one in _arp_messages(lab) if one.operation == REPLY and one.sender_ip == vip]
    if not macs:
        raise NotFoundError(tr("an ARP answer for svc1 around this moment"), hint=tr(_SOME_REPLIES))
    wrong_names = {"everybody": nodes(lab), "with pods": nodes_with_endpoints(lab)}
    return ExpectedAnswer({owners.get(mac, mac) for mac in macs}, wrong_names=wrong_names)


def _expect_owner_of_mac(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer("card" if _expect_who_answers_arp(lab).names <= nodes(lab) else "virtual")


def _expect_macs_of_one_leader(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether every VIP is answered for, each with the MAC address of a node's own card."""
    scan, services = lab.arp_scan(), services_with_vip(lab)
    if scan.empty:
        raise NotFoundError(tr("an answer to a scan at this moment"), hint=tr(_SOME_REPLIES))
    if len(set(column(scan, "ADDRESS"))) < len(services):
        return ExpectedAnswer("one")
    return ExpectedAnswer("same" if set(column(scan, "HOLDER")) <= nodes(lab) else "own")


def _expect_curl_without_advertisement(lab: LabQueries) -> ExpectedAnswer:
    """After the advertisement is gone: find out whether the client still remembers a MAC address."""
    if any(advertisements(lab, service) for service in services_with_vip(lab)):
        raise NotFoundError(tr("a moment without an L2Advertisement"), hint="lab.at('delete-l2advertisement')")
    return ExpectedAnswer("works" if pairs(lab.neighbors(), "ADDRESS", "MAC").get(lab.vip("svc1")) else "dead")


def _expect_holder_in_a_conflict(lab: LabQueries) -> ExpectedAnswer:
    """While two machines answer for svc1: find out whose answer comes first."""
    scan, vip = lab.arp_scan(), lab.vip("svc1")
    answers = list(zip(column(scan, "ADDRESS"), column(scan, "HOLDER"), strict=True))
    holders = [holder for address, holder in answers if address == vip]
    if len(holders) < 2:
        raise NotFoundError(tr("two machines with svc1's address at this moment"), hint="lab.add_conflicting_host()")
    return ExpectedAnswer("pod" if holders[0] in nodes(lab) else "refused")


def _expect_number_of_leaders(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer("one" if election.explain(lab.objects, "svc1").leader else "none")


def _expect_who_forwards(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether the rules in the leader's kernel send a client's packet to a Pod."""
    vip = lab.vip("svc1")
    return ExpectedAnswer("kernel" if all(way.packet.dst != vip for way in lab.trace("svc1")) else "speaker")


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
            reply = (frame.arp.sender_ip, frame.arp.sender_mac) if frame.arp.operation == REPLY else None
            case = ((bytes(frame.ethernet.payload[:28]),), reply)
            if case not in cases:
                cases.append(case)
    if not any(result for _, result in cases):
        raise NotFoundError(tr("an ARP answer around this moment"), hint=tr(_SOME_REPLIES))
    return ExpectedAnswer(cases[:40])


def _format_sender(message: bytes) -> tuple[str, str]:
    return ".".join(map(str, message[14:18])), message[8:14].hex(":")


def _read_target(message: bytes) -> tuple[str, str] | None:
    """Read the target's addresses in place of the sender's."""
    is_reply = int.from_bytes(message[6:8]) == REPLY
    return (".".join(map(str, message[24:28])), message[18:24].hex(":")) if is_reply else None


def _expect_entry_changes(lab: LabQueries) -> ExpectedAnswer:
    """Return ARP messages, each with a client's table, and whether it gives an entry another MAC address.

    The messages are the announcements of the wire and a node's question for a VIP. Linux: net/ipv4/arp.c arp_process.
    """
    vips = {address for service in services_with_vip(lab) for address in external_addresses(service)}
    announced = [one for one in dict.fromkeys(_arp_messages(lab)) if one.is_gratuitous and one.sender_ip in vips]
    if not announced:
        raise NotFoundError(tr("an announcement around this moment"), hint=tr(_SOME_REPLIES))
    cards = {place: mac for mac, place in lab.observation().mac_owners().items()}
    node = next(name for name in sorted_nodes(lab) if cards[name] != announced[0].sender_mac)
    question = ARP(REQUEST, cards[node], lab.address(node), ZERO_MAC, announced[0].sender_ip)
    cases: list[Case] = [(({question.target_ip: announced[0].sender_mac}, question), False)]
    for message in announced:
        other = next(cards[name] for name in sorted_nodes(lab) if cards[name] != message.sender_mac)
        cases += [
            (({message.sender_ip: other}, message), True),
            (({message.sender_ip: message.sender_mac}, message), False),
            (({}, message), False),
        ]
    return ExpectedAnswer(cases)


def _adds_entries(table: Mapping[str, str], message: ARP) -> bool:
    return table.get(message.sender_ip) != message.sender_mac


def _counts_each_message(table: Mapping[str, str], message: ARP) -> bool:
    return message.sender_ip in table


def _looks_up_the_target(table: Mapping[str, str], message: ARP) -> bool:
    return table.get(message.target_ip) not in (None, message.sender_mac)


def _takes_replies_only(table: Mapping[str, str], message: ARP) -> bool:
    return message.operation == REPLY and table.get(message.sender_ip) not in (None, message.sender_mac)


EXERCISES = (
    Exercise(
        "one-machine-for-two", "03", "One node leads two VIPs. What does an ARP scan show for their addresses?",
        "choice", _expect_macs_of_one_leader,
        choices=(
            Choice("own", "two MAC addresses, one for each VIP"), Choice("same", "the same MAC address for both"),
            Choice("one", "an answer for one of them only"),
        ),
        hints=("Think of a server with several addresses on one network card.", "Compare the column MAC of the scan."),
        explanation="{answer}. The speaker answers with the MAC of the node's card; ARP has no rule against it.",
        misconceptions=(
            Misconception(
                "one-vip-per-node",
                "ARP maps each IP address to one MAC address. It allows several IP addresses with the same MAC. "
                "Users reported two VIPs on one node as a bug. It is not a bug.",
                sources.UNEVEN, is_choice("one"),
            ),
            Misconception(
                "a-mac-for-each-vip",
                "That needs virtual MAC addresses, as VRRP has them. A speaker knows only the MAC addresses of its "
                "node's cards.",
                sources.KEEPALIVED, is_choice("own"),
            ),
        ),
        scored_by=("arp_scan",),
        gives_away=(r"same MAC address (?:in|for) both", r"no rule against", r"card answers for"),
    ),
    Exercise(
        "what-route-to-the-vip", "03", "Which route does the client need, so that its packets reach the VIP?", "choice",
        _expect_route_to_the_vip,
        choices=(
            Choice("host", "a route for the VIP alone (/32), to the leader"),
            Choice("network", "no new route: that of its own network"),
            Choice("gateway", "the default route, by the gateway"),
        ),
        hints=(
            "Compare the VIP with the network of the client's card.",
            "lab.run(lab.client, 'ip -j route') lists all routes of the client. Look for the VIP.",
        ),
        explanation="{answer}. The VIP lies in that network, so the client asks for it by ARP.",
        misconceptions=(
            Misconception(
                "a-host-route-in-arp-mode",
                "With BGP, a router learns such a route. On layer 2, MetalLB changes no routing table. It answers ARP.",
                sources.BRIEF, is_choice("host"),
            ),
            Misconception(
                "a-gateway-brings-it",
                "A client uses its gateway for addresses outside its network. This VIP lies inside. "
                "For a client in another network you would be right.",
                sources.NOT_ROUTED, is_choice("gateway"),
            ),
        ),
        scored_by=("run",),
        gives_away=(r"no new route", r"lies in (?:that|the client's) network", r"changes no rout"),
    ),
    Exercise(
        "who-answers-for-svc1", "03", "Which machines answer when a client asks for the address of svc1?", "names",
        _expect_who_answers_arp, quiz=True, options=sorted_nodes,
        hints=("Every node hears the question.", "A speaker answers only for the addresses that it leads."),
        explanation="{answer}, and no other.",
        misconceptions=(
            Misconception(
                "all-speakers-answer",
                "All of them hear the question. With kube-proxy in IPVS mode and without strictARP, all of them would "
                "answer. That would be a fault. Here only the leader answers.",
                sources.STRICT_ARP, is_wrong_names("everybody"),
            ),
            Misconception(
                "nodes-with-pods-answer",
                "These nodes run the Pods. With the policy Cluster, the ARP answer does not depend on Pods. "
                "Before version 0.11 it did.",
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
        hints=(
            "What would have to change at a failover, the IP address or the MAC?",
            "HOLDER names the machine that has the card.",
        ),
        explanation="{answer}. So at a failover each client has to learn another one.",
        misconceptions=(
            Misconception(
                "virtual-mac",
                "VRRP, the protocol of Keepalived, has virtual MAC addresses. MetalLB uses real ones. A speaker "
                "answers with the MAC address of the card that received the question.",
                sources.KEEPALIVED, is_choice("virtual"),
            ),
            Misconception(
                "mac-of-the-pod",
                "A Pod has a MAC address on its own node only, behind the node's kernel. Clients do not see it. "
                "Compare the column HOLDER of the scan.",
                sources.BRIEF, is_choice("pod"),
            ),
        ),
    ),
    Exercise(
        "read-the-answer", "03",
        "Write read(message): from the 28 bytes of an ARP message, return the sender's (address, MAC) as two strings. "
        "For another message, return None.", "code",
        _expect_parsed_replies,
        starter="def read(message):\n    ...",
        hints=(
            "Bytes 6 and 7 are the operation; 2 is an answer. The sender's MAC address begins at 8.",
            "message[8:14].hex(':') and '.'.join(map(str, message[14:18]))",
        ),
        explanation="The operation is at byte 6, the sender's MAC at 8, the sender's address at 14.",
        solution=(
            "def read(message):\n"
            "    if int.from_bytes(message[6:8]) != 2:\n"
            "        return None\n"
            "    return '.'.join(map(str, message[14:18])), message[8:14].hex(':')"
        ),
        misconceptions=(
            Misconception(
                "the-target-is-the-answer",
                "Those are the target's addresses. In an answer the target is the machine that asked. "
                "The sender's fields hold what it wanted to know.",
                sources.BRIEF, behaves_like(_read_target),
            ),
            Misconception(
                "each-message-answers",
                "Your function reads questions, too. In a question the sender names itself and asks for the target. "
                "Look at the operation first.",
                sources.BRIEF, behaves_like(_format_sender),
            ),
        ),
    ),
    Exercise(
        "does-the-vip-answer-ping", "03", "The address answers ARP. Will it answer a ping?",
        "choice", _expect_ping_reply,
        choices=(Choice("yes", "yes: a machine has it"), Choice("no", "no")),
        hints=(
            "Which program would have to answer an ICMP echo?",
            "A kernel answers an echo only for the addresses of its own interfaces.",
        ),
        explanation="{answer}: the speaker answers ARP only. No interface has the VIP, so no kernel answers an echo.",
        misconceptions=(
            Misconception(
                "vip-is-on-an-interface",
                "A kernel answers an echo for the addresses of its interfaces. No interface of the leader has the VIP. "
                "The leader's kernel forwards the echo instead. Test the port that the Service offers.",
                sources.PING, is_choice("yes"),
            ),
        ),
        scored_by=("run",),
        gives_away=(r"no kernel answers", r"test a VIP with ping", r"host unreachable"),
    ),
    Exercise(
        "how-often-announced", "03", "A Service gets its address. How often will its leader announce itself?", "choice",
        _expect_number_of_announcements,
        choices=(
            Choice("once", "once"), Choice("a few", "a few times, then silence until something changes"),
            Choice("for ever", "every few seconds, for ever"),
        ),
        hints=("A broadcast can get lost, and no machine confirms it.",
            "lab.observation().arp.announcements('svc1') counts the rounds.",
        ),
        explanation="{answer}: rounds about a second apart. Every resync of the Service starts new ones.",
        misconceptions=(
            Misconception(
                "gratuitous-arp-goes-on",
                "After its rounds, a speaker of v0.14.8 is silent until something changes. "
                "A client or a switch that forgets the address has to ask.",
                sources.FORGETS, is_choice("for ever"),
            ),
            Misconception(
                "one-broadcast-is-enough",
                "Ethernet confirms no broadcast. A single frame that gets lost would leave clients at the old leader. "
                "So MetalLB repeats it.",
                sources.BRIEF, is_choice("once"),
            ),
        ),
        scored_by=("arp.announcements", "arp.timeline"),
        gives_away=(r"\brounds?\b", r"repeats", r"a few times"),
    ),
    Exercise(
        "write-the-entry-change", "03",
        "Write changes(table, message): does an ARP message give an entry of a client another MAC address? The table "
        "has the MAC address that the client remembers for each IP address. Return True or False.", "code",
        _expect_entry_changes,
        starter="def changes(table, message):\n    ...",
        hints=(
            "Whose addresses does an announcement tell? Look for an entry of that machine.",
            "remembered = table.get(message.sender_ip). Compare this with message.sender_mac, where an entry exists.",
        ),
        explanation="A message changes an entry that exists and has another MAC address than the sender.",
        solution=(
            "def changes(table, message):\n"
            "    remembered = table.get(message.sender_ip)\n"
            "    return remembered is not None and remembered != message.sender_mac"
        ),
        misconceptions=(
            Misconception(
                "an-announcement-makes-an-entry",
                "Your function also returns True where the client has no entry. Linux makes no entry from an "
                "announcement. The client asks when it needs the address.",
                sources.BRIEF, behaves_like(_adds_entries),
            ),
            Misconception(
                "each-announcement-changes-an-entry",
                "The leader announces itself after each resync, too. Then the entry has its MAC address already, and "
                "keeps it. Compare both MAC addresses.",
                sources.BRIEF, behaves_like(_counts_each_message),
            ),
            Misconception(
                "a-question-changes-the-target",
                "In a question, the target is the address that somebody asks for. The question does not tell who has "
                "it. A message tells the addresses of its sender.",
                sources.BRIEF, behaves_like(_looks_up_the_target),
            ),
            Misconception(
                "only-a-reply-changes-an-entry",
                "Your function leaves out requests. Linux reads the sender of a request, too. Each round of MetalLB "
                "has one of both.",
                sources.BRIEF, behaves_like(_takes_replies_only),
            ),
        ),
    ),
    Exercise(
        "does-curl-survive", "03",
        "The advertisement is gone and no machine answers ARP. Does curl still work, from this client?",
        "choice", _expect_curl_without_advertisement,
        choices=(Choice("works", "yes"), Choice("dead", "no")),
        hints=("Does the client ask each time?", "lab.neighbors() shows what it remembers."),
        explanation="{answer}: the client has an entry for the address, so it does not ask.",
        misconceptions=(
            Misconception(
                "no-answer-no-traffic",
                "A client that has an entry does not ask. So a Service can work now and fail later, when the entry "
                "ends.",
                sources.WARM, is_choice("dead"),
            ),
        ),
        scored_by=("curl",),
        gives_away=(r"proves little", r"`curl` works", r"it does not ask"),
    ),
    Exercise(
        "whom-the-client-believes", "03",
        "A new server has the address of svc1, too. The client asks for the address and sends its request. "
        "What does curl show?", "choice", _expect_holder_in_a_conflict,
        choices=(
            Choice("pod", "the answer of a Pod, as before"),
            Choice("refused", "connection refused, by the new server"),
            Choice("error", "an error of the client: two machines have the address"),
        ),
        hints=("How does the client know which answer is right?", "lab.neighbors() shows what it remembers."),
        explanation="{answer}. The client keeps the first answer, whoever sends it.",
        misconceptions=(
            Misconception(
                "the-speaker-answers-with-priority",
                "ARP has no ranks, and an answer does not say that a speaker sent it. The client keeps the first one. "
                "A Pod answers only if the leader was faster.",
                sources.BRIEF, is_choice("pod"),
            ),
            Misconception(
                "clients-report-a-conflict",
                "A machine can look for a conflict about its own address (RFC 5227). A client looks for the address of "
                "another machine. It keeps the first answer and reports no error.",
                sources.BRIEF, is_choice("error"),
            ),
        ),
        scored_by=("curl",),
        gives_away=(r"faster answer wins", r"new server got the request", r"answer came first"),
    ),
    Exercise(
        "what-carries-the-traffic", "03", "svc1 gets ten times the traffic. How many nodes take it from the clients?",
        "choice", _expect_number_of_leaders, quiz=True,
        choices=(
            Choice("one", "one: the leader"), Choice("pods", "those with a Pod"), Choice("all", "all workers, evenly"),
        ),
        hints=(
            "How many answers does one question get?",
            "The leader chooses the Pod. The network before the leader chooses nothing.",
        ),
        explanation="{answer}. Its link is the limit, however many nodes there are.",
        misconceptions=(
            Misconception(
                "layer-2-balances-nodes",
                "Many posts say so. Layer 2 gives failover and no balancing between nodes. One node takes all packets, "
                "then its rules choose among the Pods.",
                sources.BALANCES, is_choice("all"),
            ),
            Misconception(
                "clients-reach-the-pods-nodes",
                "Behind the leader, yes. But every packet first comes to the leader, with or without a Pod there.",
                sources.ENDPOINTS_FIRST, is_choice("pods"),
            ),
        ),
    ),
    Exercise(
        "who-forwards", "03", "A client's packet for svc1 arrives at the leader. What sends it on to a Pod?",
        "choice", _expect_who_forwards, quiz=True,
        choices=(
            Choice("speaker", "the speaker, which receives it and sends it on"),
            Choice("kernel", "the node's kernel, by rules that kube-proxy wrote"),
            Choice("kube-proxy", "the kube-proxy process, which passes it on"),
        ),
        hints=("Without an advertisement, curl worked for this client. What was at work then?", "lab.trace('svc1')"),
        explanation="{answer}. MetalLB attracts the packet; the kernel forwards it.",
        misconceptions=(
            Misconception(
                "metallb-forwards",
                "The speaker answers ARP, and that is all. No packet of a client passes through a process of MetalLB. "
                "Without an advertisement, a client with an entry still reached a Pod.",
                sources.BALANCES, is_choice("speaker"),
            ),
            Misconception(
                "kube-proxy-forwards",
                "Its first mode worked like that (userspace, removed in Kubernetes v1.26). Since then kube-proxy only "
                "writes rules, and the kernel forwards.",
                sources.BRIEF, is_choice("kube-proxy"),
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
        explanation="{answer}: the node's own rules change the packet before the node needs ARP for the VIP.",
        misconceptions=(
            Misconception(
                "curl-on-a-node-tests-metallb",
                "MetalLB's own troubleshooting page begins with this one. The packet meets the node's rules first. "
                "The node does not ask for the VIP.",
                sources.FROM_A_NODE, is_choice("metallb"),
            ),
            Misconception(
                "only-the-leader-can-curl",
                "kube-proxy writes the same rules on every node. So this curl works on each of them, leader or not.",
                sources.FROM_A_NODE, is_choice("leader"),
            ),
        ),
    ),
)  # fmt: skip
