"""Parse the text of a rule into its options: the match or target of each, and whether it is negated.

The grammar is that of iptables 1.8 (iptables-extensions(8)). Other words are kept and marked as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kanslib.exceptions import RuleSyntaxError
from kanslib.i18n import tr, tr_plural

_WORD = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


_MATCH_OF_PROTOCOL = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmp6", "ipv6-icmp": "icmp6", "icmpv6": "icmp6"}
_OPTIONAL = -1  # the number of values of an option that takes one or none


def _table(text: str) -> dict[str, dict[str, int]]:
    """Return lines of `module: option=values …` as a dict; an option without `=` takes no value, `=?` one or none."""
    out = {}
    for line in text.strip().splitlines():
        module, _, options = line.partition(":")
        pairs = (option.partition("=") for option in options.split())
        out[module.strip()] = {"--" + name: _OPTIONAL if count == "?" else int(count or 0) for name, _, count in pairs}
    return out


_BASE = {
    "-s": 1, "-d": 1, "-i": 1, "-o": 1, "-p": 1, "-f": 0, "-m": 1, "-j": 1, "-g": 1, "-c": 2,
}  # fmt: skip
_LONG = {
    "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d", "--in-interface": "-i",
    "--out-interface": "-o", "--protocol": "-p", "--fragments": "-f", "--match": "-m", "--jump": "-j",
    "--goto": "-g", "--set-counters": "-c",
}  # fmt: skip
_ALIASES = {
    "--source-port": "--sport", "--destination-port": "--dport", "--source-ports": "--sports",
    "--destination-ports": "--dports",
}  # fmt: skip
MATCHES = _table(
    """
tcp: sport=1 dport=1 tcp-flags=2 syn tcp-option=1
udp: sport=1 dport=1
udplite: sport=1 dport=1
sctp: sport=1 dport=1 chunk-types=2
dccp: sport=1 dport=1 dccp-types=1 dccp-option=1
icmp: icmp-type=1
icmp6: icmpv6-type=1
multiport: sports=1 dports=1 ports=1
addrtype: src-type=1 dst-type=1 limit-iface-in limit-iface-out
conntrack: ctstate=1 ctproto=1 ctorigsrc=1 ctorigdst=1 ctreplsrc=1 ctrepldst=1 ctorigsrcport=1 ctorigdstport=1 \
 ctreplsrcport=1 ctrepldstport=1 ctstatus=1 ctexpire=1 ctdir=1
state: state=1
mark: mark=1
connmark: mark=1
statistic: mode=1 probability=1 every=1 packet=1
comment: comment=1
nfacct: nfacct-name=1
recent: name=1 set rcheck update remove rsource rdest mask=1 seconds=1 reap hitcount=1 rttl
limit: limit=1 limit-burst=1
hashlimit: hashlimit-upto=1 hashlimit-above=1 hashlimit-burst=1 hashlimit-mode=1 hashlimit-srcmask=1 \
 hashlimit-dstmask=1 hashlimit-name=1 hashlimit-htable-size=1 hashlimit-htable-max=1 hashlimit-htable-expire=1 \
 hashlimit-htable-gcinterval=1 hashlimit-rate-match hashlimit-rate-interval=1 hashlimit=1
set: match-set=2 return-nomatch update-counters=0 update-subcounters=0 packets-eq=1 packets-lt=1 packets-gt=1 \
 bytes-eq=1 bytes-lt=1 bytes-gt=1
physdev: physdev-in=1 physdev-out=1 physdev-is-in physdev-is-out physdev-is-bridged
owner: uid-owner=1 gid-owner=1 socket-exists suppl-groups pid-owner=1 sid-owner=1 cmd-owner=1
mac: mac-source=1
string: algo=1 from=1 to=1 string=1 hex-string=1 icase
iprange: src-range=1 dst-range=1
length: length=1
ttl: ttl-eq=1 ttl-lt=1 ttl-gt=1 ttl=1
hl: hl-eq=1 hl-lt=1 hl-gt=1
pkttype: pkt-type=1
dscp: dscp=1 dscp-class=1
tos: tos=1
time: timestart=1 timestop=1 days=1 weekdays=1 monthdays=1 datestart=1 datestop=1 kerneltz utc localtz contiguous
quota: quota=1
connlimit: connlimit-upto=1 connlimit-above=1 connlimit-mask=1 connlimit-saddr connlimit-daddr
connbytes: connbytes=1 connbytes-dir=1 connbytes-mode=1
connlabel: label=1 set
helper: helper=1
cgroup: cgroup=1 path=1
bpf: bytecode=1 object-pinned=1
u32: u32=1
socket: transparent nowildcard restore-skmark
rpfilter: loose validmark accept-local invert
policy: dir=1 pol=1 strict reqid=1 spi=1 proto=1 mode=1 tunnel-src=1 tunnel-dst=1 next
realm: realm=1
rateest: rateest=1 rateest1=1 rateest2=1 rateest-delta rateest-bps=? rateest-bps1=? rateest-bps2=? rateest-pps=? \
 rateest-pps1=? rateest-pps2=? rateest-lt rateest-gt rateest-eq
devgroup: src-group=1 dst-group=1
cpu: cpu=1
tcpmss: mss=1
ecn: ecn-tcp-cwr ecn-tcp-ece ecn-ip-ect=1
osf: genre=1 ttl=1 log=1
ah: ahspi=1 ahlen=1 ahres
esp: espspi=1
cluster: cluster-total-nodes=1 cluster-local-node=1 cluster-local-nodemask=1 cluster-hash-seed=1
rt: rt-type=1 rt-segsleft=1 rt-len=1 rt-0-res rt-0-addrs=1 rt-0-not-strict
hbh: hbh-len=1 hbh-opts=1
frag: fragid=1 fraglen=1 fragres fragfirst fragmore fraglast
ipv6header: soft header=1
dst: dst-len=1 dst-opts=1
eui64:
ipcomp: ipcompspi=1 compres
ipvs: ipvs vproto=1 vaddr=1 vport=1 vdir=1 vmethod=1 vportctl=1
mh: mh-type=1
srh: srh-next-hdr=1 srh-hdr-len-eq=1 srh-hdr-len-gt=1 srh-hdr-len-lt=1 srh-segs-left-eq=1 srh-segs-left-gt=1 \
 srh-segs-left-lt=1 srh-last-entry-eq=1 srh-last-entry-gt=1 srh-last-entry-lt=1 srh-tag=1 srh-psid=1 srh-nsid=1 \
 srh-lsid=1
""".replace("\\\n", " ")
)
TARGETS = _table(
    """
DNAT: to-destination=1 random persistent
SNAT: to-source=1 random random-fully persistent
MASQUERADE: to-ports=1 random random-fully
REDIRECT: to-ports=1 random
NETMAP: to=1
MARK: set-xmark=1 set-mark=1 and-mark=1 or-mark=1 xor-mark=1
CONNMARK: set-xmark=1 set-mark=1 and-mark=1 or-mark=1 xor-mark=1 save-mark restore-mark mask=1 nfmask=1 ctmask=1 \
 left-shift-mark=1 right-shift-mark=1
REJECT: reject-with=1
LOG: log-prefix=1 log-level=1 log-tcp-sequence log-tcp-options log-ip-options log-uid log-macdecode
NFLOG: nflog-group=1 nflog-prefix=1 nflog-range=1 nflog-size=1 nflog-threshold=1
NFQUEUE: queue-num=1 queue-balance=1 queue-bypass queue-cpu-fanout
CT: notrack helper=1 ctevents=1 expevents=1 zone=1 zone-orig=1 zone-reply=1 timeout=1
TPROXY: on-port=1 on-ip=1 tproxy-mark=1
TCPMSS: set-mss=1 clamp-mss-to-pmtu
TTL: ttl-set=1 ttl-dec=1 ttl-inc=1
HL: hl-set=1 hl-dec=1 hl-inc=1
TOS: set-tos=1 and-tos=1 or-tos=1 xor-tos=1
DSCP: set-dscp=1 set-dscp-class=1
CLASSIFY: set-class=1
CHECKSUM: checksum-fill
SET: add-set=2 del-set=2 map-set=2 exist timeout=1 map-mark map-prio map-queue
TEE: gateway=1 oif=1
TRACE:
NOTRACK:
AUDIT: type=1
SECMARK: selctx=1
CONNSECMARK: save restore
IDLETIMER: timeout=1 label=1 alarm
LED: led-trigger-id=1 led-delay=1 led-always-blink
RATEEST: rateest-name=1 rateest-interval=1 rateest-ewmalog=1
SYNPROXY: mss=1 wscale=1 sack-perm timestamp ecn
TCPOPTSTRIP: strip-options=1
ECN: ecn-tcp-remove
ULOG: ulog-nlgroup=1 ulog-prefix=1 ulog-cprange=1 ulog-qthreshold=1
ACCEPT:
CLUSTERIP: new hashmode=1 clustermac=1 total-nodes=1 local-node=1 hash-init=1
DNPT: src-pfx=1 dst-pfx=1
SNPT: src-pfx=1 dst-pfx=1
HMARK: hmark-tuple=1 hmark-mod=1 hmark-offset=1 hmark-src-prefix=1 hmark-dst-prefix=1 hmark-sport-mask=1 \
 hmark-dport-mask=1 hmark-spi-mask=1 hmark-sport=1 hmark-dport=1 hmark-spi=1 hmark-proto-mask=1 hmark-rnd=1
DROP:
RETURN:
QUEUE:
""".replace("\\\n", " ")
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a rule, without its quotes, its first column (from 1), and whether it began with a quote."""

    text: str
    column: int
    quoted: bool

    @property
    def is_option(self) -> bool:
        """True for a word that begins with `-`; a quoted word and a negative number are values."""
        return not self.quoted and self.text[:1] == "-" and len(self.text) > 1 and not self.text[1].isdigit()


@dataclass(frozen=True, slots=True)
class Option:
    """An option with its values; `known` is False for one that the grammar does not have.

    `column` is the first column of its name in the line (from 1).
    """

    name: str
    values: tuple[str, ...]
    negated: bool
    column: int
    known: bool = True

    @property
    def value(self) -> str:
        """The first value; empty without any."""
        return self.values[0] if self.values else ""

    def __str__(self) -> str:
        return " ".join([*(["!"] if self.negated else []), self.name, *self.values])


@dataclass(frozen=True, slots=True)
class Module:
    """A match or the target of a rule: its name, its options, and whether the grammar knows it."""

    name: str
    options: tuple[Option, ...]
    known: bool

    def option(self, *names: str) -> Option | None:
        """Return the first option with one of these names; None without any."""
        return next((option for option in self.options if option.name in names), None)

    def __str__(self) -> str:
        return " ".join([self.name, *map(str, self.options)])


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """The content of a rule: its own options (`-s`, `-d`, `-p`, `-i`, `-o`, `-f`), its matches, its target."""

    own: Mapping[str, Option]
    matches: tuple[Module, ...]
    target: Module | None
    goto: bool

    @property
    def unknown(self) -> tuple[str, ...]:
        """The parts that the grammar does not know, as text: matches, options, a target with unknown options."""
        matches = [f"-m {part}" for part in self.matches if not part.known]
        options = [str(option) for part in self.matches if part.known for option in part.options if not option.known]
        is_target_unknown = self.target and any(not option.known for option in self.target.options)
        return (*matches, *options, *([f"-j {self.target}"] if is_target_unknown else []))


def tokenize(text: str, start: int = 0) -> Iterator[Token]:
    r"""Yield the words of a rule from a position on, split as iptables-restore does: `"` quotes, `\` escapes.

    RuleSyntaxError for a quote that is not closed.

    >>> [word.text for word in tokenize('--comment "a \\"b\\" c"  -j X')]
    ['--comment', 'a "b" c', '-j', 'X']
    """
    position = start
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            return
        found = _WORD.match(text, position)
        if found is None or (found.end() < len(text) and not text[found.end()].isspace()):
            at = text.index('"', position if found is None else found.end())
            raise RuleSyntaxError(at + 1, text[at : at + 20], tr('a closing quote (")'))
        raw, quoted = found[0], '"' in found[0]
        if quoted:
            raw = _QUOTED.sub(lambda q: _ESCAPED.sub(r"\1", q[1]), raw)
        yield Token(raw, position + 1, found[0].startswith('"'))
        position = found.end()


def parse_options(text: str, start: int = 0) -> RuleOptions:
    """Return a rule's options from a position on (that behind `-A CHAIN`). RuleSyntaxError for a wrong word."""
    return _OptionReader([*tokenize(text, start)], len(text.rstrip())).read()


class _RulePart:
    """A match or the target while its options are read."""

    def __init__(self, name: str, grammar: Mapping[str, Mapping[str, int]]) -> None:
        self.name, self.is_known, self.grammar = name, name in grammar, grammar.get(name, {})
        self.options: list[Option] = []

    def module(self) -> Module:
        """Return the match or target with the options that were read."""
        return Module(self.name, tuple(self.options), self.is_known)


class _OptionReader:
    """Read the words once as getopt_long(3) does: an option belongs to the newest match or target that has it."""

    def __init__(self, words: list[Token], end: int) -> None:
        self.words, self.end, self.at = words, end, 0
        self.own: dict[str, Option] = {}
        self.matches: list[_RulePart] = []
        self.target: _RulePart | None = None
        self.loaded: list[_RulePart] = []  # the matches and the target, the newest last
        self.goto = False

    def read(self) -> RuleOptions:
        """Return the options of all words."""
        while self.at < len(self.words):
            self._option()
        target = self.target.module() if self.target else None
        return RuleOptions(self.own, tuple(part.module() for part in self.matches), target, self.goto)

    def _option(self) -> None:
        word = self.words[self.at]
        negated = word.text == "!" and not word.quoted
        if negated:
            self.at += 1
            if self.at == len(self.words):
                raise RuleSyntaxError(word.column, "!", tr("an option behind it, such as -s"))
            word = self.words[self.at]
        if not word.is_option:
            if negated or not self._add_leftover_word(word):
                raise RuleSyntaxError(word.column, word.text, tr("an option, such as -p, -m or -j"))
            self.at += 1
            return
        word = self._split(word)
        name = self._full_name(word.text)
        self.at += 1
        if name in _BASE:
            self._read_own_option(name, word, negated)
        else:
            self._read_part_option(name, word, negated)

    def _add_leftover_word(self, word: Token) -> bool:
        """Add a word without an option to what it stands behind: `-j DNAT [unsupported revision]`.

        Return False behind none.
        """
        if not self.loaded:
            return False
        self.loaded[-1].options.append(Option(word.text, (), False, word.column, known=False))
        return True

    def _split(self, word: Token) -> Token:
        """Put the value of `-ptcp` or `--dport=80` behind its option as a word of its own, and return the option."""
        if word.text.startswith("--"):
            name, joined, value = word.text.partition("=")
        else:
            name, value = word.text[:2], word.text[2:]
            joined = value if _BASE.get(name) else ""
        if not joined:
            return word
        option = Token(name, word.column, quoted=False)
        self.words[self.at : self.at + 1] = [option, Token(value, word.column + len(word.text) - len(value), True)]
        return option

    def _full_name(self, text: str) -> str:
        """Return the name of an option that may be an alias or the beginning of just one name, as `--to` often is."""
        if not text.startswith("--") or any(text in part.grammar for part in self.loaded):
            return text
        grammars = [*(part.grammar for part in self.loaded), MATCHES.get(self._implied_match(), {})]
        known = {name for grammar in grammars for name in grammar}
        names = {**_LONG, **{alias: name for alias, name in _ALIASES.items() if name in known}, **{n: n for n in known}}
        if text in names:
            return names[text]
        begun = {full for name, full in names.items() if name.startswith(text)}
        return begun.pop() if len(begun) == 1 else text

    def _load(self, name: str, grammar: Mapping[str, Mapping[str, int]]) -> _RulePart:
        part = _RulePart(name, grammar)
        self.loaded.append(part)
        return part

    def _read_own_option(self, name: str, word: Token, negated: bool) -> None:
        if name in ("-m", "-j", "-g"):
            value = self._values(word, 1, negated=False)[0][0]
            if negated:
                raise RuleSyntaxError(word.column, word.text, tr("no ! before it"))
            if name == "-m":
                self.matches.append(self._load(_MATCH_OF_PROTOCOL.get(value, value), MATCHES))
                return
            if self.target is not None:
                raise RuleSyntaxError(
                    word.column, word.text, tr("one target; {name} stands there already", name=self.target.name)
                )
            self.target, self.goto = self._load(value, TARGETS), name == "-g"
            return
        values, inner = self._values(word, _BASE[name], negated)
        if name in self.own:
            raise RuleSyntaxError(word.column, word.text, tr("{name} only once", name=name))
        self.own[name] = Option(name, values, negated or inner, word.column)

    def _values(self, word: Token, count: int, negated: bool) -> tuple[tuple[str, ...], bool]:
        """Return the next words as values, and whether `!` stands before them: old versions print `-s ! 10.0.0.0/8`."""
        inner = False
        following = self.words[self.at] if self.at < len(self.words) else None
        if count == _OPTIONAL:
            count = 0 if following is None or following.is_option or following.text == "!" else 1
        if count and following and following.text == "!" and not following.quoted and not negated:
            inner, self.at = True, self.at + 1
        values = self.words[self.at : self.at + count]
        if len(values) < count or any(value.is_option and value.text in _BASE for value in values):
            column = values[0].column if values else self.end + 1
            expected = tr_plural("a value for {option}", "{n} values for {option}", count, option=word.text)
            raise RuleSyntaxError(column, values[0].text if values else "", expected)
        self.at += count
        return tuple(value.text for value in values), inner

    def _read_part_option(self, name: str, word: Token, negated: bool) -> None:
        owner = self._find_owner(name)
        if owner is not None:
            found, inner = self._values(word, owner.grammar[name], negated)
            owner.options.append(Option(name, found, negated or inner, word.column))
            return
        values, follow = [], self.at
        while follow < len(self.words) and not self.words[follow].is_option and self.words[follow].text != "!":
            values.append(self.words[follow].text)
            follow += 1
        self.at = follow
        if not self.loaded:
            self.matches.append(self._load("", {"": {}}))
        self.loaded[-1].options.append(Option(name, tuple(values), negated, word.column, known=False))

    def _find_owner(self, name: str) -> _RulePart | None:
        """Return the newest match or target that has the option, else the protocol's match; None where none has it."""
        for part in reversed(self.loaded):
            if name in part.grammar:
                return part
        implied = self._implied_match()
        if name not in MATCHES.get(implied, {}):
            return None
        self.matches.append(self._load(implied, MATCHES))
        return self.loaded[-1]

    def _implied_match(self) -> str:
        """Return the match that `-p` implies and that is not loaded; empty for none."""
        protocol = self.own["-p"].value.lower() if "-p" in self.own else ""
        name = _MATCH_OF_PROTOCOL.get(protocol, protocol)
        return "" if any(part.name == name for part in self.matches) else name
