"""Trace a packet through rules as the kernel would: every path that it can take, with its exact probability.

A packet that is received meets the base chains of PREROUTING, then the routing decision, then those of INPUT, or of
FORWARD and POSTROUTING. Packets of the machine itself start at OUTPUT. Chains at interfaces come first of all (INGRESS)
and last of all (EGRESS), where there are any. `stages` has the order within a hook.

A path stops at a question that is open, and the paths that are behind catch up first. Then those that have become the
same are joined, so that ten rules with ten sets and one mark are two paths and not a thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import heappop, heappush
from itertools import chain

from kanslib.exceptions import TooManyPathsError, TraceError
from kanslib.i18n import parted, tr
from kanslib.iptables import effects, targets
from kanslib.iptables.compiled import CompiledRule
from kanslib.iptables.ipset import IPSets
from kanslib.iptables.match_types import Draw, Probability
from kanslib.iptables.outcome import Outcome, Step, WalkedRule
from kanslib.iptables.packet import Packet, Routing
from kanslib.iptables.packet_state import ChainFrame, KnownMachine, PacketState
from kanslib.iptables.questions import (
    CERTAIN,
    NEW,
    RELATED,
    Answers,
    Condition,
    Question,
    Subject,
    assumptions,
    either,
    name_ranges,
)
from kanslib.iptables.ranges import join
from kanslib.iptables.stages import Role, RuleSource, Stage, TracedChain, in_order

_NOT_FORWARDED = frozenset(("LOCAL", "BROADCAST", "MULTICAST", "ANYCAST"))
_ICMP = (1, 58)
_MAX_CASES = 64  # of the condition of one path
_Place = tuple[int, tuple[float, ...]]


# the hooks that can follow a hook
_BEHIND = {
    "INGRESS": ("PREROUTING", "INPUT", "FORWARD", "POSTROUTING", "EGRESS"),
    "PREROUTING": ("INPUT", "FORWARD", "POSTROUTING", "EGRESS"), "INPUT": (), "FORWARD": ("POSTROUTING", "EGRESS"),
    "OUTPUT": ("POSTROUTING", "EGRESS", "INGRESS", "PREROUTING", "INPUT"),
    "POSTROUTING": ("EGRESS", "INGRESS", "PREROUTING", "INPUT"), "EGRESS": ("INGRESS", "PREROUTING", "INPUT"),
}  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """The most work for one packet: nested chains, paths, evaluated rules, and comparisons of paths' conditions."""

    depth: int = 500
    paths: int = 10_000
    rules: int = 2_000_000
    comparisons: int = 3_000_000


class Tracer:
    """Trace packets through the rules of one machine, of one kind or of several."""

    def __init__(self, sources: Sequence[RuleSource], limits: Limits | None = None) -> None:
        self._sources = sources
        self.limits = limits or Limits()
        self._names: dict[tuple[str, str], frozenset[str]] = {}
        self._stages: dict[int, dict[str, tuple[Stage, ...]]] = {}

    def trace(
        self,
        packet: Packet,
        routing: Routing | None = None,
        sets: IPSets | None = None,
        answers: Answers | None = None,
    ) -> list[Outcome]:
        """Return every path that the packet can take; see `Ruleset.trace`. What `answers` knows is not assumed."""
        return _Search(self).outcomes(packet, KnownMachine(routing, sets or IPSets({}), answers))

    def stages(self, family: int) -> dict[str, tuple[Stage, ...]]:
        """Return the base chains of each hook that packets of a family (4 or 6) meet, in the kernel's order."""
        if family not in self._stages:
            found = [stage for source in self._sources for stage in source.stages(family)]
            self._stages[family] = {hook: in_order(stage for stage in found if stage.hook == hook) for hook in _BEHIND}
        return self._stages[family]

    def chain(self, table: str, name: str) -> TracedChain | None:
        """Return a compiled chain; None where no table of this name has it."""
        for source in self._sources:
            if (chain := source.chain(table, name)) is not None:
                return chain
        return None

    def names(self, table: str, name: str) -> frozenset[str]:
        """Return the subjects that a chain, and the chains to which it leads, can ask about (`Subject.name`)."""
        key = table, name
        if key not in self._names:
            self._names[key] = frozenset()  # in a circle of chains: itself adds nothing
            chain = self.chain(table, name)
            self._names[key] = frozenset() if chain is None else self.names_from(chain, 0)
        return self._names[key]

    def names_from(self, chain: TracedChain, position: int) -> frozenset[str]:
        """Return the subjects that the rules of a chain from a position on can ask about, and where they lead."""
        found = [name for name, last in chain.last_uses.items() if last >= position]
        called = [self.names(chain.table, name[3:]) for name in found if name.startswith("-j ")]
        return frozenset(found).union(*called)


class _Search:
    """One trace: the paths that are followed, those that wait at a question, and those that have ended."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer, self._limits = tracer, tracer.limits
        self._ready: list[PacketState] = []
        self._waiting: list[
            tuple[_Place, int, PacketState, Question]
        ] = []  # a heap: the one that is behind comes first
        self._ended: dict[object, tuple[PacketState, Outcome]] = {}
        self._evaluated = self._compared = 0
        self._number = 0
        self._asked: Counter[str] = Counter()
        self._stages: dict[str, tuple[Stage, ...]] = {}

    def outcomes(self, packet: Packet, machine: KnownMachine) -> list[Outcome]:
        """Return the outcome of each path."""
        self._stages = self._tracer.stages(packet.family)
        first = "OUTPUT" if packet.in_interface is None else self._received_at
        state = PacketState(packet, machine, first, self._stages[first])
        if packet.in_interface is None and packet.src is None and packet.dst and machine.routing:
            state.src = machine.routing.own_source(packet.dst)
            state.note(tr("its source is taken from its first route: a program can bind its socket to another address"))
        if packet.in_interface is not None or self._route_sent(state):
            self._ready.append(state)
        while self._ready or self._waiting:
            while self._ready:
                self._follow(self._ready.pop())
                if len(self._ready) + len(self._waiting) + len(self._ended) > self._limits.paths:
                    raise self._too_many(packet)
            if self._waiting:
                self._answer_next()
        found = sorted(self._ended.values(), key=lambda ended: ended[0].trail)
        return [_with_assumptions(outcome, state) for state, outcome in found]

    # paths

    def _follow(self, state: PacketState) -> None:
        """Follow a path until it ends or has to wait for an answer."""
        on = True
        while on:
            if state.frame is not None:
                on = self._traverse(state)
            elif state.plan:
                on = self._next_stage(state)
            else:
                on = self._decide(state)

    def _wait(self, state: PacketState, question: Question) -> bool:
        self._number += 1
        heappush(self._waiting, (_place(state), self._number, state, question))
        return False

    def _answer_next(self) -> None:
        """Take the waiting paths that are furthest behind, join those that are the same, and follow both answers."""
        place = self._waiting[0][0]
        here: list[tuple[PacketState, Question]] = []
        while self._waiting and self._waiting[0][0] == place:
            _, _, state, question = heappop(self._waiting)
            here.append((state, question))
        for state, question in self._joined(here) if len(here) > 1 else here:
            asked = question.subject
            self._asked[f"{asked.words.replace('|', '/')} {asked.value}".rstrip()] += 1
            other = state.fork()
            other.assume(question, False)
            state.assume(question, True)
            self._ready += [other, state]

    def _joined(self, paths: list[tuple[PacketState, Question]]) -> Iterator[tuple[PacketState, Question]]:
        """Yield paths of which no two differ only in what was assumed before and cannot be asked any more."""
        kept: dict[object, tuple[PacketState, Question]] = {}
        for state, question in sorted(paths, key=lambda path: path[0].trail):
            key = state.future(self._live_names(state))
            if key in kept:
                first = kept[key][0]
                condition = self._either(first, state)
                if len(condition) <= _MAX_CASES:
                    first.condition, first.entries = condition, max(first.entries, state.entries)
                    first.steps = state.steps  # of the two, the path on which fewer rules matched
                    continue
                key = (key, len(kept))
            kept[key] = state, question
        yield from kept.values()

    def _either(self, one: PacketState, other: PacketState) -> Condition:
        """Return the condition under which a packet takes one of two paths."""
        self._compared += len(one.condition) * len(other.condition)
        if self._compared > self._limits.comparisons:
            raise self._too_many(one.original)
        return either(one.condition, other.condition)

    def _too_many(self, packet: Packet) -> TooManyPathsError:
        return TooManyPathsError(str(packet), self._limits.paths, self._asked.most_common(10))

    def _live_names(self, state: PacketState) -> frozenset[str]:
        """Return the subjects that can still be asked about on a path."""
        found = [frozenset(("type", "ctstate", "routing"))]
        frame = state.frame
        while frame is not None:
            found.append(self._tracer.names_from(frame.chain, frame.position))
            frame = frame.parent
        behind = (self._stages[hook] for hook in _BEHIND[state.hook])
        stages = [*state.plan, *chain.from_iterable(behind)]
        return frozenset().union(*found, *(self._tracer.names(stage.table, stage.chain) for stage in stages))

    def _end(self, state: PacketState, verdict: str, reason: str = "") -> bool:
        """Record where a path ends; paths that end alike are one."""
        state.frame = None
        outcome = _outcome(state, verdict, reason)
        rule = outcome.steps[-1].rule if verdict != "ACCEPT" and outcome.steps else None
        key: object = verdict, reason, state.hook, outcome.packet, outcome.notes, state.chances, rule
        while key in self._ended and len(self._ended[key][0].condition) >= _MAX_CASES:
            key = key, "more"
        if key in self._ended:
            first, last = sorted((self._ended[key], (state, outcome)), key=lambda ended: ended[0].trail)
            last[0].condition = self._either(first[0], last[0])
            last[0].trail = first[0].trail
            self._ended[key] = last
        else:
            self._ended[key] = state, outcome
        return False

    # hooks

    def _next_stage(self, state: PacketState) -> bool:
        """Enter the next base chain."""
        state.leave_chain()
        stage = state.plan[0]
        entered = self._tracer.chain(stage.table, stage.chain)
        used = entered is not None and (len(entered) > 0 or entered.policy != "ACCEPT")
        state.hook, state.table, state.base, state.role = stage.hook, stage.table, stage.chain, stage.role
        if used and stage.devices is not None:
            meets = _comes_by(state, stage)
            if isinstance(meets, Question):
                return self._wait(state, meets)
            used = meets
        if used and stage.role is Role.NAT:
            if state.looped or state.translated_at == stage.hook:
                used = False
            else:
                first = state.test(
                    "ctstate", ((NEW, NEW),) if state.protocol in _ICMP else ((NEW, NEW), (RELATED, RELATED))
                )
                if isinstance(first, Question):
                    return self._wait(state, first)
                if not first:
                    state.note(
                        tr("nat is asked for the first packet of a connection; later ones follow conntrack's memory")
                    )
                used = first
        state.plan, state.stage = state.plan[1:], state.stage + 1
        if used and entered is not None:
            state.frame = _enter(None, entered, state, (stage.chain,))
            state.entered = state.way if stage.reroutes and stage.hook == "OUTPUT" else None
        return True

    def _decide(self, state: PacketState) -> bool:
        """Continue behind the tables of a hook: with the routing decision, the next hook, or the end."""
        state.leave_chain()
        if state.hook == "INGRESS":
            state.plan, state.hook = self._stages["PREROUTING"], "PREROUTING"
            return True
        if state.hook == "PREROUTING":
            return self._route_received(state)
        if state.hook == "EGRESS":
            state.hook = "POSTROUTING"
        elif state.hook == "POSTROUTING" and self._stages["EGRESS"]:
            state.plan, state.hook = self._stages["EGRESS"], "EGRESS"
            return True
        if state.hook == "FORWARD" or (state.hook == "OUTPUT" and not state.looped):
            if state.hook == "OUTPUT" and state.moved and not self._route_sent(state):
                return False
            state.plan, state.hook = self._stages["POSTROUTING"], "POSTROUTING"
            return True
        # Linux net/ipv4/ip_input.c, ip_rcv_finish_core: it keeps its way, also where a chain changed its destination
        if state.hook == "POSTROUTING" and state.original.in_interface is None and state.out_interface == "lo":
            state.looped, state.in_interface = True, "lo"
            state.hook = self._received_at
            state.plan = self._stages[state.hook]
            return True
        return self._end(state, "ACCEPT")

    @property
    def _received_at(self) -> str:
        """The hook at which a packet comes in."""
        return "INGRESS" if self._stages["INGRESS"] else "PREROUTING"

    def _route_received(self, state: PacketState) -> bool:
        local = state.looped or (_delivers_to_socket(state) if state.socket else _is_local(state))
        if isinstance(local, Question):
            return self._wait(state, local)
        if local:
            state.plan, state.hook, state.out_interface = self._stages["INPUT"], "INPUT", ""
            return True
        if state.socket:  # Linux net/ipv4/ip_forward.c
            return self._end(state, "DROP", tr("a local socket has it, but the routing would forward it"))
        state.hook, state.plan = "FORWARD", self._stages["FORWARD"]
        if state.ttl is None:
            state.ttl_lost += 1
        elif state.ttl <= 1:
            return self._end(state, "DROP", tr("its TTL is used up"))
        else:  # forwarding decrements it before the hook (Linux net/ipv4/ip_forward.c)
            state.ttl -= 1
        return self._choose_interface(state)

    def _route_sent(self, state: PacketState) -> bool:
        """Choose the way of a packet of the machine itself: before OUTPUT, and again when nat or mangle changed it."""
        if _is_local(state):
            state.out_interface = "lo"
            return True
        return self._choose_interface(state)

    def _choose_interface(self, state: PacketState) -> bool:
        original = state.original
        if state.routing is not None and state.dst is not None:
            route = state.routing.route(state.dst)
            if route is None or not route.dev:
                state.out_interface = None
                return self._end(state, "NO ROUTE")
            if {route.dev} >= {*route.others}:
                state.out_interface = route.dev
            else:
                hops = tuple(sorted(name_ranges(name)[0] for name in {route.dev, *route.others}))
                state.leave_open("out_interface", hops, again=state.moved)
        elif original.out_interface is not None:
            state.out_interface = original.out_interface
        else:
            state.leave_open("out_interface", again=state.moved)
        return True

    # rules

    def _traverse(self, state: PacketState) -> bool:
        """Traverse the active chains to the end of their table; False where the path ends or waits."""
        while (frame := state.frame) is not None:
            if frame.next == len(frame.positions):
                if frame.parent is None:
                    return self._policy(state)
                state.frame = frame.parent
                continue
            compiled = frame.chain.rule(frame.positions[frame.next])
            chance = self._match(state, compiled, frame)
            if isinstance(chance, Question):
                return self._wait(state, chance)
            if chance == 0:
                state.frame = frame.advance()
            elif not self._apply(state, compiled, frame, chance):
                return False
        return True

    def _apply(self, state: PacketState, compiled: CompiledRule, frame: ChainFrame, chance: Fraction | int) -> bool:
        """Apply the target of a rule that matches; False where the path ends."""
        action = compiled.action
        if isinstance(action, targets.Jump | targets.Return | targets.Look):
            return self._leave(state, compiled, frame, chance)
        verdict = effects.verdict(state, action)
        effect = parted(filter(None, (*state.effects, effects.apply(action, state))))
        state.effects = ()
        state.steps = (state.steps, _step(state, compiled, chance, effect))
        if verdict is None:
            moved = isinstance(
                action, targets.MapNetwork | targets.SetField
            )  # the index of the chains was asked for the old address
            state.frame = (frame.without_index() if moved else frame).behind
            return True
        if isinstance(action, targets.Translate | targets.MapNetwork) and state.role is Role.NAT:
            state.translated_at = state.hook
        if verdict.name == "ACCEPT":
            state.frame = None
            return True
        return self._end(state, verdict.name, verdict.reason)

    def _leave(self, state: PacketState, compiled: CompiledRule, frame: ChainFrame, chance: Fraction | int) -> bool:
        """Go on in another chain: the one that a rule names, or the one that has called this one."""
        action = compiled.action
        to = action.chain if isinstance(action, targets.Jump) else ""
        if not isinstance(action, targets.Look):
            effect = parted(filter(None, state.effects))
            state.steps = (state.steps, _step(state, compiled, chance, effect, to))
            state.effects = ()
        if isinstance(action, targets.Jump | targets.Look):
            state.frame = self._jump(state, action, compiled.rule, frame)
        elif frame.caller is None:
            return self._policy(state)
        else:
            state.frame = frame.caller
        return True

    def _policy(self, state: PacketState) -> bool:
        """Apply the policy of the built-in chain."""
        state.frame = None
        base = self._tracer.chain(state.table, state.base)
        if base is None or base.policy in ("ACCEPT", "-"):
            return True
        return self._end(state, base.policy, tr("policy of {table} {base}", table=state.table, base=state.base))

    def _match(self, state: PacketState, compiled: CompiledRule, frame: ChainFrame) -> Fraction | int | Question:
        """Return the probability that the rule matches, or what has to be known for that."""
        self._evaluated += 1
        if self._evaluated > self._limits.rules:
            raise TraceError(
                tr(
                    "more than {rules:,} rules evaluated for one packet: chains call each other too often",
                    rules=self._limits.rules,
                )
            )
        if compiled.acts:
            return self._match_in_order(state, compiled, frame)
        chance, question, draws = _evaluate(state, compiled)
        if chance == 0:
            return 0
        if question is not None:
            return question
        if chance != 1:
            self._leave_to_chance(state, compiled, frame, chance, draws)
        return chance

    def _match_in_order(
        self, state: PacketState, compiled: CompiledRule, frame: ChainFrame
    ) -> Fraction | int | Question:
        """Evaluate matches of which one changes something: each once, and those behind a "no" not at all."""
        chance = Fraction(1)
        if state.act == 0:
            state.effects = ()
        for at in range(state.act, len(compiled.matches)):
            answer = compiled.matches[at].holds(state)
            if isinstance(answer, Question):
                state.act = at
                return answer
            if isinstance(answer, Probability) and answer.probability:
                state.act = 0
                self._leave_to_chance(state, compiled, frame, answer.probability, [answer])
                chance *= answer.probability
            elif answer is not True:
                state.act, state.effects = 0, ()
                return 0
        state.act = len(compiled.matches)
        question = effects.question(state, compiled.action)
        if question is not None:
            return question
        state.act = 0
        return chance

    def _leave_to_chance(
        self, state: PacketState, compiled: CompiledRule, frame: ChainFrame, chance: Fraction | int,
        draws: Sequence[Probability],
    ) -> None:  # fmt: skip
        """Open another path on which the rule does not match."""
        other = state.fork()
        for draw in draws:
            if isinstance(draw, Draw):
                state.drawn = {**state.drawn, draw.subject: draw.yes}
                if len(draws) == 1:  # of several, one of them may hold on the other path
                    other.drawn = {**other.drawn, draw.subject: draw.no}
        other.frame = frame.advance()
        other.probability *= 1 - chance
        state.probability *= chance
        drawn = compiled.rule.line, frame.entry
        other.chances, state.chances = (*state.chances, (drawn, False)), (*state.chances, (drawn, True))
        if other.probability:
            self._ready.append(other)

    def _jump(
        self, state: PacketState, action: targets.Jump | targets.Look, rule: WalkedRule, frame: ChainFrame
    ) -> ChainFrame:
        if isinstance(action, targets.Look):
            elements = self._tracer.chain(state.table, action.map)
            if elements is None:
                raise TraceError(
                    tr(
                        "line {line}: table {table} declares no map {map}",
                        line=rule.line,
                        table=state.table,
                        map=action.map,
                    )
                )
            return _enter(frame.behind, elements, state, frame.active)
        active = frame.active
        if action.chain in active:
            circle = " → ".join([*active[active.index(action.chain) :], action.chain])
            raise TraceError(
                tr(
                    "line {line}: {circle}: a circle of chains, which iptables-restore would refuse; is "
                    "this text put together by hand?",
                    line=rule.line,
                    circle=circle,
                )
            )
        if len(active) >= self._limits.depth:
            raise TraceError(
                tr(
                    "line {line}: more than {depth} chains deep at {chain}",
                    line=rule.line,
                    depth=self._limits.depth,
                    chain=action.chain,
                )
            )
        called = self._tracer.chain(state.table, action.chain)
        if called is None:
            raise TraceError(
                tr(
                    "line {line}: table {table} declares no chain {chain}",
                    line=rule.line,
                    table=state.table,
                    chain=action.chain,
                )
            )
        parent = frame.caller if action.goto else frame.behind
        return _enter(parent, called, state, (*active, action.chain))


def _enter(parent: ChainFrame | None, chain: TracedChain, state: PacketState, active: tuple[str, ...]) -> ChainFrame:
    """Return the frame at the first rule of a chain."""
    state.entries += 1
    return ChainFrame(parent, chain, chain.candidates(state.src, state.dst, state.dport), 0, active, state.entries)


def _step(state: PacketState, compiled: CompiledRule, chance: Fraction | int, effect: str, to: str = "") -> Step:
    return Step(state.hook, compiled.rule, Fraction(chance), effect, to, state.role is Role.NAT)


def _evaluate(
    state: PacketState, compiled: CompiledRule
) -> tuple[Fraction | int, Question | None, Sequence[Probability]]:
    """Return the probability that the rule matches, the first question on which that, or its target, depends.

    The last are the answers that chance has given.
    """
    chance: Fraction | int = 1
    draws: tuple[Probability, ...] = ()
    question: Question | None = None
    for match in compiled.matches:
        answer = match.holds(state)
        if answer is True:
            continue
        if answer is False:
            return 0, None, ()
        if isinstance(answer, Probability):
            chance = chance * answer.probability
            draws += (answer,)
        else:
            question = question or answer
    if question is not None and isinstance(compiled.action, targets.NoEffect):
        return 0, None, ()  # the rule has no effect, so its match need not be known
    return chance, question or effects.question(state, compiled.action), draws


def _comes_by(state: PacketState, stage: Stage) -> bool | Question:
    """Return whether a packet meets a chain of INGRESS or EGRESS, which is attached to some interfaces."""
    field = "in_interface" if stage.hook == "INGRESS" else "out_interface"
    if stage.devices:
        return state.test(field, join(name_ranges(name)[0] for name in stage.devices))
    words = tr("chain {chain} {{is|is not}} attached to", chain=f"{stage.table} {stage.chain}")
    return state.ask(Question(Subject(f"device {stage.chain}", words, state.describe(field), state.key((field,)))))


def _place(state: PacketState) -> _Place:
    """Return how far a path has come: what is behind has a smaller one."""
    places: list[float] = [float("inf")]
    frame = state.frame
    while frame is not None:
        places.append(frame.position)
        frame = frame.parent
    return state.stage, tuple(reversed(places))


def _is_local(state: PacketState) -> bool:
    """Return whether the destination is this machine; assume for an unknown address that it is not."""
    kept = state.test_type("dst", _NOT_FORWARDED)
    if isinstance(kept, bool):
        return kept
    local = state.test_type("dst", frozenset(("LOCAL",)))
    if isinstance(local, Question):
        state.assume(local, False)
    return False


def _delivers_to_socket(state: PacketState) -> bool | Question:
    """Return whether the routing delivers a packet that TPROXY has given to a socket: `ip rule` is not in the rules."""
    if state.test_type("dst", frozenset(("LOCAL",))) is True:
        return True
    mark = tr("with mark {known:#x}", known=state.mark.known) if state.mark.known is not None else tr("with its mark")
    words = tr("the routing (ip rule) {{delivers|does not deliver}} it {mark} to this machine", mark=mark)
    return state.ask(Question(Subject("routing", words, key=state.key(("dst", "mark")))))


def _outcome(state: PacketState, verdict: str, reason: str) -> Outcome:
    """Return where a path ends, without its assumptions, which other paths can still join."""
    steps: list[Step] = []
    link = state.steps
    while link is not None:
        link, step = link
        steps.append(step)
    code_point = state.tos.under(0xFC)
    packet = replace(
        state.original, src=state.src, dst=state.dst, sport=state.sport, dport=state.dport, mark=state.mark.known,
        out_interface=state.out_interface or None, ttl=state.ttl,
        dscp=None if code_point is None else code_point >> 2,
    )  # fmt: skip
    return Outcome(state.probability, verdict, packet, tuple(reversed(steps)), (), state.notes, state.hook, reason)


def _with_assumptions(outcome: Outcome, state: PacketState) -> Outcome:
    if state.condition is CERTAIN:
        return outcome
    assumes, alternatives = assumptions(state.condition)
    return replace(outcome, assumes=assumes, alternatives=alternatives)
