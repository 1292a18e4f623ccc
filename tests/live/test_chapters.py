"""Run every chapter live and recorded: the same columns, and the same rows once random names are masked.

Run with `pytest -m live`; takes about half an hour, most of it waiting for the effects of failures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from nbformat import NotebookNode

from kanslib.cli import run
from kanslib.course import chapters

pytestmark = pytest.mark.live
# columns that identify a row; the others hold random values or times
KEYS = {"NAME", "HOSTNAME", "HOLDER", "NODE", "PREFIX", "MOMENT", "ADDRESS", "CHAIN", "REASON", "NAMES"}
# tables with these columns have a random number of rows: retries, ports, neighbors of the client
RANDOM = {"PORT", "SECONDS", "STATE", "REMOTE"}


class Tables(HTMLParser):
    """The table of an output: column names, and rows of cells. A transposed one has its names in the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[str] = []
        self.rows: list[list[str]] = []
        self._cell: list[str] | None = None
        self._head = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell, self._head = [], tag == "th" and ("scope", "row") not in attrs

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            text = "".join(self._cell).strip()
            (self.heads if self._head else self.rows[-1]).append(text)
            self._cell = None


def masked(text: str) -> str:
    """Return a text without the random parts of names."""
    text = re.sub(r"(KUBE-[A-Z]+)-[A-Z0-9]{16}", r"\1", text)
    text = re.sub(r"\b(speaker|controller|coredns|kube-proxy|kindnet|l2|svc\d)-[a-z0-9]+(-[a-z0-9]{5})?\b", r"\1", text)
    return re.sub(r"\b172\.18\.0\.\d+|\b10\.\d+\.\d+\.\d+", "IP", text)


Shown = tuple[str, int]  # a cell's id, and which of its tables


def tables(notebook: NotebookNode) -> Iterator[tuple[Shown, tuple[str, list[str], list[dict[str, str]]]]]:
    """Yield code, columns and rows of each table that a cell shows."""
    for cell in notebook.cells:
        number = 0
        for output in cell.get("outputs", []):
            html = output.get("data", {}).get("text/html", "")
            if "kans-answer" in html and "<table" in html:
                found = Tables()
                found.feed(html)
                heads, *lines = (
                    [found.heads, *filter(None, found.rows)] if found.heads else zip(*found.rows, strict=True)
                )
                rows = [dict(zip(heads, line, strict=False)) for line in lines]
                yield (cell.id, number), (cell.source, list(heads), rows)
                number += 1


@pytest.mark.parametrize("chapter", chapters.pick([]), ids=lambda path: path.stem)
def test_chapter_live_equals_recorded(chapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANS_BACKEND", "recorded")
    recorded, recorded_notebook = run.execute(chapter)
    assert not recorded.error
    monkeypatch.setenv("KANS_BACKEND", "live")
    live, live_notebook = run.execute(chapter)
    assert not live.error
    recorded_tables, live_tables = dict(tables(recorded_notebook)), dict(tables(live_notebook))
    missing = [code for shown, (code, _, _) in recorded_tables.items() if shown not in live_tables]
    assert all("neighbors()" in code for code in missing), missing  # a client may remember nobody: no table is drawn
    for shown, (code, heads, rows) in recorded_tables.items():
        _, live_heads, live_rows = live_tables.get(shown, (code, heads, rows))
        if RANDOM & set(heads) or "value_counts()" in code:
            continue
        assert live_heads == heads, code
        keys = KEYS & set(heads)
        for key in keys:
            assert sorted({masked(row[key]) for row in live_rows}) == sorted({masked(row[key]) for row in rows}), code
