"""A report as one HTML page without external files: figures, tables, words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from kanslib.analysis import Outage
from kanslib.analysis.arp import ARPAnalysis, NeighborUpdate
from kanslib.answer import Provenance
from kanslib.palette import INK, PAPER
from kanslib.render import arp_timeline, outage_tables, outage_timeline
from kanslib.render.outage_timeline import TimelineFigure
from kanslib.render.rows import Rows

_MAX_ROWS = 500  # rows of a table: a page has to open on a phone
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
    """Return the page. `facts` stand at its top: the inputs that were read, and their defects."""
    inputs = [{"INPUT": name, "CONTENT": text} for name, text in facts]
    parts = [f"<h1>{escape(title)}</h1>", _table(("INPUT", "CONTENT"), inputs)]
    links = (f'<a href="#c{number}">{escape(one.title)}</a>' for number, one in enumerate(sections))
    parts.append(f"<nav>{''.join(links)}</nav>")
    needs_plotly = True
    for number, section in enumerate(sections):
        parts += _section(number, section, needs_plotly)
        needs_plotly = False
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _section(number: int, section: ReportSection, needs_plotly: bool) -> Iterator[str]:
    yield f'<h2 id="c{number}">{escape(section.title)}</h2><p><small>{escape(str(section.provenance))}</small></p>'
    if section.outage.attempts or section.outage.events:
        yield _figure(outage_timeline.draw(section.outage, section.provenance), needs_plotly)
        needs_plotly = False
    if section.outage.attempts:
        yield "<h3>Phases</h3>" + _table(outage_tables.PHASE_COLUMNS, outage_tables.phase_rows(section.outage, None))
    for service in section.outage.attempts:
        rows = outage_tables.failure_rows(section.outage, service)
        if rows:
            yield f"<h3>Failed requests to {escape(service)}</h3>" + _table(outage_tables.FAILURE_COLUMNS, rows)
    if section.outage.events:
        yield "<h3>Events</h3>" + _table(outage_tables.EVENT_COLUMNS, outage_tables.event_rows(section.outage, None))
    yield from _arp(section, needs_plotly)


def _arp(section: ReportSection, needs_plotly: bool) -> Iterator[str]:
    window, places = section.context.window, section.context.places
    if not section.arp.frames:
        return
    yield "<h3>ARP</h3>"
    yield _figure(
        arp_timeline.draw(section.arp, section.neighbor_updates, section.context, section.provenance), needs_plotly
    )
    tables: list[tuple[str, Sequence[str], Rows]] = [
        (
            "Announcements", arp_timeline.ANNOUNCEMENT_COLUMNS,
            arp_timeline.announcement_rows(section.arp.announcements(), window, places),
        ),
        ("Conflicts", arp_timeline.CONFLICT_COLUMNS, arp_timeline.conflict_rows(section.arp, window, places)),
        ("Scans", arp_timeline.SCAN_COLUMNS, arp_timeline.scan_rows(section.arp, window, places)),
        ("Neighbor cache of the client", arp_timeline.NEIGHBOR_COLUMNS,
         arp_timeline.neighbor_rows(section.neighbor_updates, window, places)),
    ]  # fmt: skip
    for name, columns, rows in tables:
        if rows:
            yield f"<h4>{name}</h4>" + _table(columns, rows)


def _figure(figure: TimelineFigure, needs_plotly: bool) -> str:
    drawn = figure.to_html(full_html=False, include_plotlyjs=needs_plotly, config={"displaylogo": False})
    return f'<div class="scroll">{drawn}</div><p class="words">{escape(figure.describe())}</p>'


def _table(columns: Sequence[str], rows: Rows) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(row[column]))}</td>" for column in columns) + "</tr>"
        for row in rows[:_MAX_ROWS]
    )
    more = f"<p>… and {len(rows) - _MAX_ROWS:,} more</p>" if len(rows) > _MAX_ROWS else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}</div>'
