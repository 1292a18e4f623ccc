"""Every command where something is wrong around it: no traceback, an exit code that is true, a message that helps.

A message names the thing and, where the surroundings are at fault, the next step. Nothing half written stays.
"""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kanslib.course.recordings import shipped
from tests.cli.process import (
    Ran,
    chdir,
    close,
    little_memory,
    mount,
    no_network,
    obey_permissions,
    run_forked,
    small_files,
    stream,
)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces, capabilities, /dev/full"),
    pytest.mark.slow,
]

ROOT = Path(__file__).parents[2]
DUMP, CAPTURE = ROOT / "docs/examples/worker.iptables-save", ROOT / "docs/examples/failover.pcap.gz"
PACKET = ("--from", "172.18.0.100", "--to", "172.18.255.200:80")

# what reads a file: the arguments, with FILE where it stands
READERS: dict[str, tuple[str, ...]] = {
    "verify": ("verify", "FILE"),
    "diff": ("diff", str(shipped("l2")), "FILE"),
    "convert": ("convert", "FILE", "out.zip"),
    "trace": ("trace", "FILE", *PACKET),
    "trace --addresses": ("trace", str(DUMP), *PACKET, "--addresses", "FILE", "--routes", "FILE"),
    "trace --ipset": ("trace", str(DUMP), *PACKET, "--ipset", "FILE"),
    "timeline": ("timeline", "FILE", "--out", "out.html"),
    "up --manifest": ("up", "--manifest", "FILE"),
}
# what writes: the arguments, with PLACE where the name of the new file stands
WRITERS: dict[str, tuple[str, ...]] = {
    "lab": ("lab", "--no-browser", "--dir", "PLACE"),
    "record": ("record", "--out", "PLACE"),
    "record --keep": ("record", "--keep", "PLACE"),
    "convert": ("convert", "raw", "PLACE"),
    "trace --svg": ("trace", str(DUMP), *PACKET, "--svg", "PLACE"),
    "timeline": ("timeline", str(CAPTURE), "--out", "PLACE"),
}
# commands that answer without any file
ANSWERS: dict[str, tuple[str, ...]] = {
    "doctor": ("doctor",),
    "doctor --json": ("doctor", "--json"),
    "verify": ("verify",),
    "verify --json": ("verify", "--json"),
    "trace": ("trace", str(DUMP), *PACKET),
    "trace --json": ("trace", str(DUMP), *PACKET, "--json"),
    "timeline": ("timeline", str(CAPTURE), "--out", "/dev/null"),
    "timeline --json": ("timeline", str(CAPTURE), "--json"),
    "challenge": ("challenge", "--case", "1"),
    "--version": ("--version",),
    "--help": ("--help",),
    "trace --help": ("trace", "--help"),
}
LIVE: dict[str, tuple[str, ...]] = {
    "up": ("up",),
    "down": ("down",),
    "record": ("record",),
    "run": ("run", "--backend", "live"),
    "lab": ("lab", "--no-browser", "--backend", "live"),
    "challenge": ("challenge", "--backend", "live"),
}


SLOW = ("verify", "timeline", "challenge")  # seconds each, as answers


def each(table: dict[str, tuple[str, ...]]) -> pytest.MarkDecorator:
    """Run a test with each command of a table; the default part leaves out answers that take seconds."""
    rows = [
        pytest.param(row, id=name, marks=pytest.mark.slow if table is ANSWERS and row[0] in SLOW else ())
        for name, row in table.items()
    ]
    return pytest.mark.parametrize("arguments", rows)


def fill(arguments: tuple[str, ...], name: str, value: Path | str) -> list[str]:
    return [str(value) if argument == name else argument for argument in arguments]


def check_failure(ran: Ran, thing: str, code: int = 2) -> None:
    """Check that a command failed with a message that names the thing."""
    assert "Traceback" not in ran.output + ran.errors
    assert "fault in kanslib" not in ran.errors
    assert ran.code == code, ran
    assert ran.errors.startswith("kans: "), ran
    assert thing in ran.errors
    assert len(ran.errors) < 1000


def check_sound(ran: Ran, code: int = 0) -> None:
    """Check that a command did its work in spite of everything."""
    assert "Traceback" not in ran.output + ran.errors
    assert ran.code == code, ran


# ── files that cannot be read ────────────────────────────────────────────────────────────────────────────────


def missing(_path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.write_bytes(b"")


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def directory(path: Path) -> None:
    path.mkdir()


def unreadable(path: Path) -> None:
    shutil.copy(CAPTURE, path)
    path.chmod(0)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 33)


@each(READERS)
@pytest.mark.parametrize("make", [missing, binary, directory, unreadable, dangling, huge])
def test_input_that_cannot_be_read(arguments: tuple[str, ...], make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "input")
    ran = run_forked(fill(arguments, "FILE", "input"), tmp_path, [obey_permissions, little_memory])
    damaged = make in (binary, directory, huge) and arguments[0] == "verify"
    check_failure(ran, "input", 1 if damaged else 2)
    assert {path.name for path in tmp_path.iterdir()} <= {"input"}


@each(READERS)
def test_input_that_is_empty(arguments: tuple[str, ...], tmp_path: Path) -> None:
    empty(tmp_path / "input")
    ran = run_forked(fill(arguments, "FILE", "input"), tmp_path)
    if arguments == READERS["trace"]:  # what iptables-save prints where it has no tables
        check_sound(ran, 3)
    elif arguments == READERS["trace --ipset"]:  # what ipset prints where there are no sets
        check_sound(ran)
    else:
        check_failure(ran, "input", 1 if arguments[0] == "verify" else 2)


@each(READERS)
def test_input_whose_name_is_no_text(arguments: tuple[str, ...], tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\x1b[31m\n.zip")
    (tmp_path / name).write_bytes(b"\0\1")
    ran = run_forked(fill(arguments, "FILE", name), tmp_path)
    check_failure(ran, "zip", 1 if arguments[0] == "verify" else 2)
    assert "\x1b" not in ran.errors


@each(READERS)
def test_input_whose_name_is_too_long(arguments: tuple[str, ...], tmp_path: Path) -> None:
    check_failure(run_forked(fill(arguments, "FILE", "x" * 300), tmp_path), "xxx")


def test_timeline_page_of_a_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.pcap")
    (tmp_path / name).write_bytes(gzip.decompress(CAPTURE.read_bytes()))
    check_sound(run_forked(["timeline", name, "--out", "page.html"], tmp_path))
    assert ".pcap" in (tmp_path / "page.html").read_text(encoding="utf-8")


# ── places that cannot be written ────────────────────────────────────────────────────────────────────────────


def content(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@each(WRITERS)
def test_place_in_a_folder_without_write_permission(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    ran = run_forked(fill(arguments, "PLACE", tmp_path / "locked/new"), tmp_path, [obey_permissions])
    check_failure(ran, "locked/new: Permission denied; next step: ")
    assert content(tmp_path) == {"locked"}


@each(WRITERS)
def test_place_on_a_read_only_disk(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    ran = run_forked(fill(arguments, "PLACE", tmp_path / "disk/new"), tmp_path, [mount(tmp_path / "disk")])
    check_failure(ran, "disk/new: Read-only file system; next step: ")


@each(WRITERS)
def test_place_below_a_file(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = run_forked(fill(arguments, "PLACE", tmp_path / "file/new"), tmp_path)
    check_failure(ran, "file/new: ")
    assert content(tmp_path) == {"file"}


@each({name: WRITERS[name] for name in ("trace --svg", "timeline")})
def test_place_in_a_folder_that_is_missing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_forked(fill(arguments, "PLACE", "a b/new"), tmp_path)
    check_failure(ran, "there is no directory a b; next step: mkdir -p 'a b'")
    assert ran.output == "", "before the work"
    ran = run_forked(fill(arguments, "PLACE", tmp_path), tmp_path)
    check_failure(ran, "this is a directory; next step: ")


@each({name: WRITERS[name] for name in ("record", "record --keep", "convert")})
def test_place_that_exists(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    check_failure(run_forked(fill(arguments, "PLACE", "old"), tmp_path), "old exists already; next step: ")


def test_lab_place_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_failure(run_forked(["lab", "--no-browser", "--dir", "file"], tmp_path), "file: ")


NOT_LIVE = {name: WRITERS[name] for name in ("lab", "trace --svg", "timeline")}


@each(NOT_LIVE)
def test_place_on_a_full_disk(arguments: tuple[str, ...], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    ran = run_forked(fill(arguments, "PLACE", disk / "new"), tmp_path, [mount(disk, kilobytes=12)])
    check_failure(ran, "disk/new: No space left on device; next step: free some space there")


@each(NOT_LIVE)
@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_place_where_files_are_limited_keeps_no_half(
    arguments: tuple[str, ...], existing: bool, tmp_path: Path
) -> None:
    place = tmp_path / "new"
    if existing:
        place.mkdir() if arguments[0] == "lab" else place.write_text("old")
    before = content(tmp_path)
    ran = run_forked(fill(arguments, "PLACE", place), tmp_path, [small_files])
    check_failure(ran, "new: File too large; next step: ")
    assert content(tmp_path) == before
    assert not place.is_file() or place.read_text() == "old"


def test_convert_where_files_are_limited_keeps_no_half(raw: Path, tmp_path: Path) -> None:
    check_failure(run_forked(["convert", str(raw / "l2"), "out.zip"], tmp_path, [small_files]), "File too large")
    assert content(tmp_path) == set()


def test_lab_keeps_chapters_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "00-start-here.ipynb").write_text("mine")
    (tmp_path / "00-start-here.ipynb").chmod(0)
    ran = run_forked(["lab", "--no-browser", "--dir", str(tmp_path)], tmp_path, [obey_permissions])
    check_failure(ran, "00-start-here.ipynb: Permission denied; next step: ")
    assert content(tmp_path) == {"00-start-here.ipynb"}


def test_lab_in_a_read_only_current_directory(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    ran = run_forked(["lab", "--no-browser"], tmp_path, [mount(disk), chdir(disk)])
    check_failure(ran, "--dir " + str(disk / "kans-course"))
    ran = run_forked(["timeline", str(CAPTURE)], tmp_path, [mount(disk), chdir(disk)])
    check_failure(ran, "--out timeline.html: Read-only file system; next step: ")


def test_lab_with_a_read_only_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = ["lab", "--no-browser", "--dir", str(tmp_path / "mine")]
    ran = run_forked(command, tmp_path, [mount(home)], {"HOME": str(home)})
    check_failure(ran, "next step: name another directory: JUPYTER_RUNTIME_DIR=")
    assert content(tmp_path) == {"home"}


@each({"lab": ("lab", "--no-browser"), "challenge": ("challenge", "--case", "1")})
def test_user_without_a_home(arguments: tuple[str, ...], tmp_path: Path) -> None:
    def forget_home() -> None:
        for name in ("HOME", "KANS_PROGRESS", "JUPYTER_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            os.environ.pop(name, None)
        os.getuid = lambda: 54321  # in no /etc/passwd; a real change would take the Python of the tests away

    ran = run_forked(arguments, tmp_path, [forget_home])
    assert ran.code == 2
    assert "kans: this user has no home directory; next step: set HOME" in ran.errors
    assert "fault in kanslib" not in ran.errors


@each(ANSWERS)
def test_answer_with_a_read_only_home_and_no_network(arguments: tuple[str, ...], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "KANS_PROGRESS": str(home / "progress.json"), "XDG_DATA_HOME": str(home)}
    ran = run_forked(arguments, tmp_path, [mount(home), no_network], environment)
    check_sound(ran, 1 if arguments[0] == "challenge" else 0)  # nobody solves it


# ── standard streams ─────────────────────────────────────────────────────────────────────────────────────────


@each(ANSWERS)
def test_answer_to_a_full_disk(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_forked(arguments, tmp_path, [stream(1, "/dev/full")])
    assert "No space left on device" in ran.errors
    check_failure(ran, "standard output")


@each(ANSWERS)
def test_answer_to_a_closed_pipe(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_forked(arguments, tmp_path, [broken_pipe])
    assert (ran.code, ran.errors) == (141, "")


def broken_pipe() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


@each(ANSWERS)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_answer_without_a_standard_stream(arguments: tuple[str, ...], number: int, tmp_path: Path) -> None:
    ran = run_forked(arguments, tmp_path, [close(number)])
    if arguments[0] == "challenge":
        assert ran.code == 2
    else:
        check_sound(ran)
    assert "Traceback" not in ran.output + ran.errors


def test_error_to_a_full_disk(tmp_path: Path) -> None:
    for arguments in (["verify", "nothing.zip"], ["runn"], ["trace"]):
        assert run_forked(arguments, tmp_path, [stream(2, "/dev/full")]).code == 2


@each(ANSWERS)
@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"COLUMNS": "20"}, {"TERM": "dumb"}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}],
    ids=lambda one: next(iter(one)),
)
def test_answer_in_another_terminal(arguments: tuple[str, ...], environment: dict[str, str], tmp_path: Path) -> None:
    check_sound(run_forked(arguments, tmp_path, [], environment), 1 if arguments[0] == "challenge" else 0)


def test_trace_from_a_pipe_that_is_closed(tmp_path: Path) -> None:
    check_failure(run_forked(["trace", "-", *PACKET], tmp_path, [close(0)]), "'-' reads from a pipe")
    check_sound(run_forked(["trace", "-", *PACKET], tmp_path), 3)  # an empty dump: tables are missing


# ── the machine ──────────────────────────────────────────────────────────────────────────────────────────────


@each(LIVE)
def test_live_without_docker(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_forked(arguments, tmp_path, [], {"PATH": str(tmp_path)})
    check_failure(ran, "Docker")
    assert content(tmp_path) == set()


def listen_on_the_last_port() -> None:
    SOCKETS.append(socket.create_server(("127.0.0.1", 65535)))


SOCKETS: list[socket.socket] = []  # they stay open to the end of the process


def test_lab_ports(tmp_path: Path) -> None:
    ran = run_forked(["lab", "--no-browser", "--port", "65535"], tmp_path, [listen_on_the_last_port])
    check_failure(ran, "--port 65535: ports 65535 to 65535 are all in use; next step: ")
    for wrong in ("0", "65536", "-1", "http"):
        ran = run_forked(["lab", "--no-browser", "--port", wrong], tmp_path)
        assert ran.code == 2
        assert "--port" in ran.errors
    assert content(tmp_path) == set()


@each(ANSWERS)
def test_little_memory(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """It works, or it says why not."""
    ran = run_forked(arguments, tmp_path, [little_memory])
    assert "Traceback" not in ran.output + ran.errors
    assert ran.code in (0, 1, 2)


# ── what is typed wrong ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (["runn"], "Did you mean 'run'?"),
        (["run", "--workes", "2"], "--workers"),
        (["lab", "--prot", "1"], "--port"),
        (["run", "06-failovr"], "did you mean '06-failover'?"),
        (["run", "--backend", "recoded"], "did you mean 'recorded'?"),
        (["timeline", str(shipped("l2")), "--action", "kill-nod"], "did you mean 'kill-node'?"),
        (["challenge", "--case", "12"], "known: 1 · 2"),
        (["run", "--workers", "-1"], "--workers"),
        (["timeline", str(CAPTURE), "--action", "kill-node"], "no action named 'kill-node'"),
        (["timeline", str(CAPTURE), "--vip", "foo"], "expected an address"),
        (["timeline", str(CAPTURE), "--zero", "soon"], "expected Unix seconds"),
        (["trace", str(DUMP), "--from", "me", "--to", "192.0.2.1"], "is no address"),
        (["trace", str(DUMP), *PACKET, "--mark", "many"], "expected a number"),
        (["trace", str(DUMP), *PACKET, "--mac", "02:42"], "expected an address such as"),
        (["challenge", "--case", "-1"], "--case"),
        (["convert", "raw"], "kans convert RAW... OUT"),
    ],
)
def test_mistake_gets_the_nearest_name(arguments: list[str], guess: str, tmp_path: Path) -> None:
    ran = run_forked(arguments, tmp_path, [], {"COLUMNS": "200"})
    assert ran.code == 2
    assert guess in ran.errors
    assert ran.output == ""
    assert "Traceback" not in ran.errors
