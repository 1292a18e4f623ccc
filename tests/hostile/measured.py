"""Run readers of files in processes of their own, and measure each: seconds, peak memory, exit code, output.

A server imports kanslib once and forks for every job, so that a job costs milliseconds: `python -m
tests.hostile.measured` reads a job as a line of JSON and answers with one.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

NOBODY = 65534
DEADLINE_S = 20


@dataclass(frozen=True)
class Measured:
    """What a job did: its exit code and what it printed.

    seconds: of a processor; megabytes: the most memory that it took, above that of a job that does nothing
    """

    code: int
    output: str
    errors: str
    seconds: float
    megabytes: float


def read_recording(path: str) -> None:
    import kanslib

    lab = kanslib.open_lab(recording=path)
    lab.services()
    lab.nodes()
    lab.pods()


def read_token(path: str) -> None:
    from kanslib.exercises import progress

    progress.read_token(Path(path).read_text())


def read_progress(path: str) -> None:
    from kanslib.exceptions import KanslibError
    from kanslib.exercises import progress

    if notice := progress.load(Path(path)).notice:
        raise KanslibError(notice)


def read_chapters(path: str) -> None:
    from kanslib.course import chapters

    chapters.sync(Path(path))


READERS: dict[str, Callable[[str], None]] = {
    "open_lab": read_recording, "token": read_token, "progress": read_progress, "chapters": read_chapters,
}  # fmt: skip


def _main(command: Sequence[str]) -> None:
    from kanslib import cli

    if command[0] not in READERS:
        sys.argv = ["kans", *command]
        cli.main()
        return
    from kanslib.exceptions import KanslibError

    try:
        READERS[command[0]](*command[1:])
    except KanslibError as exc:
        print(f"kans: {exc}", file=sys.stderr)
        sys.exit(2)


def _child(command: Sequence[str], folder: str, as_nobody: bool) -> None:
    """Become the job. Never returns."""
    signal.alarm(DEADLINE_S)
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{folder}/../{name}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644), number)
    if as_nobody and os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    code = 0
    try:
        if command:
            _main(command)
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:  # noqa: BLE001  a traceback is what the tests look for
        import traceback

        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _measure(command: Sequence[str], folder: str, as_nobody: bool) -> tuple[int, float, float]:
    """Return exit code, seconds of a processor and peak megabytes of a job; one that waits is ended by its alarm."""
    child = os.fork()
    if not child:
        _child(command, folder, as_nobody)
    _, status, used = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _warm_up() -> None:
    """Import what the commands import when they need it, by running each once."""
    from tests.hostile import good

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good.recording(folder)
        good.raw(folder)
        (folder / "c.pcap").write_bytes(good.pcap(good.ARP))
        (folder / "rules").write_text("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n")
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            for line in (
                "verify r.zip", "convert raw o.zip", "timeline r.zip c.pcap --out t.html", "diff r.zip r.zip",
                "trace rules --from 192.0.2.1 --to 192.0.2.2:80", "open_lab r.zip",
            ):  # fmt: skip
                with suppress(SystemExit), chdir(folder):
                    _main(line.split())


def serve() -> None:
    """Answer jobs until standard input ends."""
    _warm_up()
    with tempfile.TemporaryDirectory() as outer:
        (Path(outer) / "inner").mkdir()
        _, _, idle = _measure((), f"{outer}/inner", False)
    for line in sys.stdin:
        job = json.loads(line)
        code, seconds, megabytes = _measure(job["command"], job["folder"], job["as_nobody"])
        print(json.dumps({"code": code, "seconds": seconds, "megabytes": megabytes - idle}), flush=True)


class Server:
    """The server, as a context."""

    def __enter__(self) -> Self:
        environment = {**os.environ, "COLUMNS": "500", "KANS_PROGRESS": os.devnull + "/none"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.measured"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parent.parent.parent,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(self, command: Sequence[str], folder: Path, as_nobody: bool = False) -> Measured:
        """Run a job in a folder; what it prints goes to files beside the folder."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"command": list(command), "folder": str(folder), "as_nobody": as_nobody}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        while not (answer := self._process.stdout.readline()).startswith("{"):
            assert answer, "the server ended"
        output, errors = ((folder.parent / name).read_text(errors="backslashreplace") for name in ("stdout", "stderr"))
        found = json.loads(answer)
        return Measured(found["code"], output, errors, found["seconds"], found["megabytes"])


if __name__ == "__main__":
    serve()
