"""Two dumps of iptables compared, as rows."""

from __future__ import annotations

from typing import Any

from kanslib.iptables import Rule, RulesetDifference
from kanslib.iptables.explain import short

COLUMNS = ["CHANGE", "TABLE", "CHAIN", "TO", "PACKETS", "BYTES", "COMMENT", "RULE"]


def rows(found: RulesetDifference) -> list[dict[str, Any]]:
    """Rules that are gone, rules that have come, rules whose counters moved: one row each, in the dump's order."""
    out = [_row("gone", rule) for rule in found.gone]
    out += [_row("come", rule) for rule in found.come]
    out += [_row("counted", moved.rule, moved.packets, moved.bytes) for moved in found.moved]
    out += [
        {"CHANGE": "reordered", "TABLE": chain.table, "CHAIN": short(chain.name), "RULE": f"{len(chain)} rules"}
        for chain in found.reordered
    ]
    return out


def _row(change: str, rule: Rule, packets: int | None = None, size: int | None = None) -> dict[str, Any]:
    to = rule.option("--to-destination") or rule.target or ""
    return {
        "CHANGE": change,
        "TABLE": rule.table,
        "CHAIN": short(rule.chain),
        "TO": short(to),
        "PACKETS": "" if packets is None else packets,
        "BYTES": "" if size is None else size,
        "COMMENT": rule.comment,
        "RULE": rule.text,
    }
