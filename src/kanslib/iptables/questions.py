"""Questions: what a trace has to know and neither packet, rules nor routing say; the assumptions that answer them.

A question is about a value: the field of a packet as it is at a rule, or a fact outside of the packet that concerns
values of it ("set public holds 192.0.2.50"). Once NAT has changed the value, the question is another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, summarize_address_range
from itertools import chain
from typing import Protocol

from kanslib.i18n import listed, tr
from kanslib.iptables.names import TCP_FLAGS
from kanslib.iptables.ranges import YES, YES_NO, Ranges, intersect, join, size, subtract

STATES = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")
NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED = range(len(STATES))
TYPES = ("UNICAST", "LOCAL", "BROADCAST", "MULTICAST", "ANYCAST")
LINK_TYPES = ("unicast", "broadcast", "multicast")
DIRECTIONS = ("ORIGINAL", "REPLY")
_LOCAL = (YES, ((0, 0), (2, 2)))  # of TYPES: LOCAL, and all that can be in its place
NO_MSS = 65536  # a SYN without the option
ABSENT = 1 << 128  # a packet without the field, above all numbers, names and addresses
_VERBS = re.compile(r"\{([^{}|]*)\|([^{}|]*)\}")
NAME_BYTES = 16  # IFNAMSIZ
ANY_NAME: Ranges = ((0, (1 << 8 * NAME_BYTES) - 1),)
_IPV4: Ranges = ((0, (1 << 32) - 1),)
ADDRESSES: Ranges = ((0, (1 << 32) + (1 << 128) - 1),)
PORTS: Ranges = ((0, 65535),)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a question is about.

    `name`: what kind of thing, such as `dport` or `set public`. `words`: what it is called ("the destination port"), or
    for a fact a sentence with its two verbs ("set public {holds|does not hold}"). `value`: the value that a fact
    concerns; it stands where the words say VALUE, else behind them. `key`: all values of the packet on which the fact
    depends. `domain`: the numbers that are possible.
    """

    name: str
    words: str
    value: str = ""
    key: tuple[object, ...] = ()
    domain: Ranges = YES_NO

    @property
    def is_fact(self) -> bool:
        """Return whether the answer is yes or no."""
        return "{" in self.words

    @property
    def kind(self) -> str:
        """Return what its numbers stand for, a key of FORMS."""
        return self.name.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Question:
    """Whether the number of a subject is among `values`.

    `bits`: what a "yes" says of an unknown word of bits, as (source, mask, value); see `bits.Bits`.
    """

    subject: Subject
    values: Ranges = YES
    bits: tuple[tuple[str, int, int], ...] = ()


class Answers(Protocol):
    """Somebody who knows more of the machine than its rules say."""

    def answer(self, question: Question) -> bool | None:
        """Return the answer to a question; None where it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Assumption:
    """The answer to a question that an outcome assumes: the number of `subject` is among `values`.

    `question`, `value` and `answer` are its words: "set public holds", "192.0.2.50", "yes"; or "the destination port",
    "", "80".

    >>> fact = Subject("set", "set public {holds|does not hold}", "192.0.2.50")
    >>> str(Assumption(fact, YES)), str(Assumption(fact, ((0, 0),)))
    ('set public holds 192.0.2.50', 'set public does not hold 192.0.2.50')
    >>> str(Assumption(Subject("dport", "the destination port", domain=((0, 65535),)), ((0, 79), (81, 65535))))
    'the destination port is not 80'
    """

    subject: Subject
    values: Ranges = field(repr=False)

    @property
    def holds(self) -> bool:
        """Return whether the answer is anything but a plain "no"."""
        is_plain = self.subject.is_fact or (self.subject.kind == "type" and self.values in _LOCAL)
        return not is_plain or self.values == YES

    @property
    def question(self) -> str:
        """Return what is asked, in words."""
        if self.subject.kind == "type" and self.values in _LOCAL:
            return tr("is an address of this machine")
        return _VERBS.sub(r"\1", tr(self.subject.words)).replace("VALUE", self.value)

    @property
    def value(self) -> str:
        """Return the value of the packet that the question is about; empty where the question says it."""
        return self.subject.value

    @property
    def answer(self) -> str:
        """Return the answer: yes, no, or the values."""
        if self.subject.is_fact:
            return tr("yes") if self.values == YES else tr("no")
        if self.subject.kind == "type" and self.values in _LOCAL:
            return tr("yes") if self.values == YES else tr("no")
        describe = FORMS.get(self.subject.kind, _numbers)
        rest = subtract(self.subject.domain, self.values)
        included, excluded = describe(self.values), describe(rest)
        if not rest or (len(included), size(self.values)) <= (len(excluded), size(rest)):
            return _one_of(included)
        if excluded[-1] == tr("absent"):
            return tr("any but {values}", values=_one_of(excluded[:-1])) if excluded[1:] else tr("present")
        if len(excluded) == 1:
            return tr("not {value}", value=excluded[0])
        return tr("none of {values}", values=listed(excluded))

    def __str__(self) -> str:
        if self.subject.kind == "type" and self.values in _LOCAL:
            if self.values == YES:
                return tr("{address} is an address of this machine", address=self.value)
            return tr("{address} is not an address of this machine", address=self.value)
        if not self.subject.is_fact:
            asked = self._with_value(tr(self.subject.words))
            return tr("{value} is {answer}", value=asked, answer=self.answer)
        return self._with_value(_VERBS.sub(r"\1" if self.values == YES else r"\2", tr(self.subject.words)))

    def _with_value(self, words: str) -> str:
        return words.replace("VALUE", self.value) if "VALUE" in words else f"{words} {self.value}".rstrip()

    def contradicts(self, other: Assumption) -> bool:
        """Return whether both cannot be true."""
        return self.subject == other.subject and not intersect(self.values, other.values)


def _one_of(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else tr("{values} or {last}", values=listed(words[:-1]), last=words[-1])


# ── conditions: the assumptions under which a path is taken ──────────────────────────────────────────────────

Case = Mapping[Subject, Ranges]
Condition = tuple[Case, ...]  # one of these cases; no two of them can be true at once
CERTAIN: Condition = ({},)


def restrict(condition: Condition, subject: Subject, values: Ranges) -> Condition:
    """Return a condition with one more answer."""
    return tuple({**case, subject: intersect(case.get(subject, subject.domain), values)} for case in condition)


def either(one: Condition, other: Condition) -> Condition:
    """Return the condition that one of two is true: cases that differ in one answer alone become one."""
    cases: list[Case] = []
    waiting = [*one, *other]
    while waiting:
        case = waiting.pop(0)
        for known in cases:
            if (joined := _joined(known, case)) is not None:
                cases.remove(known)
                waiting.append(joined)
                break
        else:
            cases.append(case)
    return tuple(cases)


def _joined(one: Case, other: Case) -> Case | None:
    """Return the one case that two cases are together; None where they differ in more than one answer."""
    differing: list[Subject] = []
    for subject in chain(one, (subject for subject in other if subject not in one)):
        if one.get(subject, subject.domain) != other.get(subject, subject.domain):
            differing.append(subject)
            if len(differing) > 1:  # nearly always among the first few: paths have thousands of cases to compare
                return None
    rest = dict(one)
    for subject in differing:
        values = join([*one.get(subject, subject.domain), *other.get(subject, subject.domain)])
        rest.pop(subject, None)
        if values != subject.domain:
            rest[subject] = values
    return rest


def assumptions(condition: Condition) -> tuple[tuple[Assumption, ...], tuple[tuple[Assumption, ...], ...]]:
    """Return what all cases assume, and where there are several cases, what each of them assumes besides.

    What a case excludes, because another case has it already, is left out of it.
    """
    first, *others = condition
    common = {s: values for s, values in first.items() if all(case.get(s) == values for case in others)}
    cases = [{s: values for s, values in case.items() if s not in common} for case in condition]
    cases.sort(key=len)
    for case in cases:
        for subject in list(case):
            opposite = {**case, subject: subtract(subject.domain, case[subject])}
            if any(other is not case and _implies(opposite, other) for other in cases):
                del case[subject]
    alternatives = () if len(cases) == 1 else tuple(_listed(case) for case in cases)
    return _listed(common), alternatives


def _implies(case: Case, other: Case) -> bool:
    """Return whether `other` is true wherever `case` is."""
    return all(not subtract(case.get(subject, subject.domain), values) for subject, values in other.items())


def _listed(case: Case) -> tuple[Assumption, ...]:
    return tuple(Assumption(subject, values) for subject, values in case.items())


# ── values as words ──────────────────────────────────────────────────────────────────────────────────────────


@cache
def name_ranges(pattern: str) -> Ranges:
    """Return the numbers of the names that a pattern matches: all that begin with it for `cali+`, else the one.

    A name is the number that its bytes spell, so that names with the same beginning lie side by side.
    """
    prefix = pattern.removesuffix("+").encode(errors="surrogateescape")[:NAME_BYTES]
    low = prefix.ljust(NAME_BYTES, b"\0")
    high = prefix.ljust(NAME_BYTES, b"\xff") if pattern.endswith("+") else low
    return ((int.from_bytes(low), int.from_bytes(high)),)


def name_number(name: str) -> int:
    """Return the number of a name."""
    return name_ranges(name.removesuffix("+"))[0][0]


def mac_number(text: str) -> int:
    """Return the number of a MAC address. ValueError for any other text."""
    return int.from_bytes(bytes.fromhex(text.replace(":", "")))


def _numbers(ranges: Ranges) -> list[str]:
    return [
        str(first) if first == last else tr("{first} or more", first=first) if last == ABSENT - 1 else f"{first}-{last}"
        for first, last in ranges
    ]


def _or_none(describe: Callable[[Ranges], list[str]]) -> Callable[[Ranges], list[str]]:
    """Return how values of a field are described that a packet may not have at all."""
    present: Ranges = ((0, ABSENT - 1),)
    return lambda ranges: [
        *describe(intersect(ranges, present)), *([tr("absent")] if subtract(ranges, present) else [])
    ]  # fmt: skip


def _names(ranges: Ranges) -> list[str]:
    found = []
    for first, last in ranges:
        text = first.to_bytes(NAME_BYTES).rstrip(b"\0").decode(errors="replace")
        found.append((text or tr("none")) if first == last else f"{text}+")
    return found


def address_number(bits: int, value: int) -> int:
    """Return the number of an address in the questions about addresses: IPv6 follows IPv4."""
    return value if bits == 32 else value + (1 << 32)


def _addresses(ranges: Ranges) -> list[str]:
    found: list[str] = []
    for first, last in intersect(ranges, _IPV4):
        found += map(_network, summarize_address_range(IPv4Address(first), IPv4Address(last)))
    for first, last in subtract(ranges, _IPV4):
        low, high = first - (1 << 32), last - (1 << 32)
        found += map(_network, summarize_address_range(IPv6Address(low), IPv6Address(high)))
    return found


def _network(network: IPv4Network | IPv6Network) -> str:
    return str(network.network_address if network.num_addresses == 1 else network)


def _macs(ranges: Ranges) -> list[str]:
    return ["-".join(number.to_bytes(6).hex(":") for number in sorted({*ends})) for ends in ranges]


def _icmp_types(ranges: Ranges) -> list[str]:
    return [f"{first >> 8}" if last - first == 255 else f"{first >> 8}/{first & 255}" for first, last in ranges]


def _each(names: Sequence[str]) -> Callable[[Ranges], list[str]]:
    return lambda ranges: [names[value] for first, last in ranges for value in range(first, last + 1)]


def _segment_sizes(ranges: Ranges) -> list[str]:
    return [tr("absent") if text == str(NO_MSS) else text for text in _numbers(ranges)]


def _flags(ranges: Ranges) -> list[str]:
    return [
        tr("{flags} of {mask}", flags=_flag_names(wanted) or tr("none"), mask=_flag_names(mask))
        for mask, wanted in _patterns(ranges)
    ]


def _flag_names(bits: int) -> str:
    return ",".join(name for name, bit in TCP_FLAGS.items() if bit & bits == bit and bit.bit_count() == 1)


def _octets(ranges: Ranges) -> list[str]:
    return [f"{wanted:#04x}/{mask:#04x}" for mask, wanted in _patterns(ranges)]


def _patterns(ranges: Ranges) -> list[tuple[int, int]]:
    """Return numbers of 8 bits as (mask, value): the bits that make a difference, and how they are set."""
    values = {value for first, last in ranges for value in range(first, last + 1)}
    mask = sum(bit for bit in (1 << n for n in range(8)) if {value ^ bit for value in values} != values)
    return [(mask, wanted) for wanted in sorted({value & mask for value in values})]


FORMS: dict[str, Callable[[Ranges], list[str]]] = {
    "in_interface": _names, "out_interface": _names, "physdev_in": _names, "physdev_out": _names, "src": _addresses,
    "dst": _addresses, "source_mac": _macs, "icmp_type": _icmp_types, "ctstate": _each(STATES), "type": _each(TYPES),
    "pkttype": _each(LINK_TYPES), "ctdir": _each(DIRECTIONS), "mss": _segment_sizes, "tcp_flags": _flags,
    "tos": _octets, "number": _or_none(_numbers), "name": _or_none(_names), "address": _or_none(_addresses),
}  # fmt: skip
