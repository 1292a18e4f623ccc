"""A ruleset names what it has."""

from __future__ import annotations

import pytest

from kanslib import iptables
from kanslib.exceptions import UnknownNameError


def test_ruleset_unknown_chain_lists_known() -> None:
    with pytest.raises(UnknownNameError, match="known: X"):
        iptables.parse("*nat\n:X - [0:0]\nCOMMIT\n").chain("KUBE-SERVICES")
