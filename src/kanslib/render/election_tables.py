"""An election as an answer: its words and its table."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import htpy as h
from markupsafe import Markup

from kanslib.answer import Provenance
from kanslib.metallb.election import Election
from kanslib.render.answers import TabledAnswer
from kanslib.render.rows import Rows


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
            {"NODE": one.node, "CANDIDATE": one.is_candidate, "RULE": one.rule, "FACT": one.fact}
            for one in self.eligibilities
        ]

    def describe(self) -> str:
        """Return the election in words: the leader, every node's eligibility, the hash order."""
        return str(self)

    def body_html(self) -> Markup:
        """Return the words, as they are printed."""
        return Markup(h.pre(style="white-space:pre-wrap")[str(self)])
