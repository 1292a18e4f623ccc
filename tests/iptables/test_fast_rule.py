"""Lines that the fast pattern takes need not be taken apart."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from kanslib import iptables
from kanslib.iptables import matches, targets
from kanslib.iptables.fast_rule import FAST_RULE

from .rulesets import TRIES


@TRIES
@given(line=st.from_regex(FAST_RULE, fullmatch=True))
def test_matches_of_every_fast_rule(line: str) -> None:
    found = FAST_RULE.fullmatch(line)
    assert found
    chain = found["chain"]
    rule = next(iptables.parse(f"*nat\n:{chain} - [0:0]\n{line}\nCOMMIT\n").rules())
    options_text = re.sub(r' --comment (?:"[^"]*"|\S+)', "", line[found.end("chain") :])
    options = (" -s ", " -d ", " -p ", " -m addrtype ", " --dport ", " -m statistic ")
    assert len(matches.matches(rule.body)) == sum(option in options_text for option in options)
    assert targets.action(rule.body, is_chain=False)
    assert rule.unknown == () or rule.target not in ("ACCEPT", "DROP", "REJECT")
