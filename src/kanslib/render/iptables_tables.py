"""The chains a packet can pass on its way to a Service, as rows."""

from __future__ import annotations

from typing import Any

from kanslib.iptables import Ruleset

COLUMNS = ["CHAIN", "PACKETS", "CHANCE", "TARGET", "TO", "COMMENT"]


def rows(ruleset: Ruleset, service: str, start: str = "KUBE-SERVICES", table: str = "nat") -> list[dict[str, Any]]:
    """One row a rule, chain after chain from `start` on; `service` as its comments name it (`default/svc1`)."""
    out = []
    for chain in ruleset.path(start, service, table):
        for rule in chain:
            if chain.name == start and service not in rule.comment:
                continue
            out.append(
                {
                    "CHAIN": chain.name,
                    "PACKETS": rule.packets if rule.packets is not None else "",
                    "CHANCE": "" if rule.probability is None else f"{rule.probability:.2f}",
                    "TARGET": rule.target or "",
                    "TO": rule.option("--to-destination") or "",
                    "COMMENT": rule.comment,
                }
            )
    return out
