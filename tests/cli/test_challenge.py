"""`kans challenge`, as somebody types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kanslib.exercises.catalog.ch08_broken_labs import CAUSES as CHOICES
from kanslib.exercises.catalog.ch08_broken_labs import COMPLAINTS, EVIDENCE, FIXES, FIXES_OF, PROOFS_OF

# what to type for each kind of evidence
TYPED = {
    "services": "services", "events": "events svc2\nevents svc3", "election": "election svc1", "arp_scan": "arp-scan",
    "l2advertisements": "advertisements", "pool": "pool", "network": "network", "endpointslices": "endpoints",
    "pods": "pods", "daemonsets": "daemonset", "nodes": "nodes",
}  # fmt: skip
BROKEN = {1: "no advertisement", 4: "no endpoints", 6: "local nowhere", 7: "sharing refused", 9: "conflict"}


def play(tmp_path: Path, typed: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kanslib", "challenge", *words]
    env = {**os.environ, "COLUMNS": "120", "KANS_PROGRESS": str(tmp_path / "progress.json")}
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=120, check=False, env=env)


def diagnosis(cause: str, fix: str, evidence: str) -> str:
    """What to type for a diagnosis, when only that evidence was queried."""
    places = [choice.key for choice in CHOICES], [choice.key for choice in FIXES]
    assert evidence in {choice.key for choice in EVIDENCE}
    return f"diagnose\n{places[0].index(cause) + 1}\n{places[1].index(fix) + 1}\n1\n"


@pytest.mark.parametrize(
    "case", [case if number < 2 else pytest.param(case, marks=pytest.mark.slow) for number, case in enumerate(BROKEN)]
)
def test_kans_challenge_solved(tmp_path: Path, case: int) -> None:
    cause = BROKEN[case]
    proof, fix = min(PROOFS_OF[cause]), min(FIXES_OF[cause])
    wrong = "conflict" if cause != "conflict" else "no endpoints"
    typed = f"diagnose\n{TYPED[proof]}\n" + diagnosis(wrong, fix, proof) + diagnosis(cause, fix, proof)
    ran = play(tmp_path, typed, "--case", str(case))
    assert ran.returncode == 0, ran.stdout[-1500:]
    assert COMPLAINTS[f"case-{case}"] in ran.stdout
    assert "you have made none yet" in ran.stdout
    assert "Not that. What this cluster says to it" in ran.stdout
    assert '"outcome": "right"' in (tmp_path / "progress.json").read_text()


def test_kans_challenge_quit_exit_code(tmp_path: Path) -> None:
    assert play(tmp_path, "quit\n", "--case", "1").returncode == 1
    gone = play(tmp_path, "hint\nhint\nsolution\n", "--case", "1")
    assert gone.returncode == 1
    assert "You have not looked at the candidates of the Service yet." in gone.stdout
    assert "Hint 1 (1 more)" in gone.stdout
    assert "Solution: No L2Advertisement covers the pool" in gone.stdout


def test_kans_challenge_unknown_commands_answered(tmp_path: Path) -> None:
    typed = "zebra\ncurl\nevents nothing\nservices\ndiagnose\n99\n\nhelp\nquit\n"
    output = play(tmp_path, typed, "--case", "5").stdout
    assert "no query is called 'zebra'" in output
    assert "of which Service? curl SERVICE" in output
    assert "no service named 'nothing'" in output
    assert "a number from 1 to 11" in output


def test_kans_challenge_tab_help_and_end_of_input_in_terminal(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")  # Windows has none
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "kanslib", "challenge", "--case", "1"]
    env = {**os.environ, "TERM": "dumb", "KANS_PROGRESS": str(tmp_path / "progress.json")}
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=env) as process:
        read_until(controller, "query> ")
        os.write(controller, b"help curl\n")
        assert "curl SERVICE: five requests" in read_until(controller, "query> ")
        os.write(controller, b"arp-s\t\n")
        assert "arp-scan\r\n# recorded" in read_until(controller, "query> ")
        os.write(controller, b"\x04")
        read_until(controller, "\r\n")
        assert process.wait(20) == 1
    os.close(terminal)
    os.close(controller)


def read_until(terminal: int, end: str) -> str:
    written = ""
    while not written.endswith(end):
        written += os.read(terminal, 1 << 16).decode()
    return written


@pytest.mark.slow
def test_kans_challenge_same_seed_same_case(tmp_path: Path) -> None:
    drawn = [
        play(tmp_path, "quit\n", "--seed", str(seed)).stdout.partition("What is wrong?")[0] for seed in (1, 1, 2, 3)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


def test_kans_challenge_unknown_case_lists_known(tmp_path: Path) -> None:
    ran = play(tmp_path, "", "--case", "12")
    assert ran.returncode == 2
    assert "no case named '12'" in ran.stderr
    assert "Traceback" not in ran.stderr
