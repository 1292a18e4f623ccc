"""Lines that the fast pattern takes need not be taken apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kanslib import iptables
from kanslib.iptables import matches, targets
from kanslib.iptables.fast_rule import FAST_RULE
from kanslib.iptables.syntax import TARGETS

from .rulesets import TRIES


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
