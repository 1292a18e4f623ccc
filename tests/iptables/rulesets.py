"""Random rulesets and packets that meet often: few addresses, few ports, many matches and targets (hypothesis)."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from kanslib.iptables import Packet, Routing

ROUTING = Routing.read(
    """[{"ifname":"lo","addr_info":[{"local":"127.0.0.1","prefixlen":8,"scope":"host"}]},
        {"ifname":"eth0","addr_info":[{"local":"10.0.0.1","prefixlen":24,"scope":"global"}]},
        {"ifname":"eth1","addr_info":[{"local":"10.0.1.1","prefixlen":24,"scope":"global"}]}]""",
    """[{"dst":"10.0.0.0/24","dev":"eth0"},{"dst":"10.0.1.0/24","dev":"eth1"},
        {"dst":"default","gateway":"10.0.1.9","dev":"eth1"}]""",
)
SOURCES, HERE, THERE = ("10.0.0.7", "10.0.0.8"), ("10.0.0.1", "10.0.1.1"), ("10.0.1.20", "10.0.1.21", "192.0.2.5")
PORTS = (53, 80, 8080)
CHAINS = ("one", "two", "three", "four")
HOOKS = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}

# Linux switches conntrack on in a namespace when the first rule needs it; until then nat is not used at all
WATCHED = [":watched - [0:0]", "-A watched -m conntrack --ctstate NEW"]

# without shrinking, which takes minutes: what fails names its rule anyway
TRIES = settings(
    max_examples=200,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def maybe(text: str) -> st.SearchStrategy[str]:
    """A match, with or without the `!` in front."""
    return st.sampled_from([text, "! " + text])


ADDRESSES = st.sampled_from([*SOURCES, *HERE, *THERE, "10.0.0.0/24", "10.0.1.16/28", "192.0.2.0/24"])
OWN = st.one_of(
    st.tuples(st.sampled_from(["-s", "-d"]), ADDRESSES).flatmap(lambda pair: maybe(" ".join(pair))),
    st.just("-d 0.0.0.0/0"),
    st.just(""),
)
SHARES = st.sampled_from(["0.33333333349", "0.50000000000", "0.25000000000", "0.90000000037"])
UDP = st.one_of(
    st.sampled_from(PORTS).flatmap(lambda port: maybe(f"--dport {port}").map("-m udp ".__add__)),
    st.sampled_from(["--dport 50:90", "--sport 1024:65535", "--sport 0:1023"]).flatmap(
        lambda words: maybe(words).map("-m udp ".__add__)
    ),
    st.sampled_from(["--dports 53,8000:9000", "--dports 80", "--ports 53,80", "--sports 1024:65535"]).flatmap(
        lambda words: maybe(words).map("-m multiport ".__add__)
    ),
)
ANY = st.one_of(
    st.sampled_from(["--mark 0x1/0x1", "--mark 0x2/0x3", "--mark 0x0/0xff", "--mark 0x4000/0x4000"]).flatmap(
        lambda words: maybe(words).map("-m mark ".__add__)
    ),
    st.sampled_from(
        ["NEW", "ESTABLISHED,RELATED", "INVALID", "NEW,INVALID", "DNAT", "SNAT", "UNTRACKED", "NEW,DNAT"]
    ).flatmap(lambda states: maybe(f"--ctstate {states}").map("-m conntrack ".__add__)),
    st.sampled_from(
        ["--dst-type LOCAL", "--src-type LOCAL", "--dst-type UNICAST", "--dst-type LOCAL,BROADCAST"]
    ).flatmap(lambda words: maybe(words).map("-m addrtype ".__add__)),
    st.sampled_from(["--mark 0x1/0x1", "--mark 0x0/0xf"]).flatmap(
        lambda words: maybe(words).map("-m connmark ".__add__)
    ),
    st.sampled_from(["--ttl-eq 64", "--ttl-lt 60", "--ttl-gt 3"]).map("-m ttl ".__add__),
    st.sampled_from(["--length 0:40", "--length 28", "--length 1000:2000"]).flatmap(
        lambda words: maybe(words).map("-m length ".__add__)
    ),
    st.sampled_from(["--src-range 10.0.0.5-10.0.0.7", "--dst-range 10.0.1.1-10.0.1.20"]).flatmap(
        lambda words: maybe(words).map("-m iprange ".__add__)
    ),
    SHARES.flatmap(lambda share: maybe(f"--probability {share}").map("-m statistic --mode random ".__add__)),
    st.just('-m comment --comment "a \\"quoted\\" word"'),
    st.just(""),
)
CHANGES = st.sampled_from(
    [
        "MARK --set-xmark 0x1/0x1", "MARK --set-xmark 0x2/0xffffffff", "MARK --set-xmark 0x4000/0x0",
        "MARK --set-xmark 0x4000/0x4000", "MARK --and-mark 0xfe", "MARK --or-mark 0x3", "MARK --set-mark 0x2/0x3",
        "MARK --xor-mark 0x1",
    ]
)  # fmt: skip
CONNECTION = st.sampled_from(
    ["CONNMARK --set-xmark 0x1/0xffffffff", "CONNMARK --save-mark", "CONNMARK --restore-mark",
     "CONNMARK --restore-mark --mask 0x1", "CONNMARK --save-mark --mask 0x2"]
)  # fmt: skip
TO = ["DNAT --to-destination 10.0.1.20", "REDIRECT", "NETMAP --to 10.0.1.16/28"]
TO_PORT = [
    "DNAT --to-destination 10.0.1.21:8080", "DNAT --to-destination 10.0.0.1:53", "DNAT --to-destination :8080",
    "REDIRECT --to-ports 53",
]  # fmt: skip
FROM = st.sampled_from(["SNAT --to-source 10.0.1.77", "MASQUERADE", "NETMAP --to 10.0.1.64/28"])


@st.composite
def rule(draw: st.DrawFn, table: str, chain: str) -> str:
    """A rule of a chain; jumps lead to later chains only."""
    later = CHAINS[CHAINS.index(chain) + 1 :] if chain in CHAINS else CHAINS
    verdicts = ["-j RETURN", "-j ACCEPT", *(["-j DROP"] if table != "nat" else [])]
    choices = [st.sampled_from(verdicts), CHANGES.map("-j ".__add__), st.just("")]
    if later:
        choices += [st.sampled_from([f"{how} {name}" for how in ("-j", "-j", "-g") for name in later])] * 2
    if table != "raw":
        choices.append(CONNECTION.map("-j ".__add__))
    if table == "raw":
        choices.append(st.just("-j CT --notrack"))
    protocol, ports = draw(
        st.sampled_from([("-p udp", UDP), ("", st.just("")), ("", st.just("")), ("! -p tcp", st.just(""))])
    )
    if table == "nat" and chain in ("PREROUTING", "OUTPUT"):
        choices.append(st.sampled_from([*TO, *(TO_PORT if protocol == "-p udp" else [])]).map("-j ".__add__))
    if table == "nat" and chain == "POSTROUTING":
        choices.append(FROM.map("-j ".__add__))
    words = [draw(OWN), protocol, draw(ports), draw(ANY), draw(st.one_of(choices))]
    return " ".join(["-A", chain, *filter(None, words)])


@st.composite
def dumps(draw: st.DrawFn) -> str:
    """A whole dump with every table."""
    lines = []
    for table, hooks in HOOKS.items():
        lines.append(f"*{table}")
        policies = st.sampled_from(["ACCEPT"] if table in ("nat", "raw", "mangle") else ["ACCEPT", "ACCEPT", "DROP"])
        lines += [f":{hook} {draw(policies)} [0:0]" for hook in hooks]
        lines += [f":{chain} - [0:0]" for chain in CHAINS]
        if table == "filter":
            lines += WATCHED
        for chain in (*hooks, *CHAINS):
            lines += draw(st.lists(rule(table, chain), max_size=4))
        lines.append("COMMIT")
    return "\n".join([*lines, ""])


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    """A first packet: from outside to this machine or through it, or from this machine."""
    dst = draw(st.sampled_from([*HERE, *THERE]))
    dport = draw(st.sampled_from(PORTS))
    if draw(st.booleans()):
        src = draw(st.sampled_from(SOURCES))
        return Packet(src, dst, "udp", 10000, dport, "eth0", ttl=64, length=28)
    return Packet(draw(st.sampled_from(HERE)), dst, "udp", 10000, dport, ttl=64, length=28)
