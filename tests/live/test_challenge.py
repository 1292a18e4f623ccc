"""`kans challenge --backend live`: the course's cluster is broken, diagnosed, and repaired at every exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kanslib.cluster import session
from kanslib.course.stories import LAYER2
from kanslib.exercises.catalog.ch08_broken_labs import CAUSES, FIXES, FIXES_OF, PROOFS_OF
from tests.cli.test_challenge import TYPED

pytestmark = pytest.mark.live
BROKEN = {
    1: "no advertisement", 2: "pool exhausted", 3: "foreign network", 4: "no endpoints", 5: "selects nobody",
    6: "local nowhere", 7: "sharing refused", 8: "no speakers", 9: "conflict",
}  # fmt: skip


def started(tmp_path: Path, case: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kanslib", "challenge", "--backend", "live", "--case", str(case)]
    env = {**os.environ, "COLUMNS": "120", "KANS_PROGRESS": str(tmp_path / "progress.json")}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
        start_new_session=True,
    )  # fmt: skip


def is_repaired() -> bool:
    session.close()
    at_layer2 = session.session().reconciler.is_at(LAYER2)
    session.close()
    return at_layer2


@pytest.mark.parametrize("case", BROKEN)
def test_kans_challenge_live_solved_and_restored(tmp_path: Path, case: int) -> None:
    cause = BROKEN[case]
    proof, fix = min(PROOFS_OF[cause]), min(FIXES_OF[cause])
    numbers = [[one.key for one in CAUSES].index(cause) + 1, [one.key for one in FIXES].index(fix) + 1]
    typed = f"{TYPED[proof]}\ndiagnose\n{numbers[0]}\n{numbers[1]}\n1\n"
    game = started(tmp_path, case)
    output, _ = game.communicate(typed, timeout=400)
    assert game.returncode == 0, output[-2500:]
    assert "breaks the course's own cluster on purpose" in output
    assert output.rstrip().endswith("the cluster is restored")
    assert is_repaired()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_kans_challenge_interrupted_restores_cluster(tmp_path: Path, how: signal.Signals) -> None:
    game = started(tmp_path, 5)
    assert game.stdout
    while "Your queries:" not in (line := game.stdout.readline()):
        assert line, "it ended before it asked"
    time.sleep(1)
    game.send_signal(how)
    rest = game.stdout.read()
    assert game.wait(300) == 1
    assert "the cluster is restored" in rest
    assert is_repaired()
