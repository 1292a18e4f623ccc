"""The Tab key: the script that each shell gets, and what it is answered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kanslib.course.recordings import shipped

ZIP = str(shipped("l2"))
WORDS = [
    ("kans ver", {"verify"}),
    ("kans run 06", {"06-failover"}),
    ("kans record 07", {"07-bgp"}),
    ("kans run --backend ", {"recorded", "live", "simulated"}),
    ("kans challenge --case 4", {"4"}),
    (f"kans timeline {ZIP} --action kill", {"kill-node"}),
    ("kans trace rules --ctstate EST", {"ESTABLISHED"}),
]


def kans(**environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "kanslib"],
        capture_output=True, text=True, timeout=60, check=True, env={**os.environ, **environment},
    )  # fmt: skip
    return ran.stdout


@pytest.mark.parametrize(("typed", "offered"), WORDS)
def test_completion_bash(typed: str, offered: set[str]) -> None:
    last = len(typed.split(" ")) - 1
    assert set(kans(_KANS_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(last)).split()) == offered


def test_completion_zsh_and_fish_have_descriptions() -> None:
    offered = kans(_KANS_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="kans challenge --case ")
    assert '"2":"svc3 has no address. svc1 and svc2 have one each."' in offered
    fish = {"_KANS_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert kans(**fish, _TYPER_COMPLETE_ARGS="kans run 06").strip() == "06-failover"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_asks_kans(shell: str) -> None:
    assert f"_KANS_COMPLETE=complete_{shell}" in kans(_KANS_COMPLETE=f"source_{shell}")


def test_completion_script_works_in_bash() -> None:
    script = (
        f"PATH='{Path(sys.executable).parent}':$PATH\n"  # the script runs `kans` by its name
        f"{kans(_KANS_COMPLETE='source_bash')}\n"
        "COMP_WORDS=(kans run 06) COMP_CWORD=2\n_kans_completion kans\n"
        'echo "${COMPREPLY[@]}"'
    )
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "06-failover", ran.stderr
