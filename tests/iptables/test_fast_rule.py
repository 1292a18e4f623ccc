"""Lines that the fast pattern takes need not be taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanslib import iptables
from kanslib.iptables import matches, targets
from kanslib.iptables.fast_rule import FAST_RULE
from kanslib.iptables.syntax import TARGETS

from .rulesets import TRIES


@pytest.mark.slow
@TRIES
@given(line=st.from_regex(FAST_RULE, fullmatch=True))
def test_fast_rule_is_valid_and_says_what_the_index_needs(line: str) -> None:
    found = FAST_RULE.fullmatch(line)
    assert found
    chain = found["chain"]
    ruleset = iptables.parse(f"*nat\n:{chain} - [0:0]\n{line}\nCOMMIT\n")
    (rule,) = ruleset.rules()
    assert matches.matches(rule.body) is not None, "every value is valid"
    assert targets.action(rule.body, is_chain=False)
    assert rule.unknown == ()
    for side in ("src", "dst"):
        option = rule.body.own.get("-s" if side == "src" else "-d")
        wanted = (option.value, option.negated) if option else (None, False)
        assert (found[side], found[f"not_{side}"] is not None) == wanted
    ports = [
        (option.value, option.negated)
        for part in rule.body.matches
        for option in part.options
        if option.name == "--dport"
    ]
    assert found["dport"] is None or (found["dport"], False) in ports
    unknown = {found["target"], found["goto"]} - {None, chain, *TARGETS}
    assert [text for _, text in ruleset.unknown] == [f"no chain {name} in this dump" for name in unknown]


def test_fast_rule_takes_common_rules() -> None:
    """On every Python: early releases of 3.11 match no possessive group, and would take each rule apart."""
    for line in (
        "-A FORWARD -j ACCEPT",
        "-A FORWARD -s 192.0.2.0/27 -i eth0 -p tcp -m tcp --dport 443 -m conntrack --ctstate NEW,RELATED -j ACCEPT",
        '-A KUBE-SERVICES -d 192.0.2.1/32 -p tcp -m comment --comment "default/web" -m tcp --dport 80 -j KUBE-SVC-ABC',
    ):
        assert FAST_RULE.fullmatch(line), line
