"""A parsed dump that can be traced and compared: the result of `iptables.parse`."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from kanslib.exceptions import TraceError
from kanslib.i18n import tr
from kanslib.iptables.compiled import CompiledDump
from kanslib.iptables.diff import RulesetDifference, diff
from kanslib.iptables.dump import Dump
from kanslib.iptables.ipset import IPSets
from kanslib.iptables.outcome import Outcome
from kanslib.iptables.packet import Packet, Routing
from kanslib.iptables.tracer import Tracer


class Ruleset(Dump):
    """A whole dump. `save()` returns it byte for byte, `trace()` follows a packet through it, `diff()` compares it."""

    def trace(self, packet: Packet, routing: Routing | None = None, sets: IPSets | None = None) -> list[Outcome]:
        r"""Return every path that the packet can take, with its exact probability, verdict, final packet and rules.

        `routing` has the machine's addresses and routes (`Routing.read`). Without it a destination counts as another
        machine's, unless a rule depends on that: then the path branches, and each outcome states its assumptions.
        `sets` has the machine's sets (`ipset.parse`); what a set holds that is not among them is assumed, too. The
        probabilities of the outcomes with the same assumptions add up to 1. Hooks and tables come in the order of
        Linux include/uapi/linux/netfilter_ipv4.h; nat is used only for the first packet of a connection.
        Rules that are missing from the dump are in `missing` of each outcome. TraceError for a packet of the other
        family of addresses, for circular rules, and for more work than `tracer.Limits` allows.

        >>> from kanslib.iptables import Packet, parse
        >>> rules = parse('*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m statistic --mode random '
        ...     '--probability 0.25 -p tcp -j DNAT --to-destination 10.0.0.7:80\nCOMMIT\n')
        >>> [(str(outcome.probability), outcome.packet.dst)
        ...     for outcome in rules.trace(Packet("10.9.0.1", "10.9.0.2", in_interface="eth0"))]
        [('1/4', '10.0.0.7'), ('3/4', '10.9.0.2')]
        """
        self._check_family(packet)
        outcomes = self._tracer.trace(packet, routing, sets)
        return [replace(outcome, missing=self.missing) for outcome in outcomes] if self.missing else outcomes

    def _check_family(self, packet: Packet) -> None:
        for address in (packet.src, packet.dst):
            family = None if address is None else 6 if ":" in address else 4
            if family and self.family and family != self.family:
                command = "iptables-save" if family == 4 else "ip6tables-save"
                raise TraceError(
                    tr(
                        "{packet} is an IPv{family} packet, and these rules are for IPv{self_family}: "
                        "`{command}` prints the rules that it meets",
                        packet=packet,
                        family=family,
                        self_family=self.family,
                        command=command,
                    )
                )

    @cached_property
    def _tracer(self) -> Tracer:
        return Tracer((CompiledDump(self),))

    def diff(self, later: Dump) -> RulesetDifference:
        r"""Return the changes up to a later dump: rules removed, rules added, counters that changed.

        >>> from kanslib import iptables
        >>> text = "*filter\n:INPUT ACCEPT [0:0]\n[2:120] -A INPUT -s 192.0.2.1/32 -j DROP\nCOMMIT\n"
        >>> changes = iptables.parse(text).diff(iptables.parse(text.replace("[2:120]", "[5:300]")))
        >>> [(change.rule.target, change.packets) for change in changes.counters]
        [('DROP', 3)]
        """
        return diff(self, later)
