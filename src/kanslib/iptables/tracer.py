"""A packet walked through a dump, as the kernel would walk it: every way it can go, with its exact probability.

Hooks and tables come in the kernel's order (Linux include/uapi/linux/netfilter_ipv4.h, nf_ip_hook_priorities):
raw, mangle, nat at PREROUTING; the routing decision; mangle, filter, security, nat at INPUT or mangle, filter,
security at FORWARD; mangle, nat at POSTROUTING. What the machine sends itself starts at OUTPUT.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from functools import cached_property, lru_cache

from kanslib.exceptions import TraceError
from kanslib.iptables import matches, targets
from kanslib.iptables.dump import _FAST_RULE, Chain, Rule, Ruleset
from kanslib.iptables.matches import DOMAINS, Match, NetworkMatch, Probability, RangeMatch, Unknown
from kanslib.iptables.packet import PROTOCOLS, STATES, Packet, Routing, endpoint, number, well_known
from kanslib.iptables.targets import Action

DEEPEST, MOST_WAYS, MOST_STEPS = 500, 10_000, 2_000_000
INDEXED_FROM = 16  # shorter chains are walked rule by rule
_NEW, _INVALID, _UNTRACKED = (1 << STATES.index(name) for name in ("NEW", "INVALID", "UNTRACKED"))
_FIRST = _NEW | 1 << STATES.index("RELATED")
Stage = tuple[str, str]  # hook, table
_IN = tuple(("PREROUTING", table) for table in ("raw", "mangle", "nat"))
_INPUT = tuple(("INPUT", table) for table in ("mangle", "filter", "security", "nat"))
_FORWARD = tuple(("FORWARD", table) for table in ("mangle", "filter", "security"))
_OUTPUT = tuple(("OUTPUT", table) for table in ("raw", "mangle", "nat", "filter", "security"))
_POST = tuple(("POSTROUTING", table) for table in ("mangle", "nat"))


@dataclass(frozen=True, slots=True)
class Assumption:
    """What an outcome takes for granted because nobody told it: a statement, and whether it is taken to hold.

    Where the statement is about a number of the packet, `field` names it and `values` has a bit for each value for
    which the statement is true.
    """

    text: str
    holds: bool
    field: str = ""
    values: int = dataclasses.field(default=0, repr=False)

    def __str__(self) -> str:
        return self.text if self.holds else f"not: {self.text}"


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that the packet matched on its way: at which hook, by which chance, and what it did."""

    hook: str
    rule: Rule
    chance: Fraction
    did: str


@dataclass(frozen=True)
class Outcome:
    """One way that the packet can go.

    `probability` is exact, given what the outcome `assumes`. `verdict`: ACCEPT, DROP, REJECT, … or NO ROUTE.
    `packet`: as it leaves, after DNAT, SNAT and marks. `hook`: the last one it came to: INPUT (for this machine),
    POSTROUTING (sent out), or the one where it ended. `notes`: what else has to be said.
    """

    probability: Fraction
    verdict: str
    packet: Packet
    steps: tuple[Step, ...]
    assumes: tuple[Assumption, ...]
    notes: tuple[str, ...]
    hook: str
    how: str = ""

    @property
    def walked(self) -> tuple[Rule, ...]:
        """The rules that the packet matched, in order."""
        return tuple(step.rule for step in self.steps)

    def explain(self) -> str:
        """The way in words, one line a rule, and where it ends."""
        from kanslib.iptables.explain import explain

        return explain(self)


@lru_cache(maxsize=256)
def _flag_bits(text: str) -> int:
    return matches.flags(text)


@lru_cache(maxsize=256)
def _icmp_number(text: str) -> int:
    return matches.icmp(text)[0]


@dataclass(frozen=True, slots=True)
class _CompiledRule:
    """A rule that was taken apart."""

    rule: Rule
    asks: tuple[Match, ...]
    action: Action


class _CompiledChain:
    """A chain, its rules taken apart when they are come to, and found by address or port where there are many."""

    def __init__(self, chain: Chain, chains: Mapping[str, object]) -> None:
        self.chain, self._chains = chain, chains
        self._ready: list[_CompiledRule | None] = [None] * len(chain)

    def ready(self, position: int) -> _CompiledRule:
        found = self._ready[position]
        if found is None:
            rule = self.chain.rules[position]
            body = rule.body
            is_chain = body.target is not None and body.target.name in self._chains
            found = _CompiledRule(rule, matches.matches(body), targets.action(body, is_chain))
            self._ready[position] = found
        return found

    def every(self, _way: _TrackedPacket) -> Sequence[int]:
        """All positions: the naive walk."""
        return range(len(self._ready))

    def likely(self, way: _TrackedPacket) -> Sequence[int]:
        """The positions of the rules that can match this packet at all, in order."""
        if len(self._ready) < INDEXED_FROM or way.dst is None or way.src is None:
            return range(len(self._ready))
        found: list[int] = list(self._index.get(None, ()))
        for kind, value in (("dst", number(way.dst)), ("src", number(way.src))):
            found += self._index.get((kind, value), ())
        if way.dport is not None:
            found += self._index.get(("dport", way.dport), ())
        else:
            found += self._any_port
        found.sort()
        return found

    @cached_property
    def _index(self) -> dict[object, list[int]]:
        index: dict[object, list[int]] = {}
        for position, rule in enumerate(self.chain.rules):
            index.setdefault(self._key(position, rule), []).append(position)
        return index

    @cached_property
    def _any_port(self) -> list[int]:
        return [
            at for key, places in self._index.items() if isinstance(key, tuple) and key[0] == "dport" for at in places
        ]

    def _key(self, position: int, rule: Rule) -> object:
        """What a packet must have for the rule to match: an address or a port; None where that is not one value."""
        if found := _FAST_RULE.fullmatch(rule.raw):
            for side in ("dst", "src"):
                text = found[side]
                if text and not found[f"not_{side}"] and text.endswith("/32"):
                    return side, number(text[:-3])
            return ("dport", int(found["dport"])) if found["dport"] else None
        for ask in self.ready(position).asks:
            if isinstance(ask, NetworkMatch) and ask.host and ask.field in ("src", "dst"):
                return ask.field, ask.host
            if isinstance(ask, RangeMatch) and ask.field == "dport" and not ask.negated and len(ask.ranges) == 1:
                low, high = ask.ranges[0]
                if low == high:
                    return "dport", low
        return None


_Frame = tuple[
    "_Frame | None", _CompiledChain, Sequence[int], int, tuple[str, ...]
]  # parent, chain, positions, next, active


_Steps = tuple["_Steps | None", Step]  # those before, the newest


class _Progress(Enum):
    """What became of a way that has not ended."""

    ON = "on"
    APART = "apart"  # it branched; its branches are open


class _TrackedPacket:
    """The packet on one of its ways."""

    __slots__ = (
        "assumed", "connmark", "dport", "dst", "frame", "hook", "in_interface", "looped", "mark", "natted", "notes",
        "original", "out_interface", "plan", "possible", "probability", "protocol", "routing", "sport", "src", "steps",
        "table", "tracked", "ttl",
    )  # fmt: skip

    def __init__(self, packet: Packet, routing: Routing | None) -> None:
        self.original, self.routing = packet, routing
        self.protocol = PROTOCOLS.get(packet.protocol) or int(packet.protocol)
        self.src, self.dst, self.sport, self.dport = packet.src, packet.dst, packet.sport, packet.dport
        self.in_interface: str | None = packet.in_interface or ""
        self.out_interface: str | None = ""
        self.mark, self.ttl = packet.mark, packet.ttl
        self.tracked = 1 << STATES.index(packet.ctstate) if packet.ctstate else (1 << len(STATES)) - 1
        self.connmark: int | None = 0 if packet.ctstate == "NEW" else None
        self.natted: frozenset[str] = frozenset()
        self.assumed: dict[str, Assumption] = {}
        self.possible: dict[str, int] = {}
        self.notes: tuple[str, ...] = ()
        self.probability = Fraction(1)
        self.steps: _Steps | None = None
        self.plan: tuple[Stage, ...] = _IN
        self.frame: _Frame | None = None
        self.hook, self.table, self.looped = "", "", False

    def fork(self) -> _TrackedPacket:
        other = copy(self)
        other.assumed, other.possible = dict(self.assumed), dict(self.possible)
        return other

    # what matches ask

    @property
    def states(self) -> int:
        """Before conntrack has seen it, in raw, a packet counts as INVALID (Linux net/netfilter/xt_conntrack.c)."""
        if self.table == "raw" and not self.looped and self.tracked != _UNTRACKED:
            return _INVALID
        return self.tracked

    @property
    def unconnected(self) -> bool:
        """True where conntrack has no connection for the packet: in raw, and when it is INVALID or UNTRACKED."""
        return not self.states & ~(_INVALID | _UNTRACKED)

    def name(self, field: str) -> str | None:
        return self.original.source_mac if field == "source_mac" else getattr(self, field)

    def address(self, field: str) -> tuple[int, int] | None:
        if field == "dst":
            text = self.dst
        elif field == "src":
            text = self.src
        else:
            text = self.original.dst if field.endswith("dst") else self.original.src
        return None if text is None else number(text)

    def value(self, field: str) -> int | None:
        if field == "dport":
            known = self.dport
        elif field == "sport":
            known = self.sport
        elif field == "ttl":
            known = self.ttl
        else:
            told = getattr(self.original, field)
            known = _flag_bits(told) if field == "tcp_flags" and told is not None else told
            known = _icmp_number(told) if field == "icmp_type" and told is not None else known
        return known

    def type_of(self, field: str) -> str | Unknown:
        text = self.src if field == "src" else self.dst
        if text is not None:
            if self.routing is not None:
                return self.routing.type_of(text)
            if fixed := well_known(*number(text)):
                return fixed
        side = "source" if field == "src" else "destination"
        return Unknown(f"{text or f'the new {side}'} is an address of this machine")

    # what is not told

    def decided(self, question: Unknown) -> bool | None:
        """Whether the match holds by what was assumed on this way; None while that is open."""
        if not question.field:
            answer = self.assumed.get(question.text)
            return None if answer is None else answer.holds == question.wanted
        possible = self._possible(question.field)
        inside = possible & question.values
        if inside == possible:
            return question.wanted
        return None if inside else not question.wanted

    def _possible(self, field: str) -> int:
        if field == "ctstate":
            return self.tracked
        return self.possible.get(field, (1 << DOMAINS[field]) - 1)

    def assume(self, question: Unknown, answer: bool) -> None:
        """From here on take `answer` for the answer."""
        if question.field:
            possible = self._possible(question.field)
            left = possible & question.values if answer else possible & ~question.values
            if question.field == "ctstate":
                self.tracked = left
            else:
                self.possible[question.field] = left
        self.assumed[question.text] = Assumption(question.text, answer, question.field, question.values)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes = (*self.notes, text)


class Tracer:
    """Walks packets through one ruleset; chains that were walked once stay taken apart."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._ruleset = ruleset
        self._walkable: dict[tuple[str, str], _CompiledChain] = {}

    def trace(self, packet: Packet, routing: Routing | None = None) -> list[Outcome]:
        """Every way the packet can go; see Ruleset.trace."""
        return [*_Search(self._chain, _CompiledChain.likely).outcomes(packet, routing)]

    def trace_naively(self, packet: Packet, routing: Routing | None = None) -> list[Outcome]:
        """The same without an index: every rule of a chain is asked. For tests."""
        return [*_Search(self._chain, _CompiledChain.every).outcomes(packet, routing)]

    def _chain(self, table: str, name: str) -> _CompiledChain | None:
        key = table, name
        if key not in self._walkable:
            chains = self._ruleset.tables.get(table)
            if chains is None or name not in chains:
                return None
            self._walkable[key] = _CompiledChain(self._ruleset.chain(name, table), chains)
        return self._walkable[key]


class _Search:
    """One trace: ways that are still to be walked, and how much was walked."""

    def __init__(
        self,
        chain: Callable[[str, str], _CompiledChain | None],
        positions: Callable[[_CompiledChain, _TrackedPacket], Sequence[int]],
    ) -> None:
        self._chain, self._positions = chain, positions
        self._open: list[_TrackedPacket] = []
        self._steps = 0

    def outcomes(self, packet: Packet, routing: Routing | None) -> Iterator[Outcome]:
        way = _TrackedPacket(packet, routing)
        if packet.in_interface is None:
            way.plan = _OUTPUT
            ended = self._sent(way)
            if ended:
                yield ended
                return
        self._open.append(way)
        ended_ways = 0
        while self._open:
            ended = self._on(self._open.pop())
            if ended:
                ended_ways += 1
                yield ended
            if len(self._open) + ended_ways > MOST_WAYS:
                raise TraceError(
                    f"more than {MOST_WAYS:,} ways for {packet}: tell more of the packet, "
                    "such as its source port, interfaces or TCP flags"
                )

    # hooks

    def _on(self, way: _TrackedPacket) -> Outcome | None:
        """Walk on until the way ends (its Outcome) or branches (None; its branches are open)."""
        while True:
            if way.frame is not None:
                ended = self._through(way)
            elif way.plan:
                ended = self._next_stage(way)
            else:
                ended = self._decide(way) or _Progress.ON
            if isinstance(ended, Outcome):
                return ended
            if ended is _Progress.APART:
                return None

    def _next_stage(self, way: _TrackedPacket) -> _Progress:
        """Enter the next table's chain, where there is one."""
        (way.hook, way.table), *rest = way.plan
        chain = self._chain(way.table, way.hook)
        asked = chain is not None and (bool(chain.chain.rules) or chain.chain.policy != "ACCEPT")
        if asked and way.table == "nat":
            first = Unknown("the packet is the first of its connection", True, "ctstate", _FIRST)
            holds = not way.looped and way.decided(first)
            if holds is None:
                self._branch(way, first)
                return _Progress.APART
            if not holds and not way.looped:
                way.note("nat is asked for the first packet of a connection; later ones follow conntrack's memory")
            asked = holds
        way.plan = tuple(rest)
        if asked and chain is not None:
            way.frame = (None, chain, self._positions(chain, way), 0, (way.hook,))
        return _Progress.ON

    def _branch(self, way: _TrackedPacket, question: Unknown) -> None:
        """Two ways from here: as asked, and not."""
        other = way.fork()
        other.assume(question, not question.wanted)
        way.assume(question, question.wanted)
        self._open += [other, way]

    def _decide(self, way: _TrackedPacket) -> Outcome | None:
        """What comes when the tables of a hook are through: routing, or the end."""
        if way.hook == "PREROUTING":
            return self._routed(way)
        if way.hook == "FORWARD" or (way.hook == "OUTPUT" and not way.looped):
            if way.hook == "OUTPUT" and (ended := self._sent(way)):
                return ended
            way.plan, way.hook = _POST, "POSTROUTING"
            return None
        if way.hook == "POSTROUTING" and way.original.in_interface is None and self._is_local(way):
            way.looped, way.plan, way.in_interface, way.hook = True, _IN, "lo", "PREROUTING"
            return None
        return self._end(way, "ACCEPT")

    def _is_local(self, way: _TrackedPacket) -> bool:
        """The routing decision; where nobody told, another machine's address is assumed, and said."""
        kind = way.type_of("dst")
        if isinstance(kind, str):
            return kind != "UNICAST"
        if kind.text not in way.assumed:
            way.assume(kind, False)
        return way.assumed[kind.text].holds

    def _routed(self, way: _TrackedPacket) -> Outcome | None:
        if way.looped or self._is_local(way):
            way.plan, way.hook, way.out_interface = _INPUT, "INPUT", ""
            return None
        way.hook, way.plan = "FORWARD", _FORWARD
        if way.ttl is not None:  # forwarding takes one off before the hook (Linux net/ipv4/ip_forward.c)
            if way.ttl <= 1:
                return self._end(way, "DROP", "its TTL is used up")
            way.ttl -= 1
        elif "ttl" in way.possible:
            way.possible["ttl"] >>= 1
        return self._out(way)

    def _sent(self, way: _TrackedPacket) -> Outcome | None:
        if self._is_local(way):
            way.out_interface = "lo"
            return None
        return self._out(way)

    def _out(self, way: _TrackedPacket) -> Outcome | None:
        way.out_interface = way.original.out_interface
        if way.routing is not None and way.dst is not None:
            route = way.routing.route(way.dst)
            if route is None or not route.dev:
                way.out_interface = None
                return self._end(way, "NO ROUTE")
            way.out_interface = route.dev
        return None

    # rules

    def _through(self, way: _TrackedPacket) -> Outcome | _Progress:
        """Walk the open chain to the end of its table."""
        frame = way.frame
        while frame is not None:
            parent, chain, positions, at, active = frame
            if at == len(positions):
                if parent is None:
                    return self._policy(way)
                frame = parent
                continue
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise TraceError(
                    f"more than {MOST_STEPS:,} rules asked for one packet: chains call each other too often"
                )
            ready = chain.ready(positions[at])
            following: _Frame = (parent, chain, positions, at + 1, active)
            holds = self._holds(way, ready, frame, following)
            if holds is None:
                return _Progress.APART
            if holds == 0:
                frame = following
                continue
            ends, did = _change(way, ready.action)
            way.steps = (way.steps, Step(way.hook, ready.rule, Fraction(holds), did))
            if isinstance(ready.action, targets.Return):
                if parent is None:
                    return self._policy(way)
                frame = parent
            elif isinstance(ready.action, targets.Jump):
                frame = self._jump(way, ready.action, ready.rule, following)
            elif verdict := self._verdict(way, ready.action):
                return verdict
            else:
                frame = None if ends else following
        way.frame = None
        return _Progress.ON

    def _verdict(self, way: _TrackedPacket, action: Action) -> Outcome | None:
        """The Outcome when the action stops the packet."""
        if isinstance(action, targets.Verdict) and action.name != "ACCEPT":
            return self._end(way, action.name, action.how)
        if isinstance(action, targets.UnknownTarget) and not way.assumed[_lets_on(action)].holds:
            return self._end(way, action.name.split()[0])
        return None

    def _policy(self, way: _TrackedPacket) -> Outcome | _Progress:
        """What a built-in chain does with what comes to its end."""
        way.frame = None
        base = self._chain(way.table, way.hook)
        if base is None or base.chain.policy in ("ACCEPT", "-"):
            return _Progress.ON
        return self._end(way, base.chain.policy, f"policy of {way.table} {way.hook}")

    def _holds(
        self, way: _TrackedPacket, ready: _CompiledRule, here: _Frame, following: _Frame
    ) -> Fraction | int | None:
        """0: the rule does not match; else its chance to; None when the way branched over it."""
        chance: Fraction | int = 1
        question: Unknown | None = None
        for ask in ready.asks:
            answer = ask.holds(way)
            if answer is True:
                continue
            if answer is False:
                return 0
            if isinstance(answer, Probability):
                chance = chance * answer.probability
                continue
            assert isinstance(answer, Unknown)
            known = way.decided(answer)
            if known is False:
                return 0
            question = question or (answer if known is None else None)
        if chance == 0:
            return 0
        if question is None and isinstance(ready.action, targets.UnknownTarget):
            doubt = Unknown(_lets_on(ready.action))
            question = None if doubt.text in way.assumed else doubt
        elif question is not None and isinstance(ready.action, targets.NoEffect):
            return 0  # whether it matches changes nothing
        if question is not None:
            way.frame = here
            self._branch(way, question)
            return None
        if chance != 1:
            other = way.fork()
            other.frame = following
            other.probability *= 1 - chance
            self._open.append(other)
            way.probability *= chance
        return chance

    def _jump(self, way: _TrackedPacket, action: targets.Jump, rule: Rule, following: _Frame) -> _Frame:
        parent, active = following[0], following[4]
        if action.chain in active:
            circle = " → ".join([*active[active.index(action.chain) :], action.chain])
            raise TraceError(
                f"line {rule.line}: {circle}: a circle of chains, which iptables-restore would refuse; "
                "is this text put together by hand?"
            )
        if len(active) >= DEEPEST:
            raise TraceError(f"line {rule.line}: more than {DEEPEST} chains deep at {action.chain}")
        target = self._chain(way.table, action.chain)
        assert target is not None, "parse() takes only declared chains for chains"
        above = parent if action.goto else following
        return (above, target, self._positions(target, way), 0, (*active, action.chain))

    def _end(self, way: _TrackedPacket, verdict: str, how: str = "") -> Outcome:
        steps: list[Step] = []
        link = way.steps
        while link is not None:
            link, step = link
            steps.append(step)
        packet = replace(
            way.original, src=way.src, dst=way.dst, sport=way.sport, dport=way.dport, mark=way.mark,
            out_interface=way.out_interface or None, ttl=way.ttl,
        )  # fmt: skip
        assumes = tuple(way.assumed.values())
        return Outcome(way.probability, verdict, packet, tuple(reversed(steps)), assumes, way.notes, way.hook, how)


def _lets_on(action: targets.UnknownTarget) -> str:
    return f"-j {action.name} lets the packet go on"


def _change(way: _TrackedPacket, action: Action) -> tuple[bool, str]:
    """Do to the packet what a target does: whether the walk through the table ends with it, and what was done."""
    if isinstance(action, targets.Verdict):
        return True, ""
    if isinstance(action, targets.SetMark):
        way.mark = (way.mark & ~action.mask) ^ action.value
        return False, f"the mark becomes {way.mark:#x}"
    if isinstance(action, targets.SetConnectionMark):
        _connection_mark(way, action)
        return False, "the connection's mark is set" if action.what != "restore" else f"the mark becomes {way.mark:#x}"
    if isinstance(action, targets.Untracked):
        if way.looped:  # conntrack has seen it already (Linux net/netfilter/xt_CT.c)
            return False, ""
        way.tracked = _UNTRACKED
        return False, "conntrack is not to look at it"
    if isinstance(action, targets.Translate | targets.MapNetwork):
        old = way.dst, way.dport
        if isinstance(action, targets.Translate):
            _translate(way, action)
        else:
            _map(way, action)
        if way.hook in ("PREROUTING", "OUTPUT"):
            return True, f"the destination {_became(old, (way.dst, way.dport))}"
        return True, f"the source becomes {way.src or 'an address of the interface it leaves by'}"
    return False, ""


def _became(old: tuple[str | None, int | None], new: tuple[str | None, int | None]) -> str:
    return f"stays {endpoint(*new)}" if old == new else f"becomes {endpoint(*new)}"


def _connection_mark(way: _TrackedPacket, action: targets.SetConnectionMark) -> None:
    if way.unconnected:
        return
    if action.what == "set":
        way.connmark = None if way.connmark is None else (way.connmark & ~action.mask) ^ action.value
    elif action.what == "save":
        kept = 0 if action.mask == targets.ALL else way.connmark
        way.connmark = None if kept is None else (kept & ~action.mask) ^ (way.mark & action.mask)
    elif way.connmark is not None:
        way.mark = (way.mark & ~action.mask) ^ (way.connmark & action.mask)
    else:
        way.note("the mark is restored from the connection, which is not known: taken as unchanged")


def _translate(way: _TrackedPacket, action: targets.Translate) -> None:
    """A new destination (DNAT, REDIRECT) or source (SNAT, MASQUERADE), as far as it is told."""
    to_destination = action.kind in ("DNAT", "REDIRECT")
    address = way.dst if to_destination else way.src
    if action.kind == "REDIRECT":
        address = _redirected(way)
    elif action.kind == "MASQUERADE":
        address = (
            way.routing.source(way.out_interface, way.dst or "0.0.0.0") if way.routing and way.out_interface else None
        )
        if address is None:
            way.note("the new source is the address of the interface that it leaves by")
    elif action.addresses:
        first, last = action.addresses
        address = first if first == last else None
        if address is None:
            way.note(f"{action.kind}: one of {first} to {last}; the kernel takes a hash of the addresses")
    for given, other in ((address, way.original.dst), (address, way.original.src)):
        if given and other and number(given)[0] != number(other)[0]:
            raise TraceError(
                f"{action.kind} to {given} for {way.original}: the rules are of the other family of addresses"
            )
    port = way.dport if to_destination else way.sport
    if action.ports:
        first_port, last_port = action.ports
        port = first_port if first_port == last_port else None
    elif action.random:
        port = None
    if to_destination:
        way.natted |= {"DNAT"} if (address, port) != (way.dst, way.dport) or address is None else set()
        way.dst, way.dport = address, port
    else:
        way.natted |= {"SNAT"} if (address, port) != (way.src, way.sport) or address is None else set()
        way.src, way.sport = address, port


def _redirected(way: _TrackedPacket) -> str | None:
    """Where REDIRECT leads (Linux net/netfilter/nf_nat_redirect.c): this machine, at the address of the interface."""
    if way.hook == "OUTPUT":
        return "127.0.0.1" if way.dst is None or number(way.dst)[0] == 32 else "::1"
    if way.routing is not None and way.in_interface and way.dst is not None:
        bits = number(way.dst)[0]
        held = [one.address for one in way.routing.interfaces if one.dev == way.in_interface]
        return next((address for address in held if number(address)[0] == bits), None)
    way.assume(Unknown("the new destination is an address of this machine"), True)
    return None


def _map(way: _TrackedPacket, action: targets.MapNetwork) -> None:
    from ipaddress import IPv4Address, IPv6Address

    to_destination = way.hook in ("PREROUTING", "OUTPUT")
    old = way.address("dst" if to_destination else "src")
    if old is None or old[0] != action.bits:
        return
    value = action.network | (old[1] & ~action.mask)
    address = str(IPv4Address(value) if action.bits == 32 else IPv6Address(value))
    if to_destination:
        way.dst, way.natted = address, way.natted | {"DNAT"}
    else:
        way.src, way.natted = address, way.natted | {"SNAT"}
