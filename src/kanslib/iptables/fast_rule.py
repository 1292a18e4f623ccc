"""One regular expression for the rules that iptables-save prints most: those of kube-proxy, Docker, firewalld, Calico.

A line that matches is valid and need not be parsed; `parser` parses every other line at once.
"""

from __future__ import annotations

import re

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}"
_PORT = r"(?:0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(?![0-9])"
_PORTS = rf"{_PORT}(?::{_PORT})?+"
_HEX = r"0x[0-9a-f]{1,8}"
_NETWORK = rf"{_ADDRESS}/(?:3[0-2]|[12]?[0-9])"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.:-]*+"
_TEXT = rf"(?:\"[^\"\\\n]*\"|{_NAME})"
_FLAGS = r"(?:NONE|(?:FIN|SYN|RST|PSH|ACK|URG|ALL)(?:,(?:FIN|SYN|RST|PSH|ACK|URG))*+)"
_STATES = r"(?:NEW|ESTABLISHED|RELATED|INVALID|UNTRACKED)"
_TYPES = r"(?:LOCAL|UNICAST|BROADCAST|MULTICAST|ANYCAST)"
_PORT_OPTIONS = rf"(?: (?:! )?+--[sd]port {_PORTS})*+"
_TCP_OPTIONS = rf"(?: (?:! )?+--[sd]port {_PORTS}| (?:! )?+--tcp-flags {_FLAGS} {_FLAGS})*+"
# Groups are possessive (`?+`, `*+`): there is no backtracking. None that is repeated holds a named group: Python 3.11
# leaves wrong spans in those.
_MATCHES = "|".join(
    (
        rf"comment --comment {_TEXT}",
        rf"conntrack (?:! )?+--ctstate {_STATES}(?:,{_STATES})*+",
        rf"state (?:! )?+--state {_STATES}(?:,{_STATES})*+",
        rf"addrtype(?: (?:! )?+--(?:src|dst)-type {_TYPES})?+",
        rf"multiport (?:! )?+--(?:dports|sports|ports) {_PORTS}(?:,{_PORTS})*+",
        rf"mark (?:! )?+--mark {_HEX}(?:/{_HEX})?+",
        r"statistic --mode random --probability (?:0\.[0-9]{1,11}|1\.0{1,11})",
        rf"set (?:! )?+--match-set {_NAME} (?:src|dst)(?:,(?:src|dst))*+",
        r"limit --limit [1-9][0-9]{0,3}/(?:sec|min|hour|day)(?: --limit-burst [1-9][0-9]{0,3})?+",
        r"icmp --icmp-type (?:[0-9]|1[0-8])",
        r"nfacct --nfacct-name  [a-z_]+",
    )
)
_REJECT_WITH = (
    r"(?:icmp-(?:port|host|net|proto)-unreachable|icmp-admin-prohibited|icmp-(?:host|net)-prohibited|tcp-reset)"
)
_TARGETS = "|".join(
    (
        rf"DNAT --to-destination {_ADDRESS}:{_PORT}",
        rf"MARK --set-xmark {_HEX}/{_HEX}",
        rf"SNAT --to-source {_ADDRESS}",
        "MASQUERADE --random-fully",
        rf"REDIRECT --to-ports {_PORT}",
        rf"REJECT --reject-with {_REJECT_WITH}",
        rf"LOG --log-prefix {_TEXT}(?: --log-level [0-7])?+",
    )
)
_PATTERN = (
    r"(?:\[[0-9]+:[0-9]+\] )?+-A (?P<chain>[A-Za-z0-9_][A-Za-z0-9_.-]*+)"
    rf"(?: (?P<not_src>! )?+-s (?P<src>{_NETWORK}))?+(?: (?P<not_dst>! )?+-d (?P<dst>{_NETWORK}))?+"
    rf"(?: (?:! )?+-i {_NAME}\+?+)?+(?: (?:! )?+-o {_NAME}\+?+)?+"
    rf"(?: (?:! )?+-p (?:tcp|udp|sctp|icmp))?+(?: -m (?:{_MATCHES}))*+"
    rf"(?: -m (?:tcp|udp|sctp) --dport (?P<dport>{_PORT}(?!:)){_PORT_OPTIONS})?+"
    rf"(?: -m (?:{_MATCHES}|tcp{_TCP_OPTIONS}|(?:udp|sctp){_PORT_OPTIONS}))*+"
    rf"(?: -j (?:{_TARGETS}|(?P<target>{_NAME}))| -g (?P<goto>{_NAME}))?+"
)


def _compile(pattern: str) -> re.Pattern[str]:
    """Compile a pattern; without possessive groups where they match nothing: early releases of Python 3.11."""
    compiled = re.compile(pattern)
    return compiled if compiled.fullmatch("-A FORWARD -j ACCEPT") else re.compile(re.sub(r"([*?])\+", r"\1", pattern))


FAST_RULE = _compile(_PATTERN)
