"""Chapter 06: how long it takes, and who feels it."""

from __future__ import annotations

from typing import Any

from kanslib.errors import NotRecorded
from kanslib.teach.exercise import Choice, Exercise
from kanslib.teach.ideas import Idea, Truth, chose
from kanslib.timeline.phases import DARK, PARTLY

_BINS = ((1.0, "under 1"), (10.0, "1 to 10"), (60.0, "about 40"))


def _declared_dead(lab: Any) -> Truth:
    verdicts = [mark.at for mark in lab.outage().marks if mark.lane == "memberlist" and " declares dead " in mark.text]
    if not verdicts:
        raise NotRecorded("a speaker that was declared dead", hint="kill a node first, or lab.at('kill-node')")
    return Truth(next((name for bound, name in _BINS if verdicts[0] < bound), "a minute"))


def _bystander(lab: Any) -> Truth:
    phases = lab.outage().phases.get("svc3")
    if not phases:
        raise NotRecorded("requests to svc3 around this act", hint="kill a node first, or lab.at('kill-node')")
    names = {phase.name for phase in phases if phase.end - phase.start > 1}
    return Truth("dark" if DARK in names else "partly" if PARTLY in names else "nothing")


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
        because="{truth}. Gossip suspects within a second or two, and two confirmations bring the wait to its floor.",
        ideas=(
            Idea(
                "failover-takes-a-minute",
                "That is what clients felt, and the lesson says it. But it is not the gossip that takes so long: keep "
                "the thought for two more cells.",
                "the lesson", chose("a minute"),
            ),
            Idea(
                "node-ready-moves-the-vip",
                "Forty seconds is Kubernetes' patience with a silent node. MetalLB does not look at it: its speakers "
                "have a gossip of their own (since 0.9.2).",
                "MetalLB issue #524, measured before there was gossip", chose("about 40"),
            ),
        ),
        reveals=("log", "timeline", "phases", "marks"),
    ),
    Exercise(
        "does-svc3-notice", "06", "And svc3, which another node leads: what will its clients see?", "choice",
        _bystander,
        choices=(
            Choice("nothing", "nothing: its leader lives"), Choice("partly", "a share of failures for a while"),
            Choice("dark", "no answer at all for a while"),
        ),
        hints=("Who answers a request, the leader or a Pod?", "One of its two Pods was on the dead node."),
        because="{truth}: one of its endpoints died, and the rules of every node keep it until the node is NotReady.",
        ideas=(
            Idea(
                "only-the-leaders-services-suffer",
                "The leader of svc3 lives and takes every packet. But it shares them out among Pods, and one of those "
                "is gone.",
                "MetalLB issue #767", chose("nothing"),
            ),
        ),
        reveals=("timeline", "phases"),
    ),
)  # fmt: skip
