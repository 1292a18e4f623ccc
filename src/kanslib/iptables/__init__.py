"""Parse, compare and trace iptables-save text, without a kernel and without root."""

from kanslib.exceptions import DumpError, PacketError, TraceError
from kanslib.iptables.diff import CounterChange, RulesetDifference, diff
from kanslib.iptables.dump import Chain, Rule
from kanslib.iptables.outcome import Assumption, Outcome, Step
from kanslib.iptables.packet import Packet, Routing
from kanslib.iptables.parser import parse
from kanslib.iptables.ruleset import Ruleset

__all__ = [
    "Assumption",
    "Chain",
    "CounterChange",
    "DumpError",
    "Outcome",
    "Packet",
    "PacketError",
    "Routing",
    "Rule",
    "Ruleset",
    "RulesetDifference",
    "Step",
    "TraceError",
    "diff",
    "parse",
]
