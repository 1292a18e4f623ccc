"""Tables: pandas DataFrames with a provenance."""

from __future__ import annotations

from collections.abc import Sequence

import htpy as h
import pandas as pd
from markupsafe import Markup

from kanslib.answer import Answer, Printer, Provenance
from kanslib.render.html import scrollable
from kanslib.render.rows import Rows

# JupyterLab aligns cells to the right; words read better from the left
_LEFT = ' style="text-align:left;white-space:nowrap"'


class Table(pd.DataFrame, Answer):  # type: ignore[misc]  # describe() stays pandas' own
    """A DataFrame with a provenance, which a notebook shows above it.

    >>> table = Table.from_rows([{"NAME": "svc1"}], Provenance("recorded", 0.0, "opening", "MetalLB v0.14.8"))
    >>> table.NAME.tolist()
    ['svc1']
    """

    provenance: Provenance  # every query sets it; pandas hands it on, but not to what it makes of several tables
    _metadata = ["provenance"]  # noqa: RUF012 (pandas reads it from the class)

    @classmethod
    def from_rows(cls, rows: Rows, provenance: Provenance | None, columns: Sequence[str] | None = None) -> Table:
        """Return a table of `rows` with exactly `columns`, in their order; without `columns` as the rows have them."""
        table = cls(list(rows), columns=list(columns) if columns else None)
        object.__setattr__(table, "provenance", provenance)
        return table

    @property
    def table(self) -> Table:
        """Return the table itself, as every answer has one."""
        return self

    @property
    def _constructor(self) -> type[Table]:
        return Table

    def _has_labels(self) -> bool:
        """Return whether the index is more than row numbers."""
        return self.index.names != [None] or not pd.api.types.is_integer_dtype(self.index.dtype)

    _repr_html_ = Answer._repr_html_

    def _repr_pretty_(self, printer: Printer, _cycle: bool) -> None:
        printer.text(repr(self))  # describe() is pandas' own

    def body_html(self) -> Markup:
        """Return the rows in a box that scrolls sideways."""
        if self.empty:
            return Markup(h.pre["(none)"])
        with pd.option_context("display.max_colwidth", None):
            body = self.to_html(
                index=self._has_labels(), border=0, max_rows=60, notebook=True, justify="left", escape=True
            )
        body = body.replace("<td>", f"<td{_LEFT}>").replace("<th>", f"<th{_LEFT}>")
        return scrollable(Markup(body), "table")  # pandas has escaped the cells

    def __repr__(self) -> str:
        head = f"# {self.provenance}\n" if self.provenance else ""
        if self.empty:
            return head + "(none)"
        with pd.option_context("display.width", 200, "display.max_columns", 30, "display.max_colwidth", 90):
            return head + self.to_string(index=self._has_labels(), max_rows=60)
