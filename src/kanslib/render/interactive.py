"""Timelines as plotly figures, to hover over and to zoom. Only what asks for one of them imports plotly."""

from __future__ import annotations

import json
from collections.abc import Sequence

import plotly.graph_objects as go
from markupsafe import Markup, escape

from kanslib.analysis import Attempt, EventKind, Outage, Phase, TimelineEvent
from kanslib.analysis.neighbor_cache import NeighborUpdate
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.analysis.phases import DARK
from kanslib.i18n import numeral, tr
from kanslib.palette import BLUE, GREY, PURPLE, VERMILLION
from kanslib.render.arp_words import MESSAGE_STYLES, PlotContext, describe_message, neighbor_entries
from kanslib.render.event_marks import EVENT_STYLES, PHASE_STYLES

# plotly's names of the symbols of figure/marks.py that it calls otherwise
_SYMBOLS = {"triangle": "triangle-up", "plus": "cross", "cross": "x"}
_MIN_NAMED_SHARE = 0.12  # of the axis: a shorter band has no room for its name
_CONFIG = {"displaylogo": False, "displayModeBar": False, "showSendToCloud": False, "responsive": True}


class InteractiveFigure(go.Figure):
    """A plotly figure that takes the page's ground. A notebook shows it in plotly's own MIME type, without a network.

    Plotly reads `<b>`, `<br>`, `<a href>` and entities in every string that it shows: names and texts are escaped
    before they are put into a figure.
    """

    _ipython_display_ = None  # plotly's own asks for a renderer, which may load code from a network

    def set_time_axis(self, action: str, lanes: Sequence[str], height: int) -> None:
        """Set seconds after `action` as the x axis, the lanes as the y axis (the first on top), the height in px."""
        name = escape(action)
        line = {"color": VERMILLION, "width": 1, "dash": "dash"}
        self.add_vline(x=0, line=line, annotation_text=name, annotation_yshift=14)
        marks = numeral(1234.5, ",.1f")
        self.update_layout(
            height=height, margin={"l": 10, "r": 10, "t": 50, "b": 40}, hovermode="closest",
            separators=marks[-2] + marks[1:-5],
            paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", font={"color": GREY, "size": 12},
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        )  # fmt: skip
        grid = {"gridcolor": GREY, "griddash": "dot", "zeroline": False}
        self.update_xaxes(title=tr("seconds after {name}", name=name), **grid)
        ticks = list(range(len(lanes), 0, -1))
        self.update_yaxes(range=[0.4, len(lanes) + 0.9], tickvals=ticks, ticktext=list(lanes), **grid)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None, **options: object) -> dict[str, object]:
        del include, exclude, options
        figure = {**json.loads(self.to_json()), "config": _CONFIG}
        return {"application/vnd.plotly.v1+json": figure, "text/plain": "a plotly figure"}


def marker(colour: str, shape: str, size: int = 11) -> dict[str, object]:
    """Return plotly's marker of a symbol of figure/marks.py."""
    return {"color": colour, "symbol": _SYMBOLS.get(shape, shape), "size": size}


def outage_timeline(outage: Outage) -> InteractiveFigure:
    """Return the requests of each Service above and the timeline events below, on one axis of seconds."""
    figure = InteractiveFigure()
    kinds = [kind for kind in EVENT_STYLES if any(event.kind is kind for event in outage.events)]
    lanes = [*outage.attempts, *kinds]
    level = {name: len(lanes) - place for place, name in enumerate(lanes)}
    for service, attempts in outage.attempts.items():
        _add_phases(figure, outage.phases[service], level[service])
        _add_requests(figure, service, attempts, level[service])
    for kind in kinds:
        _add_events(figure, kind, [event for event in outage.events if event.kind is kind], level[kind])
    figure.set_time_axis(outage.action, [escape(lane) for lane in lanes], 140 + 46 * len(lanes))
    return figure


def _add_phases(figure: InteractiveFigure, phases: Sequence[Phase], level: float) -> None:
    """Add the phases as bands with their names, where there is room for a name."""
    whole = phases[-1].end - phases[0].start if phases else 0.0
    for phase in phases:
        colour, opacity = PHASE_STYLES[phase.name]
        figure.add_shape(
            type="rect", x0=phase.start, x1=phase.end, y0=level - 0.42, y1=level + 0.42, fillcolor=colour,
            opacity=opacity, line={"width": 1, "color": colour}, layer="below",
        )  # fmt: skip
        label = f"{phase.name} ({phase.failed}/{phase.tried})" if phase.failed else phase.name
        if phase.end - phase.start < whole * _MIN_NAMED_SHARE:
            label = tr("dark") if phase.name == DARK else ""
        if label:
            figure.add_annotation(
                x=(phase.start + phase.end) / 2, y=level + 0.42, yshift=8, showarrow=False, text=label
            )


def _add_requests(figure: InteractiveFigure, service: str, attempts: Sequence[Attempt], level: float) -> None:
    """Add answered requests a little above the Service's line, failed ones below: neither hides the other."""
    is_first = not figure.data
    for ok, name, look in (
        (True, tr("answered"), marker(BLUE, "circle", 5)),
        (False, tr("no answer"), marker(VERMILLION, "cross", 7)),
    ):
        mine = [attempt for attempt in attempts if attempt.is_ok is ok]
        figure.add_scatter(
            x=[round(attempt.at, 3) for attempt in mine], y=[level + (0.16 if ok else -0.16)] * len(mine),
            text=[escape(one.reason or one.hostname or one.error) for one in mine], mode="markers", name=name,
            legendgroup=name, showlegend=is_first, marker=look, customdata=[escape(service)] * len(mine),
            hovertemplate="%{customdata} %{x:+.2f} s · %{text}<extra></extra>",
        )  # fmt: skip


def _add_events(figure: InteractiveFigure, kind: EventKind, events: Sequence[TimelineEvent], level: float) -> None:
    figure.add_scatter(
        x=[round(event.at, 3) for event in events], y=[level] * len(events),
        text=[escape(event) for event in events], mode="markers", name=str(kind), showlegend=False,
        marker=marker(*EVENT_STYLES[kind]), hovertemplate="%{x:+.2f} s · %{text}<extra></extra>",
    )  # fmt: skip


def arp_timeline(
    analysis: NeighborAnalysis, updates: Sequence[NeighborUpdate], context: PlotContext
) -> InteractiveFigure:
    """Return a line for each address: messages as symbols, the client's neighbor entry as a bar with its holder."""
    figure, zero = InteractiveFigure(), context.window.zero
    asked = {message.address for message in analysis.messages}
    addresses = [address for address in context.services if address in asked]
    level = {address: len(addresses) - place for place, address in enumerate(addresses)}
    for address in addresses:
        for start, end, holder in neighbor_entries(updates, address, context):
            figure.add_shape(
                type="rect", x0=start - zero, x1=end - zero, y0=level[address] - 0.4, y1=level[address] + 0.4,
                fillcolor=PURPLE, opacity=0.14, line={"width": 1, "color": PURPLE}, layer="below",
            )  # fmt: skip
            figure.add_annotation(
                x=(start + end) / 2 - zero, y=level[address] + 0.4, yshift=8, showarrow=False,
                text=escape(f"{context.client}: {holder}"),
            )  # fmt: skip
    for place, (kind, style) in enumerate(MESSAGE_STYLES.items()):
        mine = [message for message in analysis.messages if message.kind is kind and message.address in level]
        figure.add_scatter(
            x=[round(message.frame.time - zero, 3) for message in mine],
            y=[level[message.address] + 0.24 - 0.12 * place for message in mine],
            text=[escape(describe_message(message, context)) for message in mine],
            mode="markers", name=str(kind), marker=marker(*style, 9), visible=bool(mine),
            hovertemplate="%{x:+.2f} s · %{text}<extra></extra>",
        )  # fmt: skip
    names = [Markup("{}<br>{}").format(context.services[address], address) for address in addresses]
    figure.set_time_axis(context.window.action, names, 170 + 90 * len(addresses))
    return figure
