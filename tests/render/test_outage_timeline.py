"""The timeline beside the probes."""

from __future__ import annotations

import json

from tests.contrast import contrast
from tests.types import OpenLab, OpenReference


def test_outage_timeline_text_contrast(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node")
    layout = lab.observation().timeline().layout
    assert contrast(layout.font.color, layout.paper_bgcolor) >= 4.5
    assert layout.paper_bgcolor == layout.plot_bgcolor


def test_outage_timeline_every_probe_and_phase(open_reference: OpenReference) -> None:
    lab = open_reference("failover")
    with lab.observe(probes=["svc1"], seconds=120) as seen:
        lab.kill_node("myk8s-worker")
    figure = seen.timeline()
    requests = [trace for trace in figure.data if trace.legendgroup in ("requests", "failures")]
    assert sum(len(trace.x) for trace in requests) == len(seen.probes("svc1"))
    symbols = {trace.name: trace.marker.symbol for trace in requests}
    assert symbols["answered"] != symbols["no answer"]
    words = figure.describe()
    assert "VIP dark (13 of 13 failed: leader gone 11, unreachable 2)" in words
    assert "partly dark (60 of 112 failed: endpoint gone 60)" in words
    assert "healthy with stragglers (5 of" in words
    for lane in (
        "memberlist at +1.6 s",
        "speaker at +5.7 s",
        "leader at +5.6 s",
        "gratuitous ARP at +5.7 s",
        "node at +38.2 s",
        "endpoints at +38.2 s",
        "rules at +",
    ):
        assert lane in words


def test_outage_timeline_no_upload_link(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node")
    bundle = lab.observation().timeline()._repr_mimebundle_()
    plotly = next(value for key, value in bundle.items() if "plotly" in key)
    assert isinstance(plotly, dict)
    assert plotly["config"]["showSendToCloud"] is False
    assert json.dumps(plotly)
