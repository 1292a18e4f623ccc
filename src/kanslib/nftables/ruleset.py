"""A parsed ruleset of nftables: the result of `nftables.parse`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from kanslib.exceptions import UnknownNameError
from kanslib.i18n import tr
from kanslib.iptables.compiled import CompiledDump
from kanslib.iptables.dump import BUILT_IN, Dump
from kanslib.iptables.ipset import IPSets
from kanslib.iptables.missing import MissingKind, MissingRules
from kanslib.iptables.outcome import Outcome
from kanslib.iptables.packet import Packet, Routing
from kanslib.iptables.tracer import Tracer
from kanslib.nftables.compiler import CompiledRuleset
from kanslib.nftables.diff import RulesetDifference, diff
from kanslib.nftables.syntax import Table

# nft 1.0.2 and later (src/rule.c, table_print_declaration)
_MANAGED = re.compile(r"Warning: table (?P<family>\w+) (?P<name>\S+) is managed by iptables-nft")

_OF_IPTABLES = {"ip": 4, "ip6": 6}


def _is_of_iptables(table: Table) -> bool:
    """Return whether a table has the name and the base chains of one of iptables; nft warns of it on stderr alone."""
    hooks = BUILT_IN.get(table.name, ()) if table.family in _OF_IPTABLES else ()
    bases = [chain.name for chain in table.chains.values() if chain.base]
    return bool(bases) and all(name in hooks for name in bases)


@dataclass(frozen=True)
class Ruleset:
    """Every table of a machine. `save()` returns the text byte for byte, `trace()` follows a packet through it.

    `comments`: those of nft, each with its line. `unknown`: the lines with a statement that this module does not know,
    and that statement.
    """

    tables: tuple[Table, ...]
    text: str
    comments: tuple[tuple[int, str], ...] = ()
    unknown: tuple[tuple[int, str], ...] = ()

    def save(self) -> str:
        """Return the ruleset as the text that was parsed, byte for byte."""
        return self.text

    def diff(self, later: Ruleset) -> RulesetDifference:
        r"""Return the changes up to a later ruleset: rules and elements that came and went, counters that changed.

        >>> from kanslib import nftables
        >>> text = 'table ip filter {\n\tset banned {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1 }\n\t}\n}\n'
        >>> before, after = nftables.parse(text), nftables.parse(text.replace("192.0.2.1", "192.0.2.2"))
        >>> print(before.diff(after).describe())
        - ip filter @banned: 192.0.2.1
        + ip filter @banned: 192.0.2.2
        """
        return diff(self, later)

    def trace(
        self,
        packet: Packet,
        routing: Routing | None = None,
        sets: IPSets | None = None,
        beside: Sequence[Dump] = (),
    ) -> list[Outcome]:
        r"""Return every path that the packet can take, with its exact probability, verdict, final packet and rules.

        `routing` has the machine's addresses and routes (`Routing.read`). Without it a destination counts as another
        machine's, unless a rule depends on that: then the path branches, and each outcome states its assumptions.
        Base chains come in the order of their hooks and priorities (nft(8)); those of type nat are asked for the first
        packet of a connection, until one has given it a new address.

        `beside`: dumps of iptables on the same machine, with `sets` (`ipset.parse`); those of the packet's family are
        used. The kernel asks both kinds of rules in the order of their priorities. The tables that iptables-nft has
        made are then taken from the dumps.
        The text does not say when those of iptables-legacy were made: of equal priorities, nftables' come first.
        Without the dumps, rules of such tables are in `missing` of each outcome: nft prints them in part only.
        TraceError for circular rules, and for more work than `iptables.tracer.Limits` allows.

        >>> from kanslib import iptables, nftables
        >>> rules = nftables.parse('table ip nat {\n\tchain pre {\n\t\ttype nat hook prerouting priority dstnat; '
        ...     'policy accept;\n\t\tdnat to numgen random mod 4 map { 0 : 10.0.0.7, 1-3 : 10.0.0.8 }\n\t}\n}\n')
        >>> [(str(outcome.probability), outcome.packet.dst)
        ...     for outcome in rules.trace(iptables.Packet("10.9.0.1", "10.9.0.2", in_interface="eth0"))]
        [('1/4', '10.0.0.7'), ('3/4', '10.0.0.8')]
        """
        if beside := [dump for dump in beside if dump.family in (None, packet.family)]:
            compiled = CompiledRuleset(self.tables, self.managed)
            dumps = (CompiledDump(dump, compiled.ranks) for dump in beside)
            return self._with_notes(Tracer((compiled, *dumps)).trace(packet, routing, sets))
        outcomes = self._with_notes(self._tracer.trace(packet, routing, sets))
        missing = self._printed_in_part.get(packet.family, ())
        return [replace(one, missing=missing) for one in outcomes] if missing else outcomes

    def _with_notes(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Return outcomes that say which tables were not followed: those for the frames in a bridge."""
        notes = tuple(
            tr("table bridge {name} decides on frames in a bridge; it is not followed", name=table.name)
            for table in self.tables
            if table.family == "bridge"
            if any(chain.base and (chain.rules or chain.base.policy == "drop") for chain in table.chains.values())
        )
        return [replace(one, notes=(*one.notes, *notes)) for one in outcomes] if notes else outcomes

    @cached_property
    def _tracer(self) -> Tracer:
        return Tracer((CompiledRuleset(self.tables),))

    @cached_property
    def _printed_in_part(self) -> Mapping[int, tuple[MissingRules, ...]]:
        """The tables of iptables-nft that have rules, by family (4 or 6).

        nft leaves out the matches of xtables: 1.0.6 prints `ct status dnat` for a rule with
        `-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT`. Its JSON names them (`xt`): a table in which it names none
        is whole, such as those that Tailscale shares with iptables-nft.
        """
        found: dict[int, tuple[MissingRules, ...]] = {}
        in_part = {line for line, _ in self.unknown} if self.text.lstrip().startswith("{") else None
        for table in self.tables:
            has_rules = any(chain.rules for chain in table.chains.values() if chain.base)
            lines = {rule.line for chain in table.chains.values() for rule in chain.rules}
            is_whole = in_part is not None and not lines & in_part
            family = _OF_IPTABLES.get(table.family)
            if has_rules and family and not is_whole and (table.family, table.name) in self.managed:
                missing = MissingRules(MissingKind.MANAGED_TABLE, f"{table.family} {table.name}")
                found[family] = (*found.get(family, ()), missing)
        return found

    @cached_property
    def managed(self) -> frozenset[tuple[str, str]]:
        """The tables (family, name) that iptables-nft has made: a comment says so, or the names of their chains."""
        said = (_MANAGED.search(comment) for _, comment in self.comments)
        return frozenset(
            [(one["family"], one["name"]) for one in said if one]
            + [(one.family, one.name) for one in self.tables if _is_of_iptables(one)]
        )

    def table(self, family: str, name: str) -> Table:
        """Return a table. UnknownNameError where there is none of this family and name."""
        for table in self.tables:
            if (table.family, table.name) == (family, name):
                return table
        raise UnknownNameError("table", f"{family} {name}", [f"{one.family} {one.name}" for one in self.tables])
