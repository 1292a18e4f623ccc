"""The timeline of an outage as a plotly figure, with its words and its table."""

from __future__ import annotations

import json
from collections.abc import Sequence

import htpy as h
import plotly.graph_objects as go
from markupsafe import Markup, escape

from kanslib.analysis import Attempt, EventKind, Outage, Phase, TimelineEvent
from kanslib.analysis.phases import DARK, HEALTHY, PARTLY, STRAGGLERS
from kanslib.answer import Provenance
from kanslib.palette import BLUE, GREEN, GREY, GRID, INK, PAPER, PURPLE, VERMILLION
from kanslib.render.answers import TabledAnswer
from kanslib.render.rows import Row, Rows

LANE_STYLES = {
    EventKind.MEMBERLIST: (PURPLE, "diamond"),
    EventKind.SPEAKER: (PURPLE, "star-triangle-up"),
    EventKind.LEADER: (BLUE, "star"),
    EventKind.GRATUITOUS_ARP: (GREEN, "triangle-up"),
    EventKind.NEIGHBOR_ADVERTISEMENT: (GREEN, "triangle-down"),
    EventKind.BGP: (BLUE, "cross"),
    EventKind.NODE: (VERMILLION, "square"),
    EventKind.ENDPOINTS: (GREEN, "hexagon"),
    EventKind.RULES: (GREY, "hourglass"),
}
# colour and opacity; the name above the band says the same
_BANDS = {DARK: (VERMILLION, 0.35), PARTLY: (VERMILLION, 0.14), HEALTHY: (BLUE, 0.06), STRAGGLERS: (PURPLE, 0.12)}
_MIN_NAMED_SHARE = 0.12  # of the axis: a shorter band has no room for its name
_CONFIG = {"displaylogo": False, "showSendToCloud": False, "responsive": True}


class TimelineFigure(TabledAnswer, go.Figure):
    """A plotly figure with words, rows and a provenance; a notebook shows figure and words.

    Plotly reads `<b>`, `<br>`, `<a href>` and entities in every string that it shows: names and texts are escaped
    before they are put into a figure.
    """

    def with_description(self, words: str, provenance: Provenance, rows: Rows) -> TimelineFigure:
        """Set the words, the provenance and the rows of the figure, and return it."""
        # plotly refuses attributes that it does not know
        object.__setattr__(self, "_words", words)
        object.__setattr__(self, "provenance", provenance)
        object.__setattr__(self, "_rows", rows)
        return self

    def set_time_axis(self, action: str, height: int) -> None:
        """Set what timelines share: seconds after `action`, a line at 0 s with its name, `height` in pixels."""
        name = escape(action)
        line = {"color": VERMILLION, "width": 2, "dash": "dash"}
        self.add_vline(x=0, line=line, annotation_text=name, annotation_yshift=14)
        self.update_layout(
            height=height, margin={"l": 10, "r": 10, "t": 50, "b": 40}, paper_bgcolor=PAPER, plot_bgcolor=PAPER,
            font={"color": INK, "size": 13}, hovermode="closest",
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        )  # fmt: skip
        self.update_xaxes(title=f"seconds after {name}", gridcolor=GRID, zeroline=False)

    def rows(self) -> Rows:
        """Return what the figure is drawn from."""
        return getattr(self, "_rows", ())

    def describe(self) -> str:
        """Return what the figure shows, in sentences."""
        return str(getattr(self, "_words", ""))

    def body_html(self) -> Markup:
        """Return the words: a picture needs plotly's own MIME type."""
        words = Markup("<br>").join(self.describe().splitlines())
        return Markup(h.div(".kans-words")[h.b["In words"], h.br, words])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None, **options: object) -> dict[str, object]:
        """Return plotly's own MIME type, which needs no network, whatever renderer is set; and the words."""
        del include, exclude, options
        figure = {**json.loads(self.to_json()), "config": _CONFIG}
        words = f"# {self.provenance or ''}\n{self.describe()}"
        return {"application/vnd.plotly.v1+json": figure, "text/plain": words}

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        if self.provenance:
            display(HTML(self.provenance.html()))
        display(self._repr_mimebundle_(), raw=True)
        display(HTML(self.body_html()))


def draw(outage: Outage, provenance: Provenance) -> TimelineFigure:
    """Draw the requests of each Service above and the timeline events below, on one axis of seconds after the action.

    A failed request is a cross, an answered one a dot; the band behind them is the phase, with its name.
    """
    figure = TimelineFigure()
    services = list(outage.attempts)
    lanes = [lane for lane in LANE_STYLES if any(event.kind is lane for event in outage.events)]
    rows = [*services, *lanes]
    level = {name: len(rows) - place for place, name in enumerate(rows)}
    for service in services:
        _add_phases(figure, outage.phases[service], level[service])
        _add_requests(figure, service, outage.attempts[service], level[service])
    for lane in lanes:
        _add_lane(figure, lane, [event for event in outage.events if event.kind is lane], level[lane])
    figure.set_time_axis(outage.action, 140 + 46 * len(rows))
    figure.update_layout(margin_t=40)
    room = [0.4, len(rows) + 0.9]  # above the first line, for the name of the action
    figure.update_yaxes(
        range=room,
        tickvals=list(level.values()),
        ticktext=[escape(row) for row in rows],
        gridcolor=GRID,
        zeroline=False,
    )
    return figure.with_description(describe(outage), provenance, _rows(outage))


def _add_phases(figure: go.Figure, phases: Sequence[Phase], level: float) -> None:
    """Add the phases as bands with their names, where there is room for a name."""
    whole = phases[-1].end - phases[0].start if phases else 0.0
    for phase in phases:
        colour, pattern = _BANDS[phase.name]
        figure.add_shape(
            type="rect", x0=phase.start, x1=phase.end, y0=level - 0.42, y1=level + 0.42, fillcolor=colour,
            opacity=pattern, line={"width": 1, "color": colour}, layer="below",
        )  # fmt: skip
        label = f"{phase.name} ({phase.failed}/{phase.tried})" if phase.failed else phase.name
        if phase.end - phase.start < whole * _MIN_NAMED_SHARE:
            label = "dark" if phase.name == DARK else ""
        if label:
            figure.add_annotation(
                x=(phase.start + phase.end) / 2, y=level + 0.42, yshift=8, showarrow=False,
                font={"size": 11}, text=label,
            )  # fmt: skip


def _add_requests(figure: go.Figure, service: str, attempts: Sequence[Attempt], level: float) -> None:
    """Add answered requests a little above the Service's line, failed ones below: neither hides the other."""
    first = not any(trace.legendgroup == "requests" for trace in figure.data)
    for ok, name, colour, symbol in ((True, "answered", BLUE, "circle"), (False, "no answer", VERMILLION, "x")):
        mine = [attempt for attempt in attempts if attempt.is_ok is ok]
        texts = [escape(one.reason or one.hostname or one.error) for one in mine]
        figure.add_scatter(
            x=[round(attempt.at, 3) for attempt in mine],
            y=[level + (0.16 if ok else -0.16)] * len(mine),
            text=texts,
            mode="markers",
            name=name,
            legendgroup="requests" if ok else "failures",
            showlegend=first,
            marker={"color": colour, "symbol": symbol, "size": 5 if ok else 7, "opacity": 0.6 if ok else 1},
            customdata=[escape(service)] * len(mine),
            hovertemplate="%{customdata} %{x:+.2f} s · %{text}<extra></extra>",
        )


def _add_lane(figure: go.Figure, lane: EventKind, events: Sequence[TimelineEvent], level: float) -> None:
    colour, symbol = LANE_STYLES[lane]
    figure.add_scatter(
        x=[round(event.at, 3) for event in events],
        y=[level] * len(events),
        text=[escape(event) for event in events],
        mode="markers",
        name=str(lane),
        showlegend=False,
        marker={"color": colour, "symbol": symbol, "size": 11},
        hovertemplate="%{x:+.2f} s · %{text}<extra></extra>",
    )


def _rows(outage: Outage) -> list[Row]:
    """Return the phases of each Service, then the timeline events."""
    phases = [
        {"LINE": service, "AT": round(one.start, 1), "UNTIL": f"{one.end:.1f}", "WHAT": one.name,
         "FAILED": f"{one.failed}/{one.tried}"}
        for service, found in outage.phases.items()
        for one in found
    ]  # fmt: skip
    events = [
        {"LINE": str(event.kind), "AT": round(event.at, 1), "UNTIL": "", "WHAT": str(event), "FAILED": ""}
        for event in outage.events
    ]
    return [*phases, *events]


def describe(outage: Outage) -> str:
    """Return the timeline in words: the phases of each Service, then the first event of each lane after the action.

    Without requests, as with logs alone: all events in order.
    """
    if not outage.phases:
        return "\n".join(f"{event.at:+.1f} s {event.kind}: {event}" for event in outage.events)
    sentences = []
    for service, phases in outage.phases.items():
        texts = [_describe_phase(phase) for phase in phases] or [f"no request after {outage.action}"]
        sentences.append(f"{service}: " + "; ".join(texts) + ".")
    firsts: dict[EventKind, TimelineEvent] = {}
    for event in outage.events:
        if event.at > 0:
            firsts.setdefault(event.kind, event)
    if firsts:
        texts = [f"{kind} at {event.at:+.1f} s ({event})" for kind, event in firsts.items()]
        sentences.append(f"First after {outage.action}: " + "; ".join(texts) + ".")
    sentences += [f"Limit of the capture: {limit}." for limit in outage.limits]
    return "\n".join(sentences)


def _describe_phase(phase: Phase) -> str:
    causes = ": " + ", ".join(f"{kind} {count}" for kind, count in phase.causes) if phase.causes else ""
    failed = f"{phase.failed} of {phase.tried} failed{causes}"
    return f"{phase.start:+.1f} to {phase.end:+.1f} s {phase.name} ({failed})"
