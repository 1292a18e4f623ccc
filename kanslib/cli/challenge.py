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
from kanslib import worlds
from kanslib.errors import KansError, UnknownName
from kanslib.teach.catalog.faults import CAUSES, COMPLAINTS, EVIDENCE, FIXES
from kanslib.teach.exercise import Choice, Outcome

if TYPE_CHECKING:
    from kanslib.lab import Lab
    from kanslib.teach.desk import Quest

console = Console(highlight=False, soft_wrap=True, markup=False)


@dataclass(frozen=True)
class Look:
    """One look: how to ask for it, what it shows, and how a lab is asked."""

    usage: str
    shows: str
    ask: Callable[[Lab, str], Any]


_SOUND = "arp"  # a story that opens on a sound cluster
_SPEAKER = ("daemonset", "speaker", "metallb-system")
LOOKS = {
    "services": Look("services", "kubectl get svc", lambda lab, _: lab.services()),
    "events": Look("events SERVICE", "its events", lambda lab, name: lab.events(name)),
    "leader": Look("leader SERVICE", "who claims its address", lambda lab, name: lab.leader(name)),
    "election": Look("election SERVICE", "who may lead it, and why not", lambda lab, name: lab.election(name)),
    "arp-scan": Look("arp-scan", "who answers ARP for the pool", lambda lab, _: lab.arp_scan()),
    "neighbours": Look("neighbours", "what the client remembers", lambda lab, _: lab.neighbours()),
    "curl": Look("curl SERVICE", "five requests from the client", lambda lab, name: lab.curl(name, times=5)),
    "advertisements": Look(
        "advertisements", "the L2Advertisements, whole",
        lambda lab, _: [{one["metadata"]["name"]: one["spec"]} for one in lab.objects("l2advertisements")],
    ),
    "pool": Look("pool", "the addresses that may be handed out", lambda lab, _: lab.pool()),
    "network": Look("network", "the clients' network", lambda lab, _: lab.network()),
    "endpoints": Look("endpoints", "kubectl get endpointslices", lambda lab, _: lab.table("endpointslices")),
    "pods": Look("pods", "kubectl get pods -A", lambda lab, _: lab.pods()),
    "daemonset": Look("daemonset", "what the speakers' DaemonSet asks for", lambda lab, _: _asked_of_speakers(lab)),
    "nodes": Look("nodes", "kubectl get nodes", lambda lab, _: lab.nodes()),
    "containers": Look("containers", "docker ps", lambda lab, _: lab.containers()),
    "trace": Look("trace SERVICE", "the way of a packet from the client", lambda lab, name: lab.trace(name).describe()),
}  # fmt: skip
_WORDS = {"help": "this list", "hint": "a hint", "diagnose": "name cause, fix and evidence",
          "solution": "give up", "quit": "leave"}  # fmt: skip


def _asked_of_speakers(lab: Lab) -> dict[str, Any]:
    spec = lab.object(*_SPEAKER)["spec"]["template"]["spec"]
    return {"nodeSelector": spec.get("nodeSelector"), "tolerations": len(spec.get("tolerations", []))}


def challenge(world: str, case: int | None, seed: int | None) -> int:
    """Draw a case, ask, check; 0 when the diagnosis was right. Live, the cluster is mended whatever happens."""
    worlds.check(world)
    names = list(COMPLAINTS)
    if case is not None and f"case-{case}" not in names:
        raise UnknownName("case", str(case), [name.removeprefix("case-") for name in names])
    name = f"case-{case}" if case else random.Random(seed).choice(names)
    if world == "live":
        console.print("This breaks the course's own cluster on purpose, and mends it when you are through.")
    with _mending() if world == "live" else contextlib.nullcontext():
        try:
            lab = kanslib.open_lab(name, world=world)
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
        kanslib.open_lab(_SOUND, world="live")
        console.print("the cluster is whole again")
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _list() -> str:
    wide = max(len(look.usage) for look in LOOKS.values())
    lines = [f"  {look.usage:<{wide}}  {look.shows}" for look in LOOKS.values()]
    lines += [f"  {word:<{wide}}  {does}" for word, does in _WORDS.items()]
    return "Your looks:\n" + "\n".join(lines)


def _asked(lab: Lab, quest: Quest) -> bool:
    """Look after look until the diagnosis is right or the learner leaves; True when it is right."""
    with _completion([*LOOKS, *_WORDS]):
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


def _answer(lab: Lab, quest: Quest, word: str, service: str) -> None:
    if word == "help":
        console.print(_list())
    elif word == "hint":
        console.print(str(quest.hint()))
    elif word not in LOOKS:
        console.print(f"no look is called {word!r}; help lists them")
    elif LOOKS[word].usage.endswith("SERVICE") and not service:
        console.print(f"of which Service? {LOOKS[word].usage}")
    else:
        try:
            console.print(str(LOOKS[word].ask(lab, service)))
        except KansError as exc:
            console.print(str(exc))


def _diagnosed(lab: Lab, quest: Quest) -> bool:
    """Ask for the three parts and check them."""
    seen = [choice for choice in EVIDENCE if choice.key in lab.looked_at]
    if not seen:
        console.print("A diagnosis rests on a look, and you have made none yet.")
        return False
    parts = {}
    for part, choices in (("cause", CAUSES), ("fix", FIXES), ("evidence", seen)):
        chosen = _choose(part, choices)
        if chosen is None:
            return False
        parts[part] = chosen
    verdict = quest.judged(parts)
    console.print(f"\n{verdict.words}\n")
    return verdict.outcome in (Outcome.RIGHT, Outcome.RIGHT_AFTER_HELP)


def _choose(part: str, choices: Sequence[Choice]) -> str | None:
    """One of several choices by its number; None to go back."""
    console.print(f"\n{part}:")
    for place, choice in enumerate(choices, 1):
        console.print(f"  {place:>2}  {choice.says}")
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
