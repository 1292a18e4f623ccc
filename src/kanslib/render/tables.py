"""Tables: pandas DataFrames with a provenance, and how a notebook shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import htpy as h
import pandas as pd
from markupsafe import Markup

from kanslib.answer import Answer, Printer, Provenance
from kanslib.i18n import listed, numeral, tr, tr_later, tr_plural
from kanslib.palette import BLUE, GREY, GROUND
from kanslib.render.rows import Columns, Rows, Whole

_MAX_ROWS = 60
_LONG = 28  # characters: a column with a longer text is wrapped
_NOTHING_LEFT = tr_later("no row is left")  # of an answer that had rows
_BOX = ".kans-table.kans-table"  # the class twice: JupyterLab's own rules for tables are specific
# A box with more to its right fades there until it has been scrolled. Where a browser cannot tell, every box fades, and
# has as much room behind the table: what fades is never the last thing to see. On a phone names break at hyphens, so
# that the last column is near.
_STYLE = f"""
{_BOX}{{overflow-x:auto;scrollbar-width:thin}}
@keyframes kans-more{{from,90%{{mask-image:linear-gradient(to left,transparent,#000 2em)}}}}
@supports (animation-timeline:scroll()){{{_BOX}{{animation:kans-more linear;animation-timeline:scroll(self inline)}}}}
@supports not (animation-timeline:scroll()){{{_BOX}{{mask-image:linear-gradient(to left,transparent,#000 2em)}}
{_BOX}>div{{padding-right:2em}}}}
{_BOX}:focus-visible{{outline:2px solid {BLUE};outline-offset:-2px}}
{_BOX}>div{{display:inline-block}}
{_BOX} table{{border-collapse:collapse;margin:0;font-size:13px;line-height:1.35;table-layout:auto}}
{_BOX} tr:nth-child(n){{background-color:{GROUND}}}
{_BOX} tbody tr:nth-child(n):hover{{box-shadow:inset 0 0 0 99px {GREY}33}}
{_BOX} :is(th,td){{text-align:left;vertical-align:top;white-space:nowrap;padding:.3em .6em;max-width:none;\
border:0;border-bottom:1px solid {GREY}55}}
{_BOX} thead th{{font-weight:600;vertical-align:bottom;border-bottom:2px solid {GREY}}}
{_BOX} tbody th{{font-weight:600}}
{_BOX} .kans-number{{text-align:right;font-variant-numeric:tabular-nums}}
{_BOX} td.kans-long{{white-space:normal;min-width:11em;max-width:36em;overflow-wrap:anywhere}}
{_BOX} .kans-bar{{min-width:6em;background:linear-gradient(to right,{BLUE}66 var(--part),transparent 0) \
0 .2em/100% 1.5em no-repeat}}
{_BOX} tr>:first-child{{position:sticky;left:0;z-index:1;background-color:{GROUND}}}
@media(max-width:600px){{{_BOX} tr>:nth-child(n){{padding:.3em .35em}}
{_BOX} :is(th,td):not(.kans-number,.kans-bar){{white-space:normal;min-width:0}}
{_BOX} td.kans-long{{min-width:14em}}
{_BOX} tr>:first-child{{max-width:9em;overflow-wrap:break-word}}}}
"""


class Table(pd.DataFrame, Answer):  # type: ignore[misc]  # describe() stays pandas' own
    """A DataFrame with a provenance. A notebook shows the columns that answer the query; all of them can be asked.

    >>> table = Table.from_rows([{"NAME": "svc1"}], Provenance("recorded", 0.0, "opening", "MetalLB v0.14.8"))
    >>> table.NAME.tolist()
    ['svc1']
    """

    # every query sets it; only what pandas makes of several tables has none
    provenance: Provenance = None  # type: ignore[assignment]
    _layout = Columns(())
    _empty_because = _NOTHING_LEFT
    _metadata = ["provenance", "_layout", "_empty_because"]  # noqa: RUF012 (pandas reads it from the class)

    @classmethod
    def from_rows(
        cls,
        rows: Rows,
        provenance: Provenance | None,
        columns: Columns | Sequence[str] | None = None,
        *,
        empty_because: str = "",
    ) -> Table:
        """Return a table of `rows` with exactly `columns`, in their order; without `columns` as the rows have them.

        `empty_because`: why there is no row, where there is none; what is shown in its place.
        """
        layout = columns if isinstance(columns, Columns) else Columns(tuple(columns or ()))
        table = cls(list(rows), columns=list(layout.names) or None)
        object.__setattr__(table, "provenance", provenance)
        object.__setattr__(table, "_layout", layout)
        if not rows:
            object.__setattr__(table, "_empty_because", empty_because or tr("there is nothing to list"))
        return table

    @property
    def table(self) -> Table:
        """Return the table itself, as every answer has one."""
        return self

    @property
    def _constructor(self) -> type[Table]:
        return Table

    @property
    def _constructor_sliced(self) -> type[Column]:
        return Column

    _repr_html_ = Answer._repr_html_

    def _repr_pretty_(self, printer: Printer, _cycle: bool) -> None:
        printer.text(repr(self))  # describe() is pandas' own

    def _hidden(self) -> list[str]:
        """Return the columns that are not shown; none once somebody chose columns."""
        return list(self._layout.wide) if list(self.columns) == list(self._layout.names) else []

    def body_html(self) -> Markup:
        """Return the rows in a box that scrolls sideways, or why there are none."""
        if self.empty:
            return Markup(h.p[tr("(none: {why})", why=tr(self._empty_because))])
        hidden = self._hidden()
        more = h.small(".kans-wide")[tr("wide=True shows {columns}, too", columns=listed(hidden))] if hidden else None
        box = h.div(".kans-table", tabindex=0, role="group", aria_label=tr("table"))[h.div[_table(self, hidden)]]
        return Markup(h.fragment[h.style[Markup(_STYLE)], box, more])

    def __repr__(self) -> str:
        head = f"# {self.provenance}\n" if self.provenance else ""
        if self.empty:
            return head + tr("(none: {why})", why=tr(self._empty_because))
        hidden = self._hidden()
        more = "\n# " + tr("wide=True shows {columns}, too", columns=listed(hidden)) if hidden else ""
        with pd.option_context("display.width", 200, "display.max_columns", 30, "display.max_colwidth", 90):
            rows, has_names = pd.DataFrame(self).drop(columns=hidden), any(self.index.names)
            rows = rows.reset_index(allow_duplicates=True) if has_names else rows
            return head + rows.to_string(index=_has_labels(self) and not has_names, max_rows=_MAX_ROWS) + more


class Column(pd.Series, Answer):  # type: ignore[misc]  # describe() stays pandas' own
    """A Series of a Table: a notebook shows it as a table, too.

    >>> print(Table([{"NODE": "a"}, {"NODE": "b"}, {"NODE": "a"}]).NODE.value_counts())
    NODE  count
       a      2
       b      1
    """

    provenance: Provenance | None = None
    _metadata = ["_name", "provenance"]  # noqa: RUF012 (as pandas.Series, and the provenance)

    @property
    def _constructor(self) -> type[Column]:
        return Column

    @property
    def _constructor_expanddim(self) -> type[Table]:
        return Table

    def value_counts(self, *args: object, **options: object) -> Column:
        """Return how often each value occurs, as pandas does, and with the provenance."""
        counts = Column(super().value_counts(*args, **options))  # type: ignore[call-overload]
        object.__setattr__(counts, "provenance", self.provenance)
        return counts

    _repr_html_ = Answer._repr_html_

    def _repr_pretty_(self, printer: Printer, _cycle: bool) -> None:
        printer.text(repr(self))

    def body_html(self) -> Markup:
        """Return the values as a table of one column."""
        return self._as_table().body_html()

    def __repr__(self) -> str:
        return repr(self._as_table())

    def _as_table(self) -> Table:
        table = Table(self.to_frame(self.name if isinstance(self.name, str) else ""))
        object.__setattr__(table, "provenance", self.provenance)
        return table


def _has_labels(table: pd.DataFrame) -> bool:
    """Return whether the index is more than row numbers."""
    return table.index.names != [None] or not pd.api.types.is_integer_dtype(table.index.dtype)


def _table(table: Table, hidden: Sequence[str]) -> h.Element:
    labels, top = _has_labels(table), table.iloc[:_MAX_ROWS]
    shown = [place for place, name in enumerate(table.columns) if name not in hidden]
    cells = [_cells(top.iloc[:, place]) for place in shown]
    classes = [_class(top.iloc[:, place], texts) for place, texts in zip(shown, cells, strict=True)]
    bars = [_bars(table, place) for place in shown]

    def row(number: int) -> h.Element:
        names = table.index[number] if isinstance(table.index, pd.MultiIndex) else [table.index[number]]
        heads = [h.th(scope="row")[str(name)] for name in names] if labels else []
        values = zip(cells, classes, bars, strict=True)
        return h.tr[heads, [_cell(texts[number], kind, parts[number]) for texts, kind, parts in values]]

    left = len(table) - len(top)
    more = (
        h.tr[h.td(colspan=len(shown) + labels)[tr_plural("… and {n} more row", "… and {n:,} more rows", left)]]
        if left
        else None
    )
    return h.table[_head(table, shown, classes, labels), h.tbody[map(row, range(len(top))), more]]


def _head(table: Table, shown: Sequence[int], classes: Sequence[str], labels: bool) -> h.Element | None:
    """Return the headers; None for a table on its side (`.T`), whose columns have numbers in place of names."""
    if labels and isinstance(table.columns, pd.RangeIndex):
        return None
    names = ["" if name is None else str(name) for name in table.index.names] if labels else []
    columns = [h.th(scope="col", class_=kind)[str(table.columns[at])] for at, kind in zip(shown, classes, strict=True)]
    return h.thead[h.tr[[h.th(scope="col")[name] for name in names], columns]]


def _cell(text: str, kind: str, part: float | None) -> h.Element:
    if part is None:
        return h.td(class_=kind)[text]
    return h.td(class_=f"{kind} kans-bar", style=f"--part:{part:.1%}")[text]


def _class(column: pd.Series, texts: Sequence[str]) -> str:
    """Return how a column is set: numbers to the right, long texts on several lines."""
    if _is_numeric(column):
        return "kans-number"
    return "kans-long" if max(map(len, texts), default=0) > _LONG else ""


def _is_numeric(column: pd.Series) -> bool:
    """Return whether a column holds numbers, with blanks or without."""
    values = [value for value in column if value not in ("", None)]
    return bool(values) and not any(isinstance(value, bool) or not pd.api.types.is_number(value) for value in values)


def _cells(column: pd.Series) -> list[str]:
    """Return a column's cells as texts; numbers with the decimals that the column needs, at most six."""
    if pd.api.types.is_float_dtype(column.dtype):
        decimals = max((len(f"{value:.6f}".rstrip("0").partition(".")[2]) for value in column.dropna()), default=0)
        return ["" if pd.isna(value) else numeral(value, f".{decimals}f") for value in column]
    return [_text(value) for value in column]


def _text(value: object) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return listed(map(str, value))
    is_missing = value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
    return "" if is_missing else str(value)


def _bars(table: Table, place: int) -> list[float | None]:
    """Return the length of the bar in each cell of a column, from 0 to 1; None where it has no bar."""
    name, column = table.columns[place], table.iloc[:, place]
    whole = table._layout.bars.get(name) if isinstance(name, str) else None  # noqa: SLF001 (of this module's class)
    if whole is None or not _is_numeric(column) or (isinstance(whole, str) and whole not in table.columns):
        return [None] * len(table)
    pairs = zip(column, _wholes(table, column, whole), strict=True)
    return [None if value == "" or not full else min(float(value) / full, 1.0) for value, full in pairs]


def _wholes(table: Table, column: pd.Series, whole: str | Whole) -> list[float]:
    """Return for each cell of a column what a full bar is."""
    if isinstance(whole, str):
        return [float(value or 0) for value in table[whole]]
    numbers = [float(value or 0) for value in column]
    return [sum(numbers) if whole is Whole.SUM else max(numbers)] * len(numbers)
