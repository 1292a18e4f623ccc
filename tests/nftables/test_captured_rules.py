"""Rules that other programs wrote: read and given back, and the same from each form in which nft prints them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kanslib import iptables, nftables
from kanslib.nftables import Chain, Element, Ruleset, Set
from kanslib.nftables.syntax import Counter, Statement
from tests.nftables.captured_rules import CapturedRules, captured_rules


@pytest.mark.slow
@pytest.mark.parametrize("captured", captured_rules(), ids=str)
def test_rules_of_other_programs_are_read_whole_and_alike_from_every_form(captured: CapturedRules) -> None:
    for listing in filter(None, (captured.listing, captured.older)):
        of_text, of_json = nftables.parse(listing.text), nftables.parse(listing.as_json)
        assert (of_text.save(), of_json.save()) == (listing.text, listing.as_json)
        own = [(table.family, table.name) for table in of_text.tables if is_own(of_text, table.family, table.name)]
        assert [contents(of_text, *name) for name in own] == [contents(of_json, *name) for name in own]
        assert not [line for line, _ in of_text.unknown if is_own(of_text, *table_at(of_text, line))]
    for family, text in (("ip", captured.saved), ("ip6", captured.saved6)):
        dump = iptables.parse(text)
        assert dump.save() == text
        assert not dump.unknown
        printed = nftables.parse(captured.listing.text)
        for name, chains in dump.tables.items():
            listed = printed.table(family, name).chains
            numbers = {chain: len([*dump.chain(chain, name)]) for chain in chains if chain in listed}
            assert numbers == {chain: len(listed[chain].rules) for chain in numbers}
            assert sum(numbers.values()) == sum(rule.table == name for rule in dump.rules())


@pytest.mark.slow
@pytest.mark.parametrize("captured", [one for one in captured_rules() if one.older], ids=str)
def test_both_releases_of_nft_print_the_same_rules(captured: CapturedRules) -> None:
    assert captured.older
    newer, older = (nftables.parse(listing.text) for listing in (captured.listing, captured.older))
    own = [(table.family, table.name) for table in newer.tables if is_own(newer, table.family, table.name)]
    assert [contents(newer, *name) for name in own] == [contents(older, *name) for name in own]


def is_own(ruleset: Ruleset, family: str, name: str) -> bool:
    """Return whether nft prints a table whole: those of iptables-nft it does not, and not the same as JSON."""
    return (family, name) not in ruleset.managed


def table_at(ruleset: Ruleset, line: int) -> tuple[str, str]:
    """Return the table whose rules a line is among."""
    (found,) = (
        table
        for table in ruleset.tables
        if any(rule.line == line for chain in table.chains.values() for rule in chain.rules)
    )
    return found.family, found.name


def contents(ruleset: Ruleset, family: str, name: str) -> object:
    """Return what a table has: chains with their statements and comments, without their counts, and its sets."""
    table = ruleset.table(family, name)
    sets = {key: (one.type, one.data_type, elements(one)) for key, one in table.sets.items()}
    return {key: (chain.base, rules(chain)) for key, chain in table.chains.items()}, sets


def elements(found: Set) -> list[Element]:
    """Return the elements of a set in an order of their own, without the time that is left to them."""
    return sorted((replace(one, expires=None) for one in found.elements), key=lambda one: str(one.key))


def rules(chain: Chain) -> list[tuple[list[Statement], str]]:
    return [([uncounted(one) for one in rule.statements], rule.comment) for rule in chain.rules]


def uncounted(statement: Statement) -> Statement:
    return replace(statement, packets=0, bytes=0) if isinstance(statement, Counter) else statement
