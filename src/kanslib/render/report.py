"""A report as one HTML page that needs nothing else: figures, tables, words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from kanslib.analysis import Outage
from kanslib.analysis.arp import ARPAnalysis, NeighborUpdate
from kanslib.answer import Provenance
from kanslib.palette import INK, PAPER
from kanslib.render import arp_timeline, outage_timeline
from kanslib.render import outage_tables as outage
from kanslib.render.outage_timeline import TimelineFigure

_MOST = 500  # rows of a table: a page has to open on a phone
_STYLE = f"""
body{{font:15px/1.5 system-ui;color:{INK};background:{PAPER};max-width:1200px;margin:2em auto;padding:0 1em}}
table{{border-collapse:collapse;font-size:13px}}
th,td{{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}}
.scroll{{overflow-x:auto}}
.words{{white-space:pre-line;background:#f5f5f5;padding:.6rem 1rem}}
nav a{{margin-right:1rem}}a{{color:#005a8f}}
"""


@dataclass(frozen=True)
class ReportSection:
    """One outage and the ARP around it, with its title."""

    title: str
    outage: Outage
    arp: ARPAnalysis
    neighbor_updates: Sequence[NeighborUpdate]
    context: arp_timeline.PlotContext
    provenance: Provenance


def page(title: str, facts: Iterable[tuple[str, str]], sections: Sequence[ReportSection]) -> str:
    """The whole page. `facts` stand at its top: what was read, and what was wrong with it."""
    parts = [f"<h1>{escape(title)}</h1>", _table(["WHAT", "IS"], [{"WHAT": a, "IS": b} for a, b in facts])]
    links = (f'<a href="#c{number}">{escape(one.title)}</a>' for number, one in enumerate(sections))
    parts.append(f"<nav>{''.join(links)}</nav>")
    needs_plotly = True
    for number, chapter in enumerate(sections):
        for part in _section(number, chapter, needs_plotly):
            parts.append(part)
        needs_plotly = False
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _section(number: int, chapter: ReportSection, needs_plotly: bool) -> Iterator[str]:
    yield f'<h2 id="c{number}">{escape(chapter.title)}</h2><p><small>{escape(str(chapter.provenance))}</small></p>'
    if chapter.outage.attempts or chapter.outage.events:
        yield _figure(outage_timeline.draw(chapter.outage, chapter.provenance), needs_plotly)
        needs_plotly = False
    if chapter.outage.attempts:
        yield "<h3>Phases</h3>" + _table(outage.PHASE_COLUMNS, outage.phase_rows(chapter.outage, None))
    for service in chapter.outage.attempts:
        rows = outage.failure_rows(chapter.outage, service)
        if rows:
            yield f"<h3>Failed requests to {escape(service)}</h3>" + _table(outage.FAILURE_COLUMNS, rows)
    if chapter.outage.events:
        yield "<h3>What happened</h3>" + _table(outage.EVENT_COLUMNS, outage.event_rows(chapter.outage, None))
    yield from _arp(chapter, needs_plotly)


def _arp(chapter: ReportSection, needs_plotly: bool) -> Iterator[str]:
    window, places = chapter.context.window, chapter.context.places
    if not chapter.arp.frames:
        return
    yield "<h3>ARP</h3>"
    yield _figure(
        arp_timeline.draw(chapter.arp, chapter.neighbor_updates, chapter.context, chapter.provenance), needs_plotly
    )
    tables: list[tuple[str, list[str], list[dict[str, Any]]]] = [
        (
            "Announcements", arp_timeline.ANNOUNCEMENT_COLUMNS,
            arp_timeline.announcement_rows(chapter.arp.announcements(), window, places),
        ),
        ("Conflicts", arp_timeline.CONFLICT_COLUMNS, arp_timeline.conflict_rows(chapter.arp, window, places)),
        ("Scans", arp_timeline.SCAN_COLUMNS, arp_timeline.scan_rows(chapter.arp, window, places)),
        ("What the client believed", arp_timeline.NEIGHBOR_COLUMNS,
         arp_timeline.neighbor_rows(chapter.neighbor_updates, window, places)),
    ]  # fmt: skip
    for name, columns, rows in tables:
        if rows:
            yield f"<h4>{name}</h4>" + _table(columns, rows)


def _figure(figure: TimelineFigure, needs_plotly: bool) -> str:
    drawn = figure.to_html(full_html=False, include_plotlyjs=needs_plotly, config={"displaylogo": False})
    return f'<div class="scroll">{drawn}</div><p class="words">{escape(figure.describe())}</p>'


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(row[column]))}</td>" for column in columns) + "</tr>" for row in rows[:_MOST]
    )
    more = f"<p>… and {len(rows) - _MOST:,} more</p>" if len(rows) > _MOST else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}</div>'
