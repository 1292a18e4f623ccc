"""Turn the statements of a rule into matches and actions of a trace (nft(8), Linux net/netfilter/nft_*.c)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from kanslib.i18n import tr
from kanslib.iptables import effects, targets
from kanslib.iptables.bits import Bits
from kanslib.iptables.match_types import (
    EVERYTHING,
    ActingMatch,
    Answer,
    FreshMatch,
    HashMatch,
    Match,
    MatchedPacket,
    OutsideMatch,
    Probability,
    RandomMatch,
)
from kanslib.iptables.names import PORTS, PROTOCOLS
from kanslib.iptables.packet_state import PacketState
from kanslib.iptables.ranges import Ranges, intersect, join, size, subtract
from kanslib.iptables.targets import Action
from kanslib.nftables.asked import settle
from kanslib.nftables.changed_sets import MapChange, SetChange, SetMatch, parts_of, set_name
from kanslib.nftables.computed import constant_bits, number_of, with_numbers
from kanslib.nftables.fast_elements import FastElements
from kanslib.nftables.hashes import SeededHashMatch, can_be_computed
from kanslib.nftables.selectors import (
    ALL_BITS,
    CATCH_ALL,
    AnyMatch,
    ProtocolsMatch,
    UnknownValueError,
    above_below,
    addresses_match,
    any_bit,
    checked_address,
    flag_bits,
    integers,
    is_address,
    matches_of,
    network_of,
    of_family,
    requirements_of,
    unknown_match,
)
from kanslib.nftables.syntax import (
    Assign,
    Binary,
    Concatenation,
    ConnectionLimit,
    Counter,
    Ct,
    Expression,
    Extension,
    FlowOffload,
    Hash,
    HeaderOption,
    Interval,
    Limit,
    Log,
    Meta,
    Nat,
    NoTrack,
    NumGen,
    ObjectReference,
    Payload,
    Prefix,
    Queue,
    Quota,
    Reject,
    Route,
    SetLiteral,
    SetReference,
    SetUpdate,
    SideEffect,
    Statement,
    SynProxy,
    Table,
    TProxy,
    UnknownStatement,
    Value,
    Verdict,
)
from kanslib.nftables.syntax import (
    Match as Comparison,
)
from kanslib.nftables.terse import is_updated

_NAT = {"dnat": "DNAT", "snat": "SNAT", "masquerade": "MASQUERADE", "redirect": "REDIRECT"}
_OF_FLOW = {"saddr": "src", "daddr": "dst", "sport": "sport", "dport": "dport"}  # as `PacketState` names them
_HALF = 1 << 31
_HIGHEST_PORT = 65535
_SIMPLE: dict[str, Action] = {
    "accept": targets.Verdict("ACCEPT"),
    "drop": targets.Verdict("DROP"),
    "return": targets.Return(),
}


def ends_rule(statement: Statement) -> bool:
    """Return whether nothing behind a statement is reached."""
    if isinstance(statement, SideEffect):
        return statement.kind == "fwd"
    return isinstance(statement, Verdict | Nat | Reject | Queue | UnknownStatement)


def requirements(statement: Statement) -> tuple[Match, ...]:
    """Return what has to hold for a statement besides the matches before it, such as the family that it names."""
    match statement:
        case Nat(family=family):
            return (of_family(family),) if family else ()
        case Reject("icmp" | "icmpv6" as kind):
            return (of_family("ip" if kind == "icmp" else "ip6"),)
        case Assign(target, value):
            of_target = () if isinstance(target, Ct) else requirements_of(target)
            return (*of_target, *requirements_of(value))
        case SynProxy() | ObjectReference("synproxy"):
            return (ProtocolsMatch(((PROTOCOLS["tcp"], PROTOCOLS["tcp"]),), False),)
    return ()


def compile_statement(statement: Statement, table: Table) -> tuple[Match, ...] | Action:
    """Return the matches of a statement that decides whether its rule goes on, or the action of one that acts."""
    match statement:
        case Comparison():
            return _comparison(statement, table)
        case Verdict(kind, chain):
            return _verdict(kind, chain)
        case Assign():
            return _assign(statement)
        case Nat():
            return _translate(statement)
        case SetUpdate():
            return _set_update(statement, table)
        case Limit() | Quota() | ObjectReference("limit" | "quota") | ConnectionLimit() | FlowOffload():
            return _used_up(statement)
        case ObjectReference("synproxy") | SynProxy():
            return targets.ProxySYN()
        case ObjectReference("ct helper", name):
            return settle(Ct("helper"), name, tr("the connection gets the helper {name}", name=name))
        case Counter() | Log() | ObjectReference() | SideEffect("last"):
            return ()
    return _other(statement)


def _used_up(statement: Limit | Quota | ObjectReference | ConnectionLimit | FlowOffload) -> tuple[Match, ...]:
    """Return the match of a statement that depends on the packets before this one."""
    match statement:
        case ConnectionLimit(count, over):
            most = tr("the number of connections {{is|is not}} up to {count}", count=count)
            words = tr("the number of connections {{is|is not}} over {count}", count=count) if over else most
            return (OutsideMatch(f"ct count {count}", words, EVERYTHING, False),)
        case FlowOffload(flowtable):
            words = tr("the flowtable {flowtable} {{takes|does not take}} the connection", flowtable=flowtable)
        case _:
            words = tr("{limit} {{lets the packet pass|stops the rule}}", limit=_limit_text(statement))
    return (FreshMatch(words, False),)


def _verdict(kind: str, chain: str) -> Action:
    return targets.Jump(chain, kind == "goto") if chain else _SIMPLE.get(kind, targets.NoEffect())


def _limit_text(statement: Limit | Quota | ObjectReference) -> str:
    """Return a limit as nft writes it."""
    match statement:
        case Limit(rate, per, unit, _, _, over):
            what = f"{rate}/{per}" if unit == "packets" else f"{rate} {unit}/{per}"
            return f"limit rate {'over ' if over else ''}{what}"
        case Quota(size, _, over):
            return f"quota {'over ' if over else ''}{size} bytes"
        case ObjectReference(kind, name):
            return f"{kind} {name}"


def _other(statement: Statement) -> tuple[Match, ...] | Action:
    match statement:
        case Reject(kind, code):
            return targets.Verdict("REJECT", f"{kind} {code}".strip())
        case TProxy():
            return _to_socket(statement)
        case Queue(queue, flags):
            return targets.queue(f"queue {queue or 0}", "bypass" in flags, "QUEUE")
        case NoTrack():
            return targets.Track(False)
        case SideEffect("fwd", text):  # another interface has it (Linux net/netfilter/nft_fwd_netdev.c)
            return targets.Verdict("FWD", text)
        case SideEffect(_, text):
            return targets.NoEffect(text)
        case Extension("match", name):
            return (unknown_match(f"xt match {name}"),)
        case Extension(kind, name):
            return _unknown(f"xt {kind} {name}")
        case UnknownStatement(text):
            return _unknown(text)
    raise TypeError(f"{statement!r} is no statement")


def _unknown(text: str) -> Action:
    return targets.unknown(text, text)


# ── comparisons ──────────────────────────────────────────────────────────────────────────────────────────────


def _comparison(statement: Comparison, table: Table) -> tuple[Match, ...]:
    left, operator, right = statement.left, statement.operator, statement.right
    text = f"{left} {'' if operator in ('==', 'in') else operator + ' '}{right}"
    try:
        if operator in ("in", "!"):
            found = any_bit(left, right, operator == "!")
            return found if found is not None else (*requirements_of(left), unknown_match(text))
        if operator == "<" and left == Binary("&", Meta("random"), Value(_HALF - 1)):  # as iptables' statistic
            return (RandomMatch(Probability(Fraction(flag_bits(right), _HALF))),)
        if operator == "!=" and isinstance(right, Interval):
            right, operator = _between(right)
        if operator in ("<", ">", "<=", ">="):
            right, operator = above_below(operator, with_numbers(left, right)), "=="
        if isinstance(left, NumGen | Hash) or left == Meta("random"):
            return _random(left, _values(right, table), operator == "!=")
        return _compared(left, right, operator == "!=", table)
    except UnknownValueError:
        return (*requirements_of(left), unknown_match(text))


def _compared(left: Expression, right: Expression, negated: bool, table: Table) -> tuple[Match, ...]:
    """Return the matches of an expression that is equal to a constant or among the elements of a set, or is not.

    UnknownValueError for what cannot be compared.
    """
    if isinstance(right, SetReference) and is_hidden(right, table):
        return (*requirements_of(left), _hidden_match(right, left, negated))
    if isinstance(right, SetReference) and is_updated(right.name, table):
        return (*requirements_of(left), _set_match(right, left, negated, table))
    if (addresses := _addresses(right, table)) is not None and isinstance(left, Payload) and is_address(left):
        return addresses_match(left, addresses, negated)
    found = equal(left, _values(right, table), negated)
    return found if negated else (*found, *_limits_of(right, table))


def _share_of_random(values: Sequence[Expression], negated: bool) -> Fraction:
    """Return the share of the numbers of `meta random` that are among some values."""
    found = intersect(join(one for value in values for one in integers(value)), ((0, ALL_BITS),))
    share = Fraction(size(found), ALL_BITS + 1)
    return 1 - share if negated else share


def is_hidden(found: SetReference | SetLiteral, table: Table) -> bool:
    """Return whether a text leaves out the elements of a set (`nft -t`), or the whole set."""
    if not isinstance(found, SetReference):
        return False
    named = table.sets.get(found.name)
    return named is None or named.hidden


def _hidden_match(found: SetReference, key: Expression, negated: bool) -> Match:
    words = tr(
        "set {name}, whose elements this text leaves out (`nft list ruleset` without -t has them), "
        "{{holds|does not hold}} {key}",
        name=found.name,
        key=key,
    )
    return OutsideMatch(f"elements {found.name} {key}", words, EVERYTHING, negated)


def _between(right: Interval) -> tuple[Interval, str]:
    """Return values and operator of `!=` with an interval: nft 1.0 prints `ip ttl < 60 ip ttl > 3` as `!= 60-3`."""
    match right:
        case Interval(int(first), int(last)) if first > last:
            return Interval(last + 1, first - 1), "=="
    return right, "!="


def _limits_of(right: Expression, table: Table) -> tuple[Match, ...]:
    """Return the match of the limits that the elements of a set have (Linux net/netfilter/nft_lookup.c)."""
    named = table.sets.get(right.name) if isinstance(right, SetReference) else None
    if (
        named is None
        or isinstance(named.elements, FastElements)
        or not any(_is_limit(one) for element in named.elements for one in element.statements)
    ):
        return ()
    words = tr("the limit of an element of {name} {{lets the packet pass|stops the rule}}", name=named.name)
    return (FreshMatch(words, False),)


def _is_limit(statement: Statement) -> bool:
    return isinstance(statement, Limit | Quota | ConnectionLimit)


def _values(right: Expression, table: Table) -> tuple[Expression, ...]:
    match right:
        case SetLiteral(elements):
            return tuple(element.key for element in elements)
        case SetReference(name):
            found = table.sets.get(name)
            return tuple(element.key for element in found.elements) if found else ()
    return (right,)


def equal(left: Expression, values: tuple[Expression, ...], negated: bool) -> tuple[Match, ...]:
    """Return the matches of an expression that is equal to one of some values; it may have several parts."""
    if not isinstance(left, Concatenation):
        return matches_of(left, values, negated)
    if CATCH_ALL in values:
        return (*requirements_of(left), AnyMatch(((),), negated))
    alternatives = tuple(key_matches(left, value) for value in values)
    return (*requirements_of(left), AnyMatch(alternatives, negated))


def key_matches(key: Expression, value: Expression) -> tuple[Match, ...]:
    """Return the matches for a packet whose `key` has a value; both may have several parts."""
    found: list[Match] = []
    for one, wanted in zip(parts_of(key), parts_of(value), strict=False):
        try:
            found += matches_of(one, [wanted], False)
        except UnknownValueError:
            found += (*requirements_of(one), unknown_match(f"{one} {wanted}"))
    return tuple(found)


def _addresses(right: Expression, table: Table) -> Ranges | None:
    """Return the addresses in a set of addresses that need not be read one by one; None for any other set."""
    found = table.sets.get(right.name) if isinstance(right, SetReference) else None
    elements = found.elements if found else ()
    return elements.addresses if isinstance(elements, FastElements) else None


def _random(left: Expression, values: tuple[Expression, ...], negated: bool) -> tuple[Match, ...]:
    """Return the match of a random number, or of a hash, which spreads packets like one."""
    if not isinstance(left, NumGen | Hash):
        return (RandomMatch(Probability(_share_of_random(values, negated))),)
    hit = count_drawn(left, values)
    if isinstance(left, Hash) and is_same_each_time(left):
        return (*requirements_of(left), hash_match(left, values, negated))
    chance = Fraction(left.modulus - hit if negated else hit, left.modulus)
    return (*requirements_of(left), RandomMatch(Probability(chance)))


def is_same_each_time(key: Hash) -> bool:
    """Return whether two rules get the same number for a packet: a jhash without a seed has one of its own."""
    return key.kind == "symhash" or key.seed is not None


def hash_match(key: Hash, values: Sequence[Expression], negated: bool = False) -> HashMatch | SeededHashMatch:
    """Return the match of a hash that is among some values (Linux include/linux/kernel.h, reciprocal_scale).

    A jhash with a seed can be computed. UnknownValueError for values that are no numbers.
    """
    lowest, ranges = key.offset, _drawn(key, values)
    if negated:
        ranges = subtract(((lowest, lowest + key.modulus - 1),), ranges)
    shares = tuple(
        (Fraction(first - lowest, key.modulus), Fraction(last + 1 - lowest, key.modulus)) for first, last in ranges
    )
    found = HashMatch(f"{key.kind} {key.of or ''} {key.seed}", tuple(_hashed_fields(key)), shares)
    if key.of is None or key.seed is None or not can_be_computed(parts_of(key.of)):
        return found
    numbers = tuple((first - lowest, last - lowest) for first, last in ranges)
    return SeededHashMatch(parts_of(key.of), key.seed, key.modulus, numbers, found)


def _hashed_fields(key: Hash) -> Iterator[str]:
    """Yield the fields of which a hash is made and that rules can change; `symhash` has those of the flow."""
    if key.of is None:
        yield from _OF_FLOW.values()
        return
    for part in parts_of(key.of):
        match part:
            case Payload(_, field) if field in _OF_FLOW:
                yield _OF_FLOW[field]
            case Meta("mark"):
                yield "mark"


def count_drawn(key: NumGen | Hash, values: Sequence[Expression]) -> int:
    """Return how many numbers of a generator or a hash are among some values. UnknownValueError for no number."""
    return size(_drawn(key, values))


def _drawn(key: NumGen | Hash, values: Sequence[Expression]) -> Ranges:
    """Return the numbers of a generator or a hash that are among some values. UnknownValueError for no number."""
    all_numbers = ((key.offset, key.offset + key.modulus - 1),)
    return intersect(join(one for value in values for one in integers(value)), all_numbers)


# ── sets that rules change ───────────────────────────────────────────────────────────────────────────────────


def _set_match(found: SetReference, key: Expression, negated: bool, table: Table) -> SetMatch:
    """Return the match of a set that rules change. UnknownValueError for a key that cannot be compared."""
    elements = equal(key, _values(found, table), False)
    return SetMatch(set_name(table, found.name), parts_of(key), elements, negated)


def _set_update(statement: SetUpdate, table: Table) -> tuple[Match, ...]:
    key, data = statement.element.key, statement.element.data
    limits = [match for inner in statement.element.statements for match in _as_matches(compile_statement(inner, table))]
    name, parts = set_name(table, statement.set), parts_of(key)
    if statement.operation == "delete" or data is None or isinstance(data, Verdict):
        return (*requirements_of(key), SetChange(name, parts, statement.operation != "delete"), *limits)
    return (*requirements_of(key), *requirements_of(data), _map_change(statement, data, table), *limits)


def _map_change(statement: SetUpdate, data: Expression, table: Table) -> Match:
    """Return what adds an element to a map. Where its elements cannot be compared with the key, it asks for them."""
    key = statement.element.key
    values = tuple(value for value in _values(SetReference(statement.set), table) if value != CATCH_ALL)
    try:
        elements = equal(key, values, False)
    except UnknownValueError:
        elements = (unknown_match(f"{key} @{statement.set}"),)
    return MapChange(set_name(table, statement.set), parts_of(key), data, elements)


def _as_matches(found: tuple[Match, ...] | Action) -> tuple[Match, ...]:
    return found if isinstance(found, tuple) else ()


# ── what changes a packet ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Change(ActingMatch):
    """An action in the middle of a rule: the statements behind it see the packet as it has made it."""

    action: Action

    @property
    def names(self) -> tuple[str, ...]:
        """What the action can ask about."""
        return tuple(targets.names(self.action))

    def holds(self, packet: MatchedPacket) -> Answer:
        """Apply the action."""
        state = cast(PacketState, packet)
        question = effects.question(state, self.action)
        if question is not None:
            return question
        state.effects = (*state.effects, effects.apply(self.action, state))
        return True


@dataclass(frozen=True, slots=True)
class ToSocket(ActingMatch):
    """A transparent socket takes the packet; without one the rule stops (Linux net/netfilter/nft_tproxy.c)."""

    redirect: targets.Redirect

    @property
    def names(self) -> tuple[str, ...]:
        """What decides whether a program listens."""
        return tuple(targets.names(self.redirect))

    def holds(self, packet: MatchedPacket) -> Answer:
        """Look for the socket."""
        state = cast(PacketState, packet)
        question = effects.question(state, self.redirect)
        if question is not None:
            return question
        taken = effects.apply(self.redirect, state)
        state.effects = (*state.effects, taken)
        return bool(taken)


def _to_socket(statement: TProxy) -> tuple[Match, ...]:
    address, port = statement.address, statement.port
    at = port.value if isinstance(port, Value) and isinstance(port.value, int) else 0
    protocols = ProtocolsMatch(join((PROTOCOLS[name],) * 2 for name in ("tcp", "udp")), False)
    family = (of_family(statement.family),) if statement.family else ()
    return (*family, protocols, ToSocket(targets.Redirect(at, str(address or ""), 0, 0)))


def _assign(statement: Assign) -> tuple[Match, ...] | Action:
    target, value = statement.target, with_numbers(statement.target, statement.value)
    try:
        return _assigned(target, value)
    except UnknownValueError:
        field = _FIELDS.get(target.field) if isinstance(target, Payload) else None
        words = tr("{target} becomes {value}", target=target, value=value)
        return targets.NoEffect(words) if field is None else targets.SetField(field, None, words)


_FIELDS = {**_OF_FLOW, "ttl": "ttl", "hoplimit": "ttl"}


def _assigned(target: Expression, value: Expression) -> tuple[Match, ...] | Action:
    """Return the action that gives a field a value. UnknownValueError for a value that the field cannot have."""
    match target:
        case Meta("mark"):
            return _assign_mark("mark", value)
        case Ct("mark"):
            return _assign_mark("connmark", value)
        case Payload("ip" | "ip6", "ttl" | "hoplimit") if isinstance(value, Value) and isinstance(value.value, int):
            return targets.SetTTL("set", value.value)
        case Payload("ip" | "ip6", "saddr" | "daddr") if isinstance(value, Value):
            return targets.SetField("src" if target.field == "saddr" else "dst", _address_ends(value)[0])
        case Payload(_, "sport" | "dport") if isinstance(value, Value):
            return targets.SetField(target.field, _port_ends(value)[0])
        case HeaderOption("tcp", "maxseg"):
            highest = value.value if isinstance(value, Value) and isinstance(value.value, int) else None
            return targets.SetMSS(None if isinstance(value, Route) else highest)
        case Payload("ip" | "ip6", "dscp"):
            return targets.SetBits("tos", 0xFC, flag_bits(value) << 2)
        case Ct("zone"):  # before conntrack, which then has a template for the packet (nft_ct.c, nft_ct_set_zone_eval)
            words = tr("{target} becomes {value}", target=target, value=value)
            return Change(targets.Track(True, f"zone {value}")), Change(settle(target, value, words))
        case Payload(_, field) if field in _FIELDS:
            raise UnknownValueError(str(value))
    return settle(target, value, tr("{target} becomes {value}", target=target, value=value))


def _assign_mark(word: str, value: Expression) -> tuple[Match, ...] | Action:
    """Return the action that gives one of the two marks a value, which may be made from either of them."""
    if isinstance(value, NumGen | Hash) and word == "mark":
        return targets.HashMark(value.offset, value.offset + value.modulus - 1)
    try:
        source, keep, flip = _folded(value)
    except UnknownValueError:
        return (*requirements_of(value), MarkChange(word, value))
    clear = ALL_BITS & ~keep
    if source in ("", word):
        clear = ALL_BITS if not source else clear
        return targets.SetBits("mark", clear, flip) if word == "mark" else targets.SetConnectionMark("set", clear, flip)
    if flip:
        return (*requirements_of(value), MarkChange(word, value))
    return targets.SetConnectionMark("save" if word == "connmark" else "restore", ALL_BITS, keep)


@dataclass(frozen=True, slots=True)
class MarkChange(ActingMatch):
    """One of the two marks gets a value that is computed: `ct mark set meta mark | 0x100`, `meta mark set ip dscp`."""

    word: str
    value: Expression
    names = ("mark", "ctstate")

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compute the value; a packet without a connection keeps none (nft_ct.c, nft_ct_set_eval)."""
        state = cast(PacketState, packet)
        if self.word == "connmark" and (untracked := state.test_untracked()) is not False:
            return untracked
        words = tr("{target} becomes {value}", target=_MARKS[self.word], value=self.value)
        found = _bits_of(self.value, state) or Bits(0, ((words, ALL_BITS),))
        if self.word == "connmark":
            state.connmark = found
        else:
            state.mark = found
            if found.known is not None:
                words = tr("the mark becomes {known:#x}", known=found.known)
        state.effects = (*state.effects, words)
        return True


_MARKS = {"mark": "meta mark", "connmark": "ct mark"}


def _bits_of(value: Expression, state: PacketState) -> Bits | None:
    """Return an expression as a word, of which some bits may not be known; None where nothing is known of it."""
    match value:
        case Meta("mark"):
            return state.mark
        case Ct("mark", ""):
            return state.connmark
        case Binary(operator, left, right):
            one, other = _bits_of(left, state), _bits_of(right, state)
            return None if one is None or other is None else _combined(operator, one, other)
    found = constant_bits(value, value)
    found = number_of(value, state) if found is None else found
    return None if found is None else Bits(found & ALL_BITS)


def _combined(operator: str, one: Bits, other: Bits) -> Bits | None:
    """Return two words with an operator between them; None where the unknown bits of both meet."""
    if other.known is None:
        possible = (found.value | sum(mask for _, mask in found.unknown) for found in (one, other))
        is_disjoint = not int.__and__(*possible)
        return one.copy_from(other, 0, ALL_BITS) if operator in ("|", "^") and is_disjoint else None
    bits = other.known
    match operator:
        case "&":
            return one.set(ALL_BITS & ~bits, 0)
        case "|":
            return one.set(bits, bits)
        case "^":
            return one.set(0, bits)
    return one.shift(bits if operator == "<<" else -bits)


def _folded(value: Expression) -> tuple[str, int, int]:
    """Return an expression of bits as (source, keep, flip): it is `(source & keep) ^ flip`; no source: it is `flip`."""
    match value:
        case Meta("mark"):
            return "mark", ALL_BITS, 0
        case Ct("mark"):
            return "connmark", ALL_BITS, 0
        case Binary("&", inner, mask):
            source, keep, flip = _folded(inner)
            bits = flag_bits(mask)
            return source, keep & bits, flip & bits
        case Binary("|", inner, mask):
            source, keep, flip = _folded(inner)
            bits = flag_bits(mask)
            return source, keep & ~bits, flip & ~bits | bits
        case Binary("^", inner, mask):
            source, keep, flip = _folded(inner)
            return source, keep, flip ^ flag_bits(mask)
    return "", 0, flag_bits(value)


def _translate(statement: Nat) -> Action:
    address, port = statement.address, statement.port
    if isinstance(address, Concatenation) and len(address.parts) == 2:
        address, port = address.parts
    try:
        if statement.prefix and isinstance(address, Prefix) and port is None:
            return _map_network(statement.kind, address)
        addresses = _address_ends(address) if address is not None else None
        ports = _port_ends(port) if port is not None else None
    except UnknownValueError:
        return _unknown(f"{statement.kind} to {address or ''}")
    random = any(flag in ("random", "fully-random") for flag in statement.flags)
    return targets.Translate(_NAT[statement.kind], addresses, ports, None, random)


def _map_network(kind: str, to: Prefix) -> Action:
    """Return the action that replaces the first bits of an address (Linux net/netfilter/nft_nat.c, nft_nat_netmap)."""
    network = network_of(to)
    bits, value = network.max_prefixlen, int(network.network_address)
    return targets.MapNetwork("dst" if kind == "dnat" else "src", bits, value, int(network.netmask))


def _address_ends(value: Expression) -> tuple[str, str]:
    match value:
        case Value(str(address)):
            return checked_address(address), address
        case Interval(str(first), str(last)):
            return checked_address(first), checked_address(last)
        case Prefix():
            network = network_of(value)
            return str(network[0]), str(network[-1])
    raise UnknownValueError(str(value))


def _port_ends(value: Expression) -> tuple[int, int]:
    match value:
        case Value(int(first)) if first <= _HIGHEST_PORT:
            return first, first
        case Value(str(name)) if name in PORTS:  # as `nft -S` prints it
            return PORTS[name], PORTS[name]
        case Interval(int(first), int(last)) if first <= last <= _HIGHEST_PORT:
            return first, last
    raise UnknownValueError(str(value))
