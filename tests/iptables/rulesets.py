"""Random rulesets and packets that meet often: few addresses, few ports, many matches and targets (hypothesis)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
MATCHES = {
    "mark": ["--mark 0x1/0x1", "--mark 0x2/0x3", "--mark 0x0/0xff", "--mark 0x4000/0x4000"],
    "connmark": ["--mark 0x1/0x1", "--mark 0x0/0xf"],
    "conntrack": [
        *(f"--ctstate {states}" for states in ("NEW", "ESTABLISHED,RELATED", "INVALID", "NEW,INVALID", "DNAT", "SNAT")),
        "--ctstate UNTRACKED", "--ctstate NEW,DNAT", "--ctorigdst 10.0.1.20", "--ctorigsrc 10.0.0.0/24",
        "--ctrepldst 10.0.0.7", "--ctreplsrc 10.0.1.16/28", "--ctorigdstport 53", "--ctreplsrcport 8080",
        "--ctrepldstport 1024:65535", "--ctstatus NONE", "--ctstatus SEEN_REPLY,ASSURED", "--ctstatus CONFIRMED",
        "--ctproto udp", "--ctproto 6",
    ],
    "addrtype": ["--dst-type LOCAL", "--src-type LOCAL", "--dst-type UNICAST", "--dst-type LOCAL,BROADCAST"],
    "length": ["--length 0:40", "--length 28", "--length 1000:2000"],
    "iprange": ["--src-range 10.0.0.5-10.0.0.7", "--dst-range 10.0.1.1-10.0.1.20"],
    "dscp": ["--dscp 0x0a", "--dscp-class EF", "--dscp 0"],
    "tos": ["--tos 0x28", "--tos 0x10/0x10", "--tos 0/0x3f"],
    "helper": ["--helper ftp"],
    "physdev": ["--physdev-is-in"],
}  # fmt: skip
NOT_NEGATED = {
    "ttl": ["--ttl-eq 64", "--ttl-lt 60", "--ttl-gt 3"],
    "conntrack": ["--ctdir ORIGINAL", "--ctdir REPLY"],
    "connbytes": [f"--connbytes {span} --connbytes-dir {side} --connbytes-mode packets"
                  for span in ("1:1", "0:0", "1", "2:9") for side in ("original", "reply", "both")],
    "comment": ['--comment "a \\"quoted\\" word"'],
}  # fmt: skip
ANY = st.one_of(
    *(st.sampled_from(words).flatmap(maybe).map(f"-m {name} ".__add__) for name, words in MATCHES.items()),
    *(st.sampled_from(words).map(f"-m {name} ".__add__) for name, words in NOT_NEGATED.items()),
    SHARES.flatmap(lambda share: maybe(f"--probability {share}").map("-m statistic --mode random ".__add__)),
    st.just(""),
)
# a trace asks these of a packet whose answer a test knows; where the target has no effect, it does not ask
ASKED = st.sampled_from(
    ["-m pkttype --pkt-type unicast", "-m pkttype ! --pkt-type broadcast", "-m ecn --ecn-ip-ect 0",
     "-m ecn ! --ecn-ip-ect 2", "-m devgroup --GROUP 0x0"]
)  # fmt: skip
RECEIVED = st.sampled_from(
    ["-m mac --mac-source 02:00:00:00:00:63", "-m mac ! --mac-source 02:00:00:00:00:63",
     "-m mac --mac-source 02:00:00:00:00:64", "-i eth0", "! -i eth+", "-i lo"]
)  # fmt: skip
SENT = st.sampled_from(
    ["-m owner --uid-owner 0", "-m owner ! --uid-owner 0-99", "-m owner --gid-owner 0", "-m owner ! --gid-owner 7",
     "-m owner --uid-owner 0 ! --gid-owner 7", "-o eth1", "! -o lo", "-o eth+"]
)  # fmt: skip
REVERSE_PATH = st.sampled_from(["", "--loose ", "--accept-local "]).flatmap(
    lambda words: st.sampled_from([words, words + "--invert "]).map("-m rpfilter ".__add__)
)
BY_HOOK = {
    "PREROUTING": st.one_of(RECEIVED, st.just("-m addrtype --dst-type LOCAL --limit-iface-in")),
    "INPUT": st.one_of(RECEIVED, st.just("-m addrtype ! --dst-type LOCAL --limit-iface-in")), "FORWARD": RECEIVED,
    "OUTPUT": SENT, "POSTROUTING": SENT,
}  # fmt: skip
CHANGES = st.sampled_from(
    [
        "MARK --set-xmark 0x1/0x1", "MARK --set-xmark 0x2/0xffffffff", "MARK --set-xmark 0x4000/0x0",
        "MARK --set-xmark 0x4000/0x4000", "MARK --and-mark 0xfe", "MARK --or-mark 0x3", "MARK --set-mark 0x2/0x3",
        "MARK --xor-mark 0x1",
    ]
)  # fmt: skip
MANGLING = st.sampled_from(
    [
        "TTL --ttl-set 3", "TTL --ttl-inc 200", "TTL --ttl-dec 5", "TTL --ttl-dec 255", "TOS --set-tos 0x28",
        "TOS --set-tos 0x10/0x10", "TOS --and-tos 0xf0", "TOS --or-tos 0x02", "TOS --xor-tos 0x28",
        "DSCP --set-dscp 0x0a", "DSCP --set-dscp-class EF",
    ]
)  # fmt: skip
QUIET = st.sampled_from(
    [
        "NFLOG --nflog-group 7",
        "AUDIT --type accept",
        "LOG --log-prefix x",
        "RATEEST --rateest-name r --rateest-interval 250ms --rateest-ewmalog 500ms",
    ]
)
WITHOUT_EFFECT = ("", "CLASSIFY", "NFLOG", "AUDIT", "LOG", "RATEEST")
QUEUES = st.sampled_from(
    ["NFQUEUE --queue-num 5", "NFQUEUE --queue-num 5 --queue-bypass", "NFQUEUE --queue-balance 1:3"]
)
CONNECTION = st.sampled_from(
    ["CONNMARK --set-xmark 0x1/0xffffffff", "CONNMARK --save-mark", "CONNMARK --restore-mark",
     "CONNMARK --restore-mark --mask 0x1", "CONNMARK --save-mark --mask 0x2", "CONNMARK --or-mark 0x6",
     "CONNMARK --save-mark --nfmask 0x3 --ctmask 0xf0", "CONNMARK --restore-mark --nfmask 0xff --ctmask 0x2",
     "CONNMARK --restore-mark --left-shift-mark 1", "CONNMARK --save-mark --right-shift-mark 1"]
)  # fmt: skip
TRACKING = st.sampled_from(["CT --notrack", "CT --zone 7", "NOTRACK", "CT --ctevents new"])
TO = [
    "DNAT --to-destination 10.0.1.20",
    "DNAT --to-destination 10.0.1.20 --persistent",
    "REDIRECT",
    "NETMAP --to 10.0.1.16/28",
]
TO_PORT = [
    "DNAT --to-destination 10.0.1.21:8080", "DNAT --to-destination 10.0.0.1:53", "DNAT --to-destination :8080",
    "REDIRECT --to-ports 53", "DNAT --to-destination 10.0.1.21:50-60", "DNAT --to-destination 10.0.1.21:8000-8099/50",
    "REDIRECT --to-ports 8080-8090",
]  # fmt: skip
FROM = st.sampled_from(["SNAT --to-source 10.0.1.77", "MASQUERADE", "NETMAP --to 10.0.1.64/28"])


# what a rule changes outside of the packet, and the matches that see it
REMEMBERING = st.one_of(
    st.sampled_from(["--set", "--rcheck", "--update", "--remove", "--rcheck --hitcount 2", "--update --seconds 60",
                     "--rcheck --rttl"]).flatmap(maybe).map("-m recent --name seen ".__add__),
    st.sampled_from(["--set", "--rcheck", "--update", "--remove"])
    .map("-m recent --name known --rdest --mask 255.255.255.0 ".__add__),
    st.sampled_from(["hosts src", "hosts dst", "pairs dst,dst", "networks src", "networks dst"])
    .map("--match-set ".__add__).flatmap(maybe).map("-m set ".__add__),
)  # fmt: skip
CHANGING = st.sampled_from(
    ["SET --add-set hosts src", "SET --add-set hosts dst", "SET --del-set hosts src", "SET --del-set networks dst",
     "SET --add-set pairs dst,dst", "SET --add-set networks src --exist"]
)  # fmt: skip
NO_MEMORY = st.just(("", ""))
SETS = {  # name → type, entries
    "hosts": ("hash:ip", ("10.0.0.7", "10.0.1.20")),
    "pairs": ("hash:ip,port", ("10.0.1.21,udp:8080",)),
    "networks": ("hash:net", ("10.0.1.20/31",)),
}


def targets(table: str, chain: str, has_ports: bool) -> st.SearchStrategy[str]:
    """The words of a target that this chain of this table takes, with -j or -g in front, or none."""
    later = CHAINS[CHAINS.index(chain) + 1 :] if chain in CHAINS else CHAINS
    jumps = st.sampled_from([f"{how} {name}" for how in ("-j", "-j", "-g") for name in later] or [""])
    taken = {
        "raw": [TRACKING], "mangle": [MANGLING, CONNECTION], "nat": [CONNECTION], "filter": [QUEUES, CONNECTION],
    }[table]  # fmt: skip
    if table == "mangle" and chain in ("FORWARD", "OUTPUT", "POSTROUTING"):
        taken.append(st.just("CLASSIFY --set-class 1:1"))
    if table == "nat" and chain in ("PREROUTING", "OUTPUT"):
        taken.append(st.sampled_from([*TO, *(TO_PORT if has_ports else [])]))
    if table == "nat" and chain == "POSTROUTING":
        taken.append(FROM)
    verdicts = st.sampled_from(["RETURN", "ACCEPT", *(["DROP"] if table != "nat" else [])])
    changes = (words.map("-j ".__add__) for words in (verdicts, CHANGES, QUIET, *taken))
    return st.one_of(*changes, st.just(""), jumps, jumps)


@st.composite
def rule(draw: st.DrawFn, table: str, chain: str, memory: st.SearchStrategy[tuple[str, str]]) -> str:
    """A rule of a chain; jumps lead to later chains only. `memory`: another match and another target, or empty."""
    protocol, ports = draw(
        st.sampled_from([("-p udp", UDP), ("", st.just("")), ("", st.just("")), ("! -p tcp", st.just(""))])
    )
    here = BY_HOOK.get(chain, st.just(""))
    if chain == "PREROUTING" and table in ("raw", "mangle"):
        here = st.one_of(here, REVERSE_PATH)
    match, target = draw(memory)
    target = target or draw(targets(table, chain, protocol == "-p udp"))
    words = [draw(OWN), draw(st.one_of(st.just(""), st.just(""), here)), protocol, draw(ports), match, draw(ANY)]
    if chain in BY_HOOK and target.removeprefix("-j ").partition(" ")[0] not in WITHOUT_EFFECT:
        group = "src-group" if chain in ("PREROUTING", "INPUT", "FORWARD") else "dst-group"
        words.append(draw(st.one_of(st.just(""), ASKED)).replace("GROUP", group))
    return " ".join(["-A", chain, *filter(None, (*words, target))])


def assemble(rules: Mapping[tuple[str, str], list[str]], policies: Iterator[str]) -> str:
    """Return a dump of the rules of each chain of each table; `policies` are those of the chains of table filter."""
    lines = []
    for table, hooks in HOOKS.items():
        lines += [
            f"*{table}",
            *(f":{hook} {next(policies) if table == 'filter' else 'ACCEPT'} [0:0]" for hook in hooks),
        ]
        lines += [f":{chain} - [0:0]" for chain in CHAINS]
        if table == "filter":
            lines += WATCHED
        for chain in (*hooks, *CHAINS):
            lines += rules[table, chain]
        lines.append("COMMIT")
    return "\n".join([*lines, ""])


PLACES = [(table, chain) for table, hooks in HOOKS.items() for chain in (*hooks, *CHAINS)]
POLICIES = ("ACCEPT", "ACCEPT", "DROP")


@st.composite
def dumps(draw: st.DrawFn, memory: st.SearchStrategy[tuple[str, str]] = NO_MEMORY) -> str:
    """A whole dump with every table."""
    rules = {place: draw(st.lists(rule(*place, memory), max_size=4)) for place in PLACES}
    return assemble(rules, iter([draw(st.sampled_from(POLICIES)) for _ in HOOKS["filter"]]))


def memory() -> st.SearchStrategy[tuple[str, str]]:
    """A match that looks into a list or a set, and a target that fills one; each or none."""
    nothing = st.just("")
    return st.tuples(st.one_of(nothing, REMEMBERING), st.one_of(nothing, nothing, CHANGING.map("-j ".__add__)))


def remembering_dumps() -> st.SearchStrategy[str]:
    """A dump whose rules fill lists and sets, and look into them."""
    return dumps(memory())


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    """A first packet: from outside to this machine or through it, or from this machine."""
    dst = draw(st.sampled_from([*HERE, *THERE]))
    dport = draw(st.sampled_from(PORTS))
    if draw(st.booleans()):
        src = draw(st.sampled_from(SOURCES))
        return Packet(
            src, dst, "udp", 10000, dport, "eth0", ttl=64, length=28, source_mac="02:00:00:00:00:63", dscp=0,
            physdev_in="", physdev_out="",
        )  # fmt: skip
    return Packet(
        draw(st.sampled_from(HERE)), dst, "udp", 10000, dport, ttl=64, length=28, uid=0, gid=0, dscp=0, physdev_out=""
    )
