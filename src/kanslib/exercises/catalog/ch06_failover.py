"""Chapter 06: how long it takes, and who feels it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from kanslib.analysis import causes
from kanslib.analysis.phases import DARK, PARTLY
from kanslib.exceptions import NotRecordedError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import balancers
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, behaves, chose
from kanslib.k8s.objects import endpoints_of, is_ready, newest_leaders
from kanslib.metallb import expected_outage
from kanslib.metallb.memberlist import MemberlistConfig

_BINS = ((1.0, "under 1"), (10.0, "1 to 10"), (60.0, "about 40"))
_KILL = "kill a node first, or lab.at('kill-node')"


def _bin(seconds: float) -> str:
    return next((name for bound, name in _BINS if seconds < bound), "a minute")


def _declared_dead(lab: Any) -> ExpectedAnswer:
    verdicts = [mark.at for mark in lab.outage().events if mark.lane == "memberlist" and " declares dead " in mark.text]
    if not verdicts:
        raise NotRecordedError("a speaker that was declared dead", hint=_KILL)
    return ExpectedAnswer(_bin(verdicts[0]))


def _phases(lab: Any, service: str) -> Any:
    """The phases of an outage by which a node was lost."""
    held = lab.outage()
    if not held.phases.get(service) or not held.act.startswith("kill-node"):
        raise NotRecordedError(f"requests to {service} around a node's death", hint=_KILL)
    return held.phases[service]


def _bystander(lab: Any) -> ExpectedAnswer:
    names = {phase.name for phase in _phases(lab, "svc3") if phase.end - phase.start > 1}
    return ExpectedAnswer("dark" if DARK in names else "partly" if PARTLY in names else "nothing")


def _ended(lab: Any) -> ExpectedAnswer:
    """What ended the long phase in which a share of the requests failed."""
    held, long = lab.outage(), [one for one in _phases(lab, "svc1") if one.name == PARTLY and one.end - one.start > 5]
    mark = held.ended_by("svc1", long[-1]) if long else None
    if mark is None:
        raise NotRecordedError("the end of a long phase with failures", hint=_KILL)
    lanes = {"endpoints": "not ready", "node": "not ready", "rules": "not ready", "memberlist": "gossip"}
    return ExpectedAnswer(lanes.get(mark.lane, mark.lane))


def _lost(lab: Any) -> set[str]:
    """The nodes that are not Ready, or that the newest act took away."""
    gone = {node["metadata"]["name"] for node in lab.objects("nodes") if not is_ready(node)}
    if not gone:
        raise NotRecordedError("a node that is NotReady at this moment", hint=_KILL)
    return gone


def _shown_of_the_pod(lab: Any) -> ExpectedAnswer:
    gone = _lost(lab)
    pods = [one for one in lab.objects("pods", "default") if one["spec"].get("nodeName") in gone]
    if not pods:
        raise NotRecordedError("a Pod on a dead node", hint=_KILL)
    if pods[0]["metadata"].get("deletionTimestamp"):
        return ExpectedAnswer("terminating")
    return ExpectedAnswer("running" if pods[0]["status"]["phase"] == "Running" else "unknown")


def _all_on_the_dead_node(lab: Any) -> ExpectedAnswer:
    """Whether anything would make the Pods of svc1 anew: somebody who owns them."""
    selector = lab.object("service", "svc1")["spec"]["selector"].items()
    pods = [one for one in lab.objects("pods", "default") if selector <= one["metadata"].get("labels", {}).items()]
    if not pods:
        raise NotRecordedError("Pods of svc1 at this moment", hint="lab.at('opening')")
    owned = any(one["metadata"].get("ownerReferences") for one in pods)
    setup = expected_outage.Scenario(endpoints=len(pods), lost=len(pods))
    dark = max(stretch.end for stretch in expected_outage.expected(setup) if stretch.share == 1.0)
    if not owned:
        return ExpectedAnswer("back", {"dark": dark})
    return ExpectedAnswer("evicted", {"dark": dark})


def _helps_most(lab: Any) -> ExpectedAnswer:
    """The setting that saves most, worked out for as many endpoints as svc1 has now."""
    slices = lab.objects("endpointslices", "default")
    count = max(2, len(endpoints_of(slices, "svc1")))
    now = expected_outage.Scenario(endpoints=count, lost=1)
    ways = {
        "endpoints": now.replace(endpoints=3 * count),
        "gossip": now.replace(memberlist=MemberlistConfig(probe_interval=0.5)),
        "probe": now,  # a dead kubelet runs no readiness probe
    }
    lost = {name: expected_outage.lost_seconds(way) for name, way in ways.items()}
    return ExpectedAnswer(min(lost, key=lambda name: lost[name]))


def _polite(lab: Any) -> ExpectedAnswer:
    """How long nothing got through around the last act, in a seemly unit."""
    if lab.acts().MOMENT.iloc[-1:].tolist() != ["delete-speaker-pod"]:
        raise NotRecordedError("a leader's speaker Pod that was deleted", hint="lab.at('delete-speaker-pod')")
    held = lab.outage()
    if not held.phases.get("svc1"):
        raise NotRecordedError(
            "requests to svc1 around this act", hint="with lab.observe(probes=['svc1'], seconds=5): …"
        )
    return ExpectedAnswer(_bin(held.dark_seconds("svc1")))


def _stale(lab: Any) -> ExpectedAnswer:
    """Which of the places that name a leader names a dead node."""
    gone = _lost(lab)
    status = {one["status"].get("node") for one in lab.objects("servicel2statuses")}
    newest = newest_leaders(lab.objects("events"))
    claims = {newest.get(one["metadata"]["uid"]) for one in balancers(lab)}
    if gone & status and not gone & claims:
        return ExpectedAnswer("status")
    return ExpectedAnswer("events" if gone & claims else "nobody")


def _remembers(lab: Any) -> ExpectedAnswer:
    """Why requests failed after the trouble was over."""
    late = lab.outage().stragglers("svc1")
    if not late:
        raise NotRecordedError("requests to svc1 that failed late", hint="lab.at('kill-node', after=78)")
    kinds = {one.reason.kind for one in late if one.reason}
    if causes.REMEMBERED in kinds:
        return ExpectedAnswer("conntrack")
    return ExpectedAnswer("arp" if causes.NO_ARP in kinds or causes.LEADER_GONE in kinds else "rules")


def _gaps(lab: Any) -> ExpectedAnswer:
    """Every probed Service around every act so far, as attempts, and its longest time without an answer."""
    held = lab.outage()
    cases = []
    for attempts in held.attempts.values():
        for share in (1, 2, 3):
            rows = [(round(one.at, 3), one.is_ok) for one in attempts[::share]]
            answered = [at for at, ok in rows if ok]
            if len(answered) > 2:
                gap = max(later - earlier for earlier, later in pairwise(answered))
                cases.append(((rows,), round(gap, 3)))
    if not cases:
        raise NotRecordedError("requests around this act", hint=_KILL)
    return ExpectedAnswer(cases)


def _share_of_failures(rows: Any) -> float:
    return float(sum(not ok for _, ok in rows) * 0.05)


def _first_to_last(rows: Any) -> float:
    bad = [at for at, ok in rows if not ok]
    return float(round(bad[-1] - bad[0], 3)) if bad else 0.0


EXERCISES = (
    Exercise(
        "seconds-until-declared-dead", "06",
        "A leader is killed. How long until the other speakers agree that it is dead?", "choice", _declared_dead,
        choices=(
            Choice("under 1", "under 1 s"), Choice("1 to 10", "1–10 s"), Choice("about 40", "about 40 s"),
            Choice("a minute", "about a minute"),
        ),
        hints=(
            "Nobody is told. Each second a speaker pings another one.",
            "Suspicion lasts four seconds when two others confirm it.",
        ),
        explanation=(
            "{truth}. Gossip suspects within a second or two, and"
            " two confirmations bring the wait to its floor."
        ),
        misconceptions=(
            Misconception(
                "failover-takes-a-minute",
                "That is what clients felt, and the lesson says it. But it is not the gossip that takes so long: keep "
                "the thought for two more cells.",
                sources.LESSON, chose("a minute"),
            ),
            Misconception(
                "node-ready-moves-the-vip",
                "Forty seconds is Kubernetes' patience with a silent node. MetalLB does not look at it: its speakers "
                "have a gossip of their own (since 0.9.2).",
                "MetalLB issue #524, measured before there was gossip", chose("about 40"),
            ),
            Misconception(
                "the-dead-say-goodbye",
                "At once would need somebody who says it. A process that ends politely does; a power cut does not.",
                "MetalLB PR #2956, about how long detection has to take", chose("under 1"),
            ),
        ),
        scored_by=("log", "timeline", "phases", "marks"),
    ),
    Exercise(
        "does-svc3-notice", "06", "And svc3, which another node leads: what will its clients see?", "choice",
        _bystander,
        choices=(
            Choice("nothing", "nothing: its leader lives"), Choice("partly", "a share of failures for a while"),
            Choice("dark", "no answer at all for a while"),
        ),
        hints=("Who answers a request, the leader or a Pod?", "One of its two Pods was on the dead node."),
        explanation=(
            "{truth}: one of its endpoints died, and the rules of"
            " every node keep it until the node is NotReady."
        ),
        misconceptions=(
            Misconception(
                "only-the-leaders-services-suffer",
                "The leader of svc3 lives and takes every packet. But it shares them out among Pods, and one of those "
                "is gone.",
                sources.PODS_GONE, chose("nothing"),
            ),
        ),
        scored_by=("timeline", "phases"),
    ),
    Exercise(
        "what-ends-the-long-part", "06", "For half a minute a share of the requests failed. What ended it?", "choice",
        _ended, quiz=True,
        choices=(
            Choice("gossip", "the gossip's verdict"), Choice("not ready", "Kubernetes calls the node NotReady"),
            Choice("new pods", "new Pods are started elsewhere"),
        ),
        hints=("What do the rules of the living nodes still hold?", "lab.phases(): look at ENDED BY."),
        explanation="{truth}, takes its endpoints out, and kube-proxy takes them out of the rules.",
        misconceptions=(
            Misconception(
                "failover-moves-the-pods",
                "New Pods come minutes later, if at all. It got better before that, when the dead one left the rules.",
                sources.EVICTION, chose("new pods"),
            ),
            Misconception(
                "the-new-leader-ends-it",
                "It ended the dark part, some seconds after the kill. The new leader still sends a share to the dead "
                "Pod.",
                sources.PODS_GONE, chose("gossip"),
            ),
        ),
    ),
    Exercise(
        "what-kubectl-says-of-the-pod", "06",
        "Its node has been dead for over a minute. What does kubectl get pods say about the Pod on it?", "choice",
        _shown_of_the_pod,
        choices=(
            Choice("running", "Running"), Choice("unknown", "Unknown, or Failed"),
            Choice("terminating", "Terminating: it is being moved"),
        ),
        hints=("Who reports a Pod's state?", "The kubelet of its node. It is dead."),
        explanation="{truth}: nobody on that node can report anything else.",
        misconceptions=(
            Misconception(
                "pods-move-at-once",
                "Kubernetes waits five minutes before it gives Pods of a silent node up (their tolerations say so).",
                sources.EVICTION, chose("terminating"),
            ),
        ),
        scored_by=("pods",),
    ),
    Exercise(
        "write-the-outage", "06",
        "Write the outage: from attempts [(seconds, answered), …] in order to the longest time between two answers.",
        "code", _gaps,
        starter="def longest_gap(attempts):\n    ...",
        hints=(
            "Keep the seconds of those that were answered; the others only fill the gap.",
            "times = [at for at, ok in attempts if ok]; the largest difference of neighbors",
        ),
        explanation="Right in {truth}: what was answered tells how long nothing was.",
        misconceptions=(
            Misconception(
                "failures-are-seconds",
                "You counted failures and took each for a probe's interval. A failed request takes its whole timeout, "
                "so there are fewer of them than you think.",
                sources.SLOW, behaves(_share_of_failures),
            ),
            Misconception(
                "first-to-last-failure",
                "From the first failure to the last lie half a minute of half success, and stragglers after that. "
                "That is how a minute of outage is felt.",
                sources.LESSON, behaves(_first_to_last),
            ),
        ),
    ),
    Exercise(
        "what-helps-most", "06", "Which of these shortens such an outage most?", "choice", _helps_most, quiz=True,
        choices=(
            Choice("probe", "a readiness probe on the Pods"), Choice("endpoints", "three times as many Pods"),
            Choice("gossip", "a gossip twice as fast"),
        ),
        hints=("Which part of it is the longest?", "With more Pods the dead ones are a smaller share."),
        explanation="{truth}: the long part becomes mild.",
        misconceptions=(
            Misconception(
                "faster-gossip-is-the-cure",
                "It shortens the dark part, by two seconds of six. The long part does not know gossip.",
                "MetalLB PR #2956", chose("gossip"),
            ),
        ),
    ),
    Exercise(
        "how-long-is-a-goodbye", "06",
        "The leader's speaker Pod is deleted, and says good-bye. How long does nothing get through?", "choice",
        _polite,
        choices=(
            Choice("under 1", "under 1 s"), Choice("1 to 10", "1–10 s"), Choice("about 40", "about 40 s"),
        ),
        hints=("Whom has the gossip to suspect?", "Nobody: it is told."),
        explanation="{truth}. The node lives, its rules stand, and the others know at once.",
        misconceptions=(
            Misconception(
                "every-loss-takes-its-time",
                "That was a death without a word. A speaker that is told to stop leaves the gossip first.",
                "MetalLB docs until v0.9.3 (a lease of ten seconds)", chose("1 to 10"),
            ),
        ),
        scored_by=("phases", "timeline"),
    ),
    Exercise(
        "who-names-the-dead", "06", "The leader is dead, another one leads. Who still names the dead one?", "choice",
        _stale, quiz=True,
        choices=(
            Choice("nobody", "nobody"), Choice("events", "the newest event of the Service"),
            Choice("status", "the object ServiceL2Status"),
        ),
        hints=("Who would have to take its word back?", "lab.table('servicel2statuses')"),
        explanation="{truth}: in v0.14.8 only the speaker that wrote it could clean it up.",
        misconceptions=(
            Misconception(
                "status-objects-are-current",
                "One would think so. An object that a dead speaker wrote stays, and the new leader cannot change it.",
                sources.STATUS, chose("nobody"),
            ),
        ),
    ),
    Exercise(
        "who-remembers-the-dead-pod", "06",
        "Everything had settled, and a few requests still failed. Who sent them to the dead Pod?", "choice",
        _remembers, quiz=True,
        choices=(
            Choice("arp", "the client's ARP memory"), Choice("conntrack", "the leader's connection tracking"),
            Choice("rules", "rules that kube-proxy had not renewed"),
        ),
        hints=("What do the failed ones have in common?", "Each port had failed before. Who keeps a note of ports?"),
        explanation="{truth}: an unanswered SYN is remembered for two minutes, with the Pod that was chosen for it.",
        misconceptions=(
            Misconception(
                "it-is-always-the-arp-cache",
                "Often it is, with routers that forget slowly. Here the packets do reach the new leader; look at the "
                "frames.",
                "MetalLB issue #2009", chose("arp"),
            ),
        ),
    ),
    Exercise(
        "all-pods-on-the-dead-node", "06",
        "All Pods of svc1 (as this chapter made them) were on the dead node. When is the Service back?", "choice",
        _all_on_the_dead_node, quiz=True,
        choices=(
            Choice("vip", "in seconds, with the VIP"), Choice("not ready", "after forty seconds, with NotReady"),
            Choice("evicted", "after five minutes, when the Pods are made anew elsewhere"),
            Choice("back", "when the node is back"),
        ),
        hints=("Who makes a Pod anew?", "Its owner. Look for ownerReferences."),
        explanation="{truth}: nobody owns these Pods, so nobody makes them anew. A Deployment would.",
        misconceptions=(
            Misconception(
                "the-vip-is-the-service",
                "The VIP moves in seconds, and nobody is behind it.",
                sources.PODS_GONE, chose("vip"),
            ),
            Misconception(
                "evicted-pods-come-back",
                "Those of a Deployment do, five or six minutes later. A bare Pod has nobody who wants it back.",
                sources.EVICTION, chose("evicted"),
            ),
            Misconception(
                "not-ready-heals",
                "NotReady takes the dead endpoints out. It puts none in.",
                "MetalLB issue #733", chose("not ready"),
            ),
        ),
    ),
)  # fmt: skip
