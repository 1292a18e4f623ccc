"""What happens to a packet, as an answer: its outcomes as a picture, in words and as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import htpy as h
from markupsafe import Markup

from kanslib.answer import Provenance
from kanslib.i18n import any_of, listed, tr, tr_plural
from kanslib.iptables import MissingRules, Outcome, is_certain
from kanslib.iptables.explain import share
from kanslib.iptables.outcome import open_questions
from kanslib.render.figure import Drawing, Figure
from kanslib.render.figure.walk import draw_walk
from kanslib.render.outcome_tree import MAX_BRANCHES, outcome_tree, shown_steps
from kanslib.render.rows import Rows

SHOWN_ENDS = 3


class Trace(Sequence[Outcome], Figure):
    """Every outcome of a packet: a sequence of Outcome, a picture in a notebook, `describe()` in words."""

    def __init__(self, outcomes: Sequence[Outcome], title: str, provenance: Provenance) -> None:
        self.outcomes, self.title, self.provenance = tuple(outcomes), title, provenance

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Outcome, ...]: ...
    def __getitem__(self, index: int | slice) -> Outcome | tuple[Outcome, ...]:
        return self.outcomes[index]

    def __len__(self) -> int:
        return len(self.outcomes)

    def __repr__(self) -> str:
        return f"<Trace: {self.summary}>"

    @property
    def missing(self) -> tuple[MissingRules, ...]:
        """The rules that the machine has, or may have, and its dump has not."""
        return self.outcomes[0].missing if self.outcomes else ()

    @property
    def certain(self) -> bool:
        """Whether it is certain that the packet is let through, or that it is not; see `iptables.is_certain`."""
        return is_certain(self.outcomes)

    @property
    def summary(self) -> str:
        """Return the packet and where it can end, in one line."""
        asked = open_questions(self.outcomes)
        ends = list(dict.fromkeys(map(_destination if asked else _destination_with_share, self.outcomes)))
        if len({_destination(way) for way in self.outcomes}) == 1:
            end = _destination(self.outcomes[0])
            ends = [end if self.missing else tr("always {end}", end=end)]
        shown = any_of(ends[:SHOWN_ENDS])
        if len(ends) > SHOWN_ENDS:
            shown = tr_plural("{ends} or {n} more", "{ends} or {n} more", len(ends) - SHOWN_ENDS, ends=shown)
        if asked and len(ends) > 1:
            questions = listed(asked[:SHOWN_ENDS])
            if len(asked) > SHOWN_ENDS:
                questions = tr_plural(
                    "{questions} and {n} more", "{questions} and {n} more", len(asked) - SHOWN_ENDS, questions=questions
                )
            shown = tr("{ends}; it depends on what is not known ({questions})", ends=shown, questions=questions)
        if self.missing:
            shown = tr("{ends} by these rules; not certain, because others are missing", ends=shown)
        return f"{self.title}: {shown}"

    def describe(self) -> str:
        """Return the trace in words: the first outcomes rule by rule, the others by where they end."""
        explained = [way.explain() for way in self.outcomes[:MAX_BRANCHES]]
        others = [f"{share(way.probability)} → {way.describe_end()}" for way in self.outcomes[MAX_BRANCHES:]]
        missing = "\n".join(tr("missing: {one}", one=one) for one in self.missing)
        return "\n\n".join(filter(None, [self.summary, missing, *explained, "\n".join(others)]))

    def rows(self) -> Rows:
        """Return every step of every way, one row each: WAY, SHARE, HOOK, CHAIN, RULE and where the way ENDS."""
        return [
            {"WAY": number, "SHARE": share(way.probability), "HOOK": step.hook, "CHAIN": step.rule.chain,
             "RULE": step.rule.raw, "ENDS": _destination(way)}
            for number, way in enumerate(self.outcomes, 1)
            for step in shown_steps(way)
        ]  # fmt: skip

    def drawing(self, width: int) -> Drawing:
        """Return the picture at `width` px: boxes of rules, thicker lines to likelier outcomes."""
        return draw_walk(outcome_tree(self.outcomes), self.summary, width)

    def body_html(self) -> Markup:
        """Return the picture with a hint on how to see a rule whole, and its words, folded."""
        hint = tr("Point at a rule, tap it, or reach it with the Tab key to see the whole rule.")
        return Markup(h.fragment[super().body_html(), h.small[hint]])


def _destination(way: Outcome) -> str:
    return tr("to {dst}", dst=way.packet.dst or tr("an address that is not known")) if way.accepted else way.verdict


def _destination_with_share(way: Outcome) -> str:
    return f"{share(way.probability)} {_destination(way)}"
