"""What an nftables ruleset consists of: tables, chains, sets, rules, their statements and expressions (nft(8)).

A text and the JSON of one ruleset give the same objects. `str()` gives an expression as nft writes it. A value is an
`int` where nft means a number, else the word that nft prints: an address, a name, a symbol such as `established`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

# ── expressions ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Value:
    """A constant: a number, an address, a name, a symbol."""

    value: int | str

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Interval:
    """All values from `first` to `last`, both included: `10.0.0.1-10.0.0.9`, `1024-65535`."""

    first: int | str
    last: int | str

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Prefix:
    """All addresses that begin with the first `length` bits of `address`: `10.0.0.0/8`."""

    address: str
    length: int

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"


@dataclass(frozen=True, slots=True)
class Flags:
    """Several symbols of a set of bits: `established,related`."""

    names: tuple[int | str, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.names))


@dataclass(frozen=True, slots=True)
class Payload:
    """A field of a header: `ip saddr`, `tcp dport`; `th dport` is the port of whatever transport header is there."""

    protocol: str
    field: str

    def __str__(self) -> str:
        return f"{self.protocol} {self.field}"


@dataclass(frozen=True, slots=True)
class RawPayload:
    """`length` bits from bit `offset` of a header: `@nh,96,32`."""

    base: str
    offset: int
    length: int

    def __str__(self) -> str:
        return f"@{self.base},{self.offset},{self.length}"


@dataclass(frozen=True, slots=True)
class HeaderOption:
    """An option or extension header: `tcp option maxseg size`, `frag more-fragments`. Without a field: the whole."""

    protocol: str
    name: str
    field: str = ""

    def __str__(self) -> str:
        kind = {"tcp": "option", "ip": "option", "dccp": "option", "sctp": "chunk"}.get(self.protocol, "")
        return " ".join(filter(None, (self.protocol, *((kind, self.name) if kind else ()), self.field)))


@dataclass(frozen=True, slots=True)
class Meta:
    """What the kernel knows of a packet beside its headers: `meta mark`, `iifname`, `meta l4proto`."""

    key: str

    def __str__(self) -> str:
        return self.key if self.key.startswith(("iif", "oif")) else f"meta {self.key}"


@dataclass(frozen=True, slots=True)
class Ct:
    """What conntrack knows of the packet's connection: `ct state`, `ct original ip saddr`."""

    key: str
    direction: str = ""
    family: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, ("ct", self.direction, self.family, self.key)))


@dataclass(frozen=True, slots=True)
class Fib:
    """The answer of the routing table to some fields: `fib daddr . iif type`."""

    flags: tuple[str, ...]
    result: str

    def __str__(self) -> str:
        return f"fib {' . '.join(self.flags)} {self.result}"


@dataclass(frozen=True, slots=True)
class Route:
    """What the packet's route says: `rt nexthop`, `rt ip6 nexthop`, `rt mtu`."""

    key: str
    family: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, ("rt", self.family, self.key)))


@dataclass(frozen=True, slots=True)
class Socket:
    """What the socket says that would take the packet: `socket transparent`."""

    key: str

    def __str__(self) -> str:
        return f"socket {self.key}"


@dataclass(frozen=True, slots=True)
class NumGen:
    """A number from `offset` on, `modulus` of them: at random, or each in turn (`inc`)."""

    mode: str
    modulus: int
    offset: int = 0

    def __str__(self) -> str:
        return f"numgen {self.mode} mod {self.modulus}" + (f" offset {self.offset}" if self.offset else "")


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash of an expression, or of the flow (`symhash`), as a number from `offset` on, `modulus` of them."""

    kind: str
    of: Expression | None
    modulus: int
    seed: int | None = None
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {f'{self.of} ' if self.of else ''}mod {self.modulus}"


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Several expressions side by side: `ip daddr . meta l4proto . th dport`."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " . ".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class Binary:
    """`left` and `right` with an operator of bits: `&`, `|`, `^`, `<<`, `>>`."""

    operator: str
    left: Expression
    right: Expression

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@dataclass(frozen=True, slots=True)
class SetReference:
    """A set or map with a name: `@blocked`."""

    name: str

    def __str__(self) -> str:
        return f"@{self.name}"


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a set, or of a map with the `data` that belongs to the key. Times are in seconds."""

    key: Expression
    data: Expression | Verdict | None = None
    timeout: int | None = None
    expires: int | None = None
    comment: str = ""
    statements: tuple[Statement, ...] = ()

    def __str__(self) -> str:
        return f"{self.key} : {self.data}" if self.data is not None else str(self.key)


@dataclass(frozen=True, slots=True)
class SetLiteral:
    """A set or map without a name: `{ 22, 80-90 }`, `{ 80 : 10.0.0.1 }`."""

    elements: tuple[Element, ...]

    def __str__(self) -> str:
        return f"{{ {', '.join(map(str, self.elements))} }}"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The data that a map has for a key: `tcp dport map { 80 : 10.0.0.1 }`."""

    key: Expression
    map: SetReference | SetLiteral

    def __str__(self) -> str:
        return f"{self.key} map {self.map}"


@dataclass(frozen=True, slots=True)
class Inner:
    """A field of the packet that travels in a tunnel: `vxlan ip saddr`."""

    tunnel: str
    field: Expression

    def __str__(self) -> str:
        return f"{self.tunnel} {self.field}"


@dataclass(frozen=True, slots=True)
class KernelFact:
    """What the kernel knows of a packet, as text: `ipsec in reqid`, `osf name`, `tunnel id`."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class UnknownExpression:
    """An expression that this module does not know, as text."""

    text: str

    def __str__(self) -> str:
        return self.text


Expression = (
    Value | Interval | Prefix | Flags | Payload | RawPayload | HeaderOption | Meta | Ct | Fib | Route | Socket | NumGen
    | Hash | Concatenation | Binary | SetReference | SetLiteral | Lookup | Inner | KernelFact | UnknownExpression
)  # fmt: skip

# ── statements ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the packet: accept, drop, continue, return, or jump and goto with a chain."""

    kind: str
    chain: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.chain}".rstrip()


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """The verdict that a map has for a key: `ct state vmap { established : accept }`."""

    key: Expression
    map: SetReference | SetLiteral


@dataclass(frozen=True, slots=True)
class Match:
    """A comparison: `==`, `!=`, `<`, `>`, `<=`, `>=`; `in`: it has any of the bits of `right`; `!`: it has none."""

    left: Expression
    operator: str
    right: Expression


@dataclass(frozen=True, slots=True)
class Assign:
    """A new value for a field: `meta mark set 0x1`, `ct mark set meta mark`, `ip ttl set 64`."""

    target: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Counter:
    """Counted packets and bytes."""

    packets: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """So many packets (or bytes, kbytes, mbytes: `unit`) `per` time and at once (`burst`); `over`: what is above."""

    rate: int
    per: str
    unit: str = "packets"
    burst: int = 5
    burst_unit: str = "packets"
    over: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """So many bytes in all; `over`: what is above matches."""

    bytes: int
    used: int = 0
    over: bool = False


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """A counter, quota, limit or another object of the table: `counter name "c"`, `ct helper set "ftp"`."""

    kind: str
    name: Expression


@dataclass(frozen=True, slots=True)
class Log:
    """A line in the log; `options` as printed."""

    options: tuple[tuple[str, int | str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """The packet is dropped and its sender is told: `kind` is icmp, icmpv6, icmpx, `tcp reset` or the default, ""."""

    kind: str = ""
    code: int | str = ""


@dataclass(frozen=True, slots=True)
class Nat:
    """dnat, snat, masquerade or redirect, once a connection. `family`: ip, ip6 or what the table has.

    `prefix`: the first bits of the address are replaced, and the others stay.
    """

    kind: str
    address: Expression | None = None
    port: Expression | None = None
    family: str = ""
    flags: tuple[str, ...] = ()
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class TProxy:
    """The packet goes to a local socket, unchanged."""

    address: Expression | None = None
    port: Expression | None = None
    family: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """A program in user space decides."""

    number: Expression | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetUpdate:
    """`add`, `update` or `delete` an element of a set; its statements, such as a limit, decide whether it matches."""

    operation: str
    set: str
    element: Element


@dataclass(frozen=True, slots=True)
class ConnectionLimit:
    """So many connections; `over`: what is above matches."""

    count: int
    over: bool = False


@dataclass(frozen=True, slots=True)
class FlowOffload:
    """From now on the flowtable forwards the packets of this connection; a connection that is new goes on."""

    flowtable: str


@dataclass(frozen=True, slots=True)
class SynProxy:
    """The machine answers the handshake itself. `options` as printed."""

    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SideEffect:
    """`last`, `dup`, `fwd`, `reset`: `text` as printed. The packet goes on in its rule."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class NoTrack:
    """conntrack does not see the packet."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A match or target of iptables that nft cannot print: `xt target "MASQUERADE"`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"xt {self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class UnknownStatement:
    """A statement that this module does not know, as text; all behind it in the rule belongs to it."""

    text: str

    def __str__(self) -> str:
        return self.text


Statement = (
    Verdict | VerdictMap | Match | Assign | Counter | Limit | Quota | ObjectReference | Log | Reject | Nat | TProxy
    | Queue | SetUpdate | ConnectionLimit | FlowOffload | SynProxy | SideEffect | NoTrack | Extension
    | UnknownStatement
)  # fmt: skip

# ── what a ruleset holds ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Rule:
    """A rule: its text, and its statements in order, which are read when somebody asks for them.

    `line`: where it stands in the text (from 1), or its number in the JSON.
    """

    text: str
    line: int
    handle: int | None
    read: Callable[[], tuple[tuple[Statement, ...], str]] = field(repr=False, compare=False)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Its statements in order: `Match`, `VerdictMap`, `Nat`, `Counter` and others of `kanslib.nftables.syntax`."""
        return self._read[0]

    @property
    def comment(self) -> str:
        """Its comment; empty without one."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[tuple[Statement, ...], str]:
        return self.read()


@dataclass(frozen=True)
class BaseChain:
    """Where a chain is attached: its type, hook, devices, priority and policy."""

    type: str
    hook: str
    priority: int
    policy: str = "accept"
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chain:
    """A chain: its rules, and where it is attached; None for a chain that others jump to."""

    name: str
    rules: tuple[Rule, ...]
    base: BaseChain | None = None
    comment: str = ""


@dataclass(frozen=True)
class Set:
    """A named set, or a map where `data_type` is not empty. `type`: as printed, also of `typeof`; times in seconds.

    `statements`: a counter or a limit that each new element gets. `hidden`: the text leaves its elements out.
    """

    name: str
    type: str
    data_type: str = ""
    flags: frozenset[str] = frozenset()
    timeout: int | None = None
    size: int | None = None
    auto_merge: bool = False
    comment: str = ""
    read: Callable[[], Sequence[Element]] = field(repr=False, compare=False, default=tuple)
    statements: tuple[Statement, ...] = ()
    hidden: bool = False

    @cached_property
    def elements(self) -> Sequence[Element]:
        """Its elements, which are read when somebody asks for them."""
        return self.read()


def set_flags(words: Iterable[str], timeout: int | None) -> frozenset[str]:
    """Return the flags of a set: where it has a timeout, the text does not always print the flag of that name."""
    return frozenset(words) | ({"timeout"} if timeout is not None else frozenset())


@dataclass(frozen=True)
class NamedObject:
    """An object that rules name: counter, quota, limit, ct helper, flowtable and others. `text`: as printed."""

    kind: str
    name: str
    text: str


@dataclass(frozen=True)
class Table:
    """A table: its family (ip, ip6, inet, arp, bridge, netdev), chains, sets and objects by name."""

    family: str
    name: str
    chains: Mapping[str, Chain] = field(default_factory=dict)
    sets: Mapping[str, Set] = field(default_factory=dict)
    objects: tuple[NamedObject, ...] = ()
    flags: frozenset[str] = frozenset()
    comment: str = ""
