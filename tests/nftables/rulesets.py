"""Random rulesets of nftables that the packets of `tests.iptables.rulesets` meet often (hypothesis).

Rules are drawn in IPv4. In a table of IPv6 they are put in its words, in one of both families some of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from kanslib.iptables import Packet
from tests.iptables.rulesets import HERE, PORTS, SOURCES, THERE
from tests.iptables.rulesets import packets as packets_of_ipv4
from tests.nftables.ipv6_rulesets import in_ipv6, packet_in_ipv6

CHAINS = ("one", "two", "three", "four")
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
NAT_HOOKS = ("prerouting", "input", "output", "postrouting")
PRIORITIES = st.sampled_from(
    ["-300", "-250", "-150", "-105", "filter", "filter", "filter - 1", "filter + 1", "50", "103"]
)
ADDRESS = st.sampled_from([*SOURCES, *HERE, *THERE])
NETWORK = st.sampled_from(["10.0.0.0/24", "10.0.1.16/28", "192.0.2.0/24", "10.0.0.5-10.0.0.7", "10.0.1.1-10.0.1.20"])
PORT = st.sampled_from([*map(str, PORTS), "50-90", "8000-9000"])
EQUAL = st.sampled_from(["", "", "!= "])
MARKS = st.sampled_from(["0x0", "0x1", "0x2", "0x4000"])


PORTS_OR_SET = st.one_of(
    PORT, st.sampled_from(["{ 53, 80 }", "{ 50-60, 8080 }", "{ 80 }", "{ 1-52, 54-79, 8080 }", "@ports"])
)
ADDRESSES_OR_SET = st.one_of(
    ADDRESS, NETWORK, st.sampled_from(["{ 10.0.0.7, 10.0.1.20 }", "{ 10.0.0.0/25, 192.0.2.5 }", "@hosts", "@networks"])
)
MATCHES = st.one_of(
    st.builds("ip saddr {}{}".format, EQUAL, ADDRESSES_OR_SET),
    st.builds("ip daddr {}{}".format, EQUAL, ADDRESSES_OR_SET),
    st.builds("ip daddr {} {}".format, st.sampled_from(["<", ">", "<=", ">="]), ADDRESS),
    st.builds("ip {} & 255.0.255.255 {} 10.0.1.{}".format, st.sampled_from(["saddr", "daddr"]),
              st.sampled_from(["==", "!="]), st.sampled_from([1, 20, 21])),
    st.builds("udp dport {}{}".format, EQUAL, PORTS_OR_SET),
    st.builds("th dport {}{}".format, EQUAL, PORT),
    st.builds("udp sport {}".format, st.sampled_from(["> 1023", "<= 1023", "1024-65535", "!= 53"])),
    st.builds("ip daddr . udp dport {}{{ 10.0.1.20 . 80, 10.0.0.1 . 53, {} . {} }}".format, EQUAL,
              st.just("192.0.2.5"), st.sampled_from(["53", "8080"])),
    st.builds("ip saddr . ip daddr {}@pairs".format, EQUAL),
    st.builds("meta mark {}{}".format, EQUAL, MARKS),
    st.builds("meta mark & 0x3 {} {}".format, st.sampled_from(["==", "!="]), MARKS),
    st.builds("meta mark {{ {}, 0x3 }}".format, st.sampled_from(["0x1", "0x4000"])),
    st.builds("ct mark {}{}".format, EQUAL, MARKS),
    st.builds("ct state {}".format, st.sampled_from(
        ["new", "established,related", "invalid", "new,invalid", "!= new", "untracked", "{ new, established }"])),
    st.builds("ct status {}".format, st.sampled_from(["dnat", "snat"])),
    st.builds("ct direction {}".format, st.sampled_from(["original", "reply"])),
    st.builds("ct original ip daddr {}{}".format, EQUAL, ADDRESS),
    st.builds("meta l4proto {}{}".format, EQUAL, st.just("udp")),
    st.builds("ip protocol {}".format, st.sampled_from(["udp", "!= tcp"])),
    st.sampled_from(["ip ttl 64", "ip ttl < 60", "ip ttl > 3", "ip length 28", "meta length <= 40", "ip dscp 0x0a",
                     "ip dscp != ef", "ip dscp cs0"]),
    st.sampled_from(["numgen random mod 3 == 0", "numgen random mod 10 < 3", "numgen random mod 2 != 1"]),
    st.sampled_from(["@nh,96,32 0x0a000007", "@th,16,16 80", "meta protocol ip"]),
    st.builds("ip saddr . ip daddr {}{{ 10.0.0.0/24 . 10.0.1.20, 10.0.0.7 . 192.0.2.5 }}".format, EQUAL),
    st.builds("ip saddr . ip daddr . udp dport {}{{ 10.0.0.7 . 10.0.1.20 . 53, 10.0.0.0/24 . 10.0.0.1 . {} }}".format,
              EQUAL, st.just("50-90")),
    st.builds("meta l4proto . th dport {}{{ udp . 53, tcp . 80, udp . {} }}".format, EQUAL, st.just("8080")),
    st.sampled_from(["udp dport & 1 == 1", "ip ttl & 1 == 0", "@th,16,16 & 0xff == 0x35",
                     "meta mark & 0xff > 0x1", "meta mark < 0x2", "th dport >= 80", "ip dscp { cs0, 0x0a }"]),
    st.sampled_from(["ip daddr { 10.0.0.1, * }",
                     "ip saddr { 10.0.0.7, 10.0.0.64/26 }", "ip daddr @unions", "ip daddr != @unions"]),
)  # fmt: skip
LOCAL = st.sampled_from(["fib daddr type local", "fib saddr type local", "fib daddr type unicast",
                         "fib daddr type != local"])  # fmt: skip
RECEIVED = st.sampled_from(["iifname \"eth0\"", "iifname != \"eth*\"", "iif \"lo\"", "iifname { \"eth0\", \"lo\" }",
                            "fib saddr . iif oif missing", "fib saddr oif exists", "fib daddr . iif type local",
                            "meta pkttype unicast", "ether saddr 02:00:00:00:00:63"])  # fmt: skip
SENT = st.sampled_from(['oifname "eth1"', 'oifname != "lo"', 'oif "eth1"', 'oifname "eth*"'])
OWN = st.sampled_from(["meta skuid 0", "meta skuid 0-99", "meta skgid != 7"])
BY_HOOK = {
    "prerouting": st.one_of(RECEIVED, LOCAL), "input": st.one_of(RECEIVED, LOCAL), "forward": st.one_of(SENT),
    "output": st.one_of(SENT, OWN, LOCAL), "postrouting": SENT,
}  # fmt: skip
CHANGES = st.sampled_from(
    ["meta mark set 0x1", "meta mark set 0x4000", "meta mark set meta mark or 0x2",
     "meta mark set meta mark and 0xfffe", "meta mark set meta mark xor 0x3", "ct mark set 0x1",
     "ct mark set meta mark", "meta mark set ct mark", "meta mark set ct mark and 0x1", "ip ttl set 3",
     "ip dscp set 0x0a", "log prefix \"x\"", "add @seen { ip saddr }", "update @seen { ip daddr }",
     "delete @seen { ip saddr }", "meta mark set ip daddr map { 10.0.1.20 : 0x1, 192.0.2.0/24 : 0x2 }",
     "meta mark set udp dport map { 53 : 0x4000, 80 : 0x1, 8080 : 0x0 }", "meta mark set udp dport map @marks",
     "meta mark set ip daddr map { 10.0.1.20 : 0x1, * : 0x2 }", "meta mark set meta mark << 1",
     "ct mark set meta mark or 0x4", "meta mark set ct mark and 0xff or 0x2", "meta mark set meta mark >> 1",
     "add @filled { ip saddr : 0x2 }", "update @filled { ip daddr : 0x4000 }", "delete @filled { ip saddr : 0x2 }",
     "add @filled { ip saddr : meta mark }"]
)  # fmt: skip
MEMORY = st.sampled_from(["ip saddr @seen", "ip daddr @seen", "ip saddr != @seen", "ip saddr @filled",
                          "meta mark set ip saddr map @filled", "meta mark set ip daddr map @filled"])  # fmt: skip
TO = st.sampled_from(
    ["dnat ip to 10.0.1.20", "meta l4proto udp dnat ip to 10.0.1.21:8080", "meta l4proto udp dnat ip to 10.0.0.1:53",
     "meta l4proto udp dnat to :8080", "meta l4proto udp redirect to :53",
     "redirect", "dnat ip to numgen random mod 2 map { 0 : 10.0.1.20, 1 : 10.0.1.21 }",
     "dnat ip to udp dport map { 53 : 10.0.1.20, 80 : 10.0.1.21 }",
     "dnat ip prefix to ip daddr map { 10.0.0.0/24 : 10.0.1.0/24, 192.0.2.0/24 : 10.0.1.0/24 }",
     "meta l4proto udp redirect to :udp dport map { 53 : 8080, 80 : 53 }",
     "dnat ip to ip daddr . udp dport map { 10.0.0.1 . 80 : 10.0.1.20 . 8080, 192.0.2.5 . 53 : 10.0.1.21 . 53 }"]
)  # fmt: skip
FROM = st.sampled_from(["snat ip to 10.0.1.77", "masquerade", "snat ip to ip saddr map { 10.0.0.7 : 10.0.1.77 }"])


@dataclass(frozen=True)
class Place:
    """A chain of a table: its type and hook, empty for a chain that others jump to."""

    chain: str
    kind: str = ""
    hook: str = ""


def verdicts(place: Place, has_raw: bool) -> st.SearchStrategy[str]:
    """The verdict of a rule, or what gives one: a map of verdicts, a translation."""
    later = CHAINS[CHAINS.index(place.chain) + 1 :] if place.chain in CHAINS else CHAINS
    plain = ["accept", "return", "continue", ""]
    if place.kind != "nat":
        plain.append("drop")
    jumps = [f"{how} {name}" for how in ("jump", "jump", "goto") for name in later]
    taken = [st.sampled_from(plain), *([st.sampled_from(jumps)] * 2 if jumps else [])]
    data = st.sampled_from([*jumps, "accept", "return", "continue"])
    inside = st.sampled_from(
        ["counter accept", "counter return", "udp dport 53 counter return", "ip daddr 10.0.1.20 counter accept"]
    )
    taken.append(st.builds("{} {{ {}; counter {}; }}".format, st.sampled_from(["jump", "goto"]), inside, data))
    taken += [
        st.builds("udp dport vmap {{ 53 : {}, 80-90 : {}, 8080 : {} }}".format, data, data, data),
        st.builds("ip daddr vmap {{ 10.0.1.20 : {}, 192.0.2.0/24 : {} }}".format, data, data),
        st.builds("ip daddr . udp dport vmap {{ 10.0.1.20 . 80 : {}, 10.0.0.1 . 53 : {} }}".format, data, data),
        st.builds("numgen random mod 4 vmap {{ 0 : {}, 1-2 : {} }}".format, data, data),
        st.builds("meta mark vmap {{ 0x0 : {}, 0x1 : {} }}".format, data, data),
        st.builds("ct state vmap {{ new : {}, established : {} }}".format, data, data),
        st.builds("ip saddr vmap {{ 10.0.0.7 : {}, * : {} }}".format, data, data),
        st.builds(
            "ip saddr . ip daddr vmap {{ 10.0.0.0/24 . 10.0.1.20 : {}, 10.0.0.8 . 192.0.2.5 : {} }}".format, data, data
        ),
        st.just("udp dport vmap @ways"),
    ]
    if place.kind == "nat":
        taken.append({"postrouting": FROM, "input": st.just("")}.get(place.hook, TO))
    if place.kind == "filter" and has_raw:
        taken.append(st.sampled_from(["notrack", "ct zone set 1"]))
    return st.one_of(*taken)


_PLAIN_NEGATION = re.compile(r"[sd](port|addr) != [\w.:]+$")


@st.composite
def rule(draw: st.DrawFn, place: Place, before_conntrack: bool) -> str:
    """A rule of a chain: matches, changes, a counter where nothing behind it can stop the rule, a verdict."""
    here = BY_HOOK.get(place.hook, st.just(""))
    nothing = st.just("")
    choices = (
        st.one_of(nothing, here), st.one_of(nothing, MATCHES), st.one_of(nothing, MATCHES, MEMORY),
        st.one_of(nothing, nothing, CHANGES), st.one_of(nothing, nothing, MATCHES),
    )  # fmt: skip
    parts = [draw(choice) for choice in choices]
    ordered = [part for part in parts if "<" in part or ">" in part]
    parts = [part for part in parts if part not in ordered[1:]]  # nft 1.0 lists `x < 1 x > 2` as `x != 1-2`
    # of two neighbouring fields nft 1.0.6 makes one comparison: `!= a` and `!= b` becomes not both
    negated = [part for part in parts if _PLAIN_NEGATION.search(part)]
    parts = [part for part in parts if part not in negated[1:]]
    verdict = draw(verdicts(place, before_conntrack))
    # a rule whose map has no element for the packet counts it and is not among those that the packet has walked
    parts += [verdict] if "map" in verdict or "map" in " ".join(parts) else ["counter", verdict]
    return " ".join(filter(None, parts))


_PORTS = """\tset ports { type inet_service; flags interval; elements = { 53, 8000-9000 }; }
\tmap marks { type inet_service : mark; flags interval; elements = { 53 : 0x1, 60-90 : 0x4000 }; }
\tmap ways { type inet_service : verdict; elements = { 53 : accept, 80 : return, 8080 : continue }; }
"""
_SETS = """\tset hosts { type ipv4_addr; elements = { 10.0.0.7, 10.0.1.20 }; }
\tset networks { type ipv4_addr; flags interval; elements = { 10.0.1.16/28, 192.0.2.0/24 }; }
\tset pairs { type ipv4_addr . ipv4_addr; elements = { 10.0.0.7 . 10.0.1.20, 10.0.0.8 . 192.0.2.5 }; }
\tset seen { type ipv4_addr; size 100; flags dynamic,timeout; timeout 1h; }
\tset unions { type ipv4_addr; flags interval,timeout; auto-merge; elements = { 10.0.1.0/28, 10.0.1.16-10.0.1.20 }; }
\tmap filled { type ipv4_addr : mark; size 100; flags dynamic; elements = { 10.0.0.8 : 0x1 }; }
"""
SETS = _PORTS + _SETS + in_ipv6(_SETS)
FAMILIES = ("ip", "ip6", "inet", "inet")


def in_family(family: str, rules: Sequence[str], of_ipv6: Sequence[bool]) -> list[str]:
    """Return rules as a table of a family has them; `of_ipv6`: which of them, in one of both families."""
    chosen = {"ip": [False] * len(rules), "ip6": [True] * len(rules)}.get(family, of_ipv6)
    return [in_ipv6(one) if six else one for one, six in zip(rules, chosen, strict=True)]


@dataclass(frozen=True)
class Body:
    """A chain of a table: where it stands, its first line, and the rules that it can have."""

    place: Place
    head: str = ""
    before_conntrack: bool = False

    @property
    def kind(self) -> tuple[Place, bool]:
        """What decides which rules it can have: those of `rule`."""
        return replace(self.place, chain=self.place.chain if self.place.chain in CHAINS else "base"), (
            self.before_conntrack
        )


@st.composite
def bodies(draw: st.DrawFn) -> list[Body]:
    """The chains of a table: some at hooks, and those that others jump to."""
    found: list[Body] = []
    for number in range(draw(st.integers(1, 4))):
        hook, priority = draw(st.sampled_from(HOOKS)), draw(PRIORITIES)
        policy = draw(st.sampled_from(["accept", "accept", "accept", "drop"]))
        head = f"type filter hook {hook} priority {priority}; policy {policy};"
        found.append(Body(Place(f"base{number}", "filter", hook), head, priority in ("-300", "-250")))
    for number in range(draw(st.integers(0, 3))):
        hook = draw(st.sampled_from(NAT_HOOKS))
        priority = draw(st.sampled_from(["-100", "-95", "100", "0"]))
        found.append(Body(Place(f"nat{number}", "nat", hook), f"type nat hook {hook} priority {priority};"))
    # a chain that others jump to holds nothing that only some hooks allow
    return [*found, *(Body(Place(chain)) for chain in CHAINS)]


def assemble(name: str, family: str, chains: Mapping[Body, Sequence[str]]) -> str:
    """Return a table with the rules of each of its chains."""
    lines = [f"table {family} {name} {{", SETS, *(f"\tchain {chain} {{ }}" for chain in CHAINS)]
    for body, rules in chains.items():
        inside = [*([body.head] if body.head else []), *rules]
        lines += [f"\tchain {body.place.chain} {{", *(f"\t\t{one}" for one in inside), "\t}"]
    return "\n".join([*lines, "}", ""])


@st.composite
def table(draw: st.DrawFn, name: str, family: str) -> str:
    """A table with chains at some hooks."""
    chains: dict[Body, Sequence[str]] = {}
    for body in draw(bodies()):
        least = 0 if body.head else 1
        drawn = draw(st.lists(rule(body.place, body.before_conntrack), min_size=least, max_size=4))
        chains[body] = in_family(family, drawn, [draw(st.booleans()) for _ in drawn])
    return assemble(name, family, chains)


# conntrack is switched on in a namespace when the first rule needs it
WATCHED = "table inet watched {\n\tchain watched { type filter hook forward priority 500; ct state new; }\n}\n"


@st.composite
def rulesets(draw: st.DrawFn) -> str:
    """One or two tables."""
    first = draw(table("first", draw(st.sampled_from(FAMILIES))))
    second = draw(st.one_of(st.just(""), table("second", draw(st.sampled_from(FAMILIES)))))
    return WATCHED + first + second


def packets() -> st.SearchStrategy[Packet]:
    """A first packet of either family; see `tests.iptables.rulesets.packets`."""
    return st.one_of(packets_of_ipv4(), packets_of_ipv4().map(packet_in_ipv6))
