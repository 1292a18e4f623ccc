"""Tell an address that two network cards hold at one time (a conflict) from one that moved (a takeover). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import NamedTuple

from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage
from kanslib.i18n import Words, tr_later

_QUESTION_S = 0.5  # two machines that answer one question do so within this time; Linux asks again after 1 s
_OVERLAP_S = 2.0  # in a takeover, both holders may claim the address for so long
_FORGOTTEN_S = 60.0  # who claims the address again after such a pause, and others in between, takes it over
_ANNOUNCEMENT_PAUSE_S = 2.5  # an announcement after such a pause begins a takeover; the rounds of one are 1.1 s apart


class ConflictKind(Words):
    """How a conflict shows."""

    ONE_QUESTION = tr_later("answer the same question")
    IN_TURNS = tr_later("claim it in turns")


@dataclass(frozen=True)
class Conflict:
    """Two or more network cards that hold one address at one time.

    `first`, `last`: Unix seconds; `frames`: the numbers of the frames that show it; `questions`: how many questions
    more than one of them answered.
    """

    address: str
    macs: tuple[str, ...]
    first: float
    last: float
    frames: tuple[int, ...]
    kind: ConflictKind
    questions: int


@dataclass(frozen=True)
class Takeover:
    """An address moved from one network card to another at `time` (Unix seconds), with an announcement or without.

    `overlap`: the seconds in which both claimed it.
    """

    address: str
    before: str
    after: str
    time: float
    overlap: float
    is_announced: bool


class _Tenure(NamedTuple):
    """The claims of one network card until it takes the address over again from another."""

    mac: str
    claims: list[NeighborMessage]

    @property
    def first(self) -> float:
        return self.claims[0].frame.time

    @property
    def last(self) -> float:
        return self.claims[-1].frame.time


def conflicts_of(address: str, claims: Sequence[NeighborMessage]) -> list[Conflict]:
    """Return the conflicts about an address, in order of time. `claims`: who claims it, in order of time."""
    shared, tenures = _shared_questions(claims), _tenures(claims)
    pairs = [(old, new) for old, new in combinations(tenures, 2) if old.mac != new.mac]
    spans = [_span(old, new) for old, new in pairs if _go_on_together(old, new)]
    if shared and not _is_settled_after(shared[-1][-1].frame.time, tenures):
        spans += [(answers[0].frame.time, answers[-1].frame.time) for answers in shared]
    return [_conflict(address, span, claims, shared) for span in _merge_spans(spans)]


def _span(old: _Tenure, new: _Tenure) -> tuple[float, float]:
    """Return from when to when two tenures show a conflict: from the claim before it to the claim after it."""
    shorter, longer = sorted((old, new), key=lambda tenure: tenure.last)
    start = max(claim.frame.time for claim in old.claims if claim.frame.time <= new.first)
    return start, min(claim.frame.time for claim in longer.claims if claim.frame.time >= shorter.last)


def _merge_spans(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return spans of time as fewer that do not overlap, in order."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start - merged[-1][1] <= _OVERLAP_S:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _conflict(
    address: str, span: tuple[float, float], claims: Sequence[NeighborMessage], shared: Sequence[list[NeighborMessage]]
) -> Conflict:
    shown = [claim for claim in claims if span[0] <= claim.frame.time <= span[1]]
    questions = sum(span[0] <= answers[0].frame.time <= span[1] for answers in shared)
    return Conflict(
        address, tuple(dict.fromkeys(claim.mac for claim in shown)), shown[0].frame.time, shown[-1].frame.time,
        tuple(dict.fromkeys(claim.frame.number for claim in shown)),
        ConflictKind.ONE_QUESTION if questions else ConflictKind.IN_TURNS, questions,
    )  # fmt: skip


def _go_on_together(old: _Tenure, new: _Tenure) -> bool:
    """Return True where neither stopped when the other began: both go on, or one is there before and after."""
    is_inside = new.first - old.first > _OVERLAP_S and old.last - new.last > _OVERLAP_S
    return is_inside or min(old.last, new.last) - new.first > _OVERLAP_S


def takeovers_of(address: str, claims: Sequence[NeighborMessage]) -> list[Takeover]:
    """Return when an address moved, from the messages that claim it; not while two cards hold it at one time."""
    found: list[Takeover] = []
    for old, new in pairwise(_tenures(claims)):
        overlap = max(0.0, min(old.last, new.last) - new.first)
        if old.mac != new.mac and not _go_on_together(old, new):
            is_announced = new.claims[0].kind is MessageKind.ANNOUNCEMENT
            found.append(Takeover(address, old.mac, new.mac, new.first, overlap, is_announced))
    return found


def _tenures(claims: Sequence[NeighborMessage]) -> list[_Tenure]:
    """Return the tenures in the order in which they begin. A speaker that takes over again announces that."""
    found: list[_Tenure] = []
    newest: dict[str, _Tenure] = {}
    before = ""
    for claim in claims:
        mine = newest.get(claim.mac)
        if mine is None or (before != claim.mac and _takes_over(claim, mine)):
            mine = newest[claim.mac] = _Tenure(claim.mac, [])
            found.append(mine)
        mine.claims.append(claim)
        before = claim.mac
    return found


def _takes_over(claim: NeighborMessage, tenure: _Tenure) -> bool:
    """Return True for a claim after claims of others that begins a tenure, and does not go on with an earlier one."""
    pause = claim.frame.time - tenure.last
    return pause > _FORGOTTEN_S or (claim.kind is MessageKind.ANNOUNCEMENT and pause > _ANNOUNCEMENT_PAUSE_S)


def _shared_questions(claims: Sequence[NeighborMessage]) -> list[list[NeighborMessage]]:
    """Return the answers of several network cards to one question, for each such question."""
    found: list[list[NeighborMessage]] = []
    answers: dict[str, list[NeighborMessage]] = {}
    for claim in claims:
        if claim.kind is not MessageKind.ANSWER:
            continue
        group = answers.get(claim.asker)
        is_next = group is None or claim.frame.time - group[0].frame.time >= _QUESTION_S
        if group is None or is_next or claim.mac in {one.mac for one in group}:
            group = answers[claim.asker] = []
        group.append(claim)
        if len(group) == 2:
            found.append(group)
    return found


def _is_settled_after(moment: float, tenures: Iterable[_Tenure]) -> bool:
    """Return True when of those who answered until a moment (Unix seconds), one alone goes on to."""
    going_on = {
        tenure.mac
        for tenure in tenures
        for claim in tenure.claims
        if tenure.first <= moment < claim.frame.time and claim.kind is not MessageKind.QUESTION
    }
    return len(going_on) == 1
