"""A dump compiled for tracing: each rule once, and an index of the rules that can match a packet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from kanslib.iptables import matches, targets
from kanslib.iptables.dump import BUILT_IN, Chain, Dump
from kanslib.iptables.fast_rule import FAST_RULE
from kanslib.iptables.match_types import ActingMatch, FieldMatch, Match, NetworkMatch
from kanslib.iptables.outcome import WalkedRule
from kanslib.iptables.packet import number
from kanslib.iptables.rule_index import Condition, Network, RuleIndex, read_network
from kanslib.iptables.stages import Role, Stage
from kanslib.iptables.targets import Action, Jump

_PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
_ROLES = {"raw": Role.BEFORE_CONNTRACK, "nat": Role.NAT}
_REROUTING = ("nat", "mangle")  # Linux net/ipv4/netfilter/iptable_mangle.c, ipt_mangle_out
_OLDEST = 1 << 30
INDEXED_FROM = 16  # rules; shorter chains are searched rule by rule


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its matches and the action of its target."""

    rule: WalkedRule
    matches: tuple[Match, ...]
    action: Action
    acts: bool  # a match changes something: the matches are evaluated in order, each once


class CompiledDump:
    """The rules of a dump as a trace asks for them; compiled chains are kept.

    `ranks`: those of its built-in chains (family such as `ip`, table, chain) among the chains of nftables, where
    iptables-nft has made them. Without a rank a chain counts as older than those of nftables.
    """

    def __init__(self, dump: Dump, ranks: Mapping[tuple[str, str, str], int] | None = None) -> None:
        self._dump, self._ranks = dump, ranks or {}
        self._compiled: dict[tuple[str, str], CompiledChain] = {}

    def stages(self, family: int) -> Iterator[Stage]:
        """Yield the built-in chains that packets of a family (4 or 6) meet, where the dump is of that family."""
        if self._dump.family not in (None, family):
            return
        for table, hooks in BUILT_IN.items():
            for hook in hooks:
                if hook in self._dump.tables.get(table, ()):
                    priority = _PRIORITIES.get(table, -100 if hook in ("PREROUTING", "OUTPUT") else 100)
                    rank = self._ranks.get(("ip" if family == 4 else "ip6", table, hook), _OLDEST)
                    yield Stage(
                        hook, table, hook, priority, _ROLES.get(table, Role.OTHER), rank, None, table in _REROUTING
                    )

    def chain(self, table: str, name: str) -> CompiledChain | None:
        """Return a compiled chain; None where the table does not have it."""
        key = table, name
        if key not in self._compiled:
            chains = self._dump.tables.get(table)
            if chains is None or name not in chains:
                return None
            self._compiled[key] = CompiledChain(self._dump.chain(name, table), chains)
        return self._compiled[key]


class CompiledChain:
    """A chain whose rules are compiled on first use, and indexed by address and port where there are many."""

    def __init__(self, chain: Chain, chains: Mapping[str, object]) -> None:
        self.chain, self._chains = chain, chains
        self._compiled: list[CompiledRule | None] = [None] * len(chain)

    is_map = False

    @property
    def table(self) -> str:
        """Its table."""
        return self.chain.table

    @property
    def policy(self) -> str:
        """Its policy: ACCEPT, DROP, or `-` for a chain that others jump to."""
        return self.chain.policy

    def __len__(self) -> int:
        return len(self._compiled)

    def rule(self, position: int) -> CompiledRule:
        """Return the rule at a position (from 0), compiled."""
        found = self._compiled[position]
        if found is None:
            rule = self.chain.rules[position]
            body = rule.body
            is_chain = body.target is not None and body.target.name in self._chains
            built = matches.matches(body)
            acts = any(isinstance(match, ActingMatch) for match in built)
            found = CompiledRule(rule, built, targets.action(body, is_chain), acts)
            self._compiled[position] = found
        return found

    def candidates(self, src: str | None, dst: str | None, dport: int | None) -> Sequence[int]:
        """Return the positions of the rules that can match such a packet, in order. None means unknown."""
        if len(self._compiled) < INDEXED_FROM or dst is None or src is None:
            return range(len(self._compiled))
        return self._index.candidates(number(src), number(dst), dport)

    @cached_property
    def _index(self) -> RuleIndex:
        read = cache(read_network)  # a network often stands in many rules
        return RuleIndex(self._condition(position, raw, read) for position, raw in enumerate(self.chain.rules.raw))

    def _condition(self, position: int, raw: str, read: Callable[[str], Network]) -> Condition:
        """Return what the rule wants of a packet."""
        if found := FAST_RULE.fullmatch(raw):
            not_src, src, not_dst, dst, dport = found.group("not_src", "src", "not_dst", "dst", "dport")
            return (
                read(src) if src and not not_src else None,
                read(dst) if dst and not not_dst else None,
                int(dport) if dport else None,
            )
        src = dst = dport = None
        for match in self.rule(position).matches:
            if isinstance(match, ActingMatch):
                break  # it acts on packets that the matches behind it do not take
            if isinstance(match, NetworkMatch) and match.field in ("src", "dst") and not match.negated:
                network = _network(match)
                src, dst = (network, dst) if match.field == "src" else (src, network)
            elif isinstance(match, FieldMatch) and match.field == "dport" and not match.negated:
                dport = match.ranges[0][0] if len({*match.ranges}) == 1 and len({*match.ranges[0]}) == 1 else dport
        return src, dst, dport

    @cached_property
    def last_uses(self) -> dict[str, int]:
        """The last position at which a rule can ask about a `Subject.name`, or jump to a chain (`-j NAME`)."""
        uses: dict[str, int] = {}
        for position, raw in enumerate(self.chain.rules.raw):
            names = _fast_names(raw) if FAST_RULE.fullmatch(raw) else self._names(position)
            uses.update(dict.fromkeys(names, position))
        return uses

    def _names(self, position: int) -> list[str]:
        rule = self.rule(position)
        names = [name for match in rule.matches for name in match.names]
        return [*names, *([f"-j {rule.action.chain}"] if isinstance(rule.action, Jump) else targets.names(rule.action))]


# what the options in FAST_RULE can ask about; the words of a comment may add more
_FAST_OPTION = re.compile(r" (-[sdiomjg]|--match-set) ([^\s\"]+)")
_FAST_NAMES = {
    "-s": ("src", "network src"), "-d": ("dst", "network dst"), "-i": ("in_interface",), "-o": ("out_interface",),
    "-m conntrack": ("ctstate",), "-m state": ("ctstate",), "-m addrtype": ("type",), "-m mark": ("mark",),
    "-m icmp": ("icmp_type",), "-m tcp": ("sport", "dport", "tcp_flags"),
    **dict.fromkeys(("-m multiport", "-m udp", "-m sctp"), ("sport", "dport")),
}  # fmt: skip


def _fast_names(raw: str) -> list[str]:
    """Return what a rule in one of the forms of FAST_RULE can ask about, and where it leads, without parsing it."""
    names: list[str] = []
    for option, value in _FAST_OPTION.findall(raw):
        if option == "--match-set":
            names.append(f"set {value}")
        elif option in ("-j", "-g"):
            names += (f"-j {value}", "target")
        else:
            names += _FAST_NAMES.get(f"-m {value}" if option == "-m" else option, ())
    return names


def _network(match: NetworkMatch) -> Network | None:
    """Return the network of `-s` or `-d`; None for several, and for a mask with gaps."""
    bits, value, mask = match.networks[0]
    prefix = mask.bit_count()
    is_one = len(match.networks) == 1 and mask == (1 << bits) - (1 << (bits - prefix))
    return (bits, prefix, value >> (bits - prefix)) if is_one else None
