"""Invariants of any text: it is parsed and returned unchanged, or refused with one error that names the place."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from kanslib import iptables
from kanslib.iptables import DumpError, Outcome, Packet, Ruleset, TraceError

_COUNTERS = r"\s*(?:\[\d+:\d+\]\s+)?"
_NEW_RULE = re.compile(_COUNTERS + r"(?:-[AI]|--(?:append|insert)\s)")
_LOST_RULE = re.compile(_COUNTERS + r"(?:-[DRFX]|--(?:delete|replace|flush|delete-chain)(?:\s|$))")
PACKETS = (
    Packet("172.18.0.100", "172.18.255.200", dport=80, in_interface="eth0"),
    Packet("10.10.1.2", "10.200.1.10", "udp", 4711, 53, "veth1", ctstate=None),
    Packet("172.18.0.3", "172.18.0.3", dport=30080),
    Packet("fd00::1", "fd00::2", "ipv6-icmp", in_interface="eth0", icmp_type="128"),
)


def holds(text: str) -> bool:
    """Check a text; False when it was refused. Raises AssertionError for anything lost, and lets any crash through."""
    try:
        ruleset = iptables.parse(text)
    except DumpError as error:
        refused = error
    else:
        whole(ruleset, text)
        return True
    assert 1 <= refused.line <= text.count("\n") + 1
    assert refused.column >= 1
    assert refused.expected
    return False


def whole(ruleset: Ruleset, text: str) -> None:
    """Check that no part of the text is lost, and that every packet can be traced."""
    saved = ruleset.save()
    assert saved == text or re.sub(r"\s", "", saved) == re.sub(r"\s", "", text), "only a terminal's breaks are undone"
    lines = saved.split("\n")
    rules = list(ruleset.rules())
    assert all(lines[rule.line - 1].removesuffix("\r") == rule.raw for rule in rules)
    assert len({rule.line for rule in rules}) == len(rules)
    wanted = sum(bool(_NEW_RULE.match(line)) for line in lines)
    assert len(rules) == wanted or any(map(_LOST_RULE.match, lines)), "a rule was lost"
    for rule in rules:
        assert isinstance(rule.unknown, tuple)
        assert rule.target is None or rule.target
    can_trace(ruleset.trace)
    assert not ruleset.diff(iptables.parse(text))


def can_trace(trace: Callable[[Packet], Sequence[Outcome]]) -> None:
    """Check that each packet has ways with a chance and an explanation, or that the trace says why it has none."""
    for packet in PACKETS:
        try:
            ways = trace(packet)
        except TraceError:
            continue
        assert ways
        for way in ways:
            assert 0 < way.probability <= 1
            assert way.explain()
