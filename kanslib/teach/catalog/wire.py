"""Chapter 03: what the wire says."""

from __future__ import annotations

import re
from typing import Any

from kanslib.errors import NotRecorded
from kanslib.teach.exercise import Choice, Exercise
from kanslib.teach.ideas import Idea, Truth, chose


def _ping(lab: Any) -> Truth:
    text = lab.run(lab.client, f"ping -c 2 -W 1 {lab.vip('svc1')}")
    received = re.search(r"(\d+) (?:packets )?received", text)
    if received is None:
        raise NotRecorded("how many answers the ping got")
    return Truth("yes" if int(received[1]) else "no")


def _rounds(lab: Any) -> Truth:
    rows = lab.announcements("svc1")
    if rows.empty:
        raise NotRecorded("an announcement of svc1 around this act", hint="lab.at('apply-services') has one")
    return Truth("once" if rows.ROUNDS[0] == 1 else "a few" if rows.SECONDS[0] < 10 else "for ever")


EXERCISES = (
    Exercise(
        "does-the-vip-answer-ping", "03", "The address answers ARP. Will it answer a ping?", "choice", _ping,
        choices=(Choice("yes", "yes: somebody has it"), Choice("no", "no")),
        hints=("Which program would have to answer an ICMP echo?", "The kernel answers for its own addresses only."),
        because="{truth}: a speaker answers ARP for it, but no interface has it, so no kernel answers an echo.",
        ideas=(
            Idea(
                "vip-is-on-an-interface",
                "Ping asks a kernel that owns the address. No interface of the leader has it: the speaker only says so "
                "by ARP. Test the port that the Service offers.",
                "MetalLB issues #259, #469, #1828, #2013, #2721", chose("yes"),
            ),
        ),
        reveals=("run",),
    ),
    Exercise(
        "how-often-announced", "03", "A Service gets its address. How often will its leader announce itself?", "choice",
        _rounds,
        choices=(
            Choice("once", "once"), Choice("a few", "a few times, then never again"),
            Choice("for ever", "every few seconds, for ever"),
        ),
        hints=("A broadcast can get lost, and nobody confirms it.", "lab.announcements('svc1') counts the rounds."),
        because="{truth}: rounds a second and a bit apart, for five seconds. Every sync begins them anew.",
        ideas=(
            Idea(
                "gratuitous-arp-goes-on",
                "After its rounds a speaker is silent until something changes. A switch or a client that forgets has "
                "to ask by itself.",
                "MetalLB issues #1761, #2910", chose("for ever"),
            ),
        ),
        reveals=("announcements", "arp_story"),
    ),
)  # fmt: skip
