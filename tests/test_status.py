"""What somebody sees who waits: in a terminal, in a notebook, in a file."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kanslib.status import show_status

WORK = """
import time
from kanslib.status import show_status
with show_status("waiting for [red]all[/] :b:", total=2) as status:
    time.sleep(0.3)
    status.advance(finished="one")
    status.update("waiting for one")
    time.sleep(0.3)
"""


def test_show_status_silent_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with show_status("waiting for [red]all[/] :b:", total=2) as status:
        status.update("waiting for one")
        status.advance(finished="the second")
    assert capsys.readouterr() == ("", "")


def test_show_status_terminal_bar_goes_away() -> None:
    pty = pytest.importorskip("pty")  # Windows has none
    controller, terminal = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", WORK], stderr=terminal, stdout=subprocess.PIPE, env=env) as process:
        assert process.wait(60) == 0
    os.close(terminal)
    written = os.read(controller, 1 << 16).decode()
    os.close(controller)
    assert "waiting for [red]all[/] :b:" in written
    assert "waiting for one" in written
    assert written.rpartition("waiting for one")[2].endswith("\x1b[2K"), "the line is erased"


def test_show_status_notebook_escapes_and_leaves_nothing() -> None:
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    start = (
        "from kanslib.status import show_status; unfinished = show_status('no <b>node</b>'); unfinished.__enter__();"
    )
    whole = "with show_status('no node') as status: status.update('one node')"
    cells = [new_code_cell(start), new_code_cell(whole)]
    notebook = NotebookClient(new_notebook(cells=cells), timeout=60, kernel_name="python3").execute()
    (waiting,), (done,) = (cell.outputs for cell in notebook.cells)
    assert "no &lt;b&gt;node&lt;/b&gt;" in waiting.data["text/html"]
    assert done.data == {"text/html": ""}
