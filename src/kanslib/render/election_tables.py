"""An election as an answer: its words and its table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import htpy as h
from markupsafe import Markup

from kanslib.answer import Provenance
from kanslib.i18n import numeral, tr
from kanslib.metallb.election import Election, distribution
from kanslib.render.answers import TabledAnswer
from kanslib.render.rows import Columns, Rows, Whole

if TYPE_CHECKING:
    from kanslib.render.tables import Table

DISTRIBUTION_COLUMNS = Columns(("NODE", "ADDRESSES", "EVEN SHARE", "BY CHANCE"), bars={"ADDRESSES": Whole.SUM})


@dataclass(frozen=True)
class ExplainedElection(Election, TabledAnswer):
    """An Election with its provenance and its table."""

    provenance: Provenance = field(kw_only=True)

    @classmethod
    def of(cls, found: Election, provenance: Provenance) -> ExplainedElection:
        """Return an election as an answer."""
        return cls(**{one.name: getattr(found, one.name) for one in fields(Election)}, provenance=provenance)

    def rows(self) -> Rows:
        """Return one row a node: NODE, CANDIDATE, RULE and FACT."""
        return [
            {"NODE": one.node, "CANDIDATE": one.is_candidate, "RULE": tr(one.rule), "FACT": one.fact}
            for one in self.eligibilities
        ]

    def distribution(self, addresses: Iterable[str]) -> Table:
        """Return how many of some addresses each candidate would lead.

        Columns NODE, ADDRESSES, EVEN SHARE and BY CHANCE (the standard deviation from it, by chance alone).
        """
        from kanslib.render.tables import Table

        found = distribution(self.candidates, addresses)
        rows = [
            {"NODE": node, "ADDRESSES": count, "EVEN SHARE": round(found.expected, 1),
             "BY CHANCE": f"± {numeral(found.deviation, '.1f')}"}
            for node, count in found.counts.items()
        ]  # fmt: skip
        return Table.from_rows(rows, self.provenance, DISTRIBUTION_COLUMNS, empty_because=tr("there is no candidate"))

    def describe(self) -> str:
        """Return the election in words: the leader, every node's eligibility, the hash order."""
        return str(self)

    def body_html(self) -> Markup:
        """Return the words, as they are printed."""
        return Markup(h.pre(style="white-space:pre-wrap")[str(self)])
