"""Regular expressions for the rules and elements that nft prints most, above all for kube-proxy.

A line that matches is valid and need not be read before somebody asks for it; `parser` reads every other line at once.
"""

from __future__ import annotations

import re

_ADDRESS = r"(?:[0-9a-f]|::)[0-9a-f.:]*+(?:/\d++)?+"
_NAME = r"[A-Za-z0-9_./][A-Za-z0-9_./:@-]*+"
_PROTOCOL = r"(?:tcp|udp|sctp|icmp|ipv6-icmp)"
_STATES = r"(?:new|established|related|invalid|untracked)"
_VERDICT = rf"(?:accept|drop|return|continue|(?:jump|goto) {_NAME})"
_ELEMENT = rf"\d++(?:-\d++)?+ : {_VERDICT}"
_ENDPOINT = rf"\d++ : {_ADDRESS} \. \d++"
_MATCHES = "|".join(
    (
        rf"ip6? [sd]addr (?:!= )?+(?:{_ADDRESS}|@{_NAME})",
        r"(?:tcp|udp|sctp|th) [sd]port (?:!= )?+\d++",
        rf"(?:meta l4proto|ip protocol) {_PROTOCOL}",
        rf"ct state {_STATES}(?:,{_STATES})*+",
        r"[io]if(?:name)?+ (?:!= )?+\"[^\"\n]++\"",
        r"counter(?: packets \d++ bytes \d++)?+",
    )
)
_ENDS = "|".join(
    (
        _VERDICT,
        r"reject",
        r"dnat (?:ip6? )?+to (?:\[[0-9a-f:.]++\]|[0-9.]++):\d++",
        r"masquerade(?: fully-random| random)?+",
        rf"numgen random mod [1-9]\d*+ vmap \{{ {_ELEMENT}(?:, {_ELEMENT})*+ \}}",
        rf"dnat ip6? to numgen random mod [1-9]\d*+ map \{{ {_ENDPOINT}(?:, {_ENDPOINT})*+ \}}",
        r"meta mark set meta mark [|&^] 0x[0-9a-f]++",
        rf"update @{_NAME} \{{ ip6? saddr \}}",
    )
)
# Groups are possessive (`?+`, `*+`): there is no backtracking
_RULE = rf"\s*+(?:(?:{_MATCHES}) )*+(?:{_MATCHES}|{_ENDS})(?: comment \"[^\"\n]*+\")?+"
_KEY = rf"(?:{_ADDRESS}(?: \. {_ADDRESS})?+(?: \. {_PROTOCOL})?+|{_PROTOCOL})(?: \. \d++)?+"
_ENTRY = rf"\s*+{_KEY}(?: comment \"[^\"\n]*+\")?+(?: : {_VERDICT})?+"
_ELEMENTS = rf"\s*+elements = \{{{_ENTRY}(?:,{_ENTRY})*+ \}}"


def _compile(pattern: str) -> re.Pattern[str]:
    """Compile a pattern; without possessive groups where they match nothing: early releases of Python 3.11."""
    compiled = re.compile(pattern)
    usable = re.fullmatch(r"(?:a (?:b )?+)*+a", "a b a a") is not None
    return compiled if usable else re.compile(re.sub(r"([*?+])\+", r"\1", pattern))


FAST_RULE = _compile(_RULE)
# one element: its key, its comment, its verdict
FAST_ELEMENT = _compile(rf"\s*+({_KEY})(?: comment \"([^\"\n]*+)\")?+(?: : ({_VERDICT}))?+[, ]")
FAST_ELEMENTS = _compile(_ELEMENTS)
