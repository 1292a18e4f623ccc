"""Parse `nft list ruleset`, as nft 1.0 and 1.1 print it: blocks of lines, one rule a line; or the JSON of `nft -j`.

Rules are read when they are first asked for, as far as their text is of a kind that is always valid: a node with 5,000
Services has 100,000 rules, of which one packet meets ten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from kanslib.exceptions import DumpError
from kanslib.i18n import listed, tr, tr_later
from kanslib.iptables.dump_text import decode, split_lines
from kanslib.nftables.expressions import read_set_literal, seconds
from kanslib.nftables.fast_elements import FastElements
from kanslib.nftables.fast_rule import FAST_ELEMENTS, FAST_RULE
from kanslib.nftables.json_reader import parse_json
from kanslib.nftables.names import BRIDGE_PRIORITIES, PRIORITIES
from kanslib.nftables.ruleset import Ruleset
from kanslib.nftables.scripts import is_command, is_script, with_next_step
from kanslib.nftables.statements import read_statements
from kanslib.nftables.syntax import (
    BaseChain,
    Chain,
    Element,
    Extension,
    NamedObject,
    Rule,
    Set,
    Statement,
    Table,
    UnknownStatement,
    Verdict,
    set_flags,
)
from kanslib.nftables.terse import with_hidden_elements
from kanslib.nftables.tokens import Cursor

LONGEST_LINE = 65_536  # characters: a rule and the set in it stand on one line, here of some 4,000 addresses
_FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
_BLOCK = re.compile(
    r"(?P<kind>ct (?:helper|timeout|expectation)|[a-z-]+) (?P<names>[^{}]*?) ?\{"
    r"(?: #(?: handle (?P<handle>\d+))?(?: progname .*)?)?"
)
_TABLE = re.compile(rf"^[ \t\ufeff]*table (?:{'|'.join(_FAMILIES)}) \S+ \{{", re.MULTILINE)
_JSON = re.compile(r'^[ \t\ufeff]*\{[ \t\r\n]*"nftables"', re.MULTILINE)
_FAILED = re.compile(r"(?:Error|netlink): ")  # nft's own words: what it lists then is not all
_SAVED = re.compile(r"^\*[a-z]+$|^:\S+ \S+ \[|^-A ", re.MULTILINE)  # lines of iptables-save
_HANDLE = re.compile(r"\s*# handle (?P<handle>\d+)$")
_HOOK = re.compile(
    r"type (?P<type>\w+) hook (?P<hook>\w+)(?P<devices>(?: devices? .+?)?) priority (?P<priority>[\w+ -]+);"
    r"(?: flags offload;)?(?: policy (?P<policy>accept|drop);)?(?: flags offload;)?"
)
_DEVICE = re.compile(r'"([^"]+)"|([^\s"{},=]+)')  # nft 1.0 prints several without quotes
_BASE = re.compile(r"type\s+\w+\s+hook\s")  # no rule begins so
_PRIORITY = re.compile(r"(?P<name>[a-z]+)?(?: ?(?P<sign>[+-]) ?)?(?P<number>\d+)?")
_OBJECTS = frozenset(
    (
        "counter", "quota", "limit", "flowtable", "secmark", "synproxy", "tunnel", "ct helper", "ct timeout",
        "ct expectation",
    )
)  # fmt: skip
_SET_PROPERTIES = ("type", "typeof", "flags", "timeout", "gc-interval", "size", "policy", "auto-merge", "comment")
_SET_STATEMENTS = ("counter", "limit", "quota", "ct", "last")
_INLINE = re.compile(r"(?P<head>.*?) ?\b(?P<kind>jump|goto) \{")  # a rule whose chain has no name: its rules follow
_COMMENT = re.compile(r'comment "(?P<comment>[^"]*)"')  # a chain's: behind a rule's `-m comment` more comes
_ELEMENTS_END = re.compile(r"\}\s*(?:#[^{}]*)?$")  # people write a comment behind the brace
_INLINE_END = re.compile(r"\}(?: comment (?P<comment>\"[^\"]*\"))?(?:\s*# handle (?P<handle>\d+))?")


@dataclass
class _Lines:
    """The lines of a text, numbered from 1; comments of their own and empty lines are skipped."""

    lines: list[str]
    next: int = 0
    comments: list[tuple[int, str]] = field(default_factory=list)
    unknown: list[tuple[int, str]] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while self.next < len(self.lines):
            number, line = self.next + 1, self.lines[self.next].strip()
            self.next += 1
            if line.startswith("#"):
                self.comments.append((number, line))
            elif line:
                yield number, line

    def error(self, number: int, expected: str) -> DumpError:
        text = self.lines[number - 1] if number <= len(self.lines) else ""
        return DumpError(number, len(text) - len(text.lstrip()) + 1, text, expected)

    def block(self, opened: int) -> Iterator[tuple[int, str]]:
        """Yield the lines up to the brace that closes the block which was opened on a line."""
        for number, line in self:
            if line == "}":
                return
            yield number, line
        raise self.error(len(self.lines), tr("}} for the block that begins on line {opened}", opened=opened))


def parse(text: str | bytes) -> Ruleset:
    r"""Return the ruleset in the text of `nft list ruleset`, with or without handles (`-a`) or as JSON (`-j`).

    `text`: what the command printed; bytes may be UTF-8 or UTF-16. What stands before and behind the tables (a prompt,
    kubectl's words) is passed over. `Ruleset.save()` returns the text again, byte for byte. What nft prints and this
    parser does not know is kept, and makes an answer uncertain. DumpError, with line and column, for any other text.

    >>> rules = parse('table ip nat {\n\tchain pre {\n\t\ttcp dport 80 dnat to 10.0.0.7:8080\n\t}\n}\n')
    >>> rules.table("ip", "nat").chains["pre"].rules[0].statements[0]
    Match(left=Payload(protocol='tcp', field='dport'), operator='==', right=Value(value=80))
    """
    text = decode(text) if isinstance(text, bytes) else text
    if text.lstrip().startswith("{") or _JSON.search(text):
        return parse_json(text)
    lines = _Lines(split_lines(text.removeprefix("\ufeff"), LONGEST_LINE))
    try:
        tables = _read_tables(lines)
    except DumpError as error:
        raise with_next_step(error, text) from None
    except RecursionError:
        raise lines.error(lines.next, tr("brackets that are not so deep in one another")) from None
    return Ruleset(with_hidden_elements(tables), text, tuple(lines.comments), tuple(lines.unknown))


def _read_tables(lines: _Lines) -> list[Table]:
    tables: list[Table] = []
    outside: list[int] = []
    for number, line in lines:
        found = _BLOCK.fullmatch(line)
        words = found["names"].split(" ") if found and found["kind"] == "table" else []
        if len(words) != 2 or words[0] not in _FAMILIES:
            if _is_of_rules(line):
                raise _no_table(lines, number)
            outside.append(number)
            continue
        if any((one.family, one.name) == (words[0], words[1]) for one in tables):
            raise lines.error(number, tr("each table once, with all of its chains"))
        tables.append(_read_table(lines, number, *words))
    if outside and not tables:
        raise _no_table(lines, outside[0])
    return tables


def _is_of_rules(line: str) -> bool:
    """Return whether a line outside of all tables is no prompt and no message, so that it must not be passed over."""
    return (
        any(sign in line for sign in "{};") or any(form.match(line) for form in (_SAVED, _FAILED)) or is_command(line)
    )


def _no_table(lines: _Lines, number: int) -> DumpError:
    return lines.error(number, tr("a table such as `table ip nat {`, as `nft list ruleset` prints it"))


def is_ruleset(text: str) -> bool:
    r"""Return whether a text is of nft, a listing or a script, and not of iptables-save.

    >>> is_ruleset("table ip nat {\n}\n"), is_ruleset("*nat\nCOMMIT\n")
    (True, False)
    """
    if text.lstrip().startswith("{") or _JSON.search(text) or _TABLE.search(text):
        return True
    return not _SAVED.search(text) and is_script(text)


def _read_table(lines: _Lines, opened: int, family: str, name: str) -> Table:
    chains: dict[str, Chain] = {}
    sets: dict[str, Set] = {}
    objects: list[NamedObject] = []
    flags: frozenset[str] = frozenset()
    comment = ""
    for number, line in lines.block(opened):
        found = _BLOCK.fullmatch(line)
        if found is None:
            kind, _, rest = line.partition(" ")
            if kind == "flags":
                flags = frozenset(rest.split(","))
            elif kind == "comment":
                comment = rest.strip('"')
            else:
                raise lines.error(number, tr("a chain, a set, a map or another object of the table, or }"))
            continue
        kind, own = found["kind"], found["names"]
        if own in (chains if kind == "chain" else sets):
            raise lines.error(number, tr("each chain and each set once, with all that is in it"))
        if kind == "chain":
            chains |= _read_chain(lines, number, own, family)
        elif kind in ("set", "map"):
            sets[own] = _read_set(lines, number, own)
        elif kind in _OBJECTS:
            objects.append(NamedObject(kind, own, "\n".join(_nested(lines, number))))
        else:
            raise lines.error(number, f"chain, set, map, {', '.join(sorted(_OBJECTS))}")
    return Table(family, name, chains, sets, tuple(objects), flags, comment)


def _nested(lines: _Lines, opened: int) -> Iterator[str]:
    """Yield the lines of a block, and those of the blocks in it."""
    for number, line in lines.block(opened):
        yield line
        if line.endswith("{"):
            yield from _nested(lines, number)
            yield "}"


# ── chains ───────────────────────────────────────────────────────────────────────────────────────────────────


def _read_chain(lines: _Lines, opened: int, name: str, family: str) -> dict[str, Chain]:
    """Return a chain by its name, and the chains without a name to which its rules lead."""
    found: dict[str, Chain] = {}
    rules = []
    base = None
    comment = ""
    for number, line in lines.block(opened):
        if line.startswith("type ") and _BASE.match(line):
            base = _base_chain(lines, number, family)
        elif found_comment := _COMMENT.fullmatch(line):
            comment = found_comment["comment"]
        elif line.endswith(" {") and (inline := _INLINE.fullmatch(line)):
            rule, chains = _read_inline_chain(lines, number, inline)
            rules.append(rule)
            found |= chains
        else:
            rules.append(_read_rule(lines, number))
    return {name: Chain(name, tuple(rules), base, comment), **found}


def _read_inline_chain(lines: _Lines, opened: int, found: re.Match[str]) -> tuple[Rule, dict[str, Chain]]:
    """Return a rule that leads to a chain without a name, and that chain, named by its line."""
    rules: list[Rule] = []
    chains: dict[str, Chain] = {}
    for number, line in lines:
        end = _INLINE_END.fullmatch(line)
        if end:
            break
        if line.endswith(" {") and (inline := _INLINE.fullmatch(line)):
            rule, further = _read_inline_chain(lines, number, inline)
            rules.append(rule)
            chains |= further
        else:
            rules.append(_read_rule(lines, number))
    else:
        raise lines.error(len(lines.lines), tr("}} for the chain that begins on line {opened}", opened=opened))
    name = f"{{ line {opened} }}"
    head = Cursor(lines.lines[opened - 1].rpartition(found["kind"])[0], opened)
    statements = (*read_statements(head), Verdict(found["kind"], name))
    _report(lines, opened, statements)
    comment = (end["comment"] or "").strip('"')
    text = f"{found['head']} {found['kind']} {name}".strip()
    made = Rule(text, opened, _number(end), lambda: (statements, comment))
    return made, {name: Chain(name, tuple(rules)), **chains}


def _base_chain(lines: _Lines, number: int, family: str) -> BaseChain:
    found = _HOOK.fullmatch(lines.lines[number - 1].strip())
    if found is None:
        raise lines.error(number, tr("a hook such as `type filter hook input priority filter; policy accept;`"))
    names = {**PRIORITIES, **(BRIDGE_PRIORITIES if family == "bridge" else {})}
    priority = _PRIORITY.fullmatch(found["priority"])
    if priority is None or (priority["name"] and priority["name"] not in names):
        raise lines.error(number, tr("a priority: a number, or one of {names} with an offset", names=listed(names)))
    offset = int(priority["number"] or 0) * (-1 if priority["sign"] == "-" else 1)
    devices = tuple(quoted or plain for quoted, plain in _DEVICE.findall(found["devices"])[1:])
    at = names.get(priority["name"] or "", 0) + offset
    return BaseChain(found["type"], found["hook"], at, found["policy"] or "accept", devices)


def _read_rule(lines: _Lines, line: int) -> Rule:
    text = lines.lines[line - 1]
    handle = _HANDLE.search(text)
    body = text[: handle.start()] if handle else text

    def read() -> tuple[tuple[Statement, ...], str]:
        cursor = Cursor(body, line)
        statements, comment = read_statements(cursor), ""
        while cursor.accept("comment"):  # nft 1.1 prints `-m comment` of iptables-nft where the rule has it
            comment = cursor.word(tr_later("a comment in quotes"))
            statements += read_statements(cursor)
        if not cursor.at_end:
            raise cursor.error(tr("the end of the rule"))
        return statements, comment

    if not FAST_RULE.fullmatch(body):
        found = read()
        _report(lines, line, found[0])
        return Rule(body.strip(), line, _number(handle), lambda: found)
    return Rule(body.strip(), line, _number(handle), read)


def _report(lines: _Lines, line: int, statements: tuple[Statement, ...]) -> None:
    """Keep what is not known of a rule, for `Ruleset.unknown`."""
    lines.unknown += [(line, str(one)) for one in statements if isinstance(one, UnknownStatement | Extension)]


def _number(handle: re.Match[str] | None) -> int | None:
    return int(handle["handle"]) if handle and handle["handle"] else None


# ── sets ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _read_set(lines: _Lines, opened: int, name: str) -> Set:
    properties: dict[str, tuple[int, str]] = {}
    statements: list[Statement] = []
    read: Callable[[], Sequence[Element]] = tuple
    for number, line in lines.block(opened):
        _refuse_semicolon(lines, number)
        word, _, rest = line.partition(" ")
        if word == "elements":
            read = _read_elements(lines, number)
        elif word in _SET_STATEMENTS:
            statements += read_statements(Cursor(line, number))
        elif word in _SET_PROPERTIES:
            properties[word] = number, rest
        else:
            raise lines.error(number, tr("{words}, elements, or }}", words=listed(_SET_PROPERTIES)))
    kind = properties.get("type") or properties.get("typeof")
    if kind is None:
        raise lines.error(opened, tr("the type of {name}: a line with type or typeof", name=name))
    key, _, data = kind[1].partition(" : ")
    # nft 1.1 prints how many there are: `size 65535\t# count 3`
    size = (
        Cursor(properties["size"][1], properties["size"][0]).number(tr_later("a size"))
        if "size" in properties
        else None
    )
    timeout = seconds(properties["timeout"][1]) if "timeout" in properties else None
    flags = properties["flags"][1].split(",") if "flags" in properties else ()
    return Set(
        name, key, data, set_flags(flags, timeout), timeout, size, "auto-merge" in properties,
        properties.get("comment", (0, ""))[1].strip('"'), read, tuple(statements),
    )  # fmt: skip


def _refuse_semicolon(lines: _Lines, number: int) -> None:
    """Raise DumpError for a line that ends as only lines of scripts do."""
    text = lines.lines[number - 1].rstrip()
    if text.endswith(";"):
        raise DumpError(number, len(text), text, tr("a line without a semicolon at its end"))


def _read_elements(lines: _Lines, first: int) -> Callable[[], Sequence[Element]]:
    """Return what reads the elements, which nft prints on as many lines as they need."""
    last = first
    while not _ELEMENTS_END.search(lines.lines[last - 1]):
        _refuse_semicolon(lines, last)
        last += 1
        if last > len(lines.lines):
            raise lines.error(first, tr("elements = { … } with the brace that closes them"))
    lines.next = last
    text = "\n".join(lines.lines[first - 1 : last])

    def read() -> Sequence[Element]:
        cursor = Cursor(text, first)
        cursor.expect("elements")
        cursor.expect("=")
        return read_set_literal(cursor).elements

    if FAST_ELEMENTS.fullmatch(text):
        return lambda: FastElements(text)
    found = read()
    return lambda: found
