"""Read the JSON of `nft -j list ruleset` (libnftables-json(5)): the same objects as from the text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import chain as chained

from kanslib.exceptions import DumpError
from kanslib.i18n import tr
from kanslib.iptables.dump_text import check_size
from kanslib.nftables.expressions import constant, numbers_with_prefix
from kanslib.nftables.ruleset import Ruleset
from kanslib.nftables.statements import read_statements
from kanslib.nftables.syntax import (
    Assign,
    BaseChain,
    Binary,
    Chain,
    Concatenation,
    ConnectionLimit,
    Counter,
    Ct,
    Element,
    Expression,
    Extension,
    Fib,
    Flags,
    FlowOffload,
    Hash,
    HeaderOption,
    Inner,
    Interval,
    KernelFact,
    Limit,
    Log,
    Lookup,
    Match,
    Meta,
    NamedObject,
    Nat,
    NoTrack,
    NumGen,
    ObjectReference,
    Payload,
    Prefix,
    Queue,
    Quota,
    RawPayload,
    Reject,
    Route,
    Rule,
    Set,
    SetLiteral,
    SetReference,
    SetUpdate,
    SideEffect,
    Socket,
    Statement,
    SynProxy,
    Table,
    TProxy,
    UnknownExpression,
    UnknownStatement,
    Value,
    Verdict,
    VerdictMap,
    set_flags,
)
from kanslib.nftables.terse import with_hidden_elements
from kanslib.nftables.tokens import Cursor

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
_Object = Mapping[str, Json]


_SHOWN = 80  # characters of a text that is something else


class _UnexpectedError(Exception):
    """The JSON has another form than nft gives it; the message says what was expected."""


_BEGINS = re.compile(r"\A(?:(?![ \t]*\{).*\n)+")  # lines before the first brace
_ENDS = re.compile(r"(?<=\})[ \t]*\n[^{}\[\]\"]*\Z")  # and behind the last one


def _without_prompts(text: str) -> str:
    """Return the JSON alone, at the same line: a prompt and kubectl's words may stand before and behind it."""
    begun = _BEGINS.sub(lambda found: "\n" * found[0].count("\n"), text.removeprefix("\ufeff"))
    return _ENDS.sub("\n", begun)


def parse_json(text: str) -> Ruleset:
    """Return the ruleset in the JSON of `nft -j list ruleset`.

    `Rule.line` is the place of the rule in the list, from 1. DumpError for any other text.
    """
    check_size(text)
    try:
        document = json.loads(_without_prompts(text))
    except json.JSONDecodeError as exc:
        raise DumpError(
            exc.lineno, exc.colno, exc.doc.split("\n")[exc.lineno - 1], tr("JSON ({problem})", problem=exc.msg)
        ) from None
    except ValueError:  # sys.set_int_max_str_digits
        raise DumpError(1, 1, "", tr("numbers of fewer digits")) from None
    except RecursionError:
        raise DumpError(1, 1, "", tr("JSON that is not so deep")) from None
    if not isinstance(document, dict) or "nftables" not in document:
        expected = tr('{"nftables": […]}, as `nft -j list ruleset` prints it')
        raise DumpError(1, 1, text.lstrip()[:_SHOWN], expected)
    parts: dict[tuple[str, str], _Parts] = {}
    number = 0
    try:
        for number, entry in enumerate(_list(document["nftables"]), 1):
            kind, value = _only(entry)
            if kind != "metainfo":
                _add(parts, kind, _object(value), number)
    except (_UnexpectedError, RecursionError) as exc:
        expected = str(exc) if isinstance(exc, _UnexpectedError) else tr("expressions that are not so deep")
        raise DumpError(
            1, 1, "", tr("{expected} in entry {number} of the list `nftables`", expected=expected, number=number)
        ) from None
    tables = with_hidden_elements(one.table() for one in parts.values())
    unknown = [
        (rule.line, str(statement))
        for table in tables
        for chain in table.chains.values()
        for rule in chain.rules
        for statement in rule.statements
        if isinstance(statement, UnknownStatement | Extension)
    ]
    return Ruleset(tables, text, unknown=tuple(unknown))


@dataclass
class _Parts:
    """A table whose chains, rules and sets are still being read."""

    family: str
    name: str
    flags: frozenset[str] = frozenset()
    comment: str = ""
    chains: dict[str, tuple[BaseChain | None, str]] = field(default_factory=dict)
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    sets: dict[str, Set] = field(default_factory=dict)
    objects: list[NamedObject] = field(default_factory=list)

    def table(self) -> Table:
        """Return the table with all that was read of it."""
        chains = {
            name: Chain(name, tuple(self.rules.get(name, ())), base, comment)
            for name, (base, comment) in self.chains.items()
        }
        return Table(self.family, self.name, chains, self.sets, tuple(self.objects), self.flags, self.comment)


def _add(parts: dict[tuple[str, str], _Parts], kind: str, entry: _Object, number: int) -> None:
    """Add one entry of the list to its table."""
    family, name = _text(entry, "family"), _text(entry, "name")
    if kind == "table":
        flags = frozenset(_words(entry.get("flags")))
        parts[family, name] = _Parts(family, name, flags, _text(entry, "comment"))
        return
    table = parts.get((family, _text(entry, "table")))
    if table is None:
        raise _UnexpectedError(
            tr("the table {table} before its {kind}", table=f"{family} {_text(entry, 'table')}", kind=kind)
        )
    if kind == "chain":
        table.chains[name] = _base_chain(entry), _text(entry, "comment")
    elif kind == "rule":
        table.rules.setdefault(_text(entry, "chain"), []).append(_rule(entry, number))
    elif kind in ("set", "map"):
        table.sets[name] = _set(entry)
    else:
        table.objects.append(NamedObject(kind, name, json.dumps(entry)))


def _base_chain(entry: _Object) -> BaseChain | None:
    if "hook" not in entry:
        return None
    devices = tuple(_words(entry.get("dev")))
    priority = _number(entry.get("prio"))
    return BaseChain(_text(entry, "type"), _text(entry, "hook"), priority, _text(entry, "policy") or "accept", devices)


_DEFAULT_REJECT = {"ip": ("icmp", "port-unreachable"), "ip6": ("icmpv6", "port-unreachable")}


def _rule(entry: _Object, number: int) -> Rule:
    default = Reject(*_DEFAULT_REJECT.get(_text(entry, "family"), ("icmpx", "port-unreachable")))
    read = chained.from_iterable(map(_statements, _list(entry.get("expr"))))
    statements = tuple(Reject() if one == default else one for one in read)  # the text is `reject` alone
    handle = entry.get("handle")
    text = json.dumps(entry.get("expr"))
    comment = _text(entry, "comment")
    return Rule(text, number, handle if isinstance(handle, int) else None, lambda: (statements, comment))


def _set(entry: _Object) -> Set:
    elements = tuple(map(_element, _list(entry.get("elem", []))))
    read = (lambda: elements) if elements else tuple
    kind, data = _type(entry.get("type")), entry.get("map")
    timeout, size = _optional_number(entry.get("timeout")), _optional_number(entry.get("size"))
    statements = tuple(map(_statement, _list(entry.get("stmt", []))))
    return Set(
        _text(entry, "name"), kind, "" if data is None else _type(data), set_flags(_words(entry.get("flags")), timeout),
        timeout, size, entry.get("auto-merge") is True, _text(entry, "comment"), read, statements,
    )  # fmt: skip


def _type(value: Json) -> str:
    """Return a type as the text has it; of `typeof` newer versions print an expression."""
    if isinstance(value, Mapping):
        return json.dumps(value)
    return " . ".join(_words(value))


# ── statements ───────────────────────────────────────────────────────────────────────────────────────────────


def _statements(entry: Json) -> tuple[Statement, ...]:
    """Return a statement; several where nft gives the text of what it cannot say in JSON (src/json.c, stmt_print_json).

    nft 1.0.6 does so with `add @stuck { ip saddr : 0x5 }`.
    """
    if isinstance(entry, str) and entry not in _STATEMENTS:
        try:
            return read_statements(Cursor(entry))
        except DumpError:
            return (UnknownStatement(json.dumps(entry)),)
    return (_statement(entry),)


def _statement(entry: Json) -> Statement:
    kind, value = _only(entry)
    reader = _STATEMENTS.get(kind)
    return UnknownStatement(json.dumps(entry)) if reader is None else reader(kind, value)


def _verdict(kind: str, value: Json) -> Verdict:
    return Verdict(kind, _text(_object(value), "target") if kind in ("jump", "goto") else "")


def _verdict_map(_kind: str, value: Json) -> VerdictMap:
    entry = _object(value)
    return VerdictMap(_expression(entry.get("key")), _map(entry.get("data")))


def _match(_kind: str, value: Json) -> Match:
    entry = _object(value)
    right = entry.get("right")
    if isinstance(right, bool):  # of an option or a route: whether it is there
        return Match(_expression(entry.get("left")), "==", Value("exists" if right else "missing"))
    return Match(_expression(entry.get("left")), _text(entry, "op"), _expression(right))


def _assign(_kind: str, value: Json) -> Assign:
    entry = _object(value)
    return Assign(_expression(entry.get("key")), _expression(entry.get("value")))


def _counter(_kind: str, value: Json) -> Statement:
    if not isinstance(value, Mapping) or "packets" not in value:
        return Counter() if value is None else ObjectReference("counter", _expression(value))
    return Counter(_number(value["packets"]), _number(value.get("bytes", 0)))


def _limit(_kind: str, value: Json) -> Statement:
    if not isinstance(value, Mapping) or "rate" not in value:
        return ObjectReference("limit", _expression(value))
    unit = _text(value, "rate_unit") or "packets"
    burst_unit = _text(value, "burst_unit") or ("packets" if unit == "packets" else "bytes")
    burst = _number(value.get("burst", 5 if unit == "packets" else 0))
    return Limit(_number(value["rate"]), _text(value, "per"), unit, burst, burst_unit, value.get("inv") is True)


def _quota(_kind: str, value: Json) -> Statement:
    if not isinstance(value, Mapping) or "val" not in value:
        return ObjectReference("quota", _expression(value))
    used = _number(value.get("used", 0)) * _UNITS[_text(value, "used_unit") or "bytes"]
    return Quota(_number(value["val"]) * _UNITS[_text(value, "val_unit") or "bytes"], used, value.get("inv") is True)


_UNITS = {"bytes": 1, "kbytes": 1024, "mbytes": 1024**2}


def _reference(kind: str, value: Json) -> ObjectReference:
    return ObjectReference(kind, _expression(value))


def _log(_kind: str, value: Json) -> Log:
    entry = value if isinstance(value, Mapping) else {}
    options = [
        (name, one if isinstance(one, int | str) else " ".join(_words(one)))
        for name, one in ((name, entry[name]) for name in _LOG_OPTIONS if name in entry)
    ]
    return Log(tuple(options))


_LOG_OPTIONS = ("prefix", "level", "group", "snaplen", "queue-threshold", "flags")


def _reject(_kind: str, value: Json) -> Reject:
    entry = value if isinstance(value, Mapping) else {}
    code = entry.get("expr", "")
    return Reject(_text(entry, "type"), code if isinstance(code, int | str) else "")


def _nat(kind: str, value: Json) -> Nat:
    entry = value if isinstance(value, Mapping) else {}
    is_prefix = "prefix" in _words(entry.get("type_flags"))
    return Nat(
        kind, _optional(entry.get("addr")), _optional(entry.get("port")), _text(entry, "family"),
        tuple(flag for flag in _words(entry.get("flags")) if flag != "netmap"), is_prefix,
    )  # fmt: skip


def _tproxy(_kind: str, value: Json) -> TProxy:
    entry = _object(value)
    return TProxy(_optional(entry.get("addr")), _optional(entry.get("port")), _text(entry, "family"))


def _queue(_kind: str, value: Json) -> Queue:
    entry = value if isinstance(value, Mapping) else {}
    return Queue(_optional(entry.get("num")), tuple(_words(entry.get("flags"))))


def _set_update(_kind: str, value: Json) -> SetUpdate:
    entry = _object(value)
    element = _element(entry.get("elem"))
    statements = tuple(map(_statement, _list(entry.get("stmt", []))))
    name = _text(entry, "set").removeprefix("@")
    return SetUpdate(_text(entry, "op"), name, replace(element, statements=(*element.statements, *statements)))


def _map_update(_kind: str, value: Json) -> SetUpdate:
    entry = _object(value)
    element = replace(_element(entry.get("elem")), data=_expression(entry.get("data")))
    return SetUpdate(_text(entry, "op"), _text(entry, "map").removeprefix("@"), element)


def _meter(_kind: str, value: Json) -> SetUpdate:
    entry = _object(value)
    element = replace(_element(entry.get("key")), statements=(_statement(entry.get("stmt")),))
    return SetUpdate("add" if element.timeout is None else "update", _text(entry, "name"), element)


def _flow(_kind: str, value: Json) -> FlowOffload:
    return FlowOffload(_text(_object(value), "flowtable").removeprefix("@"))


def _synproxy(_kind: str, value: Json) -> SynProxy | ObjectReference:
    if isinstance(value, str) or (isinstance(value, Mapping) and "map" in value):
        return ObjectReference("synproxy", _expression(value))
    entry = value if isinstance(value, Mapping) else {}
    options = [f"{name} {entry[name]}" for name in ("mss", "wscale") if name in entry]
    return SynProxy((*options, *_words(entry.get("flags"))))


def _last(_kind: str, value: Json) -> SideEffect:
    entry = value if isinstance(value, Mapping) else {}
    used = f" used {entry['used']}" if "used" in entry else ""
    return SideEffect("last", f"last{used}")


def _copy(kind: str, value: Json) -> SideEffect:
    entry = value if isinstance(value, Mapping) else {"addr": value}
    words = [_text(entry, "family"), "to", *(str(_expression(entry[name])) for name in ("addr",) if name in entry)]
    device = [*(["device"] if "addr" in entry else []), str(_expression(entry["dev"]))] if "dev" in entry else []
    return SideEffect(kind, " ".join(filter(None, (kind, *words, *device))))


def _reset(kind: str, value: Json) -> SideEffect:
    return SideEffect(kind, f"{kind} {_expression(value)}")


def _secmark(_kind: str, value: Json) -> Assign:
    return Assign(Meta("secmark"), _expression(value))


def _connection_limit(_kind: str, value: Json) -> ConnectionLimit:
    entry = _object(value)
    return ConnectionLimit(_number(entry.get("val")), entry.get("inv") is True)


def _no_track(_kind: str, _value: Json) -> NoTrack:
    return NoTrack()


def _extension(_kind: str, value: Json) -> Extension:
    entry = _object(value)
    return Extension(_text(entry, "type"), _text(entry, "name"))


_STATEMENTS: dict[str, Callable[[str, Json], Statement]] = {
    **dict.fromkeys(("accept", "drop", "continue", "return", "jump", "goto"), _verdict),
    **dict.fromkeys(("dnat", "snat", "masquerade", "redirect"), _nat),
    **dict.fromkeys(("ct helper", "ct timeout", "ct expectation"), _reference),
    "vmap": _verdict_map, "match": _match, "mangle": _assign, "counter": _counter, "limit": _limit, "quota": _quota,
    "log": _log, "reject": _reject, "tproxy": _tproxy, "queue": _queue, "set": _set_update,
    "ct count": _connection_limit, "notrack": _no_track, "xt": _extension, "map": _map_update, "meter": _meter,
    "flow": _flow, "synproxy": _synproxy, "tunnel": _reference, "last": _last, "reset": _reset, "secmark": _secmark,
    **dict.fromkeys(("dup", "fwd"), _copy),
}  # fmt: skip

# ── expressions ──────────────────────────────────────────────────────────────────────────────────────────────


def _expression(value: Json) -> Expression:
    if isinstance(value, bool):  # of an option: whether it is there
        return Value("exists" if value else "missing")
    if isinstance(value, int):
        return Value(value)
    if isinstance(value, str):
        return SetReference(value[1:]) if value.startswith("@") else Value(constant(value))
    if isinstance(value, Sequence):
        return Flags(tuple(constant(word) for word in _words(value)))
    kind, inner = _only(value)
    if kind in _OPERATORS:
        first, *others = map(_expression, _list(inner))
        return reduce(lambda left, right: Binary(kind, left, right), others, first)
    reader = _EXPRESSIONS.get(kind)
    return UnknownExpression(json.dumps(value)) if reader is None else reader(inner)


_OPERATORS = ("&", "|", "^", "<<", ">>")


def _optional(value: Json) -> Expression | None:
    return None if value is None else _expression(value)


def _map(value: Json) -> SetReference | SetLiteral:
    found = _expression(value)
    if not isinstance(found, SetReference | SetLiteral):
        raise _UnexpectedError(tr("a set such as @blocked, or {set: […]}"))
    return found


def _element(value: Json) -> Element:
    """Return an element: a key, or `{elem: {val: …}}` with its options; in a map a pair of key and data."""
    data: Expression | Verdict | None = None
    if isinstance(value, list) and len(value) == 2:
        value, mapped = value
        data = _data(mapped)
    if not (isinstance(value, Mapping) and "elem" in value):
        return Element(_expression(value), data)
    entry = _object(value["elem"])
    timeout, expires = entry.get("timeout"), entry.get("expires")
    kinds = ("counter", "limit", "quota", "ct count", "last")
    statements = tuple(_statement({kind: entry[kind]}) for kind in entry if kind in kinds)
    return Element(
        _expression(entry.get("val")), data, timeout if isinstance(timeout, int) else None,
        expires if isinstance(expires, int) else None, _text(entry, "comment"), statements,
    )  # fmt: skip


def _data(value: Json) -> Expression | Verdict:
    if isinstance(value, Mapping) and len(value) == 1 and (kind := next(iter(value))) in _VERDICTS:
        return _verdict(kind, value[kind])
    return _expression(value)


_VERDICTS = ("accept", "drop", "continue", "return", "jump", "goto")


def _set_literal(value: Json) -> SetLiteral:
    return SetLiteral(tuple(map(_element, _list(value))))


def _payload(value: Json) -> Expression:
    entry = _object(value)
    if "base" in entry:
        return RawPayload(_text(entry, "base"), _number(entry.get("offset")), _number(entry.get("len")))
    found = Payload(_text(entry, "protocol"), _text(entry, "field"))
    return Inner(_text(entry, "tunnel"), found) if "tunnel" in entry else found


def _prefix(value: Json) -> Prefix | Interval | Value:
    entry = _object(value)
    first, length = entry.get("addr"), _number(entry.get("len"))
    return numbers_with_prefix(first, length) if isinstance(first, int) else Prefix(_text(entry, "addr"), length)


def _interval(value: Json) -> Interval:
    first, last = (constant(word) for word in _words(value))
    return Interval(first, last)


def _ct(value: Json) -> Ct:
    entry = _object(value)
    family, _, key = _text(entry, "key").rpartition(" ")
    return Ct(key, _text(entry, "dir"), _text(entry, "family") or family)


def _numgen(value: Json) -> NumGen:
    entry = _object(value)
    return NumGen(_text(entry, "mode"), _modulus(entry), _number(entry.get("offset", 0)))


def _modulus(entry: _Object) -> int:
    found = _number(entry.get("mod"))
    if found < 1:
        raise _UnexpectedError(tr("a modulus of at least 1"))
    return found


def _hash(kind: str) -> Callable[[Json], Hash]:
    def read(value: Json) -> Hash:
        entry = _object(value)
        seed = entry.get("seed")
        of = _optional(entry.get("expr"))
        offset = _number(entry.get("offset", 0))
        return Hash(kind, of, _modulus(entry), seed if isinstance(seed, int) else None, offset)

    return read


def _tcp_option(value: Json) -> Expression:
    entry = _object(value)
    if "name" not in entry:
        return HeaderOption("tcp", "@" + ",".join(str(_number(entry.get(key))) for key in ("base", "offset", "len")))
    return HeaderOption("tcp", _text(entry, "name"), _text(entry, "field"))


def _ipsec(value: Json) -> KernelFact:
    entry = _object(value)
    number = entry.get("spnum", 0)
    words = (_text(entry, "dir"), f"spnum {number}" if number else "", _text(entry, "family"), _text(entry, "key"))
    return KernelFact(" ".join(filter(None, ("ipsec", *words))))


def _osf(value: Json) -> KernelFact:
    entry = _object(value)
    ttl = f"ttl {entry['ttl']}" if "ttl" in entry else ""
    return KernelFact(" ".join(filter(None, ("osf", ttl, _text(entry, "key")))))


_EXPRESSIONS: dict[str, Callable[[Json], Expression]] = {
    "payload": _payload, "prefix": _prefix, "range": _interval, "ct": _ct, "numgen": _numgen, "set": _set_literal,
    "jhash": _hash("jhash"), "symhash": _hash("symhash"), "tcp option": _tcp_option,
    "meta": lambda value: Meta(_text(_object(value), "key")),
    "fib": lambda value: Fib(tuple(_words(_object(value).get("flags"))), _text(_object(value), "result")),
    "ipsec": _ipsec, "osf": _osf, "tunnel": lambda value: KernelFact(f"tunnel {_text(_object(value), 'key')}"),
    "sctp chunk": lambda value: HeaderOption("sctp", _text(_object(value), "name"), _text(_object(value), "field")),
    "rt": lambda value: Route(_text(_object(value), "key"), _text(_object(value), "family")),
    "socket": lambda value: Socket(_text(_object(value), "key")),
    "concat": lambda value: Concatenation(tuple(map(_expression, _list(value)))),
    "map": lambda value: Lookup(_expression(_object(value).get("key")), _map(_object(value).get("data"))),
    "ip option": lambda value: HeaderOption("ip", _text(_object(value), "name"), _text(_object(value), "field")),
    "exthdr": lambda value: _header(_object(value)),
    "elem": lambda value: _expression(_object(value).get("val")),
}  # fmt: skip


def _header(entry: _Object) -> HeaderOption:
    name = _text(entry, "name")
    return (
        HeaderOption(name, name, _text(entry, "field")) if "field" in entry else HeaderOption("exthdr", "exthdr", name)
    )


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _object(value: Json) -> _Object:
    if not isinstance(value, Mapping):
        raise _UnexpectedError(tr("an object"))
    return value


def _list(value: Json) -> Sequence[Json]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _UnexpectedError(tr("a list"))
    return value


def _only(value: Json) -> tuple[str, Json]:
    """Return name and value of an object that has one member; a bare word is its own name."""
    if isinstance(value, str):
        return value, None
    entry = _object(value)
    if len(entry) != 1:
        raise _UnexpectedError(tr("an object with one member"))
    return next(iter(entry.items()))


def _text(entry: _Object, name: str) -> str:
    """Return a member as text; empty where it is absent."""
    value = entry.get(name, "")
    if not isinstance(value, str):
        raise _UnexpectedError(tr("a text as {name}", name=name))
    return value


def _number(value: Json) -> int:
    if not isinstance(value, int):
        raise _UnexpectedError(tr("a number"))
    return value


def _optional_number(value: Json) -> int | None:
    return value if isinstance(value, int) else None


def _words(value: Json) -> list[str]:
    """Return one word or several, as a list."""
    if value is None:
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(word) for word in value]
    return [str(value)]
