"""What stands above a cell's output, in a real kernel and outside of one."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

import kanslib

OPEN = "import kanslib\nkanslib.open_lab({!r}, backend={!r});"


def shown(*cells: str) -> list[str]:
    """Return the text of each cell's outputs, run one after the other in one kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3").execute()
    return ["".join(one.get("data", {}).get("text/plain", "") for one in cell.outputs) for cell in notebook.cells]


def test_banner_whole_once_a_kernel_and_kind_of_lab() -> None:
    first, other = OPEN.format("arp", "recorded"), OPEN.format("failover", "recorded")
    simulated = OPEN.format("failover", "simulated")
    outputs = shown(first, other, simulated, first)
    assert [len(output.splitlines()) > 1 for output in outputs] == [True, False, True, True]
    assert outputs[0] == outputs[3]  # the same cell, run again
    assert outputs[1] == "recorded · story 'failover': The leader dies"
    assert "substitutes: " in outputs[0]


def test_banner_outside_of_a_notebook_whole_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        kanslib.open_lab("arp")
        assert "substitutes: " in capsys.readouterr().out
