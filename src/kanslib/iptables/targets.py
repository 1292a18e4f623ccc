"""The targets of rules as actions: a verdict, another chain, a change (Linux net/netfilter/xt_*.c)."""

from __future__ import annotations

from dataclasses import dataclass

from kanslib.exceptions import RuleSyntaxError
from kanslib.iptables.matches import value_and_mask
from kanslib.iptables.packet import number
from kanslib.iptables.syntax import TARGETS, Module, Option, RuleOptions

VERDICTS = ("ACCEPT", "DROP", "REJECT", "QUEUE", "NFQUEUE", "SYNPROXY")
ALL = 0xFFFFFFFF
_MARKING = ("--set-xmark", "--set-mark", "--and-mark", "--or-mark", "--xor-mark")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The traversal of this table ends; ACCEPT passes the packet to the next table, every other verdict stops it."""

    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Jump:
    """Continue in another chain; its end returns to this one, unless it is a goto."""

    chain: str
    goto: bool


@dataclass(frozen=True, slots=True)
class Return:
    """Return to the calling chain; in a built-in chain apply its policy."""


@dataclass(frozen=True, slots=True)
class SetMark:
    """MARK: the bits under `mask` are cleared, then `value` is applied with XOR."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class SetConnectionMark:
    """CONNMARK: like MARK for the connection (`set`), or a copy between the two marks (`save`, `restore`)."""

    what: str
    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class Translate:
    """DNAT, SNAT, MASQUERADE, REDIRECT: a new address, a new port. None: the target does not name one.

    `addresses` (first, last); `ports` (first, last); `random`: the kernel chooses the port.
    """

    kind: str
    addresses: tuple[str, str] | None
    ports: tuple[int, int] | None
    random: bool


@dataclass(frozen=True, slots=True)
class MapNetwork:
    """NETMAP: the network part of the address is replaced."""

    bits: int
    network: int
    mask: int


@dataclass(frozen=True, slots=True)
class Untracked:
    """CT --notrack, NOTRACK: conntrack does not track the packet."""


@dataclass(frozen=True, slots=True)
class NoEffect:
    """The packet continues unchanged: LOG and similar targets, or no target."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class UnknownTarget:
    """A target that the grammar does not know: whether the packet continues is unknown."""

    name: str


Action = (
    Verdict
    | Jump
    | Return
    | SetMark
    | SetConnectionMark
    | Translate
    | MapNetwork
    | Untracked
    | NoEffect
    | UnknownTarget
)


def action(body: RuleOptions, is_chain: bool) -> Action:
    """Return the action of a rule; `is_chain`: its target is a chain of the table. RuleSyntaxError for wrong values."""
    target = body.target
    if target is None:
        return NoEffect()
    if is_chain or body.goto:
        return Jump(target.name, body.goto) if is_chain else UnknownTarget(target.name)
    if target.name not in TARGETS:
        return UnknownTarget(str(target))
    if target.name == "RETURN":
        return Return()
    if target.name in VERDICTS:
        how = target.option("--reject-with", "--queue-num")
        return Verdict(target.name, how.value if how else "")
    changed = _change(target)
    if isinstance(changed, UnknownTarget) or all(option.known for option in target.options):
        return changed
    return UnknownTarget(str(target))


def _change(target: Module) -> Action:
    if target.name == "MARK":
        return _mark(target)
    if target.name == "CONNMARK":
        return _connection_mark(target)
    if target.name in ("DNAT", "SNAT", "MASQUERADE", "REDIRECT"):
        return _translate(target)
    if target.name == "NETMAP":
        return _netmap(target)
    if target.name == "TPROXY":  # given to a local socket: the traversal of this table ends
        return Verdict("ACCEPT")
    if target.name == "NOTRACK" or (target.name == "CT" and target.option("--notrack")):
        return Untracked()
    return NoEffect(target.name)


def _set(option: Option) -> tuple[int, int]:
    """Return a mark option as (value, mask) of: mark = (mark & ~mask) ^ value."""
    value, mask = value_and_mask(option)
    return {
        "--set-xmark": (value, mask), "--set-mark": (value, mask | value), "--and-mark": (0, ALL & ~value),
        "--or-mark": (value, value), "--xor-mark": (value, 0),
    }[option.name]  # fmt: skip


def _mark(target: Module) -> Action:
    option = target.option(*_MARKING)
    return SetMark(*_set(option)) if option else UnknownTarget(str(target))


def _connection_mark(target: Module) -> Action:
    masks = target.option("--mask", "--nfmask", "--ctmask")
    if target.option("--save-mark", "--restore-mark"):
        if len({option.value for option in target.options if option.values}) > 1:
            return UnknownTarget(str(target))  # nfmask and ctmask differ
        mask = value_and_mask(masks)[0] if masks else ALL
        return SetConnectionMark("save" if target.option("--save-mark") else "restore", 0, mask)
    option = target.option(*_MARKING)
    return SetConnectionMark("set", *_set(option)) if option else UnknownTarget(str(target))


def _translate(target: Module) -> Action:
    to = target.option("--to-destination", "--to-source", "--to-ports")
    random = target.option("--random", "--random-fully") is not None
    if to is None:
        if target.name in ("DNAT", "SNAT"):
            return UnknownTarget(str(target))
        return Translate(target.name, None, None, random)
    addresses, ports = (("", to.value) if to.name == "--to-ports" else _split(to.value)) if to.value else ("", "")
    try:
        first, _, last = addresses.partition("-")
        for address in filter(None, (first, last)):
            number(address)
        low, _, high = ports.partition("/")[0].partition("-")
        span = (int(low), int(high or low)) if ports else None
        if span and not 0 <= span[0] <= span[1] <= 65535:
            raise ValueError
    except ValueError:
        raise RuleSyntaxError(to.column, str(to), "an address and a port, such as 10.244.1.2:8080") from None
    return Translate(target.name, (first, last or first) if first else None, span, random)


def _split(text: str) -> tuple[str, str]:
    """Return addresses and ports of `10.0.0.1-10.0.0.9:80`, `[fd00::1]:80`, `:80` or `fd00::1`."""
    if text.startswith("["):
        addresses, _, rest = text[1:].partition("]")
        return addresses, rest.removeprefix(":")
    if text.count(":") > 1:
        return text, ""
    addresses, _, ports = text.partition(":")
    return addresses, ports


def _netmap(target: Module) -> Action:
    to = target.option("--to")
    if to is None:
        return UnknownTarget(str(target))
    address, _, prefix = to.value.partition("/")
    try:
        bits, value = number(address)
        length = int(prefix) if prefix else bits
        mask = ((1 << bits) - 1) ^ ((1 << (bits - length)) - 1)
    except ValueError:
        raise RuleSyntaxError(to.column, str(to), "a range such as 10.0.0.0/24") from None
    return MapNetwork(bits, value & mask, mask)
