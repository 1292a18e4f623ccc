"""The base of answers that are drawn from rows: their table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kanslib.answer import Answer
from kanslib.render.rows import Rows

if TYPE_CHECKING:
    from kanslib.render.tables import Table


class TabledAnswer(Answer):
    """An answer with the rows that it was drawn from."""

    def rows(self) -> Rows:
        """Return the rows behind the answer, each a mapping from column to value."""
        raise NotImplementedError

    @property
    def table(self) -> Table:
        """Return the rows behind the answer as a DataFrame."""
        from kanslib.render.tables import Table

        return Table.from_rows(self.rows(), self.provenance)
