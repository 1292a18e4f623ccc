"""What a live session shows while it waits."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from kanslib.cluster import session


def test_session_progress_escapes_html(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr("IPython.display.display", lambda html, **_: shown.append(html.data))
    session.show_progress("no Pod <none> & no <b>node</b>")
    assert "no Pod &lt;none&gt; &amp; no &lt;b&gt;node&lt;/b&gt;" in shown[0]
