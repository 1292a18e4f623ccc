"""Plotly figures. Each says in words what it shows (`describe()`), and is drawn from a table you can have too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from kanslib.provenance import Provenance
from kanslib.timeline import Mark, Phase
from kanslib.views.palette import BLUE, GREEN, GRID, INK, PAPER, PURPLE, VERMILLION

LANES = {
    "memberlist": (PURPLE, "diamond"),
    "leader": (BLUE, "star"),
    "gratuitous ARP": (GREEN, "triangle-up"),
    "node": (VERMILLION, "square"),
    "endpoints": (GREEN, "hexagon"),
}
_CONFIG = {"displaylogo": False, "showSendToCloud": False, "responsive": True}


class TimelineFigure(go.Figure):
    """A plotly figure that can also be read: `describe()` tells it, and a notebook shows both."""

    def describing(self, words: str, provenance: Provenance) -> TimelineFigure:
        """The same figure, with its words and its provenance."""
        object.__setattr__(self, "_words", words)
        object.__setattr__(self, "_provenance", provenance)
        return self

    def describe(self) -> str:
        """What the figure shows, in sentences."""
        return str(getattr(self, "_words", ""))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **options: Any) -> dict[str, Any]:
        """Plotly's own kind whatever renderer is set, as it needs no network, and the words for who cannot draw it."""
        del include, exclude, options
        drawn = {**json.loads(self.to_json()), "config": _CONFIG}
        words = f"# {getattr(self, '_provenance', '')}\n{self.describe()}"
        return {"application/vnd.plotly.v1+json": drawn, "text/plain": words}

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        if origin := getattr(self, "_provenance", None):
            display(HTML(origin.html()))
        display(self._repr_mimebundle_(), raw=True)
        words = "<br>".join(escape(line) for line in self.describe().splitlines())
        display(HTML(f'<div class="kans-words"><b>In words</b><br>{words}</div>'))


def failover(
    probes: Mapping[str, Sequence[Mapping[str, Any]]],
    phases: Mapping[str, Sequence[Phase]],
    marks: Sequence[Mark],
    zero: float,
    act: str,
    provenance: Provenance,
) -> TimelineFigure:
    """One time axis (seconds after the act): every request of each Service above, everything that happened below.

    `probes` and `phases` by Service; a request that failed is a cross, one that was answered a dot.
    """
    figure = TimelineFigure()
    services = list(probes)
    lanes = [lane for lane in LANES if any(mark.lane == lane for mark in marks)]
    rows = [*services, *lanes]
    level = {name: len(rows) - place for place, name in enumerate(rows)}
    for service in services:
        _add_requests(figure, service, probes[service], zero, level[service])
    for lane in lanes:
        _add_lane(figure, lane, [mark for mark in marks if mark.lane == lane], level[lane])
    figure.add_vline(x=0, line={"color": VERMILLION, "width": 2, "dash": "dash"}, annotation_text=act)
    figure.update_layout(
        height=140 + 46 * len(rows),
        margin={"l": 10, "r": 10, "t": 40, "b": 40},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        font={"color": INK, "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        hovermode="closest",
    )
    figure.update_xaxes(title=f"seconds after {act}", gridcolor=GRID, zeroline=False)
    room = [0.4, len(rows) + 0.9]  # above the first line, for the name of the act
    figure.update_yaxes(range=room, tickvals=list(level.values()), ticktext=rows, gridcolor=GRID, zeroline=False)
    return figure.describing(words(phases, marks, act), provenance)


def _add_requests(
    figure: go.Figure, service: str, probes: Sequence[Mapping[str, Any]], zero: float, level: float
) -> None:
    """Answered requests a little above the Service's line, failed ones below: half and half has to show as both."""
    first = not any(trace.legendgroup == "requests" for trace in figure.data)
    for ok, name, colour, symbol in ((True, "answered", BLUE, "circle"), (False, "no answer", VERMILLION, "x")):
        mine = [probe for probe in probes if bool(probe["ok"]) is ok]
        said = [str(p.get("hostname") or p.get("error") or "") for p in mine]
        figure.add_scatter(
            x=[round(probe["t"] - zero, 3) for probe in mine],
            y=[level + (0.16 if ok else -0.16)] * len(mine),
            text=said,
            mode="markers",
            name=name,
            legendgroup="requests" if ok else "failures",
            showlegend=first,
            marker={"color": colour, "symbol": symbol, "size": 5 if ok else 7, "opacity": 0.6 if ok else 1},
            hovertemplate=f"{service} %{{x:+.2f}} s · %{{text}}<extra></extra>",
        )


def _add_lane(figure: go.Figure, lane: str, marks: Sequence[Mark], level: float) -> None:
    colour, symbol = LANES[lane]
    figure.add_scatter(
        x=[round(mark.at, 3) for mark in marks],
        y=[level] * len(marks),
        text=[mark.text for mark in marks],
        mode="markers",
        name=lane,
        showlegend=False,
        marker={"color": colour, "symbol": symbol, "size": 11},
        hovertemplate="%{x:+.2f} s · %{text}<extra></extra>",
    )


def words(phases: Mapping[str, Sequence[Phase]], marks: Sequence[Mark], act: str) -> str:
    """The timeline in sentences, one a line: each Service's phases, then the first of each kind of event."""
    sentences = []
    for service, stretches in phases.items():
        said = [
            f"{phase.start:+.1f} to {phase.end:+.1f} s {phase.name} ({phase.failed} of {phase.tried} failed)"
            for phase in stretches
        ]
        sentences.append(f"{service}: " + "; ".join(said) + ".")
    firsts: dict[str, Mark] = {}
    for mark in marks:
        if mark.at > 0:
            firsts.setdefault(mark.lane, mark)
    if firsts:
        told = [f"{lane} at {mark.at:+.1f} s ({mark.text})" for lane, mark in firsts.items()]
        sentences.append(f"First after {act}: " + "; ".join(told) + ".")
    return "\n".join(sentences)
