"""`kans lab`: a copy of the chapters that the learner owns, and JupyterLab on it."""

from __future__ import annotations

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

from rich.text import Text

from kanslib.backends import factory
from kanslib.cli.terminal import plain_console
from kanslib.course import chapters
from kanslib.exceptions import KanslibError

console = plain_console(soft_wrap=True)


def open_lab(directory: Path, backend: str, port: int, browser: bool) -> None:
    """Update the copy of the chapters in `directory`, and run JupyterLab until it is stopped.

    `port` is the first port to try; `browser`: open one. KanslibError without JupyterLab, or inside site-packages.
    """
    factory.validate_backend_name(backend)
    if backend == "live":
        from kanslib.cluster import lifecycle

        lifecycle.guard()
    if importlib.util.find_spec("jupyterlab") is None:
        raise KanslibError("JupyterLab is not installed here. Fix: pip install 'kanslib[lab]'")
    directory = directory.expanduser().resolve()
    if any(
        (parent / "kanslib" / "_version.py").exists() and parent.name == "site-packages" for parent in directory.parents
    ):
        raise KanslibError(f"{directory} is inside site-packages, where an upgrade would wipe your work: use --dir")
    for line in report(chapters.sync(directory)):
        console.print(line)
    port, token = free_port(port), secrets.token_hex(16)
    first = "00-start-here.ipynb"
    console.print(f"your copy:  {directory}")
    address = f"http://localhost:{port}/lab/tree/{first}?token={token}"
    console.print(Text.assemble("address:    ", (address, "bold")))
    console.print("stop with Ctrl-C; your work stays in that directory")
    command = [
        sys.executable, "-m", "jupyterlab", str(directory / first), f"--ServerApp.root_dir={directory}",
        f"--port={port}", f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0", "--log-level=WARN",
        "--ServerApp.answer_yes=True",
        *([] if browser else ["--no-browser"]),
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]  # fmt: skip
    sys.exit(run_until_stopped(command, environment(backend)))


def run_until_stopped(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a server until it ends, and return its exit code: 0 after Ctrl-C, 128 + n after another signal that ends us.

    The server gets SIGTERM in place of Ctrl-C: JupyterLab stops at it without a question, also while it starts.
    """
    server = subprocess.Popen(command, env=variables, start_new_session=True)
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        server.terminate()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if number := getattr(signal, name, None):  # Windows has no SIGHUP
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
    lines = [f"{count} chapters {fate}" for fate, count in fates.items() if fate in ("new", "replaced")]
    lines += [f"{one.chapter.name}: {one.status}" for one in copied if one.status == "yours kept"]
    lines += [
        f"{one.chapter.name}: yours kept, the new edition is {one.new_edition.name}"
        for one in copied
        if one.new_edition
    ]
    return lines


def free_port(wanted: int) -> int:
    """Return `wanted`, or the next port that is free on this machine. KanslibError when 50 ports are in use."""
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise KanslibError(f"ports {wanted} to {wanted + 49} are all in use: give another one with --port")
