"""The targets of rules as actions: a verdict, another chain, a change, a question (Linux net/netfilter/xt_*.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kanslib.exceptions import RuleSyntaxError
from kanslib.i18n import listed, tr, tr_later
from kanslib.iptables.matches import ALL_BITS, dscp, tos, value_and_mask
from kanslib.iptables.names import PORTS, port_number
from kanslib.iptables.packet import number
from kanslib.iptables.questions import Subject
from kanslib.iptables.ranges import Ranges
from kanslib.iptables.syntax import TARGETS, Module, Option, RuleOptions

_MARKING = ("--set-xmark", "--set-mark", "--and-mark", "--or-mark", "--xor-mark")
_Ends = tuple[int, int]


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
class Look:
    """Continue at the elements of a map, which decide; where none has the packet's key, behind this rule."""

    map: str


@dataclass(frozen=True, slots=True)
class Return:
    """Return to the calling chain; in a built-in chain apply its policy."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is not in the rules decides: the answer "yes" to `words` leads to `yes`, "no" to `no`; None: go on.

    `fields`: the fields of the packet on which the answer depends.
    """

    words: str
    fields: tuple[str, ...]
    yes: Verdict | None
    no: Verdict | None


@dataclass(frozen=True, slots=True)
class SetBits:
    """MARK, TOS, DSCP, ECN: of a word (`mark`, `tos`, `tcp_flags`) `clear` is cleared, then `flip` applied with XOR."""

    word: str
    clear: int
    flip: int


@dataclass(frozen=True, slots=True)
class SetConnectionMark:
    """CONNMARK: like MARK for the connection (`set`), or a copy between the two marks (`save`, `restore`).

    For a copy `clear` and `flip` are the masks of the mark that is written and of the mark that is read. `shift`: bits
    to the left, or to the right by a negative number.
    """

    what: str
    clear: int
    flip: int
    shift: int = 0


@dataclass(frozen=True, slots=True)
class HashMark:
    """HMARK: the mark becomes a hash of the packet, from `first` to `last`."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SetTTL:
    """TTL, HL: set, inc or dec."""

    how: str
    value: int


@dataclass(frozen=True, slots=True)
class SetMSS:
    """TCPMSS: an MSS that is higher than `highest` becomes that; None for that of the path."""

    highest: int | None


@dataclass(frozen=True, slots=True)
class StripOptions:
    """TCPOPTSTRIP: the packet loses these TCP options."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """SET: an ipset gets the packet's addresses, or loses them; `maps_mark`: the set holds a mark for the packet."""

    name: str
    flags: tuple[str, ...]
    adds: bool
    maps_mark: bool = False


@dataclass(frozen=True, slots=True)
class Translate:
    """DNAT, SNAT, MASQUERADE, REDIRECT: a new address, a new port. None: the target does not name one.

    `addresses` (first, last); `ports` (first, last); `base`: the port that becomes the first of them; `random`: the
    kernel chooses the port at random.
    """

    kind: str
    addresses: tuple[str, str] | None
    ports: _Ends | None
    base: int | None
    random: bool


@dataclass(frozen=True, slots=True)
class SetField:
    """An address or a port (`src`, `dst`, `sport`, `dport`) is written over, and conntrack does not know of it.

    `value`: None for one that is not known; `words` then say what it is.
    """

    field: str
    value: str | int | None
    words: str = ""


@dataclass(frozen=True, slots=True)
class MapNetwork:
    """NETMAP, SNPT, DNPT: the network part of the address is replaced.

    `field`: src or dst, or empty where the hook decides. `exact`: the rest of the address stays as it is.
    """

    field: str
    bits: int
    network: int
    mask: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Redirect:
    """TPROXY: a local socket takes the packet, and its mark is set (as in SetBits); without a socket it is dropped."""

    port: int
    address: str
    clear: int
    flip: int


@dataclass(frozen=True, slots=True)
class ProxySYN:
    """SYNPROXY: the machine answers the handshake itself; other packets of the connection go on."""


@dataclass(frozen=True, slots=True)
class Track:
    """CT, NOTRACK in table raw: conntrack does not track the packet, or with a zone, a helper or a timeout (`how`)."""

    tracked: bool
    how: str = ""


@dataclass(frozen=True, slots=True)
class Settle:
    """A field gets a value that nothing behind asks about; `of_connection`: where conntrack has one for the packet."""

    subject: Subject
    values: Ranges
    words: str
    of_connection: bool = False


@dataclass(frozen=True, slots=True)
class NoEffect:
    """The packet continues on its way unchanged; `words`: what happens besides."""

    words: str = ""


Action = (
    Verdict | Jump | Look | Return | Ask | SetBits | SetConnectionMark | HashMark | SetTTL | SetMSS | StripOptions
    | ChangeSet | Translate | SetField | MapNetwork | Redirect | ProxySYN | Track | Settle | NoEffect
)  # fmt: skip
_Builder = Callable[[Module], Action]


def action(body: RuleOptions, is_chain: bool) -> Action:
    """Return the action of a rule; `is_chain`: its target is a chain of the table. RuleSyntaxError for wrong values."""
    target = body.target
    if target is None:
        return NoEffect()
    if is_chain:
        return Jump(target.name, body.goto)
    if body.goto or target.name not in BUILDERS or not all(option.known for option in target.options):
        return _unknown(target)
    return BUILDERS[target.name](target)


_TOLD_BY = ("src", "dst", "sport", "dport", "mark")  # fields by which a program can tell packets apart


def names(action: Action) -> list[str]:
    """Return the subjects that a target can ask about (`Subject.name`)."""
    if isinstance(action, SetConnectionMark):
        return ["mark"]
    asked: list[tuple[type, list[str]]] = [(Ask, ["target"]), (Redirect, ["socket"]), (ProxySYN, ["tcp_flags"])]
    return next((found for kind, found in asked if isinstance(action, kind)), [])


def _unknown(target: Module) -> Ask:
    """Return the action of a target that the grammar does not know."""
    is_chain = target.name not in TARGETS and not target.options
    if not is_chain:
        return unknown(f"-j {target}", target.name)
    words = tr("the chain {name}, which this dump has not, {{lets the packet go on|ends its way}}", name=target.name)
    return Ask(words, _TOLD_BY, None, Verdict(target.name))


def unknown(text: str, name: str) -> Ask:
    """Return the action of something that is not known, `text` in its rule: it may end the packet's way, as `name`."""
    return Ask(tr("{text} {{lets the packet go on|ends its way}}", text=text), _TOLD_BY, None, Verdict(name))


def _verdict(target: Module) -> Action:
    how = target.option("--reject-with")
    return Verdict(target.name, how.value if how else "")


def _queue(target: Module) -> Action:
    """Return the action of QUEUE, NFQUEUE: a program decides (net/netfilter/nf_queue.c)."""
    number_of, balance = (target.option(f"--queue-{word}") for word in ("num", "balance"))
    name = f"queue {number_of.value if number_of else balance.value if balance else 0}"
    return queue(name, target.option("--queue-bypass") is not None, target.name)


def queue(name: str, bypass: bool, verdict: str) -> Ask:
    """Return the action of a queue to a program; with `bypass` packets go on where there is no program."""
    program = tr("the program at {name} {{accepts it|does not accept it}}", name=name)
    stopped = tr("{name}: its program drops it, or no program takes it", name=name)
    if bypass:
        program = tr("{name} {{has no program, or one that accepts it|has a program that drops it}}", name=name)
        stopped = tr("{name}: dropped", name=name)
    return Ask(program, _TOLD_BY, Verdict("ACCEPT"), Verdict(verdict, stopped))


def _set(option: Option) -> tuple[int, int]:
    """Return a mark option as (clear, flip) of: mark = (mark & ~clear) ^ flip."""
    value, mask = value_and_mask(option)
    return {
        "--set-xmark": (mask, value), "--set-mark": (mask | value, value), "--and-mark": (ALL_BITS & ~value, 0),
        "--or-mark": (value, value), "--xor-mark": (0, value),
    }[option.name]  # fmt: skip


def _mark(target: Module) -> Action:
    option = target.option(*_MARKING)
    return SetBits("mark", *_set(option)) if option else _unknown(target)


def _connection_mark(target: Module) -> Action:
    copy = target.option("--save-mark", "--restore-mark")
    if copy is None:
        option = target.option(*_MARKING)
        return SetConnectionMark("set", *_set(option)) if option else _unknown(target)
    both, packet, connection = (target.option(name) for name in ("--mask", "--nfmask", "--ctmask"))
    nfmask = value_and_mask(packet or both)[0] if packet or both else ALL_BITS  # type: ignore[arg-type]
    ctmask = value_and_mask(connection or both)[0] if connection or both else ALL_BITS  # type: ignore[arg-type]
    left, right = (target.option(name) for name in ("--left-shift-mark", "--right-shift-mark"))
    shift = int(left.value, 0) if left else -int(right.value, 0) if right else 0
    if copy.name == "--save-mark":
        return SetConnectionMark("save", ctmask, nfmask, shift)
    return SetConnectionMark("restore", nfmask, ctmask, shift)


def _hash_mark(target: Module) -> Action:
    modulus, offset = (target.option(f"--hmark-{word}") for word in ("mod", "offset"))
    first = value_and_mask(offset)[0] if offset else 0
    return HashMark(first, first + (value_and_mask(modulus)[0] if modulus else ALL_BITS) - 1)


def _octet(target: Module) -> Action:
    """Return the action of TOS or DSCP (net/netfilter/xt_DSCP.c)."""
    option = next(iter(target.options), None)
    if option is None:
        return _unknown(target)
    if target.name == "DSCP":
        return SetBits("tos", 0xFC, dscp(option) << 2)
    value, mask = tos(option)
    clear, flip = {
        "--set-tos": (mask, value), "--and-tos": (0xFF & ~value, 0), "--or-tos": (value, value), "--xor-tos": (0, value)
    }[option.name]  # fmt: skip
    return SetBits("tos", clear, flip)


def _ttl(target: Module) -> Action:
    option = next(iter(target.options), None)
    return SetTTL(option.name[-3:], value_and_mask(option, 255)[0]) if option else _unknown(target)


def _mss(target: Module) -> Action:
    option = target.option("--set-mss")
    return SetMSS(value_and_mask(option, 65535)[0] if option else None)


TCP_OPTIONS = {"wscale": 3, "mss": 2, "sack-permitted": 4, "sack": 5, "timestamp": 8, "md5": 19}


def _strip(target: Module) -> Action:
    option = target.option("--strip-options")
    if option is None:
        return _unknown(target)
    try:
        return StripOptions(tuple(TCP_OPTIONS.get(name) or int(name) for name in option.value.split(",")))
    except ValueError:
        raise RuleSyntaxError(
            option.column, str(option), tr("numbers, or names of {tcp_options}", tcp_options=listed(TCP_OPTIONS))
        ) from None


def _change_set(target: Module) -> Action:
    option = target.option("--add-set", "--del-set", "--map-set")
    if option is None:
        return _unknown(target)
    maps_mark = option.name == "--map-set" and target.option("--map-mark") is not None
    if option.name == "--map-set" and not maps_mark:
        return NoEffect(tr("its priority or queue is that of set {value}", value=option.value))
    return ChangeSet(option.value, tuple(option.values[1].split(",")), option.name == "--add-set", maps_mark)


def _translate(target: Module) -> Action:
    to = target.option("--to-destination", "--to-source", "--to-ports")
    random = target.option("--random", "--random-fully") is not None
    if to is None:
        if target.name in ("DNAT", "SNAT"):
            return _unknown(target)
        return Translate(target.name, None, None, None, random)
    addresses, ports = (("", to.value) if to.name == "--to-ports" else _split(to.value)) if to.value else ("", "")
    try:
        first, _, last = addresses.partition("-")
        for address in filter(None, (first, last)):
            number(address)
        span, _, base = ports.partition("/")
        low, _, high = (span, "", "") if span in PORTS else span.partition("-")  # a name may have a dash
        ends = (port_number(low), port_number(high or low)) if ports else None
        if ends and not 0 <= ends[0] <= ends[1] <= 65535:
            raise ValueError
        start = port_number(base) if base else None
    except ValueError:
        raise RuleSyntaxError(to.column, str(to), tr("an address and a port, such as 10.244.1.2:8080")) from None
    return Translate(target.name, (first, last or first) if first else None, ends, start, random)


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
    to = target.option("--to", "--dst-pfx")
    if to is None:
        return _unknown(target)
    address, _, prefix = to.value.partition("/")
    try:
        bits, value = number(address)
        length = int(prefix) if prefix else bits
        mask = ((1 << bits) - 1) ^ ((1 << (bits - length)) - 1)
    except ValueError:
        raise RuleSyntaxError(to.column, str(to), tr("a range such as 10.0.0.0/24")) from None
    field = {"SNPT": "src", "DNPT": "dst"}.get(target.name, "")
    return MapNetwork(field, bits, value & mask, mask, exact=not field)


def _tproxy(target: Module) -> Action:
    port, address, mark = (target.option(name) for name in ("--on-port", "--on-ip", "--tproxy-mark"))
    value, mask = value_and_mask(mark) if mark else (0, 0)
    return Redirect(value_and_mask(port, 65535)[0] if port else 0, address.value if address else "", mask, value)


def _track(target: Module) -> Action:
    tracked = target.name == "CT" and target.option("--notrack") is None
    return Track(tracked, " ".join(map(str, target.options)) if tracked else "")


def _cluster_address(target: Module) -> Action:
    """Return the action of CLUSTERIP: each node drops what is another node's (net/ipv4/netfilter/ipt_CLUSTERIP.c)."""
    words = tr("this node {is|is not} the one of the cluster that answers")
    return Ask(
        words, ("src", "sport", "dport"), None, Verdict("DROP", tr("{name}: another node answers", name=target.name))
    )


def _inert(words: str) -> _Builder:
    return lambda _target: NoEffect(words)


def _copy(target: Module) -> Action:
    gateway = target.option("--gateway")
    if gateway is None:
        return NoEffect(tr("a copy is sent to another host"))
    return NoEffect(tr("a copy is sent to {address}", address=gateway.value))


# What targets do that change nothing on which a packet's way through the rules depends
INERT = {
    "AUDIT": tr_later("an audit record is written"),
    "CHECKSUM": tr_later("its checksum is filled in"),
    "CLASSIFY": tr_later("its priority is set"),
    "CONNSECMARK": tr_later("its security mark is copied"),
    "IDLETIMER": tr_later("a timer is reset"),
    "LED": tr_later("a LED is switched on"),
    "LOG": tr_later("it is logged"),
    "NFLOG": tr_later("it is logged"),
    "RATEEST": tr_later("it is counted"),
    "SECMARK": tr_later("its security mark is set"),
    "TRACE": tr_later("its way is logged"),
    "ULOG": tr_later("it is logged"),
}  # fmt: skip
BUILDERS: dict[str, _Builder] = {
    **dict.fromkeys(("ACCEPT", "DROP", "REJECT"), _verdict), "RETURN": lambda _target: Return(),
    **dict.fromkeys(("QUEUE", "NFQUEUE"), _queue),
    **dict.fromkeys(("DNAT", "SNAT", "MASQUERADE", "REDIRECT"), _translate),
    **dict.fromkeys(("NETMAP", "SNPT", "DNPT"), _netmap), **dict.fromkeys(("TOS", "DSCP"), _octet),
    **dict.fromkeys(("TTL", "HL"), _ttl), **dict.fromkeys(("CT", "NOTRACK"), _track), "MARK": _mark,
    "CONNMARK": _connection_mark, "HMARK": _hash_mark, "TCPMSS": _mss, "TCPOPTSTRIP": _strip, "SET": _change_set,
    "TPROXY": _tproxy, "SYNPROXY": lambda _target: ProxySYN(), "CLUSTERIP": _cluster_address, "TEE": _copy,
    "ECN": lambda _target: SetBits("tcp_flags", 0xC0, 0), **{name: _inert(words) for name, words in INERT.items()},
}  # fmt: skip
