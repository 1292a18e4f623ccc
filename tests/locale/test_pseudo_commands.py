"""In a pseudo-language: what `kans up`, `down`, `lab`, `site` and `doctor` say where something is wrong around them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from typer.main import get_command

from kanslib import i18n
from kanslib.cli import help_texts
from kanslib.cli import lab as lab_command
from kanslib.cli.app import app
from kanslib.cluster import lifecycle
from kanslib.course import chapters
from kanslib.exceptions import KanslibError
from tests.locale.pseudo import LANGUAGE
from tests.locale.test_pseudo import words_left

pytestmark = pytest.mark.slow
WIDTH = 80  # columns of a terminal
COMMANDS = ("lab", "run", "up", "down", "record", "verify", "diff", "convert", "trace", "timeline", "site", "challenge")
# programs, packages, words of an operating system, options and their values; typer's own words
NAMES = {
    "Docker", "Python", "docker", "kind", "kubectl", "jupyterlab", "nbclient", "kubernetes", "scapy", "sphinx", "furo",
    "nft", "list", "ruleset", "addr", "route", "ipset", "save", "ADDRESS", "PORT", "PROTOCOL", "RULES", "str", "int",
    "sudo", "usermod", "sysctl", "rename", "down", "up", "delete", "cluster", "name", "install", "pip", "kans", "lab",
    "run", "mars", "xx", "en", "recorded", "live", "simulated", "Client", "Version", "chapters", "recordings",
}  # fmt: skip

# what typer says by itself in a help text
OF_TYPER = re.compile(
    r"Usage: .*|Options +|Arguments +|Show this message and|exit\.|<[A-Za-z\[\] ]+>|--[a-z-]+|"
    r"\[(default: .*|required)\]"
)

# a Docker of which $FAKE has the facts: `broken`, `memory`, `nodes` (ids), `inspect.json`, `taken`
DOCKER = """#!/bin/sh
case "$1 $2" in
  "version "*) test ! -e "$FAKE/broken" && echo 27.0 ;;
  "info "*) cat "$FAKE/memory" 2>/dev/null || echo 17179869184 ;;
  "ps "*) case "$*" in *kind.cluster*) cat "$FAKE/nodes" 2>/dev/null; true ;; esac ;;
  "container inspect") test -e "$FAKE/taken" ;;
  "network inspect") exit 1 ;;
  "inspect "*) cat "$FAKE/inspect.json" ;;
esac
"""
KIND = "#!/bin/sh\ncat >/dev/null\necho 'ERROR: 500' >&2\nexit 1\n"


@pytest.fixture(autouse=True)
def pseudo(pseudo_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The pseudo-language, a home of its own, and a narrow terminal."""
    for name, value in (
        (i18n.FOLDER_VARIABLE, pseudo_folder), ("COLUMNS", WIDTH), ("TERMINAL_WIDTH", WIDTH), ("FAKE", tmp_path),
        ("XDG_STATE_HOME", tmp_path / "state"), ("JUPYTER_RUNTIME_DIR", tmp_path / "runtime"),
        ("PATH", tmp_path / "bin"),
    ):  # fmt: skip
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    before = dict(os.environ)  # a command hands its backend to its kernels there
    with i18n.use(LANGUAGE):
        yield
    os.environ.clear()
    os.environ.update(before)


def programs(folder: Path, *names: str) -> None:
    """Put stand-ins of programs on the PATH, beside what their scripts need."""
    os.environ["PATH"] += ":/bin:/usr/bin" if names else ""
    for name, script in (("docker", DOCKER), ("kind", KIND)):
        if name in names:
            path = folder / "bin" / name
            path.write_text(script)
            path.chmod(0o755)


def run(*words: str, code: int = 2) -> str:
    """Return what a command printed, and its error, as `kanslib.cli` runs it."""
    command, out = get_command(app), io.StringIO()
    help_texts.translate(command)
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
        pytest.raises((KanslibError, SystemExit)) as caught,
    ):
        command.main(list(words), prog_name="kans")
    error = caught.value
    assert isinstance(error, KanslibError) or (isinstance(error, SystemExit) and error.code == code), out.getvalue()
    return f"{out.getvalue()}\n{error if isinstance(error, KanslibError) else ''}"


def check(text: str) -> None:
    """Check that each line is in the pseudo-language, except for names, commands and values."""
    for line in filter(str.strip, text.splitlines()):
        left = {
            word for word in words_left(re.sub(r"`[^`]*`|https?:\S+|[\w./-]*/[\w./-]*", " ", line)) if word not in NAMES
        }
        assert left == set(), line
    assert "⟦" in text


# ── Docker and the cluster ───────────────────────────────────────────────────────────────────────────────────


def no_docker(folder: Path) -> None:
    programs(folder)


def no_engine(folder: Path) -> None:
    programs(folder, "docker")
    (folder / "broken").touch()


def no_kind(folder: Path) -> None:
    programs(folder, "docker")


def little_memory(folder: Path) -> None:
    programs(folder, "docker", "kind")
    (folder / "memory").write_text("1073741824")
    (folder / "taken").touch()


def another_cluster(folder: Path) -> None:
    """A kind cluster of the course's name, which nobody made with `kans up`."""
    programs(folder, "docker", "kind")
    node = {
        "Id": "1", "Name": "/myk8s-worker", "State": {"Running": True}, "Config": {"Labels": {}},
        "NetworkSettings": {"Networks": {}},
    }  # fmt: skip
    (folder / "nodes").write_text("1\n")
    (folder / "inspect.json").write_text(json.dumps([node]))


LIVE = ("up", "down", "record", "run --backend live", "lab --no-browser --backend live", "challenge --backend live")
MACHINES: tuple[tuple[Callable[[Path], None], Sequence[str]], ...] = (
    (no_docker, LIVE), (no_engine, LIVE), (another_cluster, LIVE), (no_kind, ("up", *LIVE[2:])),
    (little_memory, ("up",)),
)  # fmt: skip


@pytest.mark.parametrize(("machine", "command"), [(machine, one) for machine, commands in MACHINES for one in commands])
def test_live_command_on_a_machine_that_lacks_something(
    machine: Callable[[Path], None], command: str, tmp_path: Path
) -> None:
    machine(tmp_path)
    check(run(*command.split()))


def test_every_obstacle_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    little_memory(tmp_path)
    for name in ("max_user_watches", "max_user_instances"):
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(lifecycle, "_PROC", tmp_path)
    with socket.create_server(("0.0.0.0", 30001)):
        said = run("up")
    check(said)
    assert [
        word for word in ("1.0", "max_user_watches", "max_user_instances", "30001", "mypc") if word not in said
    ] == []


def test_steps_of_up_and_down(tmp_path: Path) -> None:
    """The cluster cannot be created, and what was begun is removed."""
    programs(tmp_path, "docker", "kind")
    steps: list[str] = []
    with pytest.raises(KanslibError) as caught:
        lifecycle.up(steps.append)
    check("\n".join([*steps, str(caught.value)]))
    check(run("down", code=0))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"kind: Pod\n"])
def test_manifest_that_is_none(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "m.yaml").write_bytes(content)
    check(run("up", "--manifest", "m.yaml"))


def test_doctor_at_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for machine in (no_docker, no_engine):
        machine(tmp_path)
        output = run("doctor", code=0)
        check(re.sub("[┃│┏━┳┓┡╇┩└─┴┘]", " ", output))
        table = [line for line in output.splitlines() if line and line[0] in "┏┃┡│└"]
        assert {len(line) for line in table} == {WIDTH}
        assert "…" not in "".join(table)


# ── lab and site ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "command",
    [
        "lab --backend mars", "lab --dir file", "lab --dir file/below", "lab --no-browser --dir site-packages/mine",
        "lab --no-browser --port 65535", "lab --dir unreadable",
        "site --out full", "site --out file/below", "site --base-url nowhere", "site --lang xx",
    ],
)  # fmt: skip
def test_place_or_name_that_cannot_be_used(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").touch()
    (tmp_path / "unreadable" / "00-start-here.ipynb").mkdir(parents=True)
    (tmp_path / "site-packages" / "kanslib").mkdir(parents=True)
    (tmp_path / "site-packages" / "kanslib" / "_version.py").touch()
    with socket.create_server(("127.0.0.1", 65535)):
        check(run(*command.split()))


def unboxed(text: str) -> str:
    """Return what typer prints in a box as lines without it."""
    return re.sub(r"[│╭╰─╮╯]", " ", text)


@pytest.mark.parametrize("command", ["lab", "site", "run"])
def test_packages_that_are_not_installed(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are installed where tests run."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    check(run(command))


def test_what_lab_did_with_the_copy(tmp_path: Path) -> None:
    chapters.sync(tmp_path / "mine")
    first, second, third, *_ = sorted((tmp_path / "mine").glob("*.ipynb"))
    first.unlink()
    second.write_text("mine")
    state = json.loads((tmp_path / "mine" / chapters.STATE).read_text())
    state["chapters"][third.name] = chapters.digest(third)
    third.write_text("mine, too")
    state["chapters"][third.name] = "older"
    (tmp_path / "mine" / chapters.STATE).write_text(json.dumps(state))
    lines = lab_command.report(chapters.sync(tmp_path / "mine"))
    assert len(lines) == 3
    check("\n".join(lines))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_at_80_columns(command: str) -> None:
    output = run(command, "--help", code=0)
    assert max(map(len, output.splitlines())) <= WIDTH
    assert output.count("⟦") == output.count("⟧") > 1
    assert not re.search(r"[^\W_]…|·…", output), "cut off"
    check(OF_TYPER.sub(" ", unboxed(output)))
