"""Exercises of chapter 07 (expected answers, hints, feedback): BGP, many next hops instead of one leader."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from kanslib.analysis.phases import DARK, PARTLY
from kanslib.analysis.timeline_events import BGPSessionEvent, HoldTimerEvent
from kanslib.exceptions import NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import (
    column,
    endpoint_slices,
    excluded_nodes,
    nodes,
    nodes_with_endpoints,
    sorted_nodes,
)
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries, LabTable
from kanslib.exercises.misconceptions import (
    ExpectedAnswer,
    Misconception,
    behaves_like,
    is_choice,
    is_number,
    is_wrong_names,
    is_wrong_number,
)
from kanslib.i18n import tr, tr_later
from kanslib.k8s.objects import KubeObject, external_addresses
from kanslib.metallb.bgp import peers
from kanslib.metallb.config import pool_of, pools
from kanslib.metallb.expected_outage import Scenario, expected
from kanslib.packets import bgp

_BGP = tr_later("lab.at('apply-bgp') in the story 'bgp'")


def _routes(lab: LabQueries) -> LabTable:
    """Return the router's routes; NotFoundError where it has none."""
    routes = lab.routes()
    if routes.empty:
        raise NotFoundError(tr("a route to a VIP"), hint=tr(_BGP))
    return routes


def _next_hops(lab: LabQueries) -> list[str]:
    """Return the nodes that the router sends packets for svc1 to."""
    routes, svc1 = _routes(lab), (f"{lab.vip('svc1')}/32", "yes")
    prefixes = zip(column(routes, "PREFIX"), column(routes, "IN USE"), strict=True)
    return [node for node, route in zip(column(routes, "NODE"), prefixes, strict=True) if route == svc1]


def _expect_silent_neighbors(lab: LabQueries) -> ExpectedAnswer:
    everybody = nodes(lab)
    wrong_names = {"without pods": everybody - nodes_with_endpoints(lab)}
    return ExpectedAnswer(everybody - set(column(_routes(lab), "NODE")), wrong_names=wrong_names)


def _expect_size_of_update(lab: LabQueries) -> ExpectedAnswer:
    messages = [one.message for one in bgp.messages(lab.observation().frames("bgp"))]
    size = next((len(message.raw) for message in messages if message.name == "UPDATE"), None)
    if size is None:
        raise NotFoundError(tr("a BGP UPDATE around this moment"), hint=tr(_BGP))
    return ExpectedAnswer("ten" if size < 25 else "fifty" if size < 150 else "hundreds")


def _expect_next_hops_in_bytes(lab: LabQueries) -> ExpectedAnswer:
    """Return each captured UPDATE that announces, as bytes, and its next hop: those of the nodes first."""
    messages = [one.message for one in bgp.messages(lab.observation().frames("bgp"))]
    found = {one.raw: one.next_hop for one in messages if one.name == "UPDATE" and one.announced and one.next_hop}
    if not found:
        raise NotFoundError(tr("a BGP UPDATE around this moment"), hint=tr(_BGP))
    return ExpectedAnswer([((raw,), hop) for raw, hop in sorted(found.items(), key=lambda case: len(case[0]))])


def _at_a_fixed_place(message: bytes) -> str:
    return ".".join(map(str, message[39:43]))


def _expect_number_of_next_hops(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer(float(len(_next_hops(lab))), {"workers": len(nodes(lab) - excluded_nodes(lab))})


def _expect_how_next_hops_are_chosen(lab: LabQueries) -> ExpectedAnswer:
    """Find out from the frames behind the router whether it chose for each packet, in turn, or for each connection."""
    vip, owners, everybody = lab.vip("svc1"), lab.observation().mac_owners(), nodes(lab)
    flows: dict[int, list[str]] = defaultdict(list)
    for frame in lab.observation().frames("tcp"):
        if frame.ethernet and frame.ip and frame.tcp and frame.ip.dst == vip:
            owner = owners.get(frame.ethernet.destination, "")
            if owner in everybody:
                flows[frame.tcp.sport].append(owner)
    if len(flows) < 10:
        raise NotFoundError(
            tr("connections behind the router"), hint=tr("lab.at('route-client') and lab.curl('svc1', times=100)")
        )
    if any(len(set(hops)) > 1 for hops in flows.values()):
        return ExpectedAnswer("packet")
    chosen = [hops[0] for hops in flows.values()]
    return ExpectedAnswer("turns" if all(hop != following for hop, following in pairwise(chosen)) else "hash")


def _expect_share_of_single_pod(lab: LabQueries) -> ExpectedAnswer:
    """Work out what one Pod gets that is alone on its next hop, in percent."""
    hops = _next_hops(lab)
    if lab.object("service", "svc1")["spec"].get("externalTrafficPolicy") != "Local":
        raise NotFoundError(tr("externalTrafficPolicy: Local at this moment"), hint="lab.at('bgp-etp-local')")
    endpoints = [one for piece in endpoint_slices(lab) for one in piece["endpoints"]]
    places = [one["nodeName"] for one in endpoints if one["conditions"]["ready"] is not False]
    fewest = min(places.count(hop) for hop in hops)
    return ExpectedAnswer(100 / len(hops) / fewest, {"even": 100 / (3 + fewest)})


def _expect_time_until_withdrawn(lab: LabQueries) -> ExpectedAnswer:
    outage = lab.observation().outage()
    phases = outage.phases.get("svc1")
    if not phases or not outage.action.startswith("kill-node"):
        raise NotFoundError(tr("requests to svc1 around a node's death"), hint="lab.at('kill-node')")
    seconds = max((one.end for one in phases if one.name in (DARK, PARTLY)), default=0.0)
    return ExpectedAnswer(
        "at once" if seconds < 2 else "gossip" if seconds < 8 else "hold" if seconds < 30 else "not ready"
    )


def _expect_end_of_silent_session(lab: LabQueries) -> ExpectedAnswer:
    """Find out what ended the router's session with the silent node."""
    outage = lab.observation().outage()
    ends = [event for event in outage.events if isinstance(event, BGPSessionEvent | HoldTimerEvent)]
    if not ends or not outage.action.startswith("cut-link"):
        raise NotFoundError(tr("a BGP session that ended"), hint=tr("lab.at('cut-link') in the story 'bgp-silent'"))
    return ExpectedAnswer("hold" if any(isinstance(event, HoldTimerEvent) for event in ends) else "closed")


def _expect_earliest_end_of_hold(lab: LabQueries) -> ExpectedAnswer:
    """Work out how long after a cut the hold timer ends at the earliest: the last keepalive had to come just then."""
    hold = min((peer.hold for peer in peers(lab.objects)), default=0.0)
    if not hold:
        raise NotFoundError(tr("a BGPPeer with a hold time"), hint=tr(_BGP))
    return ExpectedAnswer(hold - hold / 3, {"from the cut": hold, "one keepalive": hold / 3})


_SILENT = Scenario(protocol="BGP", policy="Local", death="silent")  # with MetalLB's default hold time


def _expect_what_bfd_changes(lab: LabQueries) -> ExpectedAnswer:
    """Compare the outage that a silent node is expected to cause without and with BFD's default profile."""
    del lab
    (without,), (with_bfd,) = expected(_SILENT), expected(_SILENT.replace(bfd=0.9))
    is_shorter, is_smaller = with_bfd.end < without.end, with_bfd.share < without.share
    return ExpectedAnswer("time" if is_shorter and not is_smaller else "share" if is_smaller else "nothing")


def _expect_cost_of_four_next_hops(lab: LabQueries) -> ExpectedAnswer:
    """Work out the lost seconds with the default hold time and four next hops."""
    del lab
    (phase,) = expected(_SILENT.replace(next_hops=4))
    wrong = {"every connection": phase.end, "from the cut": _SILENT.hold * phase.share, "two": phase.end / 2}
    return ExpectedAnswer(phase.end * phase.share, wrong)


def _expect_next_hops_by_default_hash(lab: LabQueries) -> ExpectedAnswer:
    """Count the hash inputs of one client by Linux's default policy: the addresses, without the ports.

    Linux Documentation/networking/ip-sysctl.rst, fib_multipath_hash_policy 0.
    """
    hashed = {(lab.address(lab.client), lab.vip("svc1")) for _port in range(100)}
    return ExpectedAnswer(float(len(hashed)))


def _expect_routes_after_a_graceful_end(lab: LabQueries) -> ExpectedAnswer:
    """Apply RFC 4724, section 4.2: a session that ends without a NOTIFICATION keeps its routes for the restart time."""
    del lab
    return ExpectedAnswer("restart")


def _expect_what_cluster_waits_for(lab: LabQueries) -> ExpectedAnswer:
    """Find the last phase of the outage that a killed node is expected to cause, under BGP and with Cluster."""
    endpoints = [one for piece in endpoint_slices(lab) for one in piece["endpoints"] or ()]  # ready or not
    if len(endpoints) < 2:
        raise NotFoundError(tr("several endpoints of svc1"), hint=tr(_BGP))
    phases = expected(Scenario(protocol="BGP", policy="Cluster", endpoints=len(endpoints), lost=1))
    return ExpectedAnswer("endpoints" if phases and "endpoints" in phases[-1].why else "nothing")


def _expect_both_advertisements(lab: LabQueries) -> ExpectedAnswer:
    """Find out what the configuration of v0.14.8 makes of a pool with both kinds of advertisement."""
    advertisement = {"metadata": {"name": "both", "namespace": "metallb-system"}, "spec": {}}

    def objects(kind: str) -> list[KubeObject]:
        return [advertisement] if kind in ("l2advertisements", "bgpadvertisements") else lab.objects(kind)

    pool = pool_of(pools(objects), external_addresses(lab.object("service", "svc1")))
    if pool is None:
        raise NotFoundError(tr("a pool that holds svc1's address"), hint=tr(_BGP))
    return ExpectedAnswer("yes" if pool.layer2 and pool.bgp else "no")


def _expect_disturbed_connections(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether connections on living next hops get another one when one of three leaves.

    Linux divides the hash by shares of its range (net/ipv4/fib_semantics.c fib_select_multipath): who leaves moves the
    borders of the others.
    """
    hops = sorted(nodes(lab) - excluded_nodes(lab))
    lost, rest = hops[0], hops[1:]
    before = [hops[place * len(hops) // 1000] for place in range(1000)]
    after = [rest[place * len(rest) // 1000] for place in range(1000)]
    is_moved = any(old not in (lost, new) for old, new in zip(before, after, strict=True))
    return ExpectedAnswer("more" if is_moved else "only")


EXERCISES = (
    Exercise(
        "which-neighbor-sends-nothing", "07", "Each speaker has a session. Which nodes announce no address?", "names",
        _expect_silent_neighbors, options=sorted_nodes,
        hints=("A session is not an announcement.", "Which node carries the exclude label?"),
        explanation="It is {answer}: the exclude label counts under BGP, too.",
        misconceptions=(
            Misconception(
                "no-pod-no-route",
                "Those have no Pod of svc1. With the policy Cluster they announce all the same and pass packets on.",
                sources.LOCAL, is_wrong_names("without pods"),
            ),
        ),
        scored_by=("run", "routes"),
        gives_away=(r"control plane announced no prefix",),
    ),
    Exercise(
        "bytes-of-an-update", "07", "An UPDATE announces an address. How many bytes is it long?", "choice",
        _expect_size_of_update,
        choices=(
            Choice("ten", "about ten"), Choice("fifty", "about fifty"), Choice("hundreds", "some hundreds"),
        ),
        hints=("It begins with a marker.", "The marker has sixteen bytes."),
        explanation="{answer}, and a third of it is a marker that carries nothing.",
        misconceptions=(
            Misconception(
                "an-update-is-an-address",
                "The address and its prefix length would fit. But the marker alone is longer, and attributes say "
                "where the route comes from and where to send packets.",
                sources.BRIEF, is_choice("ten"),
            ),
            Misconception(
                "bgp-messages-are-large",
                "An UPDATE may be that long, if it announces many prefixes. This one announces a single prefix, "
                "with a few short attributes.",
                sources.BRIEF, is_choice("hundreds"),
            ),
        ),
        scored_by=("bgp.decode",),
        gives_away=(r"48 bytes", r"about fifty"),
    ),
    Exercise(
        "read-the-next-hop", "07",
        "Write a function. It takes the bytes of an UPDATE and returns its next hop as text.", "code",
        _expect_next_hops_in_bytes,
        starter="def next_hop(message):\n    ...",
        hints=(
            "Attributes begin at byte 23. Each has a byte of flags, a byte of type, its length, then its value.",
            "NEXT_HOP has the type 3. Walk from attribute to attribute: place += 3 + message[place + 2].",
            "Where message[place] & 0x10 is set, the length has two bytes: place + 2 and place + 3.",
        ),
        explanation="The function walks from attribute to attribute, until the type is 3. The value is the address.",
        solution=(
            "def next_hop(message):\n"
            "    place = 23\n"
            "    while message[place + 1] != 3:\n"
            "        size = 2 if message[place] & 0x10 else 1\n"
            "        place += 2 + size + int.from_bytes(message[place + 2 : place + 2 + size])\n"
            "    return '.'.join(map(str, message[place + 3 : place + 7]))"
        ),
        misconceptions=(
            Misconception(
                "attributes-have-fixed-places",
                "That is the right place in the messages of the nodes. A longer AS_PATH moves everything behind it, as "
                "in the messages of the router.",
                sources.BRIEF, behaves_like(_at_a_fixed_place),
            ),
        ),
    ),
    Exercise(
        "one-leader-under-bgp", "07", "How many next hops has the router for svc1 at this moment?",
        "number", _expect_number_of_next_hops,
        unit="next hops", scale=(0, 8, 1),
        hints=("Which nodes may announce, and has each a reason to?", "lab.routes()"),
        explanation="{answer}: every node that may announce it and, with Local, has an endpoint.",
        misconceptions=(
            Misconception(
                "bgp-needs-one-leader",
                "One would be layer 2. A router may know several ways to the same address, and uses them all.",
                "MetalLB docs, troubleshooting (service advertisements)", is_number(lambda _: 1, 0.0),
            ),
            Misconception(
                "local-does-not-change-routes",
                "All workers would announce it with the policy Cluster. With Local, only nodes with an endpoint do.",
                sources.LOCAL, is_wrong_number("workers", 0.0),
            ),
        ),
        scored_by=("routes",),
        gives_away=(r"NEXT HOP .* myk8s-worker3",),
    ),
    Exercise(
        "cards-or-hash", "07", "Several next hops, a hundred connections. How does the router choose?", "choice",
        _expect_how_next_hops_are_chosen,
        choices=(
            Choice("turns", "in turn: first, second, third, first"), Choice("packet", "anew for each packet"),
            Choice("hash", "by a hash of each connection's addresses and ports"),
        ),
        hints=(
            "What would happen to a connection whose packets went different ways?",
            "lab.observation().bgp.shares('svc1')",
        ),
        explanation="{answer}: all packets of a connection go the same way.",
        misconceptions=(
            Misconception(
                "spread-in-turns",
                "In turn, the counts would differ by one at the most. With a hash they differ by chance, and so do "
                "those that the lab measured. (kube-proxy does not take turns either.)",
                sources.BRIEF, is_choice("turns"),
            ),
            Misconception(
                "ecmp-splits-connections",
                "Then a connection's packets would overtake each other, and reach different Pods.",
                sources.BGP + " (per-connection)", is_choice("packet"),
            ),
        ),
        scored_by=("bgp.shares",),
        gives_away=(r"hash of each connection's addresses",),
    ),
    Exercise(
        "share-of-a-lonely-pod", "07",
        "With Local: a next hop has three Pods, another one has a single Pod. Which share does the single Pod get?",
        "number", _expect_share_of_single_pod, unit="%", tolerance=0.1, scale=(0, 100, 5),
        hints=("Who shares between the nodes, and does it know Pods?", "The router. Next hops get equal shares."),
        explanation="{answer}: the router counts nodes.",
        misconceptions=(
            Misconception(
                "router-counts-pods",
                "That would be fair. But no announcement says how many Pods are behind it.",
                "MetalLB issue #1; MetalLB docs, usage (Local)", is_wrong_number("even"),
            ),
        ),
        scored_by=("curl",),
        gives_away=(r"single Pod (?:serves|gets|has) (?:half|as much)",),
    ),
    Exercise(
        "router-and-a-killed-node", "07",
        "`docker kill` ends a node's container. How long does the router send packets to it?", "choice",
        _expect_time_until_withdrawn,
        choices=(
            Choice("at once", "hardly at all"), Choice("gossip", "until the gossip has noticed"),
            Choice("hold", "until the router has heard nothing for long enough"),
            Choice("not ready", "until the API calls the node NotReady, and MetalLB withdraws the route"),
        ),
        hints=("A killed process does not speak. Its kernel does.", "lab.observation().events('BGP')"),
        explanation=(
            "{answer}: on kind, the host's kernel lives on and closes the sockets of the killed container. A server "
            "that loses power does not close them: there the router waits."
        ),
        misconceptions=(
            Misconception(
                "gossip-moves-routes",
                "Gossip decides who leads on layer 2. The router knows nothing of it; it has a session with each node.",
                "MetalLB docs, concepts/layer2 (memberlist)", is_choice("gossip"),
            ),
            Misconception(
                "bgp-is-slow-to-notice",
                "That is right for a server that loses power. Here only a container died: the kernel of its host "
                "lives, and closes the session.",
                sources.BGP + " (limitations)", is_choice("hold"),
            ),
            Misconception(
                "withdrawal-needs-the-api",
                "A route lives as long as its session. The router removes it with the session, whatever the API says "
                "of the node.",
                "MetalLB issue #524, before there was gossip", is_choice("not ready"),
            ),
        ),
        scored_by=("observation.timeline", "observation.events", "observation.phases"),
        gives_away=(r"hardly at all", r"closes its session with", r"router removed the next hop"),
    ),
    Exercise(
        "what-ends-a-silent-session", "07",
        "Somebody pulls a cable, or a server loses power. What ends its session with the router?",
        "choice", _expect_end_of_silent_session,
        choices=(
            Choice("hold", "the hold timer"), Choice("closed", "the node's kernel closes it"),
            Choice("bfd", "BFD"), Choice("not ready", "Kubernetes calls the node NotReady"),
        ),
        hints=("What can the router notice?", "That it has heard nothing, for so long."),
        explanation="{answer}: so long after the node's last message.",
        misconceptions=(
            Misconception(
                "dead-servers-close-sockets",
                "A kernel needs power and a cable to send that. A kernel closes the socket only if it outlives the "
                "speaker, as the host's kernel does on kind.",
                sources.BRIEF, is_choice("closed"),
            ),
            Misconception(
                "bfd-is-always-there",
                "It would be quicker. The native mode of this course has no BFD; FRR-K8s has it.",
                sources.BGP + " (FRR mode)", is_choice("bfd"),
            ),
            Misconception(
                "kubernetes-ends-sessions",
                "The speaker and the router talk to each other. Neither asks whether Kubernetes calls the node Ready.",
                "MetalLB issue #524, before there was gossip", is_choice("not ready"),
            ),
        ),
        scored_by=("observation.timeline", "observation.phases", "observation.events"),
        gives_away=(r"hold timer",),
    ),
    Exercise(
        "earliest-end-of-hold", "07",
        "Each side sends a keepalive every third of the hold time. Somebody pulls a cable. How long after that does "
        "the hold timer end at the earliest, in this cluster?",
        "number", _expect_earliest_end_of_hold, unit="s", tolerance=0.01, scale=(0, 30, 1),
        hints=("From which message does the timer count?", "The next keepalive was due at the moment of the cut."),
        explanation="{answer}: the last keepalive had come a third of the hold time before the cut.",
        misconceptions=(
            Misconception(
                "hold-counts-from-the-cut",
                "The router does not see the cut. Its timer counts from the last message, and that came earlier.",
                sources.BRIEF, is_wrong_number("from the cut", 0.01),
            ),
            Misconception(
                "one-keepalive-is-enough",
                "A keepalive that does not come is no reason to end a session: the whole hold time has to pass.",
                sources.BRIEF, is_wrong_number("one keepalive", 0.01),
            ),
        ),
    ),
    Exercise(
        "both-at-once", "07", "May one pool be advertised on layer 2 and by BGP at the same time?", "choice",
        _expect_both_advertisements, quiz=True,
        choices=(Choice("yes", "yes"), Choice("no", "no, one or the other")),
        hints=("An advertisement names a pool.", "Two objects can name the same one."),
        explanation="{answer}: each kind of advertisement covers the pool by itself.",
        misconceptions=(
            Misconception(
                "one-protocol-each",
                "Many people ask that, so it stands in MetalLB's FAQ: an L2Advertisement and a BGPAdvertisement may "
                "name the same pool.",
                "MetalLB docs, FAQ", is_choice("no"),
            ),
        ),
    ),
    Exercise(
        "who-is-disturbed", "07", "The first next hop leaves an ECMP group of three. Which connections are disturbed?",
        "choice", _expect_disturbed_connections, quiz=True,
        choices=(Choice("only", "those of the lost node"), Choice("more", "more: some of the others, too")),
        hints=("The hash does not change. What does?", "Its range is divided among fewer next hops."),
        explanation="{answer}. The others' shares get new borders. A connection that reaches another node breaks.",
        misconceptions=(
            Misconception(
                "only-the-lost-ones",
                "Many routers divide the hash's range anew, and connections of living nodes reach nodes that do not "
                "know them. (Resilient hashing avoids it.)",
                sources.BGP + " (limitations)", is_choice("only"),
            ),
        ),
    ),
    Exercise(
        "bgp-with-cluster", "07",
        "BGP, policy Cluster: a node with an endpoint is killed, and its session closes. Why do requests still fail?",
        "choice", _expect_what_cluster_waits_for, quiz=True,
        choices=(
            Choice("session", "the router still sends packets to the node"),
            Choice("endpoints", "the other nodes still send packets to the dead endpoint"),
            Choice("nothing", "they do not: BGP notices at once"),
        ),
        hints=("Which component chooses a Pod, and which list does it choose from?", "kanslib.node_losses('svc1')"),
        explanation="{answer}, until Kubernetes removes it from the rules. Both protocols wait for that.",
        misconceptions=(
            Misconception(
                "a-closed-session-keeps-its-route",
                "The route goes with the session. The packets reach a living node, and that node chooses the dead Pod.",
                sources.BRIEF, is_choice("session"),
            ),
            Misconception(
                "bgp-ends-every-outage",
                "BGP removes a next hop. It does not know Pods: with Cluster, the rules of every other node still have "
                "the dead endpoint.",
                sources.PODS_GONE, is_choice("nothing"),
            ),
        ),
    ),
    Exercise(
        "what-bfd-changes", "07", "A node falls silent. What does BFD change for the clients?", "choice",
        _expect_what_bfd_changes, quiz=True,
        choices=(
            Choice("share", "a smaller share of the connections fails"),
            Choice("time", "the same share fails, for a shorter time"),
            Choice("nothing", "nothing: the router notices at once anyway"),
        ),
        hints=("Which timer does BFD take the place of?", "The router shares among its next hops as before."),
        explanation="{answer}: BFD takes the place of the hold timer. More next hops make the share smaller.",
        misconceptions=(
            Misconception(
                "bfd-shares-otherwise",
                "The share comes from the number of next hops. BFD only tells the router sooner that one of them is "
                "silent.",
                sources.BGP + " (FRR mode)", is_choice("share"),
            ),
            Misconception(
                "every-death-closes-a-session",
                "At once is right for a killed container. A silent node closes no session, so the router waits for a "
                "timer.",
                sources.BGP + " (limitations)", is_choice("nothing"),
            ),
        ),
    ),
    Exercise(
        "cost-of-four-next-hops", "07",
        "MetalLB's default hold time, policy Local, four next hops. A node falls silent. Each next hop has the same "
        "share of the connections. How many lost seconds do you expect, on average?",
        "number", _expect_cost_of_four_next_hops, quiz=True,
        unit="s", tolerance=0.03, scale=(0, 90, 0.25),
        hints=(
            "How long does the router keep the route, counted from the last keepalive? Use the average.",
            "Which share of the connections fails meanwhile? Multiply.",
        ),
        explanation="{answer}: the route stays for 75 s on average, and a quarter of the connections fails.",
        misconceptions=(
            Misconception(
                "all-connections-go-to-the-silent-node",
                "Those are the seconds of waiting. Only the share of one next hop fails in them.",
                sources.BRIEF, is_wrong_number("every connection", 0.03),
            ),
            Misconception(
                "the-average-keepalive-is-fresh",
                "The share is right. But the timer had run for half of a keepalive's interval, on average, when the "
                "node fell silent.",
                sources.BRIEF, is_wrong_number("from the cut", 0.03),
            ),
            Misconception(
                "half-is-always-lost",
                "Half of the connections fail with two next hops. Here are four.",
                sources.BRIEF, is_wrong_number("two", 0.03),
            ),
        ),
    ),
    Exercise(
        "one-client-by-the-default-hash", "07",
        "A Linux router with its default settings has three next hops for a VIP. One client opens a hundred "
        "connections. How many of the next hops get some of them?",
        "number", _expect_next_hops_by_default_hash, quiz=True,
        unit="next hops", scale=(0, 5, 1),
        hints=("What does Linux hash, unless you set `fib_multipath_hash_policy`?", "Do the addresses differ?"),
        explanation="{answer}: the addresses are the same each time, and so is the hash. Many clients spread better.",
        misconceptions=(
            Misconception(
                "linux-hashes-ports",
                "It spreads over several only when the hash has the ports, too. The course's router has that setting.",
                sources.BGP + " (3-tuple and 5-tuple)", is_number(lambda _: 3, 0.0),
            ),
        ),
    ),
    Exercise(
        "routes-of-a-graceful-restart", "07",
        "Graceful restart is on. A node is killed, and its kernel closes the session. What does the router do with "
        "the node's routes?",
        "choice", _expect_routes_after_a_graceful_end, quiz=True,
        choices=(
            Choice("at once", "it removes them at once"),
            Choice("restart", "it keeps them until the restart time has passed"),
            Choice("ready", "it keeps them until the API calls the node NotReady"),
        ),
        hints=("Can the router tell this from an update of the speaker?", "It waits for the neighbor to come back."),
        explanation="{answer}. Until then a share of the connections goes to the dead node.",
        misconceptions=(
            Misconception(
                "a-closed-session-always-withdraws",
                "That is so without graceful restart. With it, a session that ends without a last BGP message looks "
                "like a restart.",
                "MetalLB issue #2368; RFC 4724, section 4.2", is_choice("at once"),
            ),
            Misconception(
                "the-api-ends-a-restart",
                "The router does not ask the API. Only its own timer counts, or a new session with the node.",
                sources.BRIEF, is_choice("ready"),
            ),
        ),
    ),
)  # fmt: skip
