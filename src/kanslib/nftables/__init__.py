"""Parse, compare and trace nftables rulesets, without a kernel and without root."""

from kanslib.exceptions import DumpError
from kanslib.nftables.diff import CounterChange, RulesetDifference, diff
from kanslib.nftables.parser import is_ruleset, parse
from kanslib.nftables.ruleset import Ruleset
from kanslib.nftables.syntax import Chain, Element, Rule, Set, Table

__all__ = [
    "Chain",
    "CounterChange",
    "DumpError",
    "Element",
    "Rule",
    "Ruleset",
    "RulesetDifference",
    "Set",
    "Table",
    "diff",
    "is_ruleset",
    "parse",
]
