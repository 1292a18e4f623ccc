"""Errors as IPython shows them, and what a learner types wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kanslib.exceptions import ManifestError, PacketError, UnknownAttributeError
from kanslib.lab.lab import Lab

from .types import OpenLab


def shown_by_ipython(code: str, home: Path) -> list[str]:
    """Return the last lines that IPython prints of some code, from the error's name on."""
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", "--ipython-dir", str(home), "-c", code]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    start = next(place for place, line in enumerate(lines) if "Error" in line)
    return lines[start:]


def test_error_in_ipython_message_and_line_only(tmp_path: Path) -> None:
    code = "import kanslib\nlab = kanslib.open_lab('arp')\nlab.curl('svc9')"
    first, known, place = shown_by_ipython(code, tmp_path)
    assert "UnknownNameError" in first
    assert first.endswith("no target named 'svc9' (did you mean 'svc3'?)")
    assert known.startswith("known: kubernetes · svc1")
    assert place == "in line 3: lab.curl('svc9')"


def test_error_of_others_in_ipython_keeps_its_frames(tmp_path: Path) -> None:
    assert any("Traceback" in line for line in shown_by_ipython("1 / 0", tmp_path))


def test_error_in_python_keeps_its_frames() -> None:
    code = "import kanslib; kanslib.open_lab('no such story')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Traceback (most recent call last):" in ran.stderr


@pytest.mark.parametrize(
    ("ask", "near"),
    [
        (lambda lab: lab.pod(), "'pods'"),
        (lambda lab: lab.observation().phase("svc1"), "'phases'"),
        (lambda lab: lab.observation().arp.announcement(), "'announcements'"),
        (lambda lab: lab.observation().bgp.message(), "'messages'"),
    ],
)
def test_attribute_typo_suggests_nearest(open_lab: OpenLab, ask: Callable[[Lab], object], near: str) -> None:
    with pytest.raises(UnknownAttributeError, match=f"did you mean {near}"):
        ask(open_lab("arp"))


def test_attribute_that_fails_says_why(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    assert not hasattr(lab, "_repr_latex_")
    with pytest.raises(LookupError, match="a router at this moment"):
        lab.router  # noqa: B018


@pytest.mark.parametrize(
    "manifest", ["kind: Foo", "", "a: [", {}, {"kind": "Service"}, {"kind": "Pod", "metadata": {}}]
)
def test_lab_apply_no_manifest_is_refused(open_lab: OpenLab, manifest: str | dict[str, object]) -> None:
    with pytest.raises(ManifestError):
        open_lab("arp").apply(manifest)


def test_lab_trace_address_without_port_is_refused(open_lab: OpenLab) -> None:
    with pytest.raises(PacketError, match="names no port"):
        open_lab("arp").trace("172.18.255.200")
