"""Exercises of chapters 00 and 00q (expected answers, hints, feedback): who answers, and how many requests fail."""

from __future__ import annotations

from kanslib.exceptions import NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import column, endpoint_slices, excluded_nodes, nodes, nodes_with_endpoints
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import (
    Case,
    ExpectedAnswer,
    Misconception,
    behaves_like,
    is_choice,
    is_number,
    is_wrong_number,
)
from kanslib.i18n import tr, tr_later
from kanslib.k8s.objects import endpoints_of

Attempts = list[tuple[float, bool]]  # seconds after the action, and whether there was an answer

_KILL = tr_later("kill a node first, or lab.at('kill-node')")
_WINDOW_S = 30.0
_SHARES = ((0.0, "none"), (0.2, "few"), (0.8, "half"))


def _attempts_by_service(lab: LabQueries) -> dict[str, Attempts]:
    """Return the requests after a node's death, those of each Service. Raise NotFoundError where there are none."""
    outage = lab.observation().outage()
    if not outage.action.startswith("kill-node") or not any(outage.attempts.values()):
        raise NotFoundError(tr("requests around a node's death"), hint=tr(_KILL))
    return {
        service: [(round(one.at, 3), one.is_ok) for one in probed if one.at >= 0]
        for service, probed in outage.attempts.items()
    }


def _failed_share(attempts: Attempts) -> float:
    return sum(not is_ok for _, is_ok in attempts) / len(attempts)


def _expect_who_answers(lab: LabQueries) -> ExpectedAnswer:
    """Compare the holder of svc1's address, by a scan, with the sets of machines that people expect."""
    scan = lab.arp_scan()
    holders = {holder for address, holder in zip(column(scan, "ADDRESS"), column(scan, "HOLDER"), strict=True)
               if address == lab.vip("svc1")}  # fmt: skip
    if not holders:
        raise NotFoundError(tr("an ARP answer for svc1"), hint=tr("lab.at('apply-services-2') has one"))
    if len(holders) == 1:
        return ExpectedAnswer("one" if holders <= nodes(lab) else "controller")
    return ExpectedAnswer("pods" if holders == nodes_with_endpoints(lab) else "all")


def _expect_share_of_failures(lab: LabQueries) -> ExpectedAnswer:
    """Find the share of requests to svc1 that failed in the first half minute after a node's death."""
    attempts = [one for one in _attempts_by_service(lab).get("svc1", []) if one[0] < _WINDOW_S]
    if not attempts:
        raise NotFoundError(tr("requests to svc1 around a node's death"), hint=tr(_KILL))
    share = _failed_share(attempts)
    return ExpectedAnswer(next((key for bound, key in _SHARES if share <= bound), "all"))


def _expect_share_of_more_endpoints(lab: LabQueries) -> ExpectedAnswer:
    """Return the percentage that fails while the rules hold one dead endpoint of twice as many as svc1 has now."""
    count = len(endpoints_of(endpoint_slices(lab), "svc1"))
    if count < 2:
        raise NotFoundError(tr("two endpoints of svc1 at this moment"), hint="lab.at('kill-node')")
    return ExpectedAnswer(100 / (2 * count), wrong_numbers={"as before": 100 / count, "rest": 100 - 100 / (2 * count)})


def _expect_leader_after_the_label(lab: LabQueries) -> ExpectedAnswer:
    """Find out who leads svc1 while a worker has the label that the control plane has: no excluded node may."""
    excluded = excluded_nodes(lab) - {lab.control_plane}
    if not excluded:
        raise NotFoundError(tr("a worker with the label"), hint=tr("run the cell that gives it to the leader"))
    leader = lab.leader("svc1")
    if leader is None:
        return ExpectedAnswer("nobody")
    return ExpectedAnswer("same" if leader in excluded else "control" if leader == lab.control_plane else "other")


def _expect_shares(lab: LabQueries) -> ExpectedAnswer:
    """Return the attempts to every probed Service, also with some left out, and the share that failed."""
    cases: list[Case] = [
        ((attempts[::step],), _failed_share(attempts[::step]))
        for attempts in _attempts_by_service(lab).values()
        for step in (1, 2, 3)
        if attempts
    ]
    return ExpectedAnswer(cases)


def _failed_to_answered(attempts: Attempts) -> float:
    return sum(not is_ok for _, is_ok in attempts) / sum(is_ok for _, is_ok in attempts)


def _answered_share(attempts: Attempts) -> float:
    return sum(is_ok for _, is_ok in attempts) / len(attempts)


def _count_failures(attempts: Attempts) -> int:
    return sum(not is_ok for _, is_ok in attempts)


EXERCISES = (
    Exercise(
        "who-answers-for-a-vip", "00",
        "A client asks by ARP which machine has the external address of svc1. Which machines answer?",
        "choice", _expect_who_answers,
        choices=(
            Choice("all", "every node"), Choice("pods", "the nodes that run a Pod of svc1"), Choice("one", "one node"),
            Choice("controller", "the Pod of MetalLB's controller"),
        ),
        hints=(
            "The client keeps a single MAC address for each IP address.",
            "Compare the rows of lab.arp_scan() with those of lab.nodes().",
        ),
        explanation="{answer}. MetalLB calls it the leader. The others hear the question and send no answer.",
        misconceptions=(
            Misconception(
                "every-node-answers-arp",
                "Every node hears the question, because it is a broadcast. MetalLB has a program on every node. These "
                "programs agree on one node, and only that one answers.",
                sources.STRICT_ARP, is_choice("all"),
            ),
            Misconception(
                "pod-nodes-answer-arp",
                "The Pods decide where a request ends. They do not decide which node answers ARP: by default a leader "
                "needs no Pod of the Service.",
                sources.ENDPOINTS_FIRST, is_choice("pods"),
            ),
            Misconception(
                "controller-answers-arp",
                "The controller chooses the address and writes it into the Service. A speaker answers ARP: it runs on "
                "the node's own network, and the controller does not.",
                sources.BRIEF, is_choice("controller"),
            ),
        ),
        scored_by=("arp_scan",),
        gives_away=(r"\bone node\b", r"\bHOLDER\b"),
    ),
    Exercise(
        "share-of-failed-requests", "00",
        "The leader of svc1 dies. Which share of the requests to svc1 fails in the first half minute after that?",
        "choice", _expect_share_of_failures,
        choices=(
            Choice("none", "none"), Choice("few", "a few percent"), Choice("half", "about half"),
            Choice("all", "nearly all"),
        ),
        hints=(
            "The dead node answered ARP for the address, and it also ran a Pod.",
            "Count the rows with OK = False in seen.probes('svc1').",
        ),
        explanation=(
            "{answer}. First the address had no leader. After that, the new leader still sent a part of the requests "
            "to the dead Pod. Chapter 06 takes this apart."
        ),
        misconceptions=(
            Misconception(
                "nobody-notices-a-dead-node",
                "No request would fail only if a component knew of the death before it happened. The other speakers "
                "have to notice it, and until then the client sends packets to a dead machine.",
                sources.SLOW, is_choice("none"),
            ),
            Misconception(
                "only-the-address-has-to-move",
                "It would be few if only the address had to move. But the rules on the new leader still contain the "
                "dead Pod.",
                sources.PODS_GONE, is_choice("few"),
            ),
            Misconception(
                "failover-is-one-long-silence",
                "Requests fail without exception only until another node leads. After that, the Pod that lives answers "
                "its part.",
                sources.LESSON, is_choice("all"),
            ),
        ),
        scored_by=("observation.attempts", "observation.phases", "observation.timeline"),
        gives_away=("about half", r"[\d,]+ of [\d,]+ failed"),
    ),
    Exercise(
        "share-with-more-endpoints", "00",
        "Suppose that svc1 had twice as many endpoints, and only one of them on the dead node. Which share of the "
        "requests fails while the rules contain the dead endpoint?",
        "number", _expect_share_of_more_endpoints, unit="%", tolerance=0.05, scale=(0, 100, 5),
        hints=(
            "A rule chooses each endpoint with the same chance.",
            "Count the endpoints in the picture of the path, and double them. Only one of these endpoints is dead.",
        ),
        explanation="{answer}: each endpoint gets the same share, and the dead one cannot answer.",
        misconceptions=(
            Misconception(
                "more-pods-change-nothing",
                "That is the share with the endpoints of today. The rules divide the requests by the number of "
                "endpoints, so a dead one gets less when there are more.",
                sources.PODS_GONE, is_wrong_number("as before"),
            ),
            Misconception(
                "rules-avoid-the-dead",
                "The rules do not test their endpoints. They choose a dead one until kube-proxy removes it.",
                sources.PODS_GONE, is_number(lambda _: 0, 0.0),
            ),
            Misconception(
                "share-that-works", "That is the share that gets an answer. The question asks for the rest.",
                sources.BRIEF, is_wrong_number("rest"),
            ),
        ),
    ),
    Exercise(
        "who-leads-after-the-label", "00",
        "You give the new leader of svc1 a label that says: this node may not lead. Who leads svc1 then?", "choice",
        _expect_leader_after_the_label,
        choices=(
            Choice("same", "the same node, until it dies"), Choice("other", "the last worker that is alive"),
            Choice("control", "the control plane"), Choice("nobody", "no node: the Service waits"),
        ),
        hints=(
            "Look at the map of section “The clock”: which nodes may lead?",
            "lab.map() shows the leader after the change.",
        ),
        explanation="{answer}. Each speaker applies the same rule again after each change of a node.",
        misconceptions=(
            Misconception(
                "a-leader-keeps-its-office",
                "A leader keeps nothing. After a change of a node each speaker computes the leaders again, and a node "
                "with this label is not among the candidates.",
                sources.STICKY, is_choice("same"),
            ),
            Misconception(
                "control-plane-replaces-workers",
                "kubeadm gave this label to the control plane, too. The map says so: not allowed to lead.",
                sources.LABEL, is_choice("control"),
            ),
            Misconception(
                "two-workers-are-needed",
                "One speaker is enough. A worker is alive and may lead, so its speaker answers for svc1.",
                sources.BRIEF, is_choice("nobody"),
            ),
        ),
        scored_by=("map",),
        gives_away=(r"last worker", r"only one worker"),
    ),
    Exercise(
        "write-the-share", "00",
        "Write failed_share: it gets the attempts, a list of (seconds, answered), and returns the share that failed, a "
        "number between zero and one.",
        "code", _expect_shares,
        starter="def failed_share(attempts):\n    ...",
        hints=(
            "Divide the number of attempts that failed by the number of all attempts.",
            "sum(not ok for at, ok in attempts) counts the failures; len(attempts) counts all.",
        ),
        explanation="The share depends on how long you watch. Chapter 06 therefore measures seconds.",
        solution=(
            "def failed_share(attempts):\n"
            "    failed = sum(not ok for at, ok in attempts)\n"
            "    return failed / len(attempts)"
        ),
        misconceptions=(
            Misconception(
                "failures-over-answers",
                "You divided the failures by the answers. Divide by all attempts, failures included.",
                sources.BRIEF, behaves_like(_failed_to_answered),
            ),
            Misconception(
                "share-of-answers",
                "That is the share that was answered. The exercise asks for the rest.",
                sources.BRIEF, behaves_like(_answered_share),
            ),
            Misconception(
                "a-count-is-no-share",
                "You counted the failures. The count says little without the number of all attempts.",
                sources.BRIEF, behaves_like(_count_failures),
            ),
        ),
    ),
)  # fmt: skip
