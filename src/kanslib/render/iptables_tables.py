"""iptables rules as an answer and as rows: the chains to a Service, and the difference between two rulesets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from kanslib.answer import Provenance
from kanslib.i18n import listed, tr, tr_plural
from kanslib.iptables import Rule, Ruleset, RulesetDifference
from kanslib.iptables.dump import Dump
from kanslib.iptables.explain import short
from kanslib.render.answers import TabledAnswer
from kanslib.render.rows import Row, Rows

if TYPE_CHECKING:
    from kanslib.render.tables import Table

CHAIN_COLUMNS = ("CHAIN", "PACKETS", "CHANCE", "TARGET", "TO", "COMMENT")
DIFFERENCE_COLUMNS = ("CHANGE", "TABLE", "CHAIN", "TO", "PACKETS", "BYTES", "COMMENT", "RULE")
RULE_COLUMNS = ("FOUND", "WRITER", "RULE")
# who writes the chains whose names begin so, and the rules that lead to them
_WRITERS = {"KUBE-": "kube-proxy", "DOCKER_": "Docker", "KIND-MASQ-AGENT": "kindnet"}


@dataclass(frozen=True, eq=False)
class NodeRules(Ruleset, TabledAnswer):
    """The rules of one node at one moment: a Ruleset with its provenance, and tables of it.

    `computed` returns the nat rules that a model of kube-proxy writes there.
    """

    provenance: Provenance = field(kw_only=True)
    computed: Callable[[], Sequence[str]] = field(kw_only=True, compare=False, repr=False)

    @classmethod
    def of(cls, ruleset: Ruleset, provenance: Provenance, computed: Callable[[], Sequence[str]]) -> NodeRules:
        """Return a ruleset as an answer."""
        return cls(ruleset.lines, ruleset.tables, provenance=provenance, computed=computed)

    def chains(self, service: str, table: str = "nat") -> Table:
        """Return the rules that a packet for a Service can pass, chain after chain, with their counters.

        `service`: `"svc1"` or `"namespace/svc1"`. Columns CHAIN, PACKETS, CHANCE, TARGET, TO and COMMENT.
        """
        from kanslib.render.tables import Table

        named = service if "/" in service else f"default/{service}"
        rows = chain_rows(self, named, table=table)
        why = tr("no rule that KUBE-SERVICES in the table {table} leads to is for {named}", table=table, named=named)
        return Table.from_rows(rows, self.provenance, CHAIN_COLUMNS, empty_because=why)

    def diff(self, other: Dump) -> RuleChanges:
        """Return what is different in a later query of the same rules."""
        origin = other if isinstance(other, NodeRules) else self
        return RuleChanges.of(super().diff(other), origin.provenance)

    def compare(self) -> Table:
        """Return the nat rules beside those that kube-proxy has to write for the Services and endpoints.

        One row for each rule: FOUND (`both`, `node` or `computed`: on the node, by a model of kube-proxy, or both),
        WRITER (whose chain it is) and RULE.
        """
        from kanslib.render.tables import Table

        only_computed = Counter(self.computed())
        found: list[tuple[str, str]] = []
        for rule in self.rules():
            if rule.table == "nat":
                found.append(("both" if only_computed[rule.text] else "node", rule.text))
                only_computed[rule.text] -= 1
        found += [("computed", text) for text in (+only_computed).elements()]
        rows = [{"FOUND": where, "WRITER": _writer(text), "RULE": text} for where, text in found]
        return Table.from_rows(rows, self.provenance.with_notes(tr("beside a model of kube-proxy")), RULE_COLUMNS)

    def rows(self) -> Rows:
        """Return every rule, one row each: TABLE, CHAIN, PACKETS, BYTES, COMMENT and RULE."""
        return [
            {"TABLE": rule.table, "CHAIN": short(rule.chain), "PACKETS": rule.packets, "BYTES": rule.bytes,
             "COMMENT": rule.comment, "RULE": rule.text}
            for rule in self.rules()
        ]  # fmt: skip

    def describe(self) -> str:
        """Return how many rules there are in each table."""
        counts = {table: sum(len(self.chain(name, table)) for name in chains) for table, chains in self.tables.items()}
        return listed(
            tr_plural("{n} rule in {table}", "{n} rules in {table}", count, table=table)
            for table, count in counts.items()
        )

    def body_html(self) -> Markup:
        """Return the rules as a table."""
        return self.table.body_html()


def _writer(rule: str) -> str:
    """Return who wrote a rule: whose its chain is, or the chain that it leads to; empty where that is not known.

    >>> _writer("-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT"), _writer("-A INPUT -j ACCEPT")
    ('Docker', '')
    """
    return next((who for start, who in _WRITERS.items() if f"-A {start}" in rule or f"-j {start}" in rule), "")


@dataclass(frozen=True)
class RuleChanges(RulesetDifference, TabledAnswer):
    """The difference of two queries of a node's rules: a notebook shows it as a table."""

    provenance: Provenance = field(kw_only=True)

    @classmethod
    def of(cls, found: RulesetDifference, provenance: Provenance) -> RuleChanges:
        """Return a difference as an answer."""
        return cls(found.removed, found.added, found.counters, found.reordered, found.policies, provenance=provenance)

    @property
    def table(self) -> Table:
        """Rules that were removed or added, and whose counters moved: one row each, in the dump's order."""
        from kanslib.render.tables import Table

        why = tr("both have the same rules, and no rule counted a packet in between")
        return Table.from_rows(self.rows(), self.provenance, DIFFERENCE_COLUMNS, empty_because=why)

    def rows(self) -> Rows:
        """Return rules that were removed or added, and rules whose counters moved: one row each."""
        return difference_rows(self)

    def describe(self) -> str:
        """Return how many rules were removed and added, and how many counted packets."""
        return tr(
            "Rules: {removed} removed, {added} added, {counted} with packets counted.",
            removed=len(self.removed),
            added=len(self.added),
            counted=len(self.counters),
        )

    def body_html(self) -> Markup:
        """Return the changes as a table."""
        return self.table.body_html()


def chain_rows(ruleset: Ruleset, service: str, start: str = "KUBE-SERVICES", table: str = "nat") -> list[Row]:
    """Return one row for each rule that a packet to a Service can reach, chain after chain.

    `service` is the name in kube-proxy's comments (`default/svc1`), `start` the first chain. CHANCE is the
    probability of a `-m statistic` match, PACKETS the rule's counter.
    """
    return [
        {
            "CHAIN": chain.name,
            "PACKETS": rule.packets if rule.packets is not None else "",
            "CHANCE": "" if rule.probability is None else f"{rule.probability:.2f}",
            "TARGET": rule.target or "",
            "TO": rule.option("--to-destination") or "",
            "COMMENT": rule.comment,
        }
        for chain in ruleset.path(start, service, table)
        for rule in chain
        if chain.name != start or service in rule.comment
    ]


def difference_rows(difference: RulesetDifference) -> list[Row]:
    """Return one row for each change between two rulesets: removed and added rules, counters, reordered chains."""
    rows = [_difference_row("removed", rule) for rule in difference.removed]
    rows += [_difference_row("added", rule) for rule in difference.added]
    rows += [_difference_row("counted", moved.rule, moved.packets, moved.bytes) for moved in difference.counters]
    rows += [
        {
            "CHANGE": "reordered",
            "TABLE": chain.table,
            "CHAIN": short(chain.name),
            "RULE": tr_plural("{n} rule", "{n} rules", len(chain)),
        }
        for chain in difference.reordered
    ]
    return rows


def _difference_row(change: str, rule: Rule, packets: int | None = None, size: int | None = None) -> Row:
    return {
        "CHANGE": change,
        "TABLE": rule.table,
        "CHAIN": short(rule.chain),
        "TO": short(rule.option("--to-destination") or rule.target or ""),
        "PACKETS": "" if packets is None else packets,
        "BYTES": "" if size is None else size,
        "COMMENT": rule.comment,
        "RULE": rule.text,
    }
