"""Files that somebody made to do harm: each is refused in seconds, in little memory, with one line; nothing is written.

Seconds are those of a processor, since tests run beside others; what waits for ever is ended after 20 s.
"""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kanslib.exceptions import RecordingError
from kanslib.recording import Recording
from kanslib.recording.raw.convert import convert
from tests.hostile import good
from tests.hostile.archives import ARCHIVES, SERVICES, ZIPS, Hostile, bombs_of, with_field
from tests.hostile.good import SERVICE, event, rows
from tests.hostile.inputs import INPUTS, LINE
from tests.hostile.measured import Server
from tests.hostile.zips import write_zip

SECONDS, MEGABYTES = 2.0, 200.0
POINTED = 3  # lines: an error in rules shows the line and points at the column
EVERY = [*ARCHIVES, *INPUTS]
READERS = ("timeline r.zip", "diff g/r.zip r.zip", "open_lab r.zip")


def identify(hostile: Hostile) -> str:
    return f"{hostile.command.partition(' ')[0]}: {hostile.name}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that another user may write to."""
    outer = Path(tempfile.mkdtemp())
    outer.chmod(0o755)
    inner = outer / "work"
    inner.mkdir()
    inner.chmod(0o777)
    yield inner
    shutil.rmtree(outer)


def content(folder: Path) -> Counter[tuple[object, ...]]:
    """Return all files of a folder with size and time of change; without names, for progress files are set aside."""
    status = [path.lstat() for path in folder.rglob("*")]
    return Counter((one.st_mode, one.st_size, one.st_mtime_ns if one.st_nlink == 1 else 0) for one in status)


def refused(server: Server, folder: Path, hostile: Hostile, command: str) -> str:
    """Run a command on something hostile; return the message with which it is refused."""
    hostile.make(folder)
    before = content(folder)
    found = server.run(command.split(), folder, hostile.as_nobody)
    message, *pointer = found.errors.splitlines() or [""]
    code = 1 if command.startswith("verify") else 2  # a fault is what verify looks for
    assert (found.code, message[:6]) == (code, "kans: "), found
    assert len(pointer) < (POINTED if "column" in message else 1), found
    assert len(message) < 700
    assert found.errors.replace("\n", "").isprintable()
    assert "fault in kanslib" not in found.errors
    assert not found.output or command.startswith("open_lab")
    assert found.seconds < SECONDS
    assert found.megabytes < MEGABYTES
    assert content(folder) == before
    return message


@pytest.mark.slow
@pytest.mark.parametrize("hostile", EVERY, ids=identify)
def test_hostile_refused(server: Server, folder: Path, hostile: Hostile) -> None:
    assert re.search(hostile.words, refused(server, folder, hostile, hostile.command))


def test_hostile_names_differ() -> None:
    assert len(set(map(identify, EVERY))) == len(EVERY) >= 200


@pytest.mark.parametrize("number", range(0, len(ZIPS), 4))
def test_hostile_zip_refused_by_other_readers(server: Server, folder: Path, number: int) -> None:
    """Every reader opens a zip in the same way: a quarter of them, by a reader in turn."""
    (folder / "g").mkdir()
    good.recording(folder / "g")
    command = READERS[number // 4 % 3]
    hostile = ZIPS[number]
    refused(server, folder, hostile, command)


@pytest.mark.parametrize(
    "command",
    ["verify r.zip", "verify r", "diff r.zip r", "timeline r.zip c.pcap", "convert raw out.zip", "open_lab r"],
)
def test_harmless_read(server: Server, folder: Path, command: str) -> None:
    """What hostile files are made of is read by every command."""
    for write in (good.recording, good.unpacked, good.raw):
        write(folder)
    (folder / "c.pcap").write_bytes(good.pcap(good.ARP))
    assert server.run(command.split(), folder).code == 0


# ── what is read, and may not act on a terminal or in a page ─────────────────────────────────────────────────────


def test_control_characters_in_names_and_texts_escaped(server: Server, folder: Path) -> None:
    evil = "\x1b[31m\x1b]0;evil\x07\u202e"
    good.recording(folder, title=evil, versions={"kubernetes": evil})
    (folder / f"{evil}@n1.log").write_bytes(LINE.replace(b"n1", b"\x1b[32mn1"))
    found = server.run(["timeline", "r.zip", f"{evil}@n1.log", "--zero", "2026-11-23T13:31:10"], folder)
    assert found.code == 0
    assert (found.output + found.errors).replace("\n", "").isprintable()
    assert r"\x1b[31m\x1b]0;evil\x07\u202e" in found.output


def test_control_characters_in_differences_escaped(server: Server, folder: Path) -> None:
    (folder / "g").mkdir()
    good.recording(folder / "g")
    good.recording(folder, versions={"\x1b[31mkubernetes": "\x1b[2J"})
    found = server.run(["diff", "r.zip", "g/r.zip"], folder)
    assert found.code == 1
    assert found.output.replace("\n", "").isprintable()


def test_html_in_names_of_files_escaped(server: Server, folder: Path) -> None:
    name = "<img src=x onerror=alert(1)>@n1.log"
    (folder / name).write_bytes(LINE)
    assert server.run(["timeline", name, "--zero", "2026-11-23T13:31:10"], folder).code == 0
    page = (folder / "timeline.html").read_text()
    assert "<img" not in page
    assert "&lt;img src=x" in page


# ── nothing is written before all is read ────────────────────────────────────────────────────────────────────────


def test_convert_write_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = good.raw(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        convert([source], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_convert_checked_before_written(tmp_path: Path) -> None:
    def check(made: Recording) -> None:
        assert made.manifest.actions
        assert not (tmp_path / "out.zip").exists()
        raise RecordingError("a.log", "holds a password")

    with pytest.raises(RecordingError, match="password"):
        convert([good.raw(tmp_path)], tmp_path / "out.zip", check=check)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_recording_open_reads_the_manifest_alone(tmp_path: Path) -> None:
    """A bomb that no query reads is refused all the same, from the zip's directory."""
    write_zip(tmp_path / "r.zip", [*good.members(), *bombs_of(2500, 1)])
    with pytest.raises(RecordingError, match="2621440000 bytes, expected at most"):
        Recording.open(tmp_path / "r.zip")


def test_recording_watch_names_the_field(tmp_path: Path) -> None:
    good.recording(tmp_path, {SERVICES: rows(event(SERVICE), event(with_field(SERVICE, "80", "spec", "ports")))})
    with pytest.raises(RecordingError) as caught:
        Recording.open(tmp_path / "r.zip").watch("services")
    assert (caught.value.file, caught.value.line, caught.value.field) == (SERVICES, 2, "object.spec.ports")
