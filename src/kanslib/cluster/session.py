"""The connection of a Python process to the course's cluster: watches, a capture, a journal, completed actions.

All labs of a kernel share one session. It ends with the process, and undoes the failures that it injected.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kanslib.actions import ACTIONS, ActiveAction, base_name
from kanslib.analysis.attempts import Probe
from kanslib.cluster import actions, captures, docker, lifecycle
from kanslib.cluster.api import CONTROL_PLANE, Watches, kubectl, logs
from kanslib.cluster.docker import CLIENT, ROUTER, CommandResult
from kanslib.cluster.reconciler import CompletedStep, Reconciler
from kanslib.exceptions import KanslibError, UnsupportedError
from kanslib.i18n import tr
from kanslib.recording import Recording
from kanslib.recording.raw.journal import Journal
from kanslib.status import Status, show_status

_LOG = logging.getLogger(__name__)
RECORD = "KANS_RECORD"  # the folder of a recorder; each process leaves a journal there
HOST = "host"
_NODE_COMMANDS = (
    "iptables-save -c", "iptables -t nat -S", "iptables -t filter -S", "ip -j addr", "ip -j route", "ip -j neigh",
    "conntrack -L -p tcp --dport 80", "sysctl net.netfilter.nf_conntrack_tcp_timeout_syn_sent",
)  # fmt: skip
_RULE_COMMANDS = ("iptables -t nat -S", "iptables -t filter -S")
_CLIENT_COMMANDS = ("ip -j addr", "ip -j route", "ip -j neigh")
_ROUTER_COMMANDS = tuple(
    f"vtysh -c '{show}'"
    for show in (
        "show bgp summary", "show ip route bgp", "show ip route bgp json", "show bgp ipv4 unicast",
        "show bgp ipv4 unicast summary json", "show running-config",
    )
)  # fmt: skip
DOCKER_PS = "docker ps -a --format 'table {{.ID}}\\t{{.Image}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}'"
_HOST_COMMANDS = (
    "kubectl get nodes -o wide", "kubectl get pods -A -o wide", "kubectl get svc -A -o wide",
    "kubectl get endpointslices -A", "kubectl describe svc", DOCKER_PS,
)  # fmt: skip
_SEPARATOR = "<<<<kans>>>>"


@dataclass
class CompletedAction:
    """An action of this process: name, story, start `t` and `settled` (Unix seconds), and its steps.

    `group`: the id that its steps have in the journal.
    """

    name: str
    story: str
    group: str
    t: float
    settled: float
    steps: list[CompletedStep] = field(default_factory=list)


class Session:
    """The connection of this process to the course's own cluster; `session()` returns the only one."""

    def __init__(self) -> None:
        lifecycle.guard()
        record_folder = os.environ.get(RECORD)
        folder = Path(tempfile.mkdtemp(prefix="kans-", dir=record_folder))
        self.is_recording = record_folder is not None  # then every action is followed by all outputs
        self.journal = Journal(folder)
        self._closed = threading.Event()
        self.addresses: dict[str, str] = {}
        self.macs: dict[str, str] = {}
        self.watches = Watches(self.journal.event)
        self._status: Status | None = None  # of the action that runs now
        self.reconciler = Reconciler(self.watches, self._notify, self._step_completed)
        self.completed: list[CompletedAction] = []
        self._current: CompletedAction | None = None
        self._finish: Callable[[], None] | None = None
        self.story = ""
        self.snapshot: Recording | None = None  # the journal so far, converted to look back in time
        self.probes: list[Probe] = []
        self.refresh_containers()
        self._capture = self._start_capture()
        atexit.register(self.close)

    # ── the capture ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def capture_file(self) -> Path:
        """The file of the bridge's frames."""
        return self.journal.path / "captures" / "bridge.pcap"

    def _start_capture(self) -> captures.Capture | UnsupportedError:
        network = docker.network()
        if network is None:
            return UnsupportedError(
                tr("a capture"), tr("there is no Docker network {network_name}", network_name=docker.network_name())
            )
        condition = captures.CAPTURE_FILTER.format(client=self.addresses.get(CLIENT, network.gateway))
        try:
            return captures.Capture("host", network.bridge, condition, self.capture_file, snap=192)
        except UnsupportedError as exc:
            return exc

    def flushed_capture(self) -> Path:
        """Return the file of the capture so far. Raises UnsupportedError where the bridge cannot be captured."""
        if isinstance(self._capture, UnsupportedError):
            raise self._capture
        time.sleep(0.2)  # docker passes on what tcpdump has written
        return self.capture_file

    # ── places ───────────────────────────────────────────────────────────────────────────────────────────

    def refresh_containers(self) -> dict[str, docker.Container]:
        """Read the course's containers, and remember their addresses and MACs for when they are down."""
        containers = docker.containers()
        for one in containers.values():
            if one.address:
                self.addresses[one.name] = one.address
                if one.name != docker.CONFLICTING_HOST:  # the learner is to find out whose MAC this is
                    self.macs[one.mac] = one.name
        for node in self.watches.objects("nodes"):
            for address in node.get("status", {}).get("addresses", []):
                if address["type"] == "InternalIP":
                    self.addresses.setdefault(node["metadata"]["name"], address["address"])
        return containers

    # ── outputs ──────────────────────────────────────────────────────────────────────────────────────────

    def read(self, place: str, command: str) -> CommandResult:
        """Run a command at a place, write its output to the journal, and return its result.

        Raises UnsupportedError for a command that a lab does not run on the host.
        """
        result = self._run(place, command)
        self.record_output(place, command, result)
        return result

    def _run(self, place: str, command: str) -> CommandResult:
        if place != HOST:
            return docker.exec_in(place, command)
        if command.startswith("kubectl "):
            return kubectl(command.removeprefix("kubectl "))
        if command == DOCKER_PS:
            return _docker_ps()
        raise UnsupportedError(
            tr("{command!r} on {host}", command=command, host=HOST),
            tr("on {host} a lab runs kubectl and the docker ps of lab.containers()", host=HOST),
        )

    def record_output(self, place: str, command: str, result: CommandResult) -> None:
        """Write the output of a command to the journal."""
        self.journal.output(place, command, (result.t, result.end), result.rc, result.output.encode())

    def open_story(self, story: str, finish: Callable[[], None]) -> None:
        """Open a story, and close another one that is open; while recording, `finish` completes that one first."""
        if self._finish is not None and self.story != story:
            if self.is_recording:
                self._finish()
            self.journal.story(time.time())
        self.story, self._finish = story, finish

    def read_everything(self) -> None:
        """Record the outputs of every command that a learner may query later, at every place."""
        self._read_places({HOST: _HOST_COMMANDS, CLIENT: _CLIENT_COMMANDS, ROUTER: _ROUTER_COMMANDS}, _NODE_COMMANDS)

    def read_rules(self) -> None:
        """Record the rules of every node and the client's neighbors, before an action changes them."""
        self._read_places({CLIENT: ("ip -j neigh",)}, _RULE_COMMANDS)

    def _read_places(self, special: dict[str, tuple[str, ...]], node_commands: tuple[str, ...]) -> None:
        containers = self.refresh_containers()
        running = [one.name for one in containers.values() if one.running]
        plan = {name: special.get(name, () if containers[name].owned else node_commands) for name in running}
        plan |= {HOST: special[HOST]} if HOST in special else {}
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda item: self._read_place(*item), plan.items()))

    def _read_place(self, place: str, commands: Sequence[str]) -> None:
        """Run several commands in one shell, which prints a separator line after each output."""
        if not commands:
            return
        if place == HOST:
            for command in commands:
                self.read(place, command)
            return
        script = "; ".join(f"{command} 2>/dev/null; echo '{_SEPARATOR}'$?" for command in commands)
        result = docker.exec_in(place, script)
        parts = re.split(rf"{_SEPARATOR}(\d+)\n", result.out)
        for command, text, rc in zip(commands, parts[::2], parts[1::2], strict=False):
            self.journal.output(place, command, (result.t, result.end), int(rc), text.encode())

    # ── actions ──────────────────────────────────────────────────────────────────────────────────────────

    def _notify(self, line: str) -> None:
        if self._status is not None:
            self._status.update(line)

    def _step_completed(self, step: CompletedStep) -> None:
        if self._current is None:
            return
        if not self._current.steps:
            self._current.t = step.t
        self._current.steps.append(step)
        self.journal.action(
            self._current.group, base_name(self._current.name), (step.t, step.end), step.verb, step.targets,
            step.command, step.manifest, step.output,
        )  # fmt: skip

    def run_action(self, name: str, work: Callable[[], float | None]) -> CompletedAction | None:
        """Do an action under a name, and return it; None when there was nothing to do.

        `work`: does the steps, and returns when they had settled (Unix seconds).
        """
        if self.is_recording:
            self.read_rules()
        action = CompletedAction(name, self.story, f"{time.time():.6f}", time.time(), 0.0)
        self._current = action
        try:
            with show_status(name) as self._status:
                settled = work()
        finally:
            self._current = self._status = None
            self.refresh_containers()
        if not action.steps:
            return None
        action.settled = settled or action.steps[-1].end
        self.journal.settled(action.group, action.settled)
        self.completed.append(action)
        if self.is_recording:
            self.read_everything()
        return action

    def action_started(self) -> float | None:
        """Return when the first step of the running action began (Unix seconds); None while there is none."""
        current = self._current  # another thread may end the action meanwhile
        return current.t if current and current.steps else None

    # ── the journal ──────────────────────────────────────────────────────────────────────────────────────

    def complete_journal(self) -> None:
        """Write places and logs to the journal, so that it can be converted to a recording."""
        network = docker.network()
        places = {
            "client": CLIENT, "control_plane": CONTROL_PLANE, "network": network.subnet if network else "",
            "router": ROUTER if ROUTER in self.addresses else None, "addresses": self.addresses,
        }  # fmt: skip
        (self.journal.path / "places.json").write_text(json.dumps(places))
        record_logs(self.watches, self.journal)

    def add_probe(self, row: Probe) -> None:
        """Add the result of a probe."""
        self.probes.append(row)
        self.journal.probe("probes", row)

    @property
    def is_closed(self) -> bool:
        """True once `close()` was called."""
        return self._closed.is_set()

    def close(self) -> None:
        """Undo the failures that this process injected, and close watches, capture and journal."""
        if self._closed.is_set():
            return
        self._closed.set()
        self.open_story("", lambda: None)
        steps = [step for action in self.completed for step in action.steps]
        injected = {ActiveAction(step.verb, step.targets[0]) for step in steps if ACTIONS[step.verb].undone_at_exit}
        for work in (partial(_undo, injected, self.watches), self.complete_journal):
            try:
                work()
            except KanslibError as exc:  # the cluster is gone: nothing is active
                _LOG.info("not done at exit: %s", exc)
        self.watches.close()
        if isinstance(self._capture, captures.Capture):
            self._capture.stop()
        if not self.is_recording:
            import shutil

            shutil.rmtree(self.journal.path, ignore_errors=True)


def _undo(injected: set[ActiveAction], watches: Watches) -> None:
    """Undo those of the active actions that were injected; another kernel may be observing the others."""
    for one in actions.active_actions(None if watches.has_failed else watches.objects) if injected else ():
        if one in injected:
            print(tr("undone at exit: {verb} {target}", verb=one.verb, target=one.target), file=sys.stderr)  # noqa: T201 (loggers may be closed)
            actions.undo(one)


def record_logs(watches: Watches, journal: Journal) -> None:
    """Add the new lines of MetalLB's logs to the journal."""
    for component in ("speaker", "controller"):
        for pod, node, text in logs(watches, component):
            journal.log(pod, node, text)


def _docker_ps() -> CommandResult:
    """Run `docker ps -a` for the course's own containers only."""
    names = [f"--filter=id={one.id}" for one in docker.containers().values() if not one.name.startswith("kans-")]
    return docker.docker("ps", "-a", *names, "--format", DOCKER_PS.partition("'")[2].rstrip("'").replace("\\t", "\t"))


_session: Session | None = None


def session() -> Session:
    """Return the session of this process; it is opened at the first call. Raises as the guard of the cluster does."""
    global _session  # noqa: PLW0603 (one connection a process)
    if _session is not None and _session.watches.has_failed:
        _session.close()
    if _session is None or _session.is_closed:
        _session = Session()
    return _session


def close() -> None:
    """Close the session of this process, if there is one, and undo the failures that it injected."""
    if _session is not None:
        _session.close()
