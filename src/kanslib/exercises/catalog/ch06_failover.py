"""Exercises of chapter 06 (expected answers, hints, feedback): how long a failover takes, and which requests fail."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from kanslib.analysis import Cause, EventKind
from kanslib.analysis.phases import DARK, PARTLY, Phase
from kanslib.analysis.timeline_events import LeaderEvent, MemberlistEvent, NodeEvent, TimelineEvent
from kanslib.exceptions import NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import load_balancers, name_of
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import (
    Case,
    ExpectedAnswer,
    Misconception,
    behaves_like,
    is_choice,
    is_wrong_number,
)
from kanslib.i18n import tr, tr_later
from kanslib.k8s.objects import endpoints_of, is_ready, newest_leaders
from kanslib.metallb import expected_outage
from kanslib.metallb.memberlist import MemberlistConfig

Attempts = list[tuple[float, bool]]  # seconds after the action, and whether there was an answer

_DURATIONS = ((1.0, "under 1"), (10.0, "1 to 10"), (60.0, "about 40"))
_SLICE = 5  # seconds
_KILL = tr_later("kill a node first, or lab.at('kill-node')")


def _choose_duration(seconds: float) -> str:
    """Return the key of the choice that holds so many seconds."""
    return next((key for bound, key in _DURATIONS if seconds < bound), "a minute")


def _time_of_death(lab: LabQueries) -> float:
    """Return when the first speaker declared another one dead, in seconds after the action."""
    events = lab.observation().outage().events
    times = [event.at for event in events if isinstance(event, MemberlistEvent) and event.change == "declares dead"]
    if not times:
        raise NotFoundError(tr("a speaker that was declared dead"), hint=tr(_KILL))
    return times[0]


def _expect_time_of_detection(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer(_choose_duration(_time_of_death(lab)))


def _expect_detection_without_link(lab: LabQueries) -> ExpectedAnswer:
    """Compare when the speakers declare a node without a link dead with when Kubernetes does."""
    if not lab.observation().action.startswith("cut-link"):
        raise NotFoundError(tr("a link that was cut"), hint="cable.at('cut-link-2')")
    events = lab.observation().outage().events
    not_ready = [event.at for event in events if isinstance(event, NodeEvent)]
    dead = _time_of_death(lab)
    if dead < 15:
        return ExpectedAnswer("same")
    return ExpectedAnswer("not ready" if not_ready and abs(dead - not_ready[0]) < 5 else "timer")


def _expect_last_failure(lab: LabQueries) -> ExpectedAnswer:
    _phases(lab, "svc1")
    last = max((attempt.at for attempt in lab.observation().outage().failures("svc1")), default=0.0)
    return ExpectedAnswer("seconds" if last < 15 else "a minute" if last < 60 else "later")


def _expect_reason_of_second_burst(lab: LabQueries) -> ExpectedAnswer:
    """Find out what came right before the leader announced svc1 once more: a change of its endpoints, or nothing."""
    _phases(lab, "svc1")
    events = [event for event in lab.observation().outage().events if event.service == "svc1"]
    leaders = [event for event in events if isinstance(event, LeaderEvent)]
    again = [later for earlier, later in pairwise(leaders) if later.node == earlier.node]
    if not again:
        raise NotFoundError(tr("a leader of svc1 that announced it again"), hint=tr(_KILL))
    changed = [event.at for event in events if event.kind is EventKind.ENDPOINTS]
    return ExpectedAnswer("resync" if any(0 <= again[0].at - at < 1 for at in changed) else "timer")


def _first(events: list[TimelineEvent], kind: EventKind) -> float:
    """Return the time of the first timeline event of a kind; NotFoundError where there is none."""
    times = [event.at for event in events if event.kind is kind and event.at >= 0]
    if not times:
        raise NotFoundError(tr("a timeline event of the kind {kind}", kind=kind), hint=tr(_KILL))
    return times[0]


def _expect_proof_of_leader(lab: LabQueries) -> ExpectedAnswer:
    """Find out which source is right first: the wire, or an object that says who leads."""
    events = [event for event in lab.observation().outage().events if event.service == "svc1"]
    wire, event = _first(events, EventKind.GRATUITOUS_ARP), _first(events, EventKind.LEADER)
    stale = _lost_nodes(lab) & {one["status"].get("node") for one in lab.objects("servicel2statuses")}
    return ExpectedAnswer("arp" if wire <= event and stale else "status" if not stale else "event")


def _expect_lead_after_return(lab: LabQueries) -> ExpectedAnswer:
    """Measure from when a node that started again was Ready until it led svc1 again."""
    if not lab.observation().action.startswith("start-node"):
        raise NotFoundError(tr("a node that was started again"), hint="lab.at('start-node')")
    events = lab.observation().outage().events
    ready = [event.at for event in events if isinstance(event, NodeEvent)]
    leading = [event.at for event in events if isinstance(event, LeaderEvent) and event.node != event.before]
    if not ready or not leading:
        return ExpectedAnswer("stays")
    return ExpectedAnswer("gossip" if leading[0] - ready[0] > 5 else "ready")


def _expect_lost_seconds(lab: LabQueries) -> ExpectedAnswer:
    """Add up the phases of svc1, each by the share of its requests that failed; and what wrong rules give."""
    phases = _phases(lab, "svc1")
    times = [attempt.at for attempt in lab.observation().outage().failures("svc1")]
    troubled = [phase for phase in phases if phase.name in (DARK, PARTLY)]
    wrong = {
        "a failure is a probe": 0.05 * len(times),
        "number of failures": float(len(times)),
        "first to last": times[-1] - times[0],
        "each counts whole": sum(phase.end - phase.start for phase in troubled),
        "dark only": lab.observation().outage().dark_seconds("svc1"),
    }
    lost = sum((phase.end - phase.start) * (1 - phase.success) for phase in phases)
    return ExpectedAnswer(round(lost, 1), wrong_numbers=wrong)


def _phases(lab: LabQueries, service: str) -> tuple[Phase, ...]:
    """Return the phases of an outage that a killed node caused."""
    outage = lab.observation().outage()
    if not outage.phases.get(service) or not outage.action.startswith("kill-node"):
        raise NotFoundError(tr("requests to {service} around a node's death", service=service), hint=tr(_KILL))
    return outage.phases[service]


def _expect_outage_of_other_service(lab: LabQueries) -> ExpectedAnswer:
    names = {phase.name for phase in _phases(lab, "svc3") if phase.end - phase.start > 1}
    return ExpectedAnswer("dark" if DARK in names else "partly" if PARTLY in names else "nothing")


def _expect_end_of_long_phase(lab: LabQueries) -> ExpectedAnswer:
    """Find what ended the long phase in which a share of the requests failed."""
    phases = [one for one in _phases(lab, "svc1") if one.name == PARTLY and one.end - one.start > 5]
    event = lab.observation().outage().ended_by("svc1", phases[-1]) if phases else None
    if event is None:
        raise NotFoundError(tr("the end of a long phase with failures"), hint=tr(_KILL))
    if event.kind in (EventKind.ENDPOINTS, EventKind.NODE, EventKind.RULES):
        return ExpectedAnswer("not ready")
    return ExpectedAnswer("gossip" if event.kind is EventKind.MEMBERLIST else event.kind.value)


def _lost_nodes(lab: LabQueries) -> set[str]:
    """Return the nodes that are not Ready; NotFoundError where all are."""
    lost = {name_of(node) for node in lab.objects("nodes") if not is_ready(node)}
    if not lost:
        raise NotFoundError(tr("a node that is NotReady at this moment"), hint=tr(_KILL))
    return lost


def _expect_status_of_pod(lab: LabQueries) -> ExpectedAnswer:
    lost = _lost_nodes(lab)
    pods = [pod for pod in lab.objects("pods", "default") if pod["spec"].get("nodeName") in lost]
    if not pods:
        raise NotFoundError(tr("a Pod on a dead node"), hint=tr(_KILL))
    if pods[0]["metadata"].get("deletionTimestamp"):
        return ExpectedAnswer("terminating")
    return ExpectedAnswer("running" if pods[0]["status"]["phase"] == "Running" else "unknown")


def _expect_return_of_unowned_pods(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether the Pods of svc1 have an owner, who would create them again."""
    selector = lab.object("service", "svc1")["spec"]["selector"].items()
    pods = [pod for pod in lab.objects("pods", "default") if selector <= pod["metadata"].get("labels", {}).items()]
    if not pods:
        raise NotFoundError(tr("Pods of svc1 at this moment"), hint="lab.at('opening')")
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
        raise NotFoundError(tr("a leader's speaker Pod that was deleted"), hint="lab.at('delete-speaker-pod')")
    outage = lab.observation().outage()
    if not outage.phases.get("svc1"):
        raise NotFoundError(
            tr("requests to svc1 around this action"), hint="with lab.observe(probes=['svc1'], seconds=5): …"
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
        raise NotFoundError(tr("requests to svc1 that failed late"), hint="lab.at('kill-node', after=78)")
    causes = {attempt.reason.cause for attempt in late if attempt.reason}
    if Cause.REMEMBERED in causes:
        return ExpectedAnswer("conntrack")
    return ExpectedAnswer("arp" if causes & {Cause.NO_ARP, Cause.LEADER_GONE} else "rules")


def _probed(lab: LabQueries) -> list[Attempts]:
    """Return the attempts to every probed Service, also with some left out."""
    attempts = lab.observation().outage().attempts.values()
    found = [[(round(one.at, 3), one.is_ok) for one in probed[::step]] for probed in attempts for step in (1, 2, 3)]
    if not found:
        raise NotFoundError(tr("requests around this action"), hint=tr(_KILL))
    return found


def _expect_longest_gaps(lab: LabQueries) -> ExpectedAnswer:
    cases = [((attempts,), _longest_gap(attempts)) for attempts in _probed(lab)]
    return ExpectedAnswer([case for case in cases if case[1]])


def _expect_reports(lab: LabQueries) -> ExpectedAnswer:
    cases: list[Case] = []
    for attempts in _probed(lab):
        after = [(at, is_ok) for at, is_ok in attempts if at >= 0]
        cases.append(((after,), _report(after, _share_failed)))
    return ExpectedAnswer(cases)


def _longest_gap(attempts: Attempts) -> float:
    answered = [at for at, is_ok in attempts if is_ok]
    return round(max((later - earlier for earlier, later in pairwise(answered)), default=0.0), 3)


def _share_failed(outcomes: list[bool]) -> float:
    return outcomes.count(False) / len(outcomes)


def _any_failed(outcomes: list[bool]) -> float:
    return float(False in outcomes)


def _report(attempts: Attempts, cost: Callable[[list[bool]], float]) -> tuple[int, float, float, float]:
    """Return what the report of an outage has to say; `cost`: what a slice of five seconds costs, 0 to 1."""
    failed = [at for at, is_ok in attempts if not is_ok]
    slices: dict[int, list[bool]] = {}
    for at, is_ok in attempts:
        slices.setdefault(int(at // _SLICE), []).append(is_ok)
    lost = _SLICE * sum(cost(outcomes) for outcomes in slices.values())
    return len(failed), failed[-1] if failed else 0.0, _longest_gap(attempts), lost


def _report_with_whole_slices(attempts: Attempts) -> tuple[int, float, float, float]:
    return _report(attempts, _any_failed)


def _count_failures(attempts: Attempts) -> float:
    return sum(not is_ok for _, is_ok in attempts) * 0.05


def _first_to_last_failure(attempts: Attempts) -> float:
    failed = [at for at, is_ok in attempts if not is_ok]
    return round(failed[-1] - failed[0], 3) if failed else 0.0


EXERCISES = (
    Exercise(
        "seconds-until-declared-dead", "06",
        "A leader is killed. How long until the other speakers agree that it is dead?",
        "choice", _expect_time_of_detection, quiz=True,
        choices=(
            Choice("under 1", "under 1 s"), Choice("1 to 10", "1–10 s"), Choice("about 40", "about 40 s"),
            Choice("a minute", "about a minute"),
        ),
        hints=(
            "The speaker sends no last message. Each second another speaker pings it.",
            "With enough confirmations a suspicion lasts only a few seconds.",
        ),
        explanation=(
            "{answer}. Another speaker suspects the node after the first lost pings. Confirmations then shorten the "
            "wait to its minimum."
        ),
        misconceptions=(
            Misconception(
                "failover-takes-a-minute",
                "People report about a minute, and chapter 06 shows why. But the speakers notice much sooner. Other "
                "components take the rest of the time.",
                sources.LESSON, is_choice("a minute"),
            ),
            Misconception(
                "node-ready-moves-the-vip",
                "Kubernetes waits about 40 s for a silent node. MetalLB does not wait for Kubernetes: since 0.9.2 its "
                "speakers have a gossip of their own, and it takes seconds.",
                "MetalLB issue #524, measured before there was gossip", is_choice("about 40"),
            ),
            Misconception(
                "the-dead-say-goodbye",
                "Only a speaker that ends on purpose sends a last message. After a kill the others have to "
                "miss its answers first.",
                "MetalLB PR #2956, about how long detection has to take", is_choice("under 1"),
            ),
        ),
        scored_by=("log", "observation.timeline", "observation.phases", "observation.events"),
        gives_away=(r"\bVIP dark\b", r"first lost pings"),
    ),
    Exercise(
        "does-svc3-notice", "06", "Another node leads svc3. What will the clients of svc3 see?", "choice",
        _expect_outage_of_other_service,
        choices=(
            Choice("nothing", "nothing: its leader lives"), Choice("partly", "a share of failures for a while"),
            Choice("dark", "no answer at all for a while"),
        ),
        hints=("What answers a request, the leader or a Pod?", "Where do the Pods of svc3 run? Look at the map."),
        explanation=(
            "{answer}: a Pod of svc3 died with the node. The rules of every node keep its address until Kubernetes "
            "calls the node NotReady."
        ),
        misconceptions=(
            Misconception(
                "only-the-leaders-services-suffer",
                "The leader of svc3 lives and takes every packet. But it passes them on to Pods, and one of these Pods "
                "is dead.",
                sources.PODS_GONE, is_choice("nothing"),
            ),
            Misconception(
                "a-dead-node-stops-the-service",
                "The leader of svc3 and one of its Pods live. Requests that go to this Pod succeed.",
                sources.PODS_GONE, is_choice("dark"),
            ),
        ),
        scored_by=("observation.timeline", "observation.phases"),
        gives_away=(r"svc3\W.{0,80}(partly|endpoint gone)", r"rules of every node keep"),
    ),
    Exercise(
        "when-is-the-last-failure", "06", "The client goes on asking svc1. When does its last request fail?", "choice",
        _expect_last_failure,
        choices=(
            Choice("seconds", "after seconds: another node has the VIP"),
            Choice("a minute", "within a minute: Kubernetes has noticed the dead node"),
            Choice("later", "later than that"),
        ),
        hints=("Which components remember the dead Pod?", "Look at the right end of the timeline."),
        explanation="{answer}: the kernel of the leader still remembers connections to the dead Pod.",
        misconceptions=(
            Misconception(
                "the-new-leader-heals-all",
                "The new leader takes the packets from then on. But it still sends a share of them to the dead Pod.",
                sources.PODS_GONE, is_choice("seconds"),
            ),
            Misconception(
                "right-rules-are-enough",
                "The rules are right by then. But the kernel remembers connections to the dead Pod for longer, and "
                "a packet of a known connection does not go through the rules.",
                sources.SLOW, is_choice("a minute"),
            ),
        ),
        scored_by=("observation.timeline", "observation.phases", "observation.failures"),
        gives_away=(r"straggler", r"conntrack remembers", r"remembered ×?\d"),
    ),
    Exercise(
        "why-announced-again", "06",
        "Half a minute after the failover, the leader announced svc1 again, and wrote its event again. Why?",
        "choice", _expect_reason_of_second_burst, quiz=True,
        choices=(
            Choice("timer", "leaders are elected again every so often"), Choice("lease", "its lease ran out"),
            Choice("resync", "the endpoints changed, and the speaker went through the Service again"),
        ),
        hints=("Which node announced it each time?", "What else happened in that second? See seen.events()."),
        explanation="{answer}. The election had the same result, so the leader stayed.",
        misconceptions=(
            Misconception(
                "leaders-are-elected-at-intervals",
                "MetalLB has no timer for elections. Its speakers compute the leader when something changes. Here the "
                "endpoints changed.",
                sources.BRIEF, is_choice("timer"),
            ),
            Misconception(
                "a-lease-holds-the-vip",
                "Cilium and kube-vip hold a lease for an address. MetalLB does not: its speakers compute the "
                "leader from a hash.",
                "MetalLB docs until v0.9.3 (a lease of ten seconds)", is_choice("lease"),
            ),
        ),
    ),
    Exercise(
        "cable-or-kill", "06",
        "The link of the leader's node is cut. When do the other speakers declare the node dead?", "choice",
        _expect_detection_without_link,
        choices=(
            Choice("same", "about as soon as after the kill"),
            Choice("timer", "much later: no kernel closes the connections"),
            Choice("not ready", "when Kubernetes calls the node NotReady"),
        ),
        hints=("Does memberlist wait for a closed connection?", "It waits for answers to its pings."),
        explanation="{answer}: memberlist counts pings without an answer. It does not matter why no answer comes.",
        misconceptions=(
            Misconception(
                "gossip-needs-closed-connections",
                "That is how BGP learns of a killed node. memberlist sends its own pings and counts those without an "
                "answer.",
                "MetalLB PR #2956, about how long detection has to take", is_choice("timer"),
            ),
            Misconception(
                "gossip-waits-for-not-ready",
                "MetalLB does not ask whether a node is Ready. The gossip finds out by itself, and sooner.",
                "MetalLB issue #524, measured before there was gossip", is_choice("not ready"),
            ),
        ),
        scored_by=("observation.timeline", "observation.phases", "observation.events"),
        gives_away=(r"counts pings without an answer", r"behaves like the cut link"),
    ),
    Exercise(
        "what-ends-the-long-part", "06", "In the long phase a share of the requests failed. What ended it?", "choice",
        _expect_end_of_long_phase, quiz=True,
        choices=(
            Choice("gossip", "the gossip declares the node dead"),
            Choice("not ready", "Kubernetes calls the node NotReady"),
            Choice("new pods", "new Pods are started elsewhere"),
        ),
        hints=("What do the rules of the living nodes still hold?", "lab.observation().phases(): look at ENDED BY."),
        explanation="{answer}, its endpoints are no longer ready, and kube-proxy takes them out of the rules.",
        misconceptions=(
            Misconception(
                "failover-moves-the-pods",
                "New Pods come minutes later, or not at all. The phase ended when the dead Pod left the rules.",
                sources.EVICTION, is_choice("new pods"),
            ),
            Misconception(
                "the-new-leader-ends-it",
                "The gossip ended the dark phase, some seconds after the kill. The new leader still sends a share to "
                "the dead Pod.",
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
        hints=("Which component reports a Pod's state?", "The kubelet of its node. It is dead."),
        explanation="{answer}: that is the last report of the node's kubelet, and no newer one comes.",
        misconceptions=(
            Misconception(
                "pods-move-at-once",
                "Kubernetes waits five minutes before it deletes the Pods of a silent node: their tolerations say so.",
                sources.EVICTION, is_choice("terminating"),
            ),
            Misconception(
                "a-dead-nodes-pods-are-unknown",
                "That would be honest. But only the kubelet writes what this column shows, and it is dead. The last "
                "report stays.",
                sources.EVICTION, is_choice("unknown"),
            ),
        ),
        scored_by=("pods",),
        gives_away=(r"webpod\d 1/1 Running .{0,40}myk8s-worker\b.{0,80}kindnet", r"Each row says"),
    ),
    Exercise(
        "write-the-outage", "06",
        "Write a function. It takes the attempts of a client as a list [(seconds, answered), …], sorted by time. It "
        "returns the longest time from one answer to the next.",
        "code", _expect_longest_gaps,
        starter="def longest_gap(attempts):\n    ...",
        hints=(
            "Keep the seconds of those that were answered; the others only fill the gap.",
            "times = [at for at, ok in attempts if ok]; the largest difference of neighbors",
        ),
        explanation="The answers show how long there was no answer.",
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
                "Between the first failure and the last many requests succeed. That is how people come to a minute of "
                "outage.",
                sources.LESSON, behaves_like(_first_to_last_failure),
            ),
        ),
    ),
    Exercise(
        "lost-seconds", "06",
        "How many seconds did this outage cost svc1? Count each phase by its length and by the share that failed.",
        "number", _expect_lost_seconds, tolerance=0.15, unit="s",
        hints=(
            "A phase costs (TO − FROM) × FAILED / TRIED.",
            "For each phase, then added up: ((phases.TO - phases.FROM) * phases.FAILED / phases.TRIED).sum()",
        ),
        explanation="{answer}. The long phase costs more than the dark one, although only a share of it fails.",
        misconceptions=(
            Misconception(
                "a-failure-costs-an-interval",
                "You took each failure for the interval between requests. A failed request takes its whole timeout, so "
                "the client sends fewer of them.",
                sources.SLOW, is_wrong_number("a failure is a probe"),
            ),
            Misconception(
                "failures-count-the-cost",
                "That is the number of failures. It depends on how often the client asks, so it measures no time.",
                sources.SLOW, is_wrong_number("number of failures", 0.001),
            ),
            Misconception(
                "outage-from-first-to-last-failure",
                "That is the time from the first failure to the last. Most of the requests in it succeed.",
                sources.LESSON, is_wrong_number("first to last"),
            ),
            Misconception(
                "partly-dark-counts-whole",
                "That counts the long phase as if every request had failed. A share of them succeeded.",
                sources.SLOW, is_wrong_number("each counts whole"),
            ),
            Misconception(
                "only-dark-seconds-count",
                "That is the dark phase alone. The long phase after it also loses requests.",
                sources.PODS_GONE, is_wrong_number("dark only"),
            ),
        ),
    ),
    Exercise(
        "what-helps-most", "06", "Which of these shortens such an outage most?",
        "choice", _expect_most_helpful_setting, quiz=True,
        choices=(
            Choice("probe", "a readiness probe on the Pods"), Choice("endpoints", "more Pods, on other nodes"),
            Choice("gossip", "a faster gossip"),
        ),
        hints=("Which part of it costs most?", "With more Pods the dead ones are a smaller share."),
        explanation="{answer}: the long phase then loses a smaller share of the requests.",
        misconceptions=(
            Misconception(
                "faster-gossip-is-the-cure",
                "It shortens the dark phase, and that helps. But the long phase costs more, and it does not depend on "
                "the gossip.",
                "MetalLB PR #2956", is_choice("gossip"),
            ),
            Misconception(
                "readiness-probes-find-dead-nodes",
                "The kubelet runs the readiness probes of its own Pods. The kubelet of a dead node runs no probe.",
                sources.PODS_GONE, is_choice("probe"),
            ),
        ),
    ),
    Exercise(
        "ready-and-leading", "06", "The node starts again. When does it lead svc1 again?", "choice",
        _expect_lead_after_return,
        choices=(
            Choice("ready", "as soon as Kubernetes calls it Ready"),
            Choice("gossip", "some time after it is Ready"),
            Choice("stays", "not before the other leader fails"),
        ),
        hints=("Which component decides who may lead?", "Compare the rows node and memberlist of the events."),
        explanation="{answer}: its speaker has to join the gossip first.",
        misconceptions=(
            Misconception(
                "ready-means-leading",
                "MetalLB does not wait for Ready, and Ready is not enough. The other speakers count a node when its "
                "speaker is in the gossip.",
                "MetalLB issue #733", is_choice("ready"),
            ),
            Misconception(
                "the-new-leader-stays",
                "MetalLB remembers no leader. The same hash gives the same order, so the VIP moves back.",
                sources.STICKY, is_choice("stays"),
            ),
        ),
        scored_by=("observation.events", "observation.timeline"),
        gives_away=(r"takes in myk8s-worker", r"Ready and not be back in the gossip"),
    ),
    Exercise(
        "how-long-is-a-goodbye", "06",
        "Someone deletes the leader's speaker Pod, and the speaker leaves the gossip. For how long does no request "
        "succeed?", "choice",
        _expect_outage_without_speaker,
        choices=(
            Choice("under 1", "under 1 s"), Choice("1 to 10", "1–10 s"), Choice("about 40", "about 40 s"),
        ),
        hints=("Does another speaker have to suspect it?", "No: the speaker sends a message before it ends."),
        explanation="{answer}. The node lives, its rules stay, and the others get the message in a moment.",
        misconceptions=(
            Misconception(
                "every-loss-takes-its-time",
                "A killed speaker takes so long, because it sends no last message. A speaker that ends on purpose "
                "leaves the gossip first.",
                "MetalLB docs until v0.9.3 (a lease of ten seconds)", is_choice("1 to 10"),
            ),
            Misconception(
                "a-speaker-is-a-node",
                "The node stays Ready: only a Pod of it ends. Its endpoints stay in the rules, and they work.",
                "MetalLB issue #298", is_choice("about 40"),
            ),
        ),
        scored_by=("observation.phases", "observation.timeline"),
        gives_away=(r"left the gossip before it ended",),
    ),
    Exercise(
        "who-names-the-dead", "06", "The leader is dead, another one leads. Which source still names the dead one?",
        "choice", _expect_who_names_lost_leader, quiz=True,
        choices=(
            Choice("nobody", "none of them"), Choice("events", "the newest event of the Service"),
            Choice("status", "the object ServiceL2Status"),
        ),
        hints=("Which component would have to correct it?", "lab.table('servicel2statuses')"),
        explanation="{answer}: in v0.14.8 only the speaker that wrote it could remove it.",
        misconceptions=(
            Misconception(
                "status-objects-are-current",
                "A dead speaker cannot remove the object that it wrote, and the new leader cannot change it.",
                sources.STATUS, is_choice("nobody"),
            ),
            Misconception(
                "the-newest-event-is-the-old-leaders",
                "The new leader writes an event of its own, and that one is the newest. An older event does name the "
                "dead node.",
                sources.EVENTS, is_choice("events"),
            ),
        ),
    ),
    Exercise(
        "what-proves-the-leader", "06", "Which of these proves which node has the VIP of svc1 now?", "choice",
        _expect_proof_of_leader, quiz=True,
        choices=(
            Choice("event", "the newest leader event"), Choice("status", "the object ServiceL2Status"),
            Choice("arp", "an ARP answer"),
        ),
        hints=("Which of them can be old?", "A speaker announces first. It writes an event after that."),
        explanation="{answer}: it is sent now, by the network card that gets the packets.",
        misconceptions=(
            Misconception(
                "the-newest-event-is-now",
                "An event says who led at its time. The speaker that wrote it can have lost the VIP since then.",
                sources.EVENTS, is_choice("event"),
            ),
            Misconception(
                "status-objects-prove-the-leader",
                "A dead speaker leaves this object behind, so it can name the dead node.",
                sources.STATUS, is_choice("status"),
            ),
        ),
    ),
    Exercise(
        "who-remembers-the-dead-pod", "06",
        "Everything had settled, and a few requests still failed. What sent them to the dead Pod?", "choice",
        _expect_reason_of_stragglers, quiz=True,
        choices=(
            Choice("arp", "the client's neighbor table"), Choice("conntrack", "the leader's connection tracking"),
            Choice("rules", "rules that kube-proxy had not renewed"),
        ),
        hints=("What do the failed ones have in common?", "Their ports. Which component keeps a table with ports?"),
        explanation="{answer}: it remembers a SYN without an answer, and the Pod that the rules chose for it.",
        misconceptions=(
            Misconception(
                "it-is-always-the-arp-cache",
                "Often it is, with routers that forget slowly. Here the packets do reach the new leader; look at the "
                "frames.",
                "MetalLB issue #2009", is_choice("arp"),
            ),
            Misconception(
                "kube-proxy-forgot-a-rule",
                "New connections reached the living Pod every time, so the rules were right. Only ports that had "
                "failed before failed again.",
                sources.BRIEF, is_choice("rules"),
            ),
        ),
    ),
    Exercise(
        "all-pods-on-the-dead-node", "06",
        "Suppose that all Pods of svc1 ran on the dead node, bare Pods as in this chapter. When is the Service back?",
        "choice", _expect_return_of_unowned_pods, quiz=True,
        choices=(
            Choice("vip", "in seconds, with the VIP"), Choice("not ready", "with NotReady"),
            Choice("evicted", "after five minutes, when Kubernetes makes new Pods elsewhere"),
            Choice("back", "when the node is back"),
        ),
        hints=("Which object makes a Pod again?", "Its owner. Look for ownerReferences."),
        explanation=(
            "{answer}: these Pods have no owner, so no controller makes them again. A Deployment would. The node has "
            "to be back in time: five minutes after NotReady Kubernetes deletes the Pods."
        ),
        misconceptions=(
            Misconception(
                "the-vip-is-the-service",
                "The VIP moves in seconds. But no Pod is behind it.",
                sources.PODS_GONE, is_choice("vip"),
            ),
            Misconception(
                "evicted-pods-come-back",
                "The Pods of a Deployment come back like that, minutes later. No controller makes a bare Pod again.",
                sources.EVICTION, is_choice("evicted"),
            ),
            Misconception(
                "not-ready-heals",
                "NotReady takes the dead endpoints out of the rules. It adds no new ones.",
                "MetalLB issue #733", is_choice("not ready"),
            ),
        ),
    ),
    Exercise(
        "write-the-report", "06",
        "Harder. Write the report of an outage from the attempts [(seconds, answered), …], sorted by time. Return "
        "these in this order: the number of failures, the seconds of the last failure, the longest time from one "
        "answer to the next, and the lost seconds. Where no request failed, the second value is 0. For the lost "
        "seconds, cut the time into slices of five seconds, from 0 on. A slice costs its length times the share "
        "that failed in it.",
        "code", _expect_reports,
        starter="def report(attempts):\n    ...",
        hints=(
            "The other numbers need only the seconds of the failures and of the answers.",
            "slices = {}, then for each attempt `slices.setdefault(at // 5, []).append(ok)`",
            "The lost seconds: `5 * sum(oks.count(False) / len(oks) for oks in slices.values())`",
        ),
        explanation="With these numbers you can compare one outage with another, and a setting with its change.",
        solution=(
            "def report(attempts):\n"
            "    failed = [at for at, ok in attempts if not ok]\n"
            "    answered = [at for at, ok in attempts if ok]\n"
            "    gap = max(later - earlier for earlier, later in zip(answered, answered[1:]))\n"
            "    slices = {}\n"
            "    for at, ok in attempts:\n"
            "        slices.setdefault(at // 5, []).append(ok)\n"
            "    lost = 5 * sum(oks.count(False) / len(oks) for oks in slices.values())\n"
            "    return len(failed), failed[-1] if failed else 0, gap, lost"
        ),
        misconceptions=(
            Misconception(
                "one-failure-spoils-its-slice",
                "You counted a slice whole as soon as one request failed in it. Count the share that failed.",
                sources.SLOW, behaves_like(_report_with_whole_slices),
            ),
        ),
    ),
)  # fmt: skip
