"""Parse, compare and trace iptables-save text, without a kernel and without root."""

from kanslib.exceptions import DumpError, PacketError, TooManyPathsError, TraceError
from kanslib.iptables.diff import CounterChange, RulesetDifference, diff
from kanslib.iptables.dump import Chain, Rule
from kanslib.iptables.ipset import IPSets
from kanslib.iptables.missing import MissingKind, MissingRules
from kanslib.iptables.outcome import Outcome, Step, is_certain
from kanslib.iptables.packet import Packet, Routing
from kanslib.iptables.parser import parse, parse_dumps
from kanslib.iptables.questions import Assumption
from kanslib.iptables.ruleset import Ruleset

__all__ = [
    "Assumption",
    "Chain",
    "CounterChange",
    "DumpError",
    "IPSets",
    "MissingKind",
    "MissingRules",
    "Outcome",
    "Packet",
    "PacketError",
    "Routing",
    "Rule",
    "Ruleset",
    "RulesetDifference",
    "Step",
    "TooManyPathsError",
    "TraceError",
    "diff",
    "is_certain",
    "parse",
    "parse_dumps",
]
