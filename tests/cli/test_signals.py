"""Signals: what was started ends with the command, nothing is a traceback, and the exit code is 128 + n."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.skipif(os.name == "nt", reason="signals of a terminal"), pytest.mark.slow]


@contextmanager
def started(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "kanslib", *arguments]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True, cwd=folder, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def children(process: int) -> set[int]:
    """Return the processes that a process has started, and those that these have started."""
    found = {
        int(status.parent.name)
        for status in Path("/proc").glob("[0-9]*/stat")
        if read(status).rpartition(")")[2].split()[1:2] == [str(process)]
    }
    return found.union(*map(children, found))


def read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # the process has ended
        return ""


def run_on_its_way(process: subprocess.Popen[str]) -> set[int]:
    """Wait until `kans run` has started kernels, and return them."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if found := children(process.pid):
            return found
        time.sleep(0.1)
    raise AssertionError("no kernel was started")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_kans_run_signal_ends_kernels(name: str, tmp_path: Path) -> None:
    number = getattr(signal, name)
    with started("run", folder=tmp_path) as process:
        kernels = run_on_its_way(process)
        process.send_signal(number)
        began = time.monotonic()
        assert process.wait(30) == 128 + number
        seconds = time.monotonic() - began
    print(f"{name}: {seconds:.2f} s")  # below 1 s on a machine that does nothing else
    assert "stopped: 0 of 10 chapters ran to their end\n" in (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert not [kernel for kernel in kernels if Path(f"/proc/{kernel}").exists()]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("run",), ("verify",), ("doctor",), ("challenge", "--case", "1")])
def test_kans_interrupted_at_any_time(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """From the first line of kanslib on; before that, Python itself is starting."""
    for delay in (0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0):
        with started("-v", *arguments, folder=tmp_path) as process:
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) in (130, -signal.SIGINT, 0, 1)  # 0 and 1: it was done before
        log = (tmp_path / "log").read_text()
        assert "Traceback" not in log or "<frozen" in log.partition("Traceback")[2][:200], log


def test_kans_lab_second_time_names_the_first(tmp_path: Path) -> None:
    command = ("lab", "--no-browser", "--dir", str(tmp_path / "mine"), "--port", "8961")
    with started(*command, folder=tmp_path) as first:
        deadline = time.monotonic() + 60
        while "stop with Ctrl-C" not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
            time.sleep(0.2)
        address = (tmp_path / "log").read_text().partition("address:")[2].split()[0]
        ran = subprocess.run(
            [sys.executable, "-m", "kanslib", *command], capture_output=True, text=True, timeout=60, check=False
        )
        first.terminate()
        assert first.wait(30) == 128 + signal.SIGTERM
    assert ran.returncode == 0
    assert (
        ran.stdout
        == f"JupyterLab runs on {tmp_path / 'mine'} already; a second one is not started\naddress:    {address}\n"
    )


def test_kans_output_that_nobody_reads(tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m kanslib trace --help | true; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.stdout.strip() in ("141", "0")  # 0: it was in the pipe before the reader went
    assert ran.stderr == ""
