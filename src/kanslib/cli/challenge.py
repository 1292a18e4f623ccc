"""`kans challenge`: a broken cluster, a complaint, queries one by one, and a diagnosis that is checked."""

from __future__ import annotations

import cmd
import contextlib
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import kanslib
from kanslib.backends import factory
from kanslib.cli.terminal import plain_console
from kanslib.exceptions import KanslibError, UnknownNameError
from kanslib.exercises.catalog.ch08_broken_labs import CAUSES, COMPLAINTS, EVIDENCE, FIXES
from kanslib.exercises.exercise import Choice
from kanslib.i18n import tr, tr_later

if TYPE_CHECKING:
    from kanslib.exercises.session import ExerciseView
    from kanslib.k8s.objects import KubeObject
    from kanslib.lab.lab import Lab

console = plain_console(soft_wrap=True)


@dataclass(frozen=True)
class ChallengeQuery:
    """One query: its usage, a description, and the function that runs it with a lab and a Service's name."""

    usage: str
    description: str
    run: Callable[[Lab, str], object]

    @property
    def needs_service(self) -> bool:
        """True for a query about one Service."""
        return self.usage.endswith("SERVICE")


_SOUND_STORY = "arp"  # its opening is a cluster without a fault


def _speaker_selector(lab: Lab) -> KubeObject:
    spec = lab.object("daemonset", "speaker", "metallb-system")["spec"]["template"]["spec"]
    return {"nodeSelector": spec.get("nodeSelector"), "tolerations": len(spec.get("tolerations", []))}


QUERIES = {
    "services": ChallengeQuery("services", "kubectl get svc", lambda lab, _: lab.services()),
    "events": ChallengeQuery("events SERVICE", tr_later("its events"), lambda lab, name: lab.events(name)),
    "leader": ChallengeQuery("leader SERVICE", tr_later("which node leads it"), lambda lab, name: lab.leader(name)),
    "election": ChallengeQuery(
        "election SERVICE", tr_later("who may lead it, and why not"), lambda lab, one: lab.election(one)
    ),
    "arp-scan": ChallengeQuery("arp-scan", tr_later("who answers ARP for the pool"), lambda lab, _: lab.arp_scan()),
    "neighbors": ChallengeQuery("neighbors", tr_later("the client's ARP cache"), lambda lab, _: lab.neighbors()),
    "curl": ChallengeQuery(
        "curl SERVICE", tr_later("five requests from the client"), lambda lab, name: lab.curl(name, times=5)
    ),
    "advertisements": ChallengeQuery(
        "advertisements",
        tr_later("the L2Advertisements with their whole spec"),
        lambda lab, _: [{one["metadata"]["name"]: one["spec"]} for one in lab.objects("l2advertisements")],
    ),
    "pool": ChallengeQuery("pool", tr_later("the addresses that MetalLB may assign"), lambda lab, _: lab.pool()),
    "network": ChallengeQuery("network", tr_later("the clients' network"), lambda lab, _: lab.network()),
    "endpoints": ChallengeQuery("endpoints", "kubectl get endpointslices", lambda lab, _: lab.table("endpointslices")),
    "pods": ChallengeQuery("pods", "kubectl get pods -A", lambda lab, _: lab.pods()),
    "daemonset": ChallengeQuery(
        "daemonset", tr_later("the speakers' DaemonSet"), lambda lab, _: _speaker_selector(lab)
    ),
    "nodes": ChallengeQuery("nodes", "kubectl get nodes", lambda lab, _: lab.nodes()),
    "containers": ChallengeQuery("containers", "docker ps", lambda lab, _: lab.containers()),
    "trace": ChallengeQuery(
        "trace SERVICE", tr_later("a packet, rule by rule"), lambda lab, name: lab.trace(name).describe()
    ),
}
_COMMANDS = {
    "help": tr_later("this list"),
    "hint": tr_later("a hint"),
    "diagnose": tr_later("name cause, fix and evidence"),
    "solution": tr_later("give up"),
    "quit": tr_later("leave"),
}


def challenge(backend: str, case: int | None, seed: int | None) -> int:
    """Open a case, ask for the diagnosis and check it. A live cluster is restored in every case.

    `case` is a number from 1 to 9; without it, a random case is chosen, with `seed` the same one again. Return the exit
    code: 0 when the diagnosis was right, else 1. UnknownNameError lists the cases or the backends.
    """
    factory.validate_backend_name(backend)
    for stream, name in (
        (sys.stdin, tr("standard input")),
        (sys.stdout, tr("standard output")),
        (sys.stderr, tr("standard error")),
    ):
        if stream is None:
            raise KanslibError(
                tr(
                    "{name} is closed; next step: run kans challenge in a terminal, or pipe commands to it",
                    name=name,
                )
            )
    names = list(COMPLAINTS)
    if case is not None and f"case-{case}" not in names:
        raise UnknownNameError("case", str(case), [name.removeprefix("case-") for name in names])
    name = f"case-{case}" if case else random.Random(seed).choice(names)
    if backend == "live":
        console.print(tr("This breaks the course's own cluster on purpose, and restores it when you finish."))
    with _restore_cluster_at_end() if backend == "live" else contextlib.nullcontext():
        try:
            lab = kanslib.open_lab(name, backend=backend)
            console.print(
                "\n"
                + tr("{complaint}\n\nWhat is wrong? {queries}", complaint=tr(COMPLAINTS[name]), queries=_list_queries())
            )
            prompt = ChallengePrompt(lab, lab.exercise(name))
            prompt.cmdloop()
            return 0 if prompt.is_solved else 1
        except KeyboardInterrupt:
            console.print("")
            return 1


@contextmanager
def _restore_cluster_at_end() -> Iterator[None]:
    """Restore the course's own cluster at the end, also after Ctrl-C and SIGTERM."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C does not leave the cluster broken
        try:
            console.print(tr("restoring the cluster …"))
            kanslib.open_lab(_SOUND_STORY, backend="live")
            console.print(tr("the cluster is restored"))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _list_queries() -> str:
    rows = {**{query.usage: query.description for query in QUERIES.values()}, **_COMMANDS}
    width = max(map(len, rows))
    return (
        tr("Your queries:")
        + "\n"
        + "\n".join(f"  {usage:<{width}}  {tr(description)}" for usage, description in rows.items())
    )


class ChallengePrompt(cmd.Cmd):
    """Read queries until the diagnosis is right or the learner leaves; `is_solved` holds the result."""

    identchars = cmd.Cmd.identchars + "-"

    def __init__(self, lab: Lab, view: ExerciseView) -> None:
        super().__init__()
        self.lab, self.view, self.is_solved = lab, view, False
        self.prompt = tr("query>") + " "

    def preloop(self) -> None:
        """Let the Tab key complete `arp-scan` as one word."""
        with contextlib.suppress(ImportError):  # Windows has no readline
            import readline

            readline.set_completer_delims(" ")

    def completenames(self, text: str, *_: object) -> list[str]:
        """Return the queries and commands that begin with a text."""
        return [name for name in [*QUERIES, *_COMMANDS] if name.startswith(text)]

    def emptyline(self) -> bool:
        """Do nothing on an empty line."""
        return False

    def default(self, line: str) -> None:
        """Run a query and print its answer."""
        word, _, service = line.strip().partition(" ")
        if word not in QUERIES:
            console.print(tr("no query is called {word!r}; help lists them", word=word))
        elif QUERIES[word].needs_service and not service.strip():
            console.print(tr("of which Service? {usage}", usage=QUERIES[word].usage))
        else:
            try:
                console.print(str(QUERIES[word].run(self.lab, service.strip())))
            except KanslibError as exc:
                console.print(str(exc))

    def do_help(self, arg: str) -> None:
        """List the queries; with the name of one, say what it asks."""
        query = QUERIES.get(arg.strip())
        console.print(f"{query.usage}: {tr(query.description)}" if query else _list_queries())

    def do_hint(self, _arg: str) -> None:
        """Print the next hint."""
        console.print(str(self.view.hint()))

    def do_solution(self, _arg: str) -> bool:
        """Print the solution, and leave."""
        console.print(str(self.view.solution()))
        return True

    def do_quit(self, _arg: str) -> bool:
        """Leave."""
        return True

    do_exit = do_quit

    def do_EOF(self, _arg: str) -> bool:  # noqa: N802 (cmd.Cmd looks for this name at the end of the input)
        """Leave, and end the line of the prompt."""
        console.print("")
        return True

    def do_diagnose(self, _arg: str) -> bool:
        """Ask for the three parts of a diagnosis and check them; leave when it is right."""
        evidence = [choice for choice in EVIDENCE if choice.key in self.lab.progress().queries]
        if not evidence:
            console.print(tr("A diagnosis rests on a query, and you have made none yet."))
            return False
        parts = {}
        for part, choices in (("cause", CAUSES), ("fix", FIXES), ("evidence", evidence)):
            key = _ask_choice(part, choices)
            if key is None:
                return False
            parts[part] = key
        assessment = self.view.assess(parts)
        console.print(f"\n{assessment.words}\n")
        self.is_solved = assessment.is_right
        return self.is_solved


def _ask_choice(part: str, choices: Sequence[Choice]) -> str | None:
    """Ask for one of several choices by its number; return its key, None to go back."""
    console.print(f"\n{tr(part)}:")
    for number, choice in enumerate(choices, 1):
        console.print(f"  {number:>2}  {tr(choice.text)}")
    with contextlib.suppress(EOFError):
        while typed := input(tr("{part} (1-{number}, empty: back)>", part=tr(part), number=len(choices)) + " ").strip():
            if typed.isdigit() and 1 <= int(typed) <= len(choices):
                return choices[int(typed) - 1].key
            console.print(tr("a number from 1 to {number}", number=len(choices)))
    return None
