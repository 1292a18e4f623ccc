"""iptables rules as rows: the chains on the way to a Service, and the difference between two rulesets."""

from __future__ import annotations

from kanslib.iptables import Rule, Ruleset, RulesetDifference
from kanslib.iptables.explain import short
from kanslib.render.rows import Row

CHAIN_COLUMNS = ("CHAIN", "PACKETS", "CHANCE", "TARGET", "TO", "COMMENT")


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


DIFFERENCE_COLUMNS = ("CHANGE", "TABLE", "CHAIN", "TO", "PACKETS", "BYTES", "COMMENT", "RULE")


def difference_rows(difference: RulesetDifference) -> list[Row]:
    """Return one row for each change between two rulesets: removed and added rules, counters, reordered chains."""
    rows = [_difference_row("removed", rule) for rule in difference.gone]
    rows += [_difference_row("added", rule) for rule in difference.come]
    rows += [_difference_row("counted", moved.rule, moved.packets, moved.bytes) for moved in difference.moved]
    rows += [
        {"CHANGE": "reordered", "TABLE": chain.table, "CHAIN": short(chain.name), "RULE": f"{len(chain)} rules"}
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
