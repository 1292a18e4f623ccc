"""What one Python process holds of the course's own cluster: open watches, one capture, one journal, what it did.

All labs of a kernel share one session. It ends with the process, and undoes the failures that it injected.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from kanslib.actions import ACTIONS, ActiveAction, base_name
from kanslib.cluster import actions, docker, lifecycle, probes
from kanslib.cluster.api import CONTROL_PLANE, Watches, kubectl, logs
from kanslib.cluster.docker import CLIENT, ROUTER, CommandResult
from kanslib.cluster.reconciler import CompletedStep, Reconciler
from kanslib.exceptions import KanslibError, UnsupportedError
from kanslib.recording import Recording
from kanslib.recording.raw.journal import Journal

RECORD = "KANS_RECORD"  # the folder of a recorder; each process leaves a journal there
HOST = "host"
_NODE_LOOKS = (
    "iptables-save -c", "iptables -t nat -S", "iptables -t filter -S", "ip -j addr", "ip -j route", "ip -j neigh",
    "conntrack -L -p tcp --dport 80", "sysctl net.netfilter.nf_conntrack_tcp_timeout_syn_sent",
)  # fmt: skip
_RULES = ("iptables -t nat -S", "iptables -t filter -S")
_CLIENT_LOOKS = ("ip -j addr", "ip -j route", "ip -j neigh")
_ROUTER_LOOKS = tuple(
    f"vtysh -c '{show}'"
    for show in (
        "show bgp summary", "show ip route bgp", "show ip route bgp json", "show bgp ipv4 unicast",
        "show bgp ipv4 unicast summary json", "show running-config",
    )
)  # fmt: skip
DOCKER_PS = "docker ps -a --format 'table {{.ID}}\\t{{.Image}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}'"
_HOST_LOOKS = (
    "kubectl get nodes -o wide", "kubectl get pods -A -o wide", "kubectl get svc -A -o wide",
    "kubectl get endpointslices -A", "kubectl describe svc", DOCKER_PS,
)  # fmt: skip
_BETWEEN = "<<<<kans>>>>"


@dataclass
class CompletedAction:
    """An act of this process: its name, when it was done and had settled (Unix seconds), and its steps."""

    name: str
    story: str
    group: str
    t: float
    settled: float
    steps: list[CompletedStep] = field(default_factory=list)


class Session:
    """The one connection of this process to the course's own cluster."""

    def __init__(self) -> None:
        lifecycle.guard()
        kept = os.environ.get(RECORD)
        folder = Path(tempfile.mkdtemp(prefix="kans-", dir=kept))
        self.is_recording = kept is not None  # a recorder wants full looks around every act
        self.journal = Journal(folder)
        self._gone = threading.Event()
        self.addresses: dict[str, str] = {}
        self.macs: dict[str, str] = {}
        self.watches = Watches(self.journal.event)
        self.reconciler = Reconciler(self.watches, show_progress, self._done)
        self.completed: list[CompletedAction] = []
        self._doing: CompletedAction | None = None
        self._finish: Callable[[], None] | None = None
        self.story = ""
        self.seen: Recording | None = None  # what was made of the journal to look back
        self.probes: list[dict[str, object]] = []
        self.refresh_containers()
        self._capture = self._start_capture()
        atexit.register(self.close)

    # ── the wire ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def wire(self) -> Path:
        """The file that the bridge's frames go to."""
        return self.journal.path / "captures" / "bridge.pcap"

    def _start_capture(self) -> probes.Capture | UnsupportedError:
        found = docker.network()
        if found is None:
            return UnsupportedError("a capture", f"there is no Docker network {docker.network_name()}")
        condition = probes.KEPT.format(client=self.addresses.get(CLIENT, found.gateway))
        try:
            return probes.Capture("host", found.bridge, condition, self.wire, snap=192)
        except UnsupportedError as missing:
            return missing

    def captured(self) -> Path:
        """The capture so far; UnsupportedError where the bridge cannot be heard."""
        if isinstance(self._capture, UnsupportedError):
            raise self._capture
        time.sleep(0.2)  # tcpdump writes each frame as it comes, but docker passes it on
        return self.wire

    # ── places ───────────────────────────────────────────────────────────────────────────────────────────

    def refresh_containers(self) -> dict[str, docker.Container]:
        """The course's containers now; their addresses and MACs are remembered for when they are down."""
        there = docker.containers()
        for one in there.values():
            if one.address:
                self.addresses[one.name] = one.address
                if one.name != docker.CONFLICTING_HOST:  # whose MAC that is, is for the learner to find out
                    self.macs[one.mac] = one.name
        for node in self.watches.objects("nodes"):
            for address in node.get("status", {}).get("addresses", []):
                if address["type"] == "InternalIP":
                    self.addresses.setdefault(node["metadata"]["name"], address["address"])
        return there

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, place: str, command: str) -> CommandResult:
        """Run a command at a place and keep what it printed."""
        ran = self._run(place, command)
        self.keep(place, command, ran)
        return ran

    def _run(self, place: str, command: str) -> CommandResult:
        if place != HOST:
            return docker.exec_in(place, command)
        if command.startswith("kubectl "):
            return kubectl(command.removeprefix("kubectl "))
        if command == DOCKER_PS:
            return _docker_ps()
        raise UnsupportedError(
            f"{command!r} on {HOST}", f"on {HOST} a lab runs kubectl and the docker ps of lab.containers()"
        )

    def keep(self, place: str, command: str, ran: CommandResult) -> None:
        """Write down what a command printed."""
        self.journal.read(place, command, (ran.t, ran.end), ran.rc, ran.output.encode())

    def open_story(self, story: str, finish: Callable[[], None]) -> None:
        """A story is opened: another one before it is finished (for a recorder) and closed."""
        if self._finish is not None and self.story != story:
            if self.is_recording:
                self._finish()
            self.journal.story(time.time())
        self.story, self._finish = story, finish

    def query_everything(self) -> None:
        """Everything that a learner may want to look at later, at every place, now."""
        self._look_at({HOST: _HOST_LOOKS, CLIENT: _CLIENT_LOOKS, ROUTER: _ROUTER_LOOKS}, _NODE_LOOKS)

    def query_rules(self) -> None:
        """The rules of every node, and what the client remembers: what an act is about to change."""
        self._look_at({CLIENT: ("ip -j neigh",)}, _RULES)

    def _look_at(self, special: dict[str, tuple[str, ...]], node_looks: tuple[str, ...]) -> None:
        there = self.refresh_containers()
        running = [one.name for one in there.values() if one.running]
        plan = {name: special.get(name, () if there[name].owned else node_looks) for name in running}
        plan |= {HOST: special[HOST]} if HOST in special else {}
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda item: self._look(*item), plan.items()))

    def _look(self, place: str, commands: Sequence[str]) -> None:
        """Several commands in one go: a shell that prints a line between their outputs."""
        if not commands:
            return
        if place == HOST:
            for command in commands:
                self.read(place, command)
            return
        script = "; ".join(f"{command} 2>/dev/null; echo '{_BETWEEN}'$?" for command in commands)
        ran = docker.exec_in(place, script)
        parts = re.split(rf"{_BETWEEN}(\d+)\n", ran.out)
        for command, text, rc in zip(commands, parts[::2], parts[1::2], strict=False):
            self.journal.read(place, command, (ran.t, ran.end), int(rc), text.encode())

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def _done(self, done: CompletedStep) -> None:
        if self._doing is None:
            return
        if not self._doing.steps:
            self._doing.t = done.t
        self._doing.steps.append(done)
        self.journal.action(
            self._doing.group, base_name(self._doing.name), (done.t, done.end), done.verb, done.targets,
            done.command, done.manifest, done.output,
        )  # fmt: skip

    def run_action(self, name: str, work: Callable[[], float | None]) -> CompletedAction | None:
        """Do an act under a name: `work` does its steps and returns when they had settled. None: nothing to do."""
        if self.is_recording:
            self.query_rules()
        acted = CompletedAction(name, self.story, f"{time.time():.6f}", time.time(), 0.0)
        self._doing = acted
        try:
            settled = work()
        finally:
            self._doing = None
            self.refresh_containers()
            show_progress("")
        if not acted.steps:
            return None
        acted.settled = settled or acted.steps[-1].end
        self.journal.settled(acted.group, acted.settled)
        self.completed.append(acted)
        if self.is_recording:
            self.query_everything()
        return acted

    def action_started(self) -> float | None:
        """When the first step of the act that is being done was done (Unix seconds); None while there is none."""
        doing = self._doing
        return doing.t if doing and doing.steps else None

    # ── what the journal needs to stand for itself ───────────────────────────────────────────────────────

    def describe(self) -> None:
        """Write down the places and the logs, so that the journal can be read as a recording."""
        found = docker.network()
        places = {
            "client": CLIENT, "control_plane": CONTROL_PLANE, "network": found.subnet if found else "",
            "router": ROUTER if ROUTER in self.addresses else None, "addresses": self.addresses,
        }  # fmt: skip
        (self.journal.path / "places.json").write_text(json.dumps(places))
        keep_logs(self.watches, self.journal)

    def probe(self, row: dict[str, object]) -> None:
        """One probe more."""
        self.probes.append(row)
        self.journal.probe("probes", row)

    def close(self) -> None:
        """Undo the failures that this process injected, and let go."""
        if self._gone.is_set():
            return
        self._gone.set()
        self.open_story("", lambda: None)
        steps = [step for action in self.completed for step in action.steps]
        mine = {ActiveAction(step.verb, step.targets[0]) for step in steps if ACTIONS[step.verb].undone_at_exit}
        with contextlib.suppress(KanslibError):  # no cluster any more: nothing is in force
            # only its own: another kernel may be in the middle of a failure of its own
            for one in actions.active_actions(self.watches.objects) if mine else ():
                if one in mine:
                    print(f"undone at exit: {one.verb} {one.target}", file=sys.stderr)
                    actions.undo(one)
        with contextlib.suppress(KanslibError):
            self.describe()
        self.watches.close()
        if isinstance(self._capture, probes.Capture):
            self._capture.stop()
        if not self.is_recording:
            import shutil

            shutil.rmtree(self.journal.path, ignore_errors=True)


def keep_logs(watches: Watches, journal: Journal) -> None:
    """Write down what MetalLB's logs have to say that was not written down yet."""
    for component in ("speaker", "controller"):
        for pod, node, text in logs(watches, component):
            journal.log(pod, node, text)


def _docker_ps() -> CommandResult:
    """`docker ps -a` of the course's own containers and no others."""
    names = [f"--filter=id={one.id}" for one in docker.containers().values() if not one.name.startswith("kans-")]
    return docker.docker("ps", "-a", *names, "--format", DOCKER_PS.partition("'")[2].rstrip("'").replace("\\t", "\t"))


_shown = threading.local()


def show_progress(line: str) -> None:
    """One line that says what is being waited for: in place in a notebook, on the terminal's last line elsewhere."""
    if "ipykernel" in sys.modules:
        from IPython.display import HTML, display, update_display

        html = HTML(f'<small style="opacity:.75">{escape(line)}</small>' if line else "")
        if getattr(_shown, "handle", None) is None:
            if line:
                _shown.handle = display(html, display_id=True)
        else:
            update_display(html, display_id=_shown.handle.display_id)
            if not line:
                _shown.handle = None
    elif sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


_session: Session | None = None


def session() -> Session:
    """This process's session; opened when it is first asked for."""
    global _session  # noqa: PLW0603 (one connection a process)
    if _session is None or _session._gone.is_set():
        _session = Session()
    return _session


def close() -> None:
    """End this process's session, if there is one: undo the failures that it injected."""
    if _session is not None:
        _session.close()
