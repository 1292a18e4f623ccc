"""Exercises of chapter 06 (expected answers, hints, feedback): how long a failover takes, and which requests fail."""

from __future__ import annotations

from itertools import pairwise

from kanslib.analysis import Cause, EventKind
from kanslib.analysis.phases import DARK, PARTLY, Phase
from kanslib.analysis.timeline_events import MemberlistEvent
from kanslib.exceptions import NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import load_balancers, name_of
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import Case, ExpectedAnswer, Misconception, behaves_like, is_choice
from kanslib.k8s.objects import endpoints_of, is_ready, newest_leaders
from kanslib.metallb import expected_outage
from kanslib.metallb.memberlist import MemberlistConfig

Attempts = list[tuple[float, bool]]  # seconds after the action, and whether there was an answer

_DURATIONS = ((1.0, "under 1"), (10.0, "1 to 10"), (60.0, "about 40"))
_KILL = "kill a node first, or lab.at('kill-node')"


def _choose_duration(seconds: float) -> str:
    """Return the key of the choice that holds so many seconds."""
    return next((key for bound, key in _DURATIONS if seconds < bound), "a minute")


def _expect_time_of_detection(lab: LabQueries) -> ExpectedAnswer:
    events = lab.observation().outage().events
    times = [event.at for event in events if isinstance(event, MemberlistEvent) and event.change == "declares dead"]
    if not times:
        raise NotFoundError("a speaker that was declared dead", hint=_KILL)
    return ExpectedAnswer(_choose_duration(times[0]))


def _phases(lab: LabQueries, service: str) -> tuple[Phase, ...]:
    """Return the phases of an outage that a killed node caused."""
    outage = lab.observation().outage()
    if not outage.phases.get(service) or not outage.action.startswith("kill-node"):
        raise NotFoundError(f"requests to {service} around a node's death", hint=_KILL)
    return outage.phases[service]


def _expect_outage_of_other_service(lab: LabQueries) -> ExpectedAnswer:
    names = {phase.name for phase in _phases(lab, "svc3") if phase.end - phase.start > 1}
    return ExpectedAnswer("dark" if DARK in names else "partly" if PARTLY in names else "nothing")


def _expect_end_of_long_phase(lab: LabQueries) -> ExpectedAnswer:
    """Find what ended the long phase in which a share of the requests failed."""
    phases = [one for one in _phases(lab, "svc1") if one.name == PARTLY and one.end - one.start > 5]
    event = lab.observation().outage().ended_by("svc1", phases[-1]) if phases else None
    if event is None:
        raise NotFoundError("the end of a long phase with failures", hint=_KILL)
    if event.kind in (EventKind.ENDPOINTS, EventKind.NODE, EventKind.RULES):
        return ExpectedAnswer("not ready")
    return ExpectedAnswer("gossip" if event.kind is EventKind.MEMBERLIST else str(event.kind))


def _lost_nodes(lab: LabQueries) -> set[str]:
    """Return the nodes that are not Ready; NotFoundError where all are."""
    lost = {name_of(node) for node in lab.objects("nodes") if not is_ready(node)}
    if not lost:
        raise NotFoundError("a node that is NotReady at this moment", hint=_KILL)
    return lost


def _expect_status_of_pod(lab: LabQueries) -> ExpectedAnswer:
    lost = _lost_nodes(lab)
    pods = [pod for pod in lab.objects("pods", "default") if pod["spec"].get("nodeName") in lost]
    if not pods:
        raise NotFoundError("a Pod on a dead node", hint=_KILL)
    if pods[0]["metadata"].get("deletionTimestamp"):
        return ExpectedAnswer("terminating")
    return ExpectedAnswer("running" if pods[0]["status"]["phase"] == "Running" else "unknown")


def _expect_return_of_unowned_pods(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether the Pods of svc1 have an owner, who would create them again."""
    selector = lab.object("service", "svc1")["spec"]["selector"].items()
    pods = [pod for pod in lab.objects("pods", "default") if selector <= pod["metadata"].get("labels", {}).items()]
    if not pods:
        raise NotFoundError("Pods of svc1 at this moment", hint="lab.at('opening')")
    return ExpectedAnswer("evicted" if any(pod["metadata"].get("ownerReferences") for pod in pods) else "back")


def _expect_most_helpful_setting(lab: LabQueries) -> ExpectedAnswer:
    """Find the setting that saves most, for as many endpoints as svc1 has now."""
    count = max(2, len(endpoints_of(lab.objects("endpointslices", "default"), "svc1")))
    today = expected_outage.Scenario(endpoints=count, lost=1)
    scenarios = {
        "endpoints": today.replace(endpoints=3 * count),
        "gossip": today.replace(memberlist=MemberlistConfig(probe_interval=0.5)),
        "probe": today,  # a dead kubelet runs no readiness probe
    }
    return ExpectedAnswer(min(scenarios, key=lambda name: expected_outage.lost_seconds(scenarios[name])))


def _expect_outage_without_speaker(lab: LabQueries) -> ExpectedAnswer:
    """Measure how long no request was answered after a leader's speaker Pod was deleted."""
    if lab.observation().action != "delete-speaker-pod":
        raise NotFoundError("a leader's speaker Pod that was deleted", hint="lab.at('delete-speaker-pod')")
    outage = lab.observation().outage()
    if not outage.phases.get("svc1"):
        raise NotFoundError(
            "requests to svc1 around this action", hint="with lab.observe(probes=['svc1'], seconds=5): …"
        )
    return ExpectedAnswer(_choose_duration(outage.dark_seconds("svc1")))


def _expect_who_names_lost_leader(lab: LabQueries) -> ExpectedAnswer:
    """Find out which of the places that name a leader names a dead node."""
    lost = _lost_nodes(lab)
    in_status = {one["status"].get("node") for one in lab.objects("servicel2statuses")}
    newest = newest_leaders(lab.objects("events"))
    in_events = {newest.get(service["metadata"]["uid"]) for service in load_balancers(lab)}
    if lost & in_status and not lost & in_events:
        return ExpectedAnswer("status")
    return ExpectedAnswer("events" if lost & in_events else "nobody")


def _expect_reason_of_stragglers(lab: LabQueries) -> ExpectedAnswer:
    """Find out why requests failed after the trouble was over."""
    late = lab.observation().outage().stragglers("svc1")
    if not late:
        raise NotFoundError("requests to svc1 that failed late", hint="lab.at('kill-node', after=78)")
    causes = {attempt.reason.cause for attempt in late if attempt.reason}
    if Cause.REMEMBERED in causes:
        return ExpectedAnswer("conntrack")
    return ExpectedAnswer("arp" if causes & {Cause.NO_ARP, Cause.LEADER_GONE} else "rules")


def _expect_longest_gaps(lab: LabQueries) -> ExpectedAnswer:
    """Return the attempts to every probed Service, also with some left out, and the longest time without an answer."""
    cases: list[Case] = []
    for probed in lab.observation().outage().attempts.values():
        for step in (1, 2, 3):
            attempts = [(round(one.at, 3), one.is_ok) for one in probed[::step]]
            answered = [at for at, is_ok in attempts if is_ok]
            if len(answered) > 2:
                gap = max(later - earlier for earlier, later in pairwise(answered))
                cases.append(((attempts,), round(gap, 3)))
    if not cases:
        raise NotFoundError("requests around this action", hint=_KILL)
    return ExpectedAnswer(cases)


def _count_failures(attempts: Attempts) -> float:
    return sum(not is_ok for _, is_ok in attempts) * 0.05


def _first_to_last_failure(attempts: Attempts) -> float:
    failed = [at for at, is_ok in attempts if not is_ok]
    return round(failed[-1] - failed[0], 3) if failed else 0.0


EXERCISES = (
    Exercise(
        "seconds-until-declared-dead", "06",
        "A leader is killed. How long until the other speakers agree that it is dead?",
        "choice", _expect_time_of_detection,
        choices=(
            Choice("under 1", "under 1 s"), Choice("1 to 10", "1–10 s"), Choice("about 40", "about 40 s"),
            Choice("a minute", "about a minute"),
        ),
        hints=(
            "Nobody is told. Each second a speaker pings another one.",
            "Suspicion lasts four seconds when two others confirm it.",
        ),
        explanation=(
            "{answer}. Gossip suspects within a second or two, and"
            " two confirmations bring the wait to its floor."
        ),
        misconceptions=(
            Misconception(
                "failover-takes-a-minute",
                "That is what clients felt, and the lesson says it. But it is not the gossip that takes so long: keep "
                "the thought for two more cells.",
                sources.LESSON, is_choice("a minute"),
            ),
            Misconception(
                "node-ready-moves-the-vip",
                "Forty seconds is Kubernetes' patience with a silent node. MetalLB does not look at it: its speakers "
                "have a gossip of their own (since 0.9.2).",
                "MetalLB issue #524, measured before there was gossip", is_choice("about 40"),
            ),
            Misconception(
                "the-dead-say-goodbye",
                "At once would need somebody who says it. A process that ends politely does; a power cut does not.",
                "MetalLB PR #2956, about how long detection has to take", is_choice("under 1"),
            ),
        ),
        scored_by=("log", "observation.timeline", "observation.phases", "observation.events"),
    ),
    Exercise(
        "does-svc3-notice", "06", "And svc3, which another node leads: what will its clients see?", "choice",
        _expect_outage_of_other_service,
        choices=(
            Choice("nothing", "nothing: its leader lives"), Choice("partly", "a share of failures for a while"),
            Choice("dark", "no answer at all for a while"),
        ),
        hints=("Who answers a request, the leader or a Pod?", "One of its two Pods was on the dead node."),
        explanation=(
            "{answer}: one of its endpoints died, and the rules of"
            " every node keep it until the node is NotReady."
        ),
        misconceptions=(
            Misconception(
                "only-the-leaders-services-suffer",
                "The leader of svc3 lives and takes every packet. But it shares them out among Pods, and one of those "
                "is gone.",
                sources.PODS_GONE, is_choice("nothing"),
            ),
        ),
        scored_by=("observation.timeline", "observation.phases"),
    ),
    Exercise(
        "what-ends-the-long-part", "06", "For half a minute a share of the requests failed. What ended it?", "choice",
        _expect_end_of_long_phase, quiz=True,
        choices=(
            Choice("gossip", "the gossip's verdict"), Choice("not ready", "Kubernetes calls the node NotReady"),
            Choice("new pods", "new Pods are started elsewhere"),
        ),
        hints=("What do the rules of the living nodes still hold?", "lab.observation().phases(): look at ENDED BY."),
        explanation="{answer}, takes its endpoints out, and kube-proxy takes them out of the rules.",
        misconceptions=(
            Misconception(
                "failover-moves-the-pods",
                "New Pods come minutes later, if at all. It got better before that, when the dead one left the rules.",
                sources.EVICTION, is_choice("new pods"),
            ),
            Misconception(
                "the-new-leader-ends-it",
                "It ended the dark part, some seconds after the kill. The new leader still sends a share to the dead "
                "Pod.",
                sources.PODS_GONE, is_choice("gossip"),
            ),
        ),
    ),
    Exercise(
        "what-kubectl-says-of-the-pod", "06",
        "Its node has been dead for over a minute. What does kubectl get pods say about the Pod on it?", "choice",
        _expect_status_of_pod,
        choices=(
            Choice("running", "Running"), Choice("unknown", "Unknown, or Failed"),
            Choice("terminating", "Terminating: it is being moved"),
        ),
        hints=("Who reports a Pod's state?", "The kubelet of its node. It is dead."),
        explanation="{answer}: nobody on that node can report anything else.",
        misconceptions=(
            Misconception(
                "pods-move-at-once",
                "Kubernetes waits five minutes before it gives Pods of a silent node up (their tolerations say so).",
                sources.EVICTION, is_choice("terminating"),
            ),
        ),
        scored_by=("pods",),
    ),
    Exercise(
        "write-the-outage", "06",
        "Write the outage: from attempts [(seconds, answered), …] in order to the longest time between two answers.",
        "code", _expect_longest_gaps,
        starter="def longest_gap(attempts):\n    ...",
        hints=(
            "Keep the seconds of those that were answered; the others only fill the gap.",
            "times = [at for at, ok in attempts if ok]; the largest difference of neighbors",
        ),
        explanation="What was answered tells how long nothing was.",
        solution=(
            "def longest_gap(attempts):\n"
            "    times = [at for at, ok in attempts if ok]\n"
            "    return max(later - earlier for earlier, later in zip(times, times[1:]))"
        ),
        misconceptions=(
            Misconception(
                "failures-are-seconds",
                "You counted failures and took each for a probe's interval. A failed request takes its whole timeout, "
                "so there are fewer of them than you think.",
                sources.SLOW, behaves_like(_count_failures),
            ),
            Misconception(
                "first-to-last-failure",
                "From the first failure to the last lie half a minute of half success, and stragglers after that. "
                "That is how a minute of outage is felt.",
                sources.LESSON, behaves_like(_first_to_last_failure),
            ),
        ),
    ),
    Exercise(
        "what-helps-most", "06", "Which of these shortens such an outage most?",
        "choice", _expect_most_helpful_setting, quiz=True,
        choices=(
            Choice("probe", "a readiness probe on the Pods"), Choice("endpoints", "three times as many Pods"),
            Choice("gossip", "a gossip twice as fast"),
        ),
        hints=("Which part of it is the longest?", "With more Pods the dead ones are a smaller share."),
        explanation="{answer}: the long part becomes mild.",
        misconceptions=(
            Misconception(
                "faster-gossip-is-the-cure",
                "It shortens the dark part, by two seconds of six. The long part does not know gossip.",
                "MetalLB PR #2956", is_choice("gossip"),
            ),
        ),
    ),
    Exercise(
        "how-long-is-a-goodbye", "06",
        "The leader's speaker Pod is deleted, and says good-bye. How long does nothing get through?", "choice",
        _expect_outage_without_speaker,
        choices=(
            Choice("under 1", "under 1 s"), Choice("1 to 10", "1–10 s"), Choice("about 40", "about 40 s"),
        ),
        hints=("Whom has the gossip to suspect?", "Nobody: it is told."),
        explanation="{answer}. The node lives, its rules stand, and the others know at once.",
        misconceptions=(
            Misconception(
                "every-loss-takes-its-time",
                "That was a death without a word. A speaker that is told to stop leaves the gossip first.",
                "MetalLB docs until v0.9.3 (a lease of ten seconds)", is_choice("1 to 10"),
            ),
        ),
        scored_by=("observation.phases", "observation.timeline"),
    ),
    Exercise(
        "who-names-the-dead", "06", "The leader is dead, another one leads. Who still names the dead one?", "choice",
        _expect_who_names_lost_leader, quiz=True,
        choices=(
            Choice("nobody", "nobody"), Choice("events", "the newest event of the Service"),
            Choice("status", "the object ServiceL2Status"),
        ),
        hints=("Who would have to take its word back?", "lab.table('servicel2statuses')"),
        explanation="{answer}: in v0.14.8 only the speaker that wrote it could clean it up.",
        misconceptions=(
            Misconception(
                "status-objects-are-current",
                "One would think so. An object that a dead speaker wrote stays, and the new leader cannot change it.",
                sources.STATUS, is_choice("nobody"),
            ),
        ),
    ),
    Exercise(
        "who-remembers-the-dead-pod", "06",
        "Everything had settled, and a few requests still failed. Who sent them to the dead Pod?", "choice",
        _expect_reason_of_stragglers, quiz=True,
        choices=(
            Choice("arp", "the client's ARP memory"), Choice("conntrack", "the leader's connection tracking"),
            Choice("rules", "rules that kube-proxy had not renewed"),
        ),
        hints=("What do the failed ones have in common?", "Each port had failed before. Who keeps a note of ports?"),
        explanation="{answer}: an unanswered SYN is remembered for two minutes, with the Pod that was chosen for it.",
        misconceptions=(
            Misconception(
                "it-is-always-the-arp-cache",
                "Often it is, with routers that forget slowly. Here the packets do reach the new leader; look at the "
                "frames.",
                "MetalLB issue #2009", is_choice("arp"),
            ),
        ),
    ),
    Exercise(
        "all-pods-on-the-dead-node", "06",
        "All Pods of svc1 (as this chapter made them) were on the dead node. When is the Service back?", "choice",
        _expect_return_of_unowned_pods, quiz=True,
        choices=(
            Choice("vip", "in seconds, with the VIP"), Choice("not ready", "after forty seconds, with NotReady"),
            Choice("evicted", "after five minutes, when the Pods are made anew elsewhere"),
            Choice("back", "when the node is back"),
        ),
        hints=("Who makes a Pod anew?", "Its owner. Look for ownerReferences."),
        explanation="{answer}: nobody owns these Pods, so nobody makes them anew. A Deployment would.",
        misconceptions=(
            Misconception(
                "the-vip-is-the-service",
                "The VIP moves in seconds, and nobody is behind it.",
                sources.PODS_GONE, is_choice("vip"),
            ),
            Misconception(
                "evicted-pods-come-back",
                "Those of a Deployment do, five or six minutes later. A bare Pod has nobody who wants it back.",
                sources.EVICTION, is_choice("evicted"),
            ),
            Misconception(
                "not-ready-heals",
                "NotReady takes the dead endpoints out. It puts none in.",
                "MetalLB issue #733", is_choice("not ready"),
            ),
        ),
    ),
)  # fmt: skip
