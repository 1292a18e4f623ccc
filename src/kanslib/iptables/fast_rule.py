"""One regular expression for the rules of kube-proxy as iptables-save prints them.

A line that matches is valid and need not be parsed; `parser` parses every other line at once.
"""

from __future__ import annotations

import re

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}"
_PORT = r"(?:0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(?![0-9])"
_MARK = r"0x[0-9a-f]{1,8}"
_NETWORK = rf"{_ADDRESS}/(?:3[0-2]|[12]?[0-9])"
# Groups are possessive (`?+`): there is no backtracking.
FAST_RULE = re.compile(
    r"(?:\[[0-9]+:[0-9]+\] )?+-A (?P<chain>[A-Za-z0-9_][A-Za-z0-9_-]*+)"
    rf"(?: (?P<not_src>! )?+-s (?P<src>{_NETWORK}))?+(?: (?P<not_dst>! )?+-d (?P<dst>{_NETWORK}))?+"
    r"(?: -p (?:tcp|udp|sctp))?+(?: -m addrtype (?:! )?+--(?:src|dst)-type LOCAL)?+"
    r"(?: -m comment --comment (?:\"[^\"\\\n]*\"|[A-Za-z0-9_./:][A-Za-z0-9_./:-]*+))?+"
    rf"(?: -m (?:tcp|udp|sctp)(?: --dport (?P<dport>{_PORT}))?+)?+"
    r"(?: -m statistic --mode random --probability (?:0\.[0-9]{1,11}|1\.0{1,11}))?+"
    r"(?: -m nfacct --nfacct-name  [a-z_]+)?+"
    rf"(?: -j (?:DNAT --to-destination {_ADDRESS}:{_PORT}|MARK --set-xmark {_MARK}/{_MARK}"
    r"|[A-Za-z0-9_][A-Za-z0-9_-]*+))?+"
)
