"""Answers as a terminal's IPython and a notebook print them."""

from __future__ import annotations

from IPython.lib.pretty import pretty

from kanslib.answer import Provenance, Text
from kanslib.render.svg import SVG
from kanslib.render.tables import Table

from .types import OpenLab


def test_text_pretty_provenance_above_the_lines() -> None:
    text = Text("one\ntwo", Provenance("recorded", 1795417845.0, "opening", "MetalLB v0.14.8"))
    assert pretty(text) == "# recorded 2026-11-23 07:10:45 UTC · MetalLB v0.14.8\none\ntwo"


def test_svg_pretty_words_and_no_markup(open_lab: OpenLab) -> None:
    drawing = open_lab("arp").map()
    assert isinstance(drawing, SVG)
    assert pretty(drawing).endswith(drawing.describe())
    assert "<svg" not in pretty(drawing)


def test_trace_pretty_provenance_above_the_words(open_lab: OpenLab) -> None:
    trace = open_lab("iptables").trace("svc1")
    assert pretty(trace) == f"# {trace.provenance}\n{trace.describe()}"


def test_table_pretty_rows_below_provenance() -> None:
    provenance = Provenance("recorded", 1795417845.0, "opening", "MetalLB v0.14.8")
    lines = pretty(Table.from_rows([{"NAME": "svc1", "PORT": 80}], provenance)).splitlines()
    assert [lines[0], lines[-1].split()] == [f"# {provenance}", ["svc1", "80"]]
