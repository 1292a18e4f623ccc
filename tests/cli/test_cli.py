"""The kans command as a person types it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kanslib import __version__
from kanslib.cli.app import app
from kanslib.installation import pip_install


def kans(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kanslib", *words]
    env = {**os.environ, "COLUMNS": "120", **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)


def test_kans_version() -> None:
    assert kans("--version").stdout == f"kanslib {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        "lab", "run", "up", "down", "record", "verify", "diff", "convert", "challenge", "doctor", "site", "trace",
        "timeline",
    ],
)  # fmt: skip
def test_kans_help_has_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"kans {command}" in result.stdout.rpartition("╰")[2]  # behind the options


def test_kans_without_command_lists_commands() -> None:
    assert "kans lab" in kans().stdout + kans().stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", "nothing.zip"], "nothing.zip: no such recording"),
        (["convert", "nothing", "out"], "nothing: holds no acts.ndjson: not a raw recording"),
        (["convert", "alone"], "kans convert RAW... OUT"),
        (["convert", "a", "b", "--versions", "kind"], "e.g. kind=v0.24.0"),
        (["run", "13"], "no chapter named '13'"),
        (["lab", "--backend", "mars"], "no backend named 'mars'"),
    ],
)
def test_kans_error_is_one_message(words: list[str], message: str) -> None:
    ran = kans(*words)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout


@pytest.mark.parametrize("command", [("run", "--backend", "live"), ("lab", "--backend", "live"), ("up",), ("record",)])
def test_kans_up_without_docker_changes_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    ran = kans(*command, PATH=str(tmp_path), HOME=str(tmp_path))
    assert ran.returncode == 2
    assert "Docker" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not list(tmp_path.rglob("*"))


def test_kans_unknown_option() -> None:
    ran = kans("run", "--fast")
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


def test_kans_convert_does_not_overwrite(tmp_path: Path) -> None:
    ran = kans("convert", "raw", str(tmp_path))
    assert ran.returncode == 2
    assert "exists already" in ran.stderr


@pytest.mark.slow  # docs/how-to/scripts.md runs both commands with --json in the default run
def test_kans_verify_shipped() -> None:
    ran = kans("verify")
    assert ran.returncode == 0, ran.stderr
    assert "complete, in order" in ran.stdout


@pytest.mark.slow
def test_kans_run_json() -> None:
    ran = kans("run", "00", "--json")
    assert ran.returncode == 0, ran.stderr
    (chapter,) = json.loads(ran.stdout)["chapters"]
    assert (chapter["chapter"], chapter["error"]) == ("00-start-here", "")
    assert chapter["cells"] > 5
    assert 0 < chapter["seconds"] < 60
    assert 50 < chapter["peak_mb"] <= 200


def test_kans_run_failing_cell_exit_code(tmp_path: Path) -> None:
    script = (
        "import sys, json\nfrom pathlib import Path\nfrom kanslib.course import chapters\n"
        "from kanslib.cli import run as runs\n"
        "source = chapters.shipped()[0]\nbook = json.loads(source.read_text())\n"
        "code = next(c for c in book['cells'] if c['cell_type'] == 'code')\ncode['source'] = ['1 / 0']\n"
        f"broken = Path({str(tmp_path)!r}, 'broken.ipynb')\nbroken.write_text(json.dumps(book))\n"
        "chapters.pick = lambda names: [broken]\nsys.exit(runs.run([], 'recorded', 1, False))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 1
    assert "ZeroDivisionError: division by zero" in ran.stdout


def test_kans_doctor_fix_for_every_problem() -> None:
    ran = kans("doctor", "--json", PATH="/nowhere")
    findings = {finding["what"]: finding for finding in json.loads(ran.stdout)}
    assert ran.returncode == 0
    assert findings["recordings"]["state"] == "works"
    assert findings["Docker"]["state"] == "falls back"
    assert all(one["fix"] for one in findings.values() if one["state"] != "works")
    assert {"Python", "jupyterlab", "Docker", "kind", "kubectl", "inotify limits", "CAP_NET_RAW"} <= set(findings)


def test_kans_doctor_table() -> None:
    assert "kans lab" in kans("doctor").stdout


def test_kans_doctor_table_without_utf8() -> None:
    assert "kans lab" in kans("doctor", PYTHONIOENCODING="cp1252").stdout


def test_kans_doctor_without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_installed(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", nothing_installed)
    ran = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "40"})
    assert ran.exit_code == 1
    assert f"jupyterlab: {pip_install('lab')}\n" in ran.stdout
    assert f"scapy: {pip_install('live')}\n" in ran.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 0), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_kans_lab_signal_leaves_nothing_running(tmp_path: Path, name: str, code: int) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "kanslib", "lab", "--dir", str(tmp_path / "mine"), "--no-browser"]
    with log.open("w") as out:
        lab = subprocess.Popen(
            [*command, "--port", "8955"], stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        assert _wait_for(lambda: "JupyterLab extension loaded" in log.read_text(), seconds=90), log.read_text()
        port = int(log.read_text().partition("http://localhost:")[2].partition("/")[0])
        os.kill(lab.pid, getattr(signal, name))
        assert lab.wait(60) == code
        assert _wait_for(lambda: not _answers(port), seconds=10)
    finally:
        lab.kill()
    assert "10 chapters new" in log.read_text()
    assert (tmp_path / "mine" / "03-arp.ipynb").is_file()


def _wait_for(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.2)
    return holds()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
