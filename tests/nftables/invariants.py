"""Invariants of any text: it is read and returned unchanged, or refused with one error that names the place."""

from __future__ import annotations

from kanslib import nftables
from kanslib.exceptions import DumpError
from kanslib.nftables import Ruleset
from tests.iptables.invariants import can_trace


def holds(text: str) -> bool:
    """Check a text; False when it was refused. Raises AssertionError for anything lost, and lets any crash through."""
    try:
        ruleset = nftables.parse(text)
    except DumpError as error:
        refused = error
    else:
        whole(ruleset, text)
        return True
    assert 1 <= refused.line <= text.count("\n") + 2
    assert refused.column >= 1
    assert refused.expected
    return False


def whole(ruleset: Ruleset, text: str) -> None:
    """Check that no part of the text is lost, and that every packet can be traced."""
    assert ruleset.save() == text
    lines = text.split("\n")
    for table in ruleset.tables:
        for found in table.sets.values():
            assert all(str(element.key) for element in found.elements)
        for chain in table.chains.values():
            for rule in chain.rules:
                assert isinstance(rule.statements, tuple)
                assert text.lstrip().startswith("{") or 1 <= rule.line <= len(lines)
    can_trace(ruleset.trace)
    assert not nftables.diff(ruleset, nftables.parse(text))
