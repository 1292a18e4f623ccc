"""Answers as a terminal's IPython and a notebook print them."""

from __future__ import annotations

import pytest
from IPython.lib.pretty import pretty

from kanslib.answer import Freshness, Provenance, Text
from kanslib.render.tables import Table

from .types import OpenLab


def test_text_pretty_provenance_above_the_lines() -> None:
    text = Text("one\ntwo", Provenance("recorded", 1795417845.0, "opening", "MetalLB v0.14.8"))
    assert pretty(text) == "# recorded 2026-11-23 07:10:45 UTC · MetalLB v0.14.8\none\ntwo"


def test_svg_pretty_words_and_no_markup(open_lab: OpenLab) -> None:
    drawing = open_lab("arp").map()
    assert pretty(drawing).endswith(drawing.describe())
    assert "<svg" not in pretty(drawing)


def test_trace_pretty_provenance_above_the_words(open_lab: OpenLab) -> None:
    trace = open_lab("iptables").trace("svc1")
    assert pretty(trace) == f"# {trace.provenance}\n{trace.describe()}"


def test_table_pretty_rows_below_provenance() -> None:
    provenance = Provenance("recorded", 1795417845.0, "opening", "MetalLB v0.14.8")
    lines = pretty(Table.from_rows([{"NAME": "svc1", "PORT": 80}], provenance)).splitlines()
    assert [lines[0], lines[-1].split()] == [f"# {provenance}", ["svc1", "80"]]


def test_provenance_chip_one_word_and_the_whole_line_for_everybody() -> None:
    provenance = Provenance("recorded", 1795417845.0, "opening", "MetalLB v0.14.8")
    chip = f'<small tabindex="0" role="note"><b aria-hidden="true">recorded</b> <span>{provenance}</span></small>'
    assert chip in provenance.html()


def test_provenance_chip_says_at_once_what_was_recorded_at_another_time() -> None:
    provenance = Provenance("recorded", 0.0, "opening", "v1", freshness=Freshness(-12.2, "kill-node"))
    assert ">recorded 12 s earlier · from before kill-node</b>" in provenance.html()


def test_provenance_of_a_simulation_in_place_of_a_recording_whole(
    open_lab: OpenLab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = open_lab("failover")
    assert not lab.nodes().provenance.is_replacement
    lab.kill_node("myk8s-worker3")  # nobody recorded it
    capsys.readouterr()
    for answer in (lab.nodes(), lab.run(lab.client, "ip -j neigh")):
        assert answer.provenance.is_replacement
        assert f"<small>{answer.provenance}</small>" in answer._repr_html_()
        assert "border-left" in answer._repr_html_()
    assert not open_lab("failover", backend="simulated").nodes().provenance.is_replacement
