"""Trace a packet through a dump as the kernel would: every path that it can take, with its exact probability.

Hooks and tables come in the kernel's order (Linux include/uapi/linux/netfilter_ipv4.h, nf_ip_hook_priorities):
raw, mangle, nat at PREROUTING; the routing decision; mangle, filter, security, nat at INPUT or mangle, filter,
security at FORWARD; mangle, nat at POSTROUTING. Packets of the machine itself start at OUTPUT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

from kanslib.exceptions import TraceError
from kanslib.iptables import targets
from kanslib.iptables.compiled import CompiledChain, CompiledRule
from kanslib.iptables.dump import Dump, Rule
from kanslib.iptables.effects import apply_target, continuation
from kanslib.iptables.matches import Probability, Unknown
from kanslib.iptables.outcome import Outcome, Step
from kanslib.iptables.packet import STATES, Packet, Routing
from kanslib.iptables.packet_state import ChainFrame, PacketState, Stage
from kanslib.iptables.targets import Action

_FIRST = 1 << STATES.index("NEW") | 1 << STATES.index("RELATED")


def _stages(hook: str, *tables: str) -> tuple[Stage, ...]:
    return tuple((hook, table) for table in tables)


_PREROUTING = _stages("PREROUTING", "raw", "mangle", "nat")
_INPUT = _stages("INPUT", "mangle", "filter", "security", "nat")
_FORWARD = _stages("FORWARD", "mangle", "filter", "security")
_OUTPUT = _stages("OUTPUT", "raw", "mangle", "nat", "filter", "security")
_POSTROUTING = _stages("POSTROUTING", "mangle", "nat")


class _Progress(Enum):
    """The state of a path that has not ended."""

    ON = "on"
    BRANCHED = "branched"  # replaced by its branches


@dataclass(frozen=True)
class Limits:
    """The most work for one packet: nested chains, paths, and evaluated rules."""

    depth: int = 500
    paths: int = 10_000
    rules: int = 2_000_000


class Tracer:
    """Trace packets through one dump; compiled chains are kept."""

    def __init__(self, dump: Dump, limits: Limits | None = None) -> None:
        self._dump = dump
        self.limits = limits or Limits()
        self._compiled: dict[tuple[str, str], CompiledChain] = {}

    def trace(self, packet: Packet, routing: Routing | None = None) -> list[Outcome]:
        """Return every path that the packet can take; see `Ruleset.trace`."""
        return [*_Search(self).outcomes(packet, routing)]

    def chain(self, table: str, name: str) -> CompiledChain | None:
        """Return a compiled chain; None where the table does not have it."""
        key = table, name
        if key not in self._compiled:
            chains = self._dump.tables.get(table)
            if chains is None or name not in chains:
                return None
            self._compiled[key] = CompiledChain(self._dump.chain(name, table), chains)
        return self._compiled[key]


class _Search:
    """One trace: the paths that have not ended, and the number of rules evaluated so far."""

    def __init__(self, tracer: Tracer) -> None:
        self._chain, self._limits = tracer.chain, tracer.limits
        self._open: list[PacketState] = []
        self._evaluated = 0

    def outcomes(self, packet: Packet, routing: Routing | None) -> Iterator[Outcome]:
        """Yield the outcome of each path."""
        state = PacketState(packet, routing, _OUTPUT if packet.in_interface is None else _PREROUTING)
        if packet.in_interface is None and (outcome := self._route_sent(state)):
            yield outcome
            return
        self._open.append(state)
        ended = 0
        while self._open:
            outcome = self._follow(self._open.pop())
            if outcome:
                ended += 1
                yield outcome
            if len(self._open) + ended > self._limits.paths:
                raise TraceError(
                    f"more than {self._limits.paths:,} paths for {packet}: say more about the packet, "
                    "such as its source port, interfaces or TCP flags"
                )

    # hooks

    def _follow(self, state: PacketState) -> Outcome | None:
        """Follow a path until it ends, and return its Outcome, or until it branches, and return None."""
        while True:
            if state.frame is not None:
                ended = self._traverse(state)
            elif state.plan:
                ended = self._next_stage(state)
            else:
                ended = self._decide(state) or _Progress.ON
            if isinstance(ended, Outcome):
                return ended
            if ended is _Progress.BRANCHED:
                return None

    def _next_stage(self, state: PacketState) -> _Progress:
        """Enter the hook's chain in the next table, if the table has one."""
        (state.hook, state.table), *rest = state.plan
        chain = self._chain(state.table, state.hook)
        used = chain is not None and (bool(chain.chain.rules) or chain.chain.policy != "ACCEPT")
        if used and state.table == "nat":
            first = Unknown("the packet is the first of its connection", True, "ctstate", _FIRST)
            holds = not state.looped and state.decide(first)
            if holds is None:
                self._branch(state, first)
                return _Progress.BRANCHED
            if not holds and not state.looped:
                state.note("nat is asked for the first packet of a connection; later ones follow conntrack's memory")
            used = holds
        state.plan = tuple(rest)
        if used and chain is not None:
            state.frame = _enter(None, chain, state, (state.hook,))
        return _Progress.ON

    def _branch(self, state: PacketState, question: Unknown) -> None:
        """Open two paths from here: one where the statement is true, one where it is false."""
        other = state.fork()
        other.assume(question, not question.wanted)
        state.assume(question, question.wanted)
        self._open += [other, state]

    def _decide(self, state: PacketState) -> Outcome | None:
        """Continue behind the tables of a hook: with the routing decision, the next hook, or the end."""
        if state.hook == "PREROUTING":
            return self._route_received(state)
        if state.hook == "FORWARD" or (state.hook == "OUTPUT" and not state.looped):
            if state.hook == "OUTPUT" and (ended := self._route_sent(state)):
                return ended
            state.plan, state.hook = _POSTROUTING, "POSTROUTING"
            return None
        if state.hook == "POSTROUTING" and state.original.in_interface is None and self._is_local(state):
            state.looped, state.plan, state.in_interface, state.hook = True, _PREROUTING, "lo", "PREROUTING"
            return None
        return self._end(state, "ACCEPT")

    def _is_local(self, state: PacketState) -> bool:
        """Return whether the destination is this machine; assume for an unknown address that it is not."""
        kind = state.type_of("dst")
        if isinstance(kind, str):
            return kind != "UNICAST"
        if kind.text not in state.assumed:
            state.assume(kind, False)
        return state.assumed[kind.text].holds

    def _route_received(self, state: PacketState) -> Outcome | None:
        if state.looped or self._is_local(state):
            state.plan, state.hook, state.out_interface = _INPUT, "INPUT", ""
            return None
        state.hook, state.plan = "FORWARD", _FORWARD
        if state.ttl is not None:  # forwarding decrements it before the hook (Linux net/ipv4/ip_forward.c)
            if state.ttl <= 1:
                return self._end(state, "DROP", "its TTL is used up")
            state.ttl -= 1
        elif "ttl" in state.possible:
            state.possible["ttl"] >>= 1
        return self._choose_interface(state)

    def _route_sent(self, state: PacketState) -> Outcome | None:
        if self._is_local(state):
            state.out_interface = "lo"
            return None
        return self._choose_interface(state)

    def _choose_interface(self, state: PacketState) -> Outcome | None:
        state.out_interface = state.original.out_interface
        if state.routing is not None and state.dst is not None:
            route = state.routing.route(state.dst)
            if route is None or not route.dev:
                state.out_interface = None
                return self._end(state, "NO ROUTE")
            state.out_interface = route.dev
        return None

    # rules

    def _traverse(self, state: PacketState) -> Outcome | _Progress:
        """Traverse the active chains to the end of their table."""
        frame = state.frame
        while frame is not None:
            if frame.next == len(frame.positions):
                if frame.parent is None:
                    return self._policy(state)
                frame = frame.parent
                continue
            compiled = frame.chain.rule(frame.positions[frame.next])
            chance = self._match(state, compiled, frame)
            if chance is None:
                return _Progress.BRANCHED
            if chance == 0:
                frame = frame.advance()
                continue
            ends, effect = apply_target(state, compiled.action)
            state.steps = (state.steps, Step(state.hook, compiled.rule, Fraction(chance), effect))
            if isinstance(compiled.action, targets.Return):
                if frame.parent is None:
                    return self._policy(state)
                frame = frame.parent
            elif isinstance(compiled.action, targets.Jump):
                frame = self._jump(state, compiled.action, compiled.rule, frame)
            elif outcome := self._verdict(state, compiled.action):
                return outcome
            else:
                frame = None if ends else frame.advance()
        state.frame = None
        return _Progress.ON

    def _verdict(self, state: PacketState, action: Action) -> Outcome | None:
        """Return the Outcome when the action stops the packet; else None."""
        if isinstance(action, targets.Verdict) and action.name != "ACCEPT":
            return self._end(state, action.name, action.reason)
        if isinstance(action, targets.UnknownTarget) and not state.assumed[continuation(action).text].holds:
            return self._end(state, action.name.split()[0])
        return None

    def _policy(self, state: PacketState) -> Outcome | _Progress:
        """Apply the policy of the built-in chain."""
        state.frame = None
        base = self._chain(state.table, state.hook)
        if base is None or base.chain.policy in ("ACCEPT", "-"):
            return _Progress.ON
        return self._end(state, base.chain.policy, f"policy of {state.table} {state.hook}")

    def _match(self, state: PacketState, compiled: CompiledRule, frame: ChainFrame) -> Fraction | int | None:
        """Return the probability that the rule matches; None when the path branched because it is unknown."""
        self._evaluated += 1
        if self._evaluated > self._limits.rules:
            raise TraceError(
                f"more than {self._limits.rules:,} rules evaluated for one packet: chains call each other too often"
            )
        chance, question = _evaluate(state, compiled)
        if chance == 0:
            return 0
        if question is not None:
            state.frame = frame
            self._branch(state, question)
            return None
        if chance != 1:
            other = state.fork()
            other.frame = frame.advance()
            other.probability *= 1 - chance
            self._open.append(other)
            state.probability *= chance
        return chance

    def _jump(self, state: PacketState, action: targets.Jump, rule: Rule, frame: ChainFrame) -> ChainFrame:
        active = frame.active
        if action.chain in active:
            circle = " → ".join([*active[active.index(action.chain) :], action.chain])
            raise TraceError(
                f"line {rule.line}: {circle}: a circle of chains, which iptables-restore would refuse; "
                "is this text put together by hand?"
            )
        if len(active) >= self._limits.depth:
            raise TraceError(f"line {rule.line}: more than {self._limits.depth} chains deep at {action.chain}")
        chain = self._chain(state.table, action.chain)
        if chain is None:
            raise TraceError(f"line {rule.line}: table {state.table} declares no chain {action.chain}")
        parent = frame.parent if action.goto else frame.advance()
        return _enter(parent, chain, state, (*active, action.chain))

    def _end(self, state: PacketState, verdict: str, reason: str = "") -> Outcome:
        steps: list[Step] = []
        link = state.steps
        while link is not None:
            link, step = link
            steps.append(step)
        packet = replace(
            state.original, src=state.src, dst=state.dst, sport=state.sport, dport=state.dport, mark=state.mark,
            out_interface=state.out_interface or None, ttl=state.ttl,
        )  # fmt: skip
        assumes = tuple(state.assumed.values())
        return Outcome(
            state.probability, verdict, packet, tuple(reversed(steps)), assumes, state.notes, state.hook, reason
        )


def _enter(parent: ChainFrame | None, chain: CompiledChain, state: PacketState, active: tuple[str, ...]) -> ChainFrame:
    """Return the frame at the first rule of a chain."""
    return ChainFrame(parent, chain, chain.candidates(state.src, state.dst, state.dport), 0, active)


def _evaluate(state: PacketState, compiled: CompiledRule) -> tuple[Fraction | int, Unknown | None]:
    """Return the probability that the rule matches, and the first unknown statement on which that depends."""
    chance: Fraction | int = 1
    question: Unknown | None = None
    for match in compiled.matches:
        answer = match.holds(state)
        if answer is True:
            continue
        if answer is False:
            return 0, None
        if isinstance(answer, Probability):
            chance = chance * answer.probability
            continue
        known = state.decide(answer)
        if known is False:
            return 0, None
        question = question or (answer if known is None else None)
    if question is None and isinstance(compiled.action, targets.UnknownTarget):
        target = continuation(compiled.action)
        return chance, None if target.text in state.assumed else target
    if question is not None and isinstance(compiled.action, targets.NoEffect):
        return 0, None  # the rule has no effect, so its match need not be known
    return chance, question
