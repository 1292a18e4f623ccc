"""A report as one HTML page without external files: figures, tables, words. Its template is report.html."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kanslib.analysis import Outage
from kanslib.analysis.neighbor_cache import NeighborUpdate
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.answer import Provenance
from kanslib.i18n import language, tr, tr_plural
from kanslib.palette import DARK_GROUND, DARK_INK, INK, PAPER
from kanslib.render import arp_tables, arp_words, outage_tables
from kanslib.render.arp_timeline import ARPTimeline
from kanslib.render.outage_timeline import OutageTimeline
from kanslib.render.rows import Rows

_MAX_ROWS = 500  # rows of a table: a page has to open on a phone


@dataclass(frozen=True)
class ReportSection:
    """One outage and the ARP and neighbor discovery around it, with its title."""

    title: str
    outage: Outage
    neighbors: NeighborAnalysis
    neighbor_updates: Sequence[NeighborUpdate]
    context: arp_words.PlotContext
    provenance: Provenance


@dataclass(frozen=True)
class _Table:
    title: str
    columns: Sequence[str]
    rows: Rows


@dataclass(frozen=True)
class _PageSection:
    """A section as the template shows it."""

    title: str
    provenance: Provenance
    outage_figure: Markup
    outage_tables: list[_Table]
    neighbor_figure: Markup
    neighbor_tables: list[_Table]


def page(title: str, facts: Iterable[tuple[str, str]], sections: Sequence[ReportSection]) -> str:
    """Return the page. `facts` stand at its top: the inputs that were read, and their defects."""
    shown = [_page_section(section) for section in sections]
    environment = Environment(loader=PackageLoader("kanslib", "render"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html").render(
        title=title,
        inputs=_Table("", ("INPUT", "CONTENT"), [{"INPUT": name, "CONTENT": text} for name, text in facts]),
        sections=shown,
        max_rows=_MAX_ROWS,
        more_rows=lambda n: tr_plural("… and {n} more row", "… and {n:,} more rows", n),
        language=language(),
        neighbors=tr("ARP and neighbor discovery"),
        ink=INK,
        paper=PAPER,
        dark_ink=DARK_INK,
        dark_ground=DARK_GROUND,
    )


def _page_section(section: ReportSection) -> _PageSection:
    outage, neighbors, provenance = section.outage, section.neighbors, section.provenance
    outage_figure = neighbor_figure = Markup()
    if outage.attempts or outage.events:
        outage_figure = OutageTimeline(outage, provenance).body_html()
    if neighbors.messages:
        story = ARPTimeline(neighbors, section.neighbor_updates, section.context, provenance)
        neighbor_figure = story.body_html()
    outage_tables, neighbor_tables = (
        [table for table in tables if table.rows] for tables in (_outage_tables(outage), _neighbor_tables(section))
    )
    return _PageSection(section.title, provenance, outage_figure, outage_tables, neighbor_figure, neighbor_tables)


def _outage_tables(outage: Outage) -> Iterator[_Table]:
    yield _Table(tr("Phases"), outage_tables.PHASE_COLUMNS.names, outage_tables.phase_rows(outage, None))
    for service in outage.attempts:
        title, rows = tr("Failed requests to {service}", service=service), outage_tables.failure_rows(outage, service)
        yield _Table(title, outage_tables.FAILURE_COLUMNS, rows)
    yield _Table(tr("Events"), outage_tables.EVENT_COLUMNS, outage_tables.event_rows(outage, None))


def _neighbor_tables(section: ReportSection) -> Iterator[_Table]:
    neighbors, window, places = section.neighbors, section.context.window, section.context.places
    announcements = arp_tables.announcement_rows(neighbors.announcements(), window, places)
    cache = arp_tables.neighbor_rows(section.neighbor_updates, window, places)
    yield _Table(tr("Announcements"), arp_tables.ANNOUNCEMENT_COLUMNS, announcements)
    yield _Table(tr("Conflicts"), arp_tables.CONFLICT_COLUMNS, arp_tables.conflict_rows(neighbors, window, places))
    yield _Table(tr("Scans"), arp_tables.SCAN_COLUMNS, arp_tables.scan_rows(neighbors, window, places))
    yield _Table(tr("Neighbor cache of the client"), arp_tables.NEIGHBOR_COLUMNS, cache)
