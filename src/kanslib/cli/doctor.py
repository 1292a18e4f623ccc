"""`kans doctor`: check what this machine can do, what falls back to recordings, and the fix. Changes nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from kanslib.cli import unsupported
from kanslib.cli.terminal import plain_console, plain_table
from kanslib.i18n import tr, tr_later, tr_plural
from kanslib.installation import pip_install

CheckState = Literal["works", "falls back", "missing"]
_MARKS: dict[CheckState, tuple[str, str]] = {
    "works": (tr_later("✔ works"), "green"),
    "falls back": (tr_later("↺ falls back"), "yellow"),
    "missing": (tr_later("✘ missing"), "red"),
}
CAP_NET_RAW = 13


@dataclass(frozen=True)
class CheckResult:
    """One check: its subject, its state, the finding, the feature that needs it, and the fix."""

    what: str
    state: CheckState
    found: str
    needed_for: str
    fix: str = ""


def doctor(as_json: bool) -> int:
    """Print the results of all checks; return the exit code, 1 when the recorded course cannot be used here."""
    findings = [check() for check in CHECKS]
    if as_json:
        print(json.dumps([asdict(one) for one in [*findings, *_live()]], indent=1))
    else:
        _print(findings)
    return 1 if any(finding.state == "missing" for finding in findings) else 0


def _print(findings: list[CheckResult]) -> None:
    console = plain_console()
    table = plain_table("", "", tr("found"), tr("for"))
    for one in findings:
        mark, colour = _MARKS[one.state]
        table.add_row(one.what, Text(tr(mark), colour), one.found, one.needed_for)
    console.print(table)
    for one in findings:
        if one.fix:  # a line of its own: a command that is cut or wrapped cannot be copied
            console.print(f"{one.what}: {one.fix}", soft_wrap=True)
    if all(one.state != "missing" for one in findings):
        console.print(tr("The whole course works here on recordings: kans lab"), soft_wrap=True)
    _print_live(console, _live())


def _live() -> list[CheckResult]:
    """Check the course cluster, and each live cell that would fall back to the recording."""
    if none := unsupported.no_cluster():
        return [CheckResult(tr("course cluster"), "falls back", none, tr("live cells"), "kans up")]
    falling = [
        CheckResult(
            tr("{chapter}, code cell {cell}", chapter=gap.chapter, cell=gap.cell),
            "falls back",
            gap.code,
            tr("a live cell"),
            gap.why,
        )
        for gap in unsupported.unsupported_cells()
    ]
    return [CheckResult(tr("course cluster"), "works", tr("created by kans up"), tr("live cells")), *falling]


def _print_live(console: Console, live: list[CheckResult]) -> None:
    cluster, *cells = live
    if cluster.state != "works":
        console.print(tr("live: {found}", found=cluster.found))
    elif not cells:
        console.print(tr("live: every cell of every chapter can be served by the course's cluster here"))
    else:
        table = plain_table(tr("live cell"), "", tr("answered by the recording, because"))
        for cell in cells:
            table.add_row(cell.what, cell.found, cell.fix)
        console.print(table)


def _python() -> CheckResult:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    return CheckResult(
        "Python",
        "works" if good else "missing",
        version,
        tr("everything"),
        "" if good else tr("install Python 3.11 or newer"),
    )


def _package(name: str, extra: str, needed_for: str, state: CheckState) -> Callable[[], CheckResult]:
    def check() -> CheckResult:
        try:
            return CheckResult(name, "works", importlib.metadata.version(name), tr(needed_for))
        except importlib.metadata.PackageNotFoundError:
            return CheckResult(name, state, tr("not installed"), tr(needed_for), pip_install(extra))

    return check


def _recordings() -> CheckResult:
    from kanslib.course.recordings import stories
    from kanslib.exceptions import RecordingError

    try:
        number = len(stories())
    except RecordingError as exc:
        return CheckResult(tr("recordings"), "missing", str(exc), tr("every chapter"), tr("reinstall kanslib"))
    return CheckResult(tr("recordings"), "works", tr_plural("{n} story", "{n} stories", number), tr("every chapter"))


def _docker() -> CheckResult:
    fix = tr("install Docker and start it: https://docs.docker.com/engine/install/")
    if shutil.which("docker") is None:
        return CheckResult("Docker", "falls back", tr("no docker command"), tr("a live cluster"), fix)
    code, output = _run(["docker", "version", "--format", "{{.Server.Version}}"])
    if code:
        return CheckResult(
            "Docker",
            "falls back",
            tr("no engine answers"),
            tr("a live cluster"),
            tr("start Docker, or join its group: sudo usermod -aG docker $USER"),
        )
    return CheckResult("Docker", "works", output, tr("a live cluster"))


def _tool(name: str, arguments: list[str], fix: str) -> Callable[[], CheckResult]:
    def check() -> CheckResult:
        if shutil.which(name) is None:
            return CheckResult(name, "falls back", tr("not on the PATH"), tr("a live cluster"), tr(fix))
        code, output = _run([name, *arguments])
        return CheckResult(
            name, "falls back" if code else "works", output, tr("a live cluster"), tr(fix) if code else ""
        )

    return check


def _run(command: list[str]) -> tuple[int, str]:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return 1, type(exc).__name__
    lines = (ran.stdout or ran.stderr).strip().splitlines()
    return ran.returncode, lines[0] if lines else ""


def _inotify() -> CheckResult:
    watches, instances = _sysctl("max_user_watches"), _sysctl("max_user_instances")
    if watches is None or instances is None:
        return CheckResult(
            tr("inotify limits"), "falls back", tr("not Linux: Docker's machine has its own"), tr("a live cluster")
        )
    good = watches >= 65536 and instances >= 256
    fix = "" if good else "sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
    return CheckResult(
        tr("inotify limits"),
        "works" if good else "falls back",
        tr("watches: {watches}, instances: {instances}", watches=watches, instances=instances),
        tr("four nodes in kind"),
        fix,
    )


def _sysctl(name: str) -> int | None:
    try:
        return int(Path("/proc/sys/fs/inotify", name).read_text())
    except (OSError, ValueError):
        return None


def _capabilities() -> CheckResult:
    try:
        status = Path("/proc/self/status").read_text()
        held = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
    except (OSError, StopIteration, ValueError):
        return CheckResult(
            "CAP_NET_RAW",
            "falls back",
            tr("unknown on this system"),
            tr("ARP from this machine"),
            tr("ARP requests are sent from the client container instead"),
        )
    if held >> CAP_NET_RAW & 1:
        return CheckResult("CAP_NET_RAW", "works", tr("held"), tr("ARP from this machine"))
    fix = tr("none needed: ARP requests are sent from the client container instead")
    return CheckResult("CAP_NET_RAW", "falls back", tr("not held"), tr("ARP from this machine"), fix)


CHECKS: tuple[Callable[[], CheckResult], ...] = (
    _python,
    _package("jupyterlab", "lab", "kans lab", "missing"),
    _package("nbclient", "lab", "kans run", "missing"),
    _recordings,
    _docker,
    _tool("kind", ["version"], tr_later("install kind v0.24.0: https://kind.sigs.k8s.io")),
    _tool("kubectl", ["version", "--client"], tr_later("install kubectl: https://kubernetes.io/docs/tasks/tools/")),
    _inotify,
    _capabilities,
    _package("kubernetes", "live", tr_later("a live cluster"), "falls back"),
    _package("scapy", "live", tr_later("ARP from this machine"), "falls back"),
)
