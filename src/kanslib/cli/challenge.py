"""`kans challenge`: a broken cluster, a complaint, looks one by one, and a diagnosis that is checked."""

from __future__ import annotations

import contextlib
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console

import kanslib
from kanslib.backends import factory
from kanslib.exceptions import KanslibError, UnknownNameError
from kanslib.exercises.catalog.ch08_broken_labs import CAUSES, COMPLAINTS, EVIDENCE, FIXES
from kanslib.exercises.exercise import AnswerOutcome, Choice

if TYPE_CHECKING:
    from kanslib.exercises.session import ExerciseView
    from kanslib.lab.lab import Lab

console = Console(highlight=False, soft_wrap=True, markup=False)


@dataclass(frozen=True)
class ChallengeQuery:
    """One look: how to ask for it, what it shows, and how a lab is asked."""

    usage: str
    shows: str
    ask: Callable[[Lab, str], Any]


_SOUND = "arp"  # a story that opens on a sound cluster
_SPEAKER = ("daemonset", "speaker", "metallb-system")
QUERIES = {
    "services": ChallengeQuery("services", "kubectl get svc", lambda lab, _: lab.services()),
    "events": ChallengeQuery("events SERVICE", "its events", lambda lab, name: lab.events(name)),
    "leader": ChallengeQuery("leader SERVICE", "who claims its address", lambda lab, name: lab.leader(name)),
    "election": ChallengeQuery("election SERVICE", "who may lead it, and why not", lambda lab, one: lab.election(one)),
    "arp-scan": ChallengeQuery("arp-scan", "who answers ARP for the pool", lambda lab, _: lab.arp_scan()),
    "neighbors": ChallengeQuery("neighbors", "what the client remembers", lambda lab, _: lab.neighbors()),
    "curl": ChallengeQuery("curl SERVICE", "five requests from the client", lambda lab, name: lab.curl(name, times=5)),
    "advertisements": ChallengeQuery(
        "advertisements", "the L2Advertisements, whole",
        lambda lab, _: [{one["metadata"]["name"]: one["spec"]} for one in lab.objects("l2advertisements")],
    ),
    "pool": ChallengeQuery("pool", "the addresses that may be handed out", lambda lab, _: lab.pool()),
    "network": ChallengeQuery("network", "the clients' network", lambda lab, _: lab.network()),
    "endpoints": ChallengeQuery("endpoints", "kubectl get endpointslices", lambda lab, _: lab.table("endpointslices")),
    "pods": ChallengeQuery("pods", "kubectl get pods -A", lambda lab, _: lab.pods()),
    "daemonset": ChallengeQuery("daemonset", "the speakers' DaemonSet", lambda lab, _: _asked_of_speakers(lab)),
    "nodes": ChallengeQuery("nodes", "kubectl get nodes", lambda lab, _: lab.nodes()),
    "containers": ChallengeQuery("containers", "docker ps", lambda lab, _: lab.containers()),
    "trace": ChallengeQuery("trace SERVICE", "a packet, rule by rule", lambda lab, one: lab.trace(one).describe()),
}  # fmt: skip
_WORDS = {"help": "this list", "hint": "a hint", "diagnose": "name cause, fix and evidence",
          "solution": "give up", "quit": "leave"}  # fmt: skip


def _asked_of_speakers(lab: Lab) -> dict[str, Any]:
    spec = lab.object(*_SPEAKER)["spec"]["template"]["spec"]
    return {"nodeSelector": spec.get("nodeSelector"), "tolerations": len(spec.get("tolerations", []))}


def challenge(backend: str, case: int | None, seed: int | None) -> int:
    """Draw a case, ask, check; 0 when the diagnosis was right. Live, the cluster is mended whatever happens."""
    factory.validate_backend_name(backend)
    names = list(COMPLAINTS)
    if case is not None and f"case-{case}" not in names:
        raise UnknownNameError("case", str(case), [name.removeprefix("case-") for name in names])
    name = f"case-{case}" if case else random.Random(seed).choice(names)
    if backend == "live":
        console.print("This breaks the course's own cluster on purpose, and mends it when you are through.")
    with _mending() if backend == "live" else contextlib.nullcontext():
        try:
            lab = kanslib.open_lab(name, backend=backend)
            console.print(f"\n{COMPLAINTS[name]}\n\nWhat is wrong? {_list()}")
            return 0 if _asked(lab, lab.exercise(name)) else 1
        except KeyboardInterrupt:
            console.print("")
            return 1


@contextmanager
def _mending() -> Iterator[None]:
    """The course's own cluster is whole again afterwards, also after Ctrl-C and a polite kill."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = {sign: signal.signal(sign, stop) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sign in before:
            signal.signal(sign, signal.SIG_IGN)  # a second Ctrl-C does not leave the cluster broken
        console.print("mending the cluster …")
        kanslib.open_lab(_SOUND, backend="live")
        console.print("the cluster is whole again")
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _list() -> str:
    wide = max(len(look.usage) for look in QUERIES.values())
    lines = [f"  {look.usage:<{wide}}  {look.shows}" for look in QUERIES.values()]
    lines += [f"  {word:<{wide}}  {does}" for word, does in _WORDS.items()]
    return "Your looks:\n" + "\n".join(lines)


def _asked(lab: Lab, quest: ExerciseView) -> bool:
    """Look after look until the diagnosis is right or the learner leaves; True when it is right."""
    with _completion([*QUERIES, *_WORDS]):
        while (line := _read("look> ")) is not None:
            word, _, rest = line.strip().partition(" ")
            if word in ("quit", "exit"):
                return False
            if word == "diagnose":
                if _diagnosed(lab, quest):
                    return True
            elif word == "solution":
                console.print(str(quest.solution()))
                return False
            elif word:
                _answer(lab, quest, word, rest.strip())
    return False


def _answer(lab: Lab, quest: ExerciseView, word: str, service: str) -> None:
    if word == "help":
        console.print(_list())
    elif word == "hint":
        console.print(str(quest.hint()))
    elif word not in QUERIES:
        console.print(f"no look is called {word!r}; help lists them")
    elif QUERIES[word].usage.endswith("SERVICE") and not service:
        console.print(f"of which Service? {QUERIES[word].usage}")
    else:
        try:
            console.print(str(QUERIES[word].ask(lab, service)))
        except KanslibError as exc:
            console.print(str(exc))


def _diagnosed(lab: Lab, quest: ExerciseView) -> bool:
    """Ask for the three parts and check them."""
    seen = [choice for choice in EVIDENCE if choice.key in lab.queries]
    if not seen:
        console.print("A diagnosis rests on a look, and you have made none yet.")
        return False
    parts = {}
    for part, choices in (("cause", CAUSES), ("fix", FIXES), ("evidence", seen)):
        chosen = _choose(part, choices)
        if chosen is None:
            return False
        parts[part] = chosen
    verdict = quest.assess(parts)
    console.print(f"\n{verdict.words}\n")
    return verdict.outcome in (AnswerOutcome.RIGHT, AnswerOutcome.RIGHT_AFTER_HELP)


def _choose(part: str, choices: Sequence[Choice]) -> str | None:
    """One of several choices by its number; None to go back."""
    console.print(f"\n{part}:")
    for place, choice in enumerate(choices, 1):
        console.print(f"  {place:>2}  {choice.text}")
    while (said := _read(f"{part} (1-{len(choices)}, empty: back)> ")) is not None:
        if not said.strip():
            return None
        if said.strip().isdigit() and 1 <= int(said) <= len(choices):
            return choices[int(said) - 1].key
        console.print(f"a number from 1 to {len(choices)}")
    return None


def _read(prompt: str) -> str | None:
    """A line of the learner's; None at the end of the input."""
    try:
        return input(prompt)
    except EOFError:
        return None


@contextmanager
def _completion(words: Sequence[str]) -> Iterator[None]:
    """The Tab key completes looks, where the terminal can."""
    with contextlib.suppress(ImportError):
        import readline

        if sys.stdin.isatty():
            readline.set_completer(lambda text, place: [*(w for w in words if w.startswith(text)), None][place])
            readline.set_completer_delims(" ")
            readline.parse_and_bind("tab: complete")
    yield
