from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kanslib.recording import Recording


@pytest.fixture(scope="module")
def node(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The rules, addresses and routes of a node, as files."""
    folder = tmp_path_factory.mktemp("node")
    found = {}
    for command, name in (("iptables-save -c", "dump"), ("ip -j addr", "addresses"), ("ip -j route", "routes")):
        reads = [r for r in recording.reads() if (r.place, r.command) == ("myk8s-worker", command) and r.rc == 0]
        text = next(t for t in (recording.text(r.file) for r in reads) if name != "dump" or "loadbalancer IP" in t)
        found[name] = folder / name
        found[name].write_text(text)
    return found


def kans(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kanslib", "trace", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_kans_trace_dump_from_pipe(node: dict[str, Path]) -> None:
    ran = kans("-", "--from", "172.18.0.100", "--to", "172.18.255.200:80/tcp", text=node["dump"].read_text())
    assert ran.returncode == 0, ran.stderr
    assert "172.18.0.100 → 172.18.255.200:80/tcp: " in ran.stdout
    assert "KUBE-EXT: came from outside, so mark for masquerade" in ran.stdout


def test_kans_trace_json_and_svg(node: dict[str, Path], tmp_path: Path) -> None:
    picture = tmp_path / "walk.svg"
    machine = ("--addresses", node["addresses"], "--routes", node["routes"])
    ran = kans(
        node["dump"], "--from", "172.18.0.100", "--to", "172.18.255.200:80", *machine, "--json", "--svg", picture
    )
    ways = json.loads(ran.stdout)
    assert sum(way["probability"][0] / way["probability"][1] for way in ways) == 1
    assert all(way["assumes"] == [] for way in ways), "everything is known"
    assert {way["packet"]["dst"].rpartition(".")[0][:6] for way in ways} == {"10.10."}
    assert picture.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("/nowhere", "--from", "10.0.0.1", "--to", "10.0.0.2"), "/nowhere: No such file"),
        (("DUMP", "--from", "10.0.0.1", "--to", "10.0.0.2:http"), "expected ADDRESS:PORT/PROTOCOL"),
        (("DUMP", "--from", "10.0.0.1", "--to", "10.0.0.2", "--routes", "DUMP"), "belong together"),
        (("DUMP", "--from", "me", "--to", "10.0.0.2"), "src='me' is no address"),
    ],
)
def test_kans_trace_error_is_one_message(node: dict[str, Path], arguments: tuple[str, ...], words: str) -> None:
    ran = kans(*(str(node["dump"]) if argument == "DUMP" else argument for argument in arguments))
    assert ran.returncode == 1
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_kans_trace_truncated_dump_refused(node: dict[str, Path]) -> None:
    text = node["dump"].read_text()
    ran = kans("-", "--from", "10.0.0.1", "--to", "10.0.0.2", text=text[: len(text) // 2])
    assert ran.returncode == 1
    assert "half a dump" in ran.stderr or "expected" in ran.stderr
    assert ran.stdout == ""
