"""Chapter 07: many next hops instead of one leader."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

from kanslib.analysis.phases import DARK, PARTLY
from kanslib.exceptions import NotRecordedError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import excluded, nodes, slices, with_endpoints
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, chose, names, number
from kanslib.k8s.objects import external_addresses
from kanslib.metallb.config import pool_of, pools

_BGP = "lab.at('apply-bgp') in the story 'bgp'"


def _hops(lab: Any, service: str = "svc1") -> list[str]:
    """The nodes that the router sends a Service's packets to."""
    routes = lab.routes()
    if routes.empty:
        raise NotRecordedError("a route to a VIP", hint=_BGP)
    mine = routes[(f"{lab.vip(service)}/32" == routes.PREFIX) & (routes["IN USE"] == "yes")]
    return list(mine.NODE)


def _silent_neighbours(lab: Any) -> ExpectedAnswer:
    routes = lab.routes()
    if routes.empty:
        raise NotRecordedError("a route to a VIP", hint=_BGP)
    return ExpectedAnswer(nodes(lab) - set(routes.NODE), {"no pod": nodes(lab) - with_endpoints(lab)})


def _update_size(lab: Any) -> ExpectedAnswer:
    from kanslib.packets import bgp

    said = [one.message for one in bgp.messages(lab.frames("bgp")) if one.message.name == "UPDATE"]
    if not said:
        raise NotRecordedError("a BGP UPDATE around this moment", hint=_BGP)
    size = len(said[0].raw)
    return ExpectedAnswer("ten" if size < 25 else "fifty" if size < 150 else "hundreds")


def _next_hops(lab: Any) -> ExpectedAnswer:
    return ExpectedAnswer(float(len(_hops(lab))), {"workers": len(nodes(lab) - excluded(lab))})


def _dealing(lab: Any) -> ExpectedAnswer:
    """How the router chose, by the frames behind it: for each packet, in turn, or once for each connection."""
    vip, macs = lab.vip("svc1"), lab._backend.mac_owners()
    flows: dict[int, list[str]] = defaultdict(list)
    for frame in lab.frames("tcp"):
        holder = macs.get(frame.ethernet.destination, "")
        if frame.ip.dst == vip and holder in nodes(lab):
            flows[frame.tcp.sport].append(holder)
    if len(flows) < 10:
        raise NotRecordedError(
            "connections behind the router", hint="lab.at('route-client') and lab.curl('svc1', times=100)"
        )
    if any(len(set(way)) > 1 for way in flows.values()):
        return ExpectedAnswer("packet")
    order = [way[0] for way in flows.values()]
    return ExpectedAnswer("turns" if all(one != after for one, after in pairwise(order)) else "hash")


def _lonely(lab: Any) -> ExpectedAnswer:
    """What one Pod gets that is alone on its next hop, in percent."""
    hops = _hops(lab)
    if lab.object("service", "svc1")["spec"].get("externalTrafficPolicy") != "Local":
        raise NotRecordedError("externalTrafficPolicy: Local at this moment", hint="lab.at('bgp-etp-local')")
    homes = [
        end["nodeName"] for one in slices(lab) for end in one["endpoints"] if end["conditions"]["ready"] is not False
    ]
    counts = {hop: homes.count(hop) for hop in hops}
    fewest = min(counts.values())
    return ExpectedAnswer(100 / len(hops) / fewest, {"even": 100 / (3 + fewest)})


def _lost_share(lab: Any) -> float:
    held = lab.outage()
    phases = held.phases.get("svc1")
    if not phases or not held.act.startswith("kill-node"):
        raise NotRecordedError("requests to svc1 around a node's death", hint="lab.at('kill-node')")
    return max((one.end for one in phases if one.name in (DARK, PARTLY)), default=0.0)


def _killed(lab: Any) -> ExpectedAnswer:
    seconds = _lost_share(lab)
    return ExpectedAnswer("at once" if seconds < 2 else "gossip" if seconds < 8 else "hold")


def _session_end(lab: Any) -> ExpectedAnswer:
    """What the router's session with the silent node ended by."""
    held = lab.outage()
    said = [mark.text for mark in held.events if mark.lane == "BGP" and "router" in mark.text]
    if not said or not held.act.startswith("cut-link"):
        raise NotRecordedError("a BGP session that ended", hint="lab.at('cut-link') in the story 'bgp-silent'")
    return ExpectedAnswer("hold" if any("hold timer" in text for text in said) else "closed")


def _both_at_once(lab: Any) -> ExpectedAnswer:
    """Whether a pool can be advertised both ways: what the configuration of v0.14.8 makes of both kinds."""
    service = lab.object("service", "svc1")
    wanted = {"name": "both", "namespace": "metallb-system"}
    both = {kind: [{"metadata": wanted, "spec": {}}] for kind in ("l2advertisements", "bgpadvertisements")}
    pool = pool_of(pools(lambda kind: both.get(kind) or lab.objects(kind)), external_addresses(service))
    if pool is None:
        raise NotRecordedError("a pool that holds svc1's address", hint=_BGP)
    return ExpectedAnswer("yes" if pool.layer2 and pool.bgp else "no")


def _disturbed(lab: Any) -> ExpectedAnswer:
    """Of the connections on living next hops, do some get another one when one of three leaves?

    Linux divides the hash by shares of its range (net/ipv4/fib_semantics.c fib_select_multipath): who leaves moves the
    borders of the others.
    """
    hops = sorted(nodes(lab) - excluded(lab))
    before = [hops[place * len(hops) // 1000] for place in range(1000)]
    rest = [hop for hop in hops if hop != hops[0]]
    after = [rest[place * len(rest) // 1000] for place in range(1000)]
    moved = [b for b, a in zip(before, after, strict=True) if b != hops[0] and a != b]
    return ExpectedAnswer("more" if moved else "only")


EXERCISES = (
    Exercise(
        "which-neighbor-sends-nothing", "07", "Four sessions are up. Which nodes announce no address?", "names",
        _silent_neighbours, options=lambda lab: sorted(nodes(lab)),
        hints=("A session is not an announcement.", "Which node carries the exclude label?"),
        explanation="It is {truth}: the exclude label counts under BGP, too.",
        misconceptions=(
            Misconception(
                "no-pod-no-route",
                "Those have no Pod of svc1. With the policy Cluster they announce all the same and pass packets on.",
                sources.LOCAL, names("no pod"),
            ),
        ),
        scored_by=("run", "routes"),
    ),
    Exercise(
        "bytes-of-an-update", "07", "An UPDATE carries one address. How many bytes is it long?", "choice",
        _update_size,
        choices=(
            Choice("ten", "about ten"), Choice("fifty", "about fifty"), Choice("hundreds", "some hundreds"),
        ),
        hints=("It begins with a marker.", "Sixteen bytes of it."),
        explanation="{truth}, and a third of it is a fossil.",
        scored_by=("decoded",),
    ),
    Exercise(
        "one-leader-under-bgp", "07", "How many next hops has svc1 at this moment?", "number", _next_hops,
        unit="next hops", scale=(0, 8, 1),
        hints=("Which nodes may announce, and has each a reason to?", "lab.routes()"),
        explanation="{truth}: every node that may announce it and, with Local, has an endpoint.",
        misconceptions=(
            Misconception(
                "bgp-needs-one-leader",
                "One would be layer 2. A router may know several ways to the same address, and uses them all.",
                "MetalLB docs, troubleshooting (service advertisements)", number(lambda _: 1, 0.0),
            ),
            Misconception(
                "local-does-not-change-routes",
                "All workers would announce it with the policy Cluster. With Local, only nodes with an endpoint do.",
                sources.LOCAL, number(lambda truth: truth.facts["workers"], 0.0),
            ),
        ),
        scored_by=("routes",),
    ),
    Exercise(
        "cards-or-hash", "07", "Three next hops, a hundred connections. How does the router choose?", "choice",
        _dealing,
        choices=(
            Choice("turns", "in turn, like dealing cards"), Choice("packet", "anew for each packet"),
            Choice("hash", "by a hash of each connection's addresses and ports"),
        ),
        hints=("What would happen to a connection whose packets went different ways?", "lab.ecmp('svc1')"),
        explanation="{truth}: one connection always goes one way.",
        misconceptions=(
            Misconception(
                "spread-in-turns",
                "Dealt like cards, the counts would differ by one at the most. A hash is even only as far as chance "
                "allows. (kube-proxy's dice are no turns either.)",
                sources.BRIEF, chose("turns"),
            ),
            Misconception(
                "ecmp-splits-connections",
                "Then a connection's packets would overtake each other, and end at different Pods.",
                sources.BGP + " (per-connection)", chose("packet"),
            ),
        ),
        scored_by=("ecmp",),
    ),
    Exercise(
        "share-of-a-lonely-pod", "07",
        "With Local: one next hop has three Pods, another one has one. Which share does the lonely Pod get?", "number",
        _lonely, unit="%", tolerance=0.1, scale=(0, 100, 5),
        hints=("Who shares between the nodes, and does it know Pods?", "The router. Half for each of two next hops."),
        explanation="{truth}: the router counts nodes.",
        misconceptions=(
            Misconception(
                "router-counts-pods",
                "That would be fair. But no announcement says how many Pods are behind it.",
                "MetalLB issue #1; MetalLB docs, usage (Local)", number(lambda truth: truth.facts["even"]),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "router-and-a-killed-node", "07", "A node is killed. How long does the router send packets to it?", "choice",
        _killed,
        choices=(
            Choice("at once", "hardly at all"), Choice("gossip", "until the gossip has noticed"),
            Choice("hold", "until the hold timer is over"),
        ),
        hints=("A killed process does not speak. Its kernel does.", "lab.marks('BGP')"),
        explanation="{truth}: the dying node's kernel closes its sockets.",
        misconceptions=(
            Misconception(
                "gossip-moves-routes",
                "Gossip decides who leads on layer 2. The router knows nothing of it; it has a session with each node.",
                "MetalLB docs, concepts/layer2 (memberlist)", chose("gossip"),
            ),
            Misconception(
                "bgp-is-slow-to-notice",
                "That holds for a node that goes silent. A closed connection is noticed in the same moment.",
                sources.BGP + " (limitations)", chose("hold"),
            ),
        ),
        scored_by=("timeline", "marks", "phases"),
    ),
    Exercise(
        "what-ends-a-silent-session", "07", "A cable is pulled, nothing says good-bye. What ends the session?",
        "choice", _session_end,
        choices=(
            Choice("hold", "the hold timer"), Choice("closed", "the node's kernel closes it"),
            Choice("bfd", "BFD"), Choice("not ready", "Kubernetes calls the node NotReady"),
        ),
        hints=("What can the router notice?", "That it has heard nothing, for so long."),
        explanation="{truth}: so long after the node's last word.",
        misconceptions=(
            Misconception(
                "bfd-is-always-there",
                "It would be quicker. In the native mode of this course there is none; FRR mode has it.",
                sources.BGP + " (FRR mode)", chose("bfd"),
            ),
            Misconception(
                "kubernetes-ends-sessions",
                "The speaker and the router talk to each other. Neither asks whether Kubernetes calls the node Ready.",
                "MetalLB issue #524, before there was gossip", chose("not ready"),
            ),
        ),
        scored_by=("timeline", "phases", "marks"),
    ),
    Exercise(
        "both-at-once", "07", "May one pool be advertised on layer 2 and by BGP at the same time?", "choice",
        _both_at_once, quiz=True,
        choices=(Choice("yes", "yes"), Choice("no", "no, one or the other")),
        hints=("An advertisement names a pool.", "Two objects can name the same one."),
        explanation="{truth}: each kind of advertisement covers the pool by itself.",
        misconceptions=(
            Misconception(
                "one-protocol-each",
                "It is asked so often that it stands in the FAQ: an L2Advertisement and a BGPAdvertisement may name "
                "the same pool.",
                "MetalLB docs, FAQ", chose("no"),
            ),
        ),
    ),
    Exercise(
        "who-is-disturbed", "07", "A next hop leaves an ECMP group of three. Which connections are disturbed?",
        "choice", _disturbed, quiz=True,
        choices=(Choice("only", "those of the lost node"), Choice("more", "more: some of the others, too")),
        hints=("The hash does not change. What does?", "Its range is divided among fewer next hops."),
        explanation=(
            "{truth}. The borders of the others' shares move; a"
            " connection that comes to another node is reset."
        ),
        misconceptions=(
            Misconception(
                "only-the-lost-ones",
                "You would hope so. Most routers divide the hash's range anew, and connections of living nodes end at "
                "strangers. (Resilient hashing avoids it.)",
                sources.BGP + " (limitations)", chose("only"),
            ),
        ),
    ),
)  # fmt: skip
