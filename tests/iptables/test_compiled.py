"""What the rules of a chain can ask about, with and without the short way for common rules."""

from __future__ import annotations

import re
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanslib import iptables
from kanslib.iptables import compiled
from kanslib.iptables.compiled import CompiledDump
from kanslib.iptables.fast_rule import FAST_RULE

from .rulesets import TRIES


def uses(text: str, name: str) -> set[str]:
    chain = CompiledDump(iptables.parse(text)).chain("nat", name)
    assert chain
    return {*chain.last_uses}


@pytest.mark.slow
@TRIES
@given(line=st.from_regex(FAST_RULE, fullmatch=True))
def test_last_uses_of_every_fast_rule(line: str) -> None:
    name = line.split("-A ")[1].split(maxsplit=1)[0]
    text = f"*nat\n:{name} - [0:0]\n{line}\nCOMMIT\n"
    found = uses(text, name)
    with patch.object(compiled, "FAST_RULE", re.compile("(?!)")):
        assert uses(text, name) <= found
