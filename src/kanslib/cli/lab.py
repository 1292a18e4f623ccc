"""`kans lab`: a copy of the chapters that the learner owns, and JupyterLab on it."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from rich.text import Text

from kanslib.backends import factory
from kanslib.cli.os_errors import about
from kanslib.cli.server_lock import lock_or_read
from kanslib.cli.terminal import plain_console
from kanslib.course import chapters
from kanslib.exceptions import KanslibError
from kanslib.i18n import tr, tr_plural
from kanslib.installation import pip_install
from kanslib.status import show_status

console = plain_console(soft_wrap=True)
_FIRST = "00-start-here.ipynb"


def open_lab(directory: Path, backend: str, port: int, browser: bool) -> int:
    """Update the copy of the chapters in `directory`, run JupyterLab until it is stopped, and return the exit code.

    `port` is the first port to try; `browser`: open one. Where JupyterLab runs on the directory already, only its
    address is printed. KanslibError without JupyterLab, or where the directory cannot be used.
    """
    factory.validate_backend_name(backend)
    if backend == "live":
        from kanslib.cluster import lifecycle

        lifecycle.guard()
    if importlib.util.find_spec("jupyterlab") is None:
        raise KanslibError(tr("JupyterLab is not installed here. Fix: {command}", command=pip_install("lab")))
    directory = directory.expanduser().resolve()
    _refuse_site_packages(directory)
    port, token = free_port(port), secrets.token_hex(16)
    address = f"http://localhost:{port}/lab/tree/{_FIRST}?token={token}"
    with _open_lock(directory) as lock:
        if first := lock_or_read(lock, address):
            console.print(
                tr("JupyterLab runs on {directory} already; a second one is not started", directory=directory)
            )
            _print_address(first)
            return 0
        with about(f"--dir {directory}"), show_status(tr("copying the chapters")):
            copied = chapters.sync(directory)
        for line in report(copied):
            console.print(line)
        console.print(f"{tr('your copy:')}  {directory}")
        _print_address(address)
        console.print(tr("stop with Ctrl-C; your work stays in that directory"))
        return run_until_stopped(_command(directory, port, token, browser), environment(backend), lock)


def _print_address(address: str) -> None:
    console.print(Text.assemble(tr("address:"), "    ", (address, "bold")))


def _command(directory: Path, port: int, token: str, browser: bool) -> list[str]:
    return [
        sys.executable, "-m", "jupyterlab", str(directory / _FIRST), f"--ServerApp.root_dir={directory}",
        f"--port={port}", f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0", "--log-level=WARN",
        "--ServerApp.answer_yes=True",
        *([] if browser else ["--no-browser"]),
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]  # fmt: skip


def _refuse_site_packages(directory: Path) -> None:
    if any(
        (parent / "kanslib" / "_version.py").exists() and parent.name == "site-packages" for parent in directory.parents
    ):
        raise KanslibError(
            tr(
                "{directory} is inside site-packages, where an upgrade would wipe your work: use --dir",
                directory=directory,
            )
        )


def _open_lock(directory: Path) -> IO[str]:
    """Open the file to lock for a directory, where Jupyter keeps its own. KanslibError where it cannot be written."""
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        runtime = Path(jupyter_runtime_dir())
    except RuntimeError:
        raise KanslibError(
            tr("this user has no home directory; next step: set HOME to one that can be written")
        ) from None
    name = f"kans-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]}.lock"
    try:
        runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        # only for this user: the address has the server's token
        return os.fdopen(os.open(runtime / name, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    except OSError as exc:
        raise KanslibError(
            tr(
                "JupyterLab keeps its files in {runtime}, which cannot be written ({strerror}); next step: "
                "name another directory: JUPYTER_RUNTIME_DIR=/tmp/jupyter kans lab",
                runtime=runtime,
                strerror=exc.strerror,
            )
        ) from None


def run_until_stopped(command: Sequence[str], variables: Mapping[str, str], lock: IO[str]) -> int:
    """Run a server until it ends, and return its exit code: 0 after Ctrl-C, 128 + n after another signal that ends us.

    The server holds `lock` as well: where we are killed, it goes on, and so does the lock.

    The server gets SIGTERM in place of Ctrl-C: JupyterLab stops at it without a question, also while it starts.
    """
    server = subprocess.Popen(
        command, env=variables, start_new_session=True, pass_fds=[lock.fileno()] if os.name == "posix" else ()
    )
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        server.terminate()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, stop)
    code = server.wait()
    return code if not received else 0 if received[0] == signal.SIGINT else 128 + received[0]


def environment(backend: str) -> dict[str, str]:
    """Return JupyterLab's environment variables: the backend, and a configuration without pop-ups at first."""
    settings = str(Path(__file__).parent / "jupyter")
    paths = [settings, *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return {**os.environ, "KANS_BACKEND": backend, "JUPYTER_CONFIG_PATH": os.pathsep.join(paths)}


def report(copied: list[chapters.CopyResult]) -> list[str]:
    """Return the changes in the learner's copy, as lines of text."""
    fates = Counter(one.status for one in copied)
    new, replaced = fates["new"], fates["replaced"]
    lines = [tr_plural("{n} chapter new", "{n} chapters new", new)] if new else []
    lines += [tr_plural("{n} chapter replaced", "{n} chapters replaced", replaced)] if replaced else []
    lines += [tr("{name}: yours kept", name=one.chapter.name) for one in copied if one.status == "yours kept"]
    lines += [
        tr(
            "{name}: yours kept, the new edition is {new_name}",
            name=one.chapter.name,
            new_name=one.new_edition.name,
        )
        for one in copied
        if one.new_edition
    ]
    return lines


def free_port(wanted: int) -> int:
    """Return `wanted`, or the next port that is free on this machine. KanslibError when 50 ports are in use."""
    last = min(wanted + 49, 65535)
    for port in range(wanted, last + 1):
        with about(f"--port {port}"):
            if _is_free(port):
                return port
    raise KanslibError(
        tr(
            "--port {wanted}: ports {wanted} to {last} are all in use; next step: name another one",
            wanted=wanted,
            last=last,
        )
    )


def _is_free(port: int) -> bool:
    """Return whether a server can listen on a port of localhost. OSError where it must not, as on port 80."""
    for family, kind, _, _, address in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM):
        with socket.socket(family, kind) as probe:
            if os.name == "posix":  # elsewhere this lets two servers share a port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as exc:
                if exc.errno == errno.EADDRINUSE:
                    return False
                if exc.errno != errno.EADDRNOTAVAIL:  # this machine has no IPv6
                    raise
    return True
