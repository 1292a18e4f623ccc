"""Who leads an address in the view of each speaker, of the client and of the API, as a figure and in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import escape

from kanslib.analysis.leadership import LeaderView, disagreements
from kanslib.answer import Provenance
from kanslib.palette import GRID, INK, SERIES
from kanslib.render.outage_timeline import TimelineFigure

_NOBODY = "nobody"


def draw(views: Sequence[LeaderView], title: str, action: str, provenance: Provenance) -> TimelineFigure:
    """Draw one line for each viewer, and on it a bar for each leader that it saw.

    Time is seconds after `action`.
    """
    figure = TimelineFigure()
    viewers = list(dict.fromkeys(one.viewer for one in views))
    leaders = list(dict.fromkeys(one.leader for one in views))
    colours = {leader: SERIES[place % len(SERIES)] for place, leader in enumerate(leaders)}
    whole = max((one.end for one in views), default=1.0) - min((one.start for one in views), default=0.0)
    for leader in leaders:
        mine = [one for one in views if one.leader == leader]
        name = escape(leader or _NOBODY)
        figure.add_bar(
            orientation="h", base=[one.start for one in mine], x=[one.end - one.start for one in mine],
            y=[escape(one.viewer) for one in mine], name=name, customdata=[name] * len(mine), width=0.7,
            marker={"color": colours[leader], "opacity": 0.28, "line": {"color": colours[leader], "width": 2}},
            text=[name if one.end - one.start > whole * 0.1 else "" for one in mine],
            textposition="inside", insidetextanchor="middle", textfont={"color": INK},
            hovertemplate="%{y}: %{customdata} from %{base:+.1f} s<extra></extra>",
        )  # fmt: skip
    figure.set_time_axis(action, 150 + 42 * len(viewers))
    figure.update_layout(barmode="overlay", title={"text": escape(title), "font": {"size": 14}})
    names = [escape(viewer) for viewer in reversed(viewers)]
    figure.update_yaxes(categoryorder="array", categoryarray=names, gridcolor=GRID)
    rows = [
        {"WHO": one.viewer, "FROM": round(one.start, 1), "TO": round(one.end, 1), "LEADER": one.leader or _NOBODY}
        for one in views
    ]
    return figure.with_description("\n".join([*sentences(views), describe_disagreements(views)]), provenance, rows)


def sentences(views: Sequence[LeaderView]) -> list[str]:
    """Return the figure in words, one sentence for each viewer."""
    lines = []
    for viewer in dict.fromkeys(one.viewer for one in views):
        mine = [one for one in views if one.viewer == viewer]
        leaders = [mine[0].leader or _NOBODY]
        leaders += [
            f"{one.leader or _NOBODY} from {one.start:+.1f} s"
            for before, one in pairwise(mine)
            if one.leader != before.leader
        ]
        ends = f" (until {mine[-1].end:+.1f} s)" if mine[-1].end < max(one.end for one in views) - 0.1 else ""
        lines.append(f"{viewer}: {', then '.join(leaders)}{ends}.")
    return lines


def describe_disagreements(views: Sequence[LeaderView]) -> str:
    """Return for how long not all viewers agreed."""
    split = disagreements(views)
    if not split:
        return "All agreed, all the time."
    seconds = sum(end - start for start, end, _ in split)
    return f"Not all agreed for {seconds:.1f} s, between {split[0][0]:+.1f} and {split[-1][1]:+.1f} s."
