"""The log: silent unless somebody asks for it, and free of secrets."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

import kanslib
from kanslib.cluster import docker
from kanslib.cluster.retries import retry_until
from tests.types import OpenLab

QUERY = "import kanslib; kanslib.open_lab('arp').leader('svc1')"
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: memberlist}
stringData: {secretkey: hunter2}
"""


def python(code: str, **environment: str) -> str:
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stderr


def kans(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kanslib", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_log_is_silent_by_default() -> None:
    assert python(QUERY) == ""
    assert any(isinstance(one, logging.NullHandler) for one in logging.getLogger("kanslib").handlers)


def test_log_kans_log_debug_tells_query_backend_and_files() -> None:
    lines = python(QUERY, KANS_LOG="debug").splitlines()
    assert any("DEBUG   kanslib.recording.reader: opening " in line for line in lines)
    assert any("kanslib.recording.reader: " in line and "is open already" in line for line in lines)
    (query,) = [line for line in lines if "Lab.leader('svc1'): " in line]
    assert " ms, recorded 2026-" in query


def test_log_kans_log_info_leaves_queries_out() -> None:
    assert python(QUERY, KANS_LOG="info") == ""
    assert "Lab.kill_node('myk8s-worker'): " in python(
        "import kanslib; kanslib.open_lab('failover').kill_node('myk8s-worker')", KANS_LOG="info"
    )


def test_log_unknown_level_is_a_warning() -> None:
    assert "KANS_LOG=loud: expected info or debug" in python("import kanslib", KANS_LOG="loud")


@pytest.mark.parametrize(("option", "expected"), [("-v", False), ("-vv", True)])
def test_kans_verbose_logs_to_stderr_only(option: str, expected: bool) -> None:
    command = ("diff", "nothing.zip", "nothing.zip")
    quiet, verbose = kans(*command), kans(option, *command)
    assert verbose.stdout == quiet.stdout
    assert verbose.stderr.endswith(quiet.stderr)
    assert ("kanslib.recording.reader: opening nothing.zip" in verbose.stderr) is expected
    assert "kanslib.recording.reader" not in quiet.stderr


def test_log_fallback_names_the_reason(open_lab: OpenLab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kanslib")
    open_lab("failover").kill_node("myk8s-worker2")
    assert "SimulatedBackend answers from here on: not recorded: kill-node myk8s-worker2" in caplog.text


def test_log_refused_query_has_its_error(open_lab: OpenLab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kanslib")
    with pytest.raises(kanslib.UnknownNameError):
        open_lab("arp").vip("svc9")
    assert "Lab.vip('svc9'): UnknownNameError: no service named 'svc9'" in caplog.text


def test_log_has_no_manifest(open_lab: OpenLab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kanslib")
    open_lab("arp").apply(SECRET)
    assert "Lab.apply(<str>): " in caplog.text
    assert "hunter2" not in caplog.text


def test_log_of_a_repeated_command_has_no_manifest(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kanslib")
    answers = iter([1, 0])

    def kubectl(_arguments: str, _manifest: str) -> int:
        return next(answers)

    assert retry_until(lambda rc: rc == 0, every=0.01, seconds=5)(kubectl, "apply -f -", SECRET) == 0
    assert caplog.messages == ["kubectl('apply -f -',): attempt 1: not ready yet; again in 0.0 s"]


def test_log_of_a_command_has_duration_and_status_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kanslib")
    kubeconfig = "token: 0123456789abcdef0123"
    ran = docker.command("sh", "-c", "cat; exit 3", stdin=kubeconfig)
    assert ran.out == kubeconfig
    docker.command("echo", "curl -H 'Authorization: Bearer 4f9ad1secret'\nAKIA-second-line")
    first, second = caplog.messages
    assert first.startswith("sh -c cat; exit 3: exit status 3 after ")
    assert "0123456789abcdef" not in caplog.text
    assert second.startswith("echo curl -H 'Authorization: Bearer [left out] …: exit status 0")
