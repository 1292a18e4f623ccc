"""The loss of a node in eight settings as one figure: protocol, traffic policy and how the node goes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import htpy as h

from kanslib.analysis.node_loss import NodeLoss, Setting
from kanslib.answer import Provenance, source_words
from kanslib.i18n import listed, numeral, tr, tr_later
from kanslib.metallb.expected_outage import Death, Policy, Protocol
from kanslib.render.figure import SIZES, WIDTHS, Drawing, Figure, wrap_text
from kanslib.render.figure.marks import box, text
from kanslib.render.outage_comparison import BAR, lost_bar, lost_words
from kanslib.render.rows import Columns, Row, Rows, Whole

if TYPE_CHECKING:
    from kanslib.render.tables import Table

COLUMNS = Columns(
    (
        "PROTOCOL", "POLICY", "NODE", "LOST SECONDS", "95 %", "EXPECTED", "DARK", "PARTLY", "BECAUSE", "SOURCE",
        "ACTION", "PROVENANCE",
    ),
    wide=("ACTION", "PROVENANCE"), bars={"LOST SECONDS": Whole.LARGEST},
)  # fmt: skip
_PROTOCOLS, _POLICIES, _DEATHS = (get_args(choice) for choice in (Protocol, Policy, Death))
_PROTOCOL_WORDS: dict[Protocol, str] = {"layer 2": tr_later("layer 2"), "BGP": "BGP"}
_DEATH_WORDS: dict[Death, str] = {"killed": tr_later("node killed"), "silent": tr_later("node silent")}
_CELL = BAR + 3 * SIZES.line + 2 * SIZES.gap  # px high: the lost seconds, a bar, who says so, what is expected
_EVENLY_DASHED = "5 4"


@dataclass(frozen=True, repr=False)
class NodeLosses(Figure):
    """What the loss of a node costs a Service in each setting, a cell for each.

    `losses`: of some settings or of all. `empty_because`: why there is none. A cell of a recording has a whole border,
    one of the simulator a dashed one; each has a provenance of its own, the figure has none.
    """

    service: str
    losses: Sequence[NodeLoss]
    empty_because: str
    provenance: Provenance | None = None

    def drawing(self, width: int) -> Drawing:
        """Draw a panel for each protocol: its policies below each other, its ways to go side by side."""
        title = tr("Seconds that {service} loses when a node is lost", service=self.service)
        if not self.losses:
            lines = wrap_text(self.describe(), width - 2 * SIZES.gap)
            words = [text(SIZES.gap, SIZES.line * place, one) for place, one in enumerate(lines, 1)]
            return Drawing(title, SIZES.line * len(lines) + SIZES.gap, words)
        panels = [one for one in _PROTOCOLS if any(loss.scenario.protocol == one for loss in self.losses)]
        is_beside = width >= WIDTHS[1]
        panel_width = (width - SIZES.gap) / 2 if is_beside else width
        high = SIZES.line * (2 + len(_POLICIES)) + len(_POLICIES) * (_CELL + SIZES.gap) + SIZES.gap
        parts: list[h.Node] = []
        for place, protocol in enumerate(panels):
            left = place * (panel_width + SIZES.gap) if is_beside else 0.0
            parts += self._panel(protocol, left, 0.0 if is_beside else place * high, panel_width)
        return Drawing(title, high * (1 if is_beside else len(panels)), parts)

    def describe(self) -> str:
        """Return what the figure shows, in sentences."""
        return "\n".join(map(_sentence, self.losses)) or tr("(none: {why})", why=self.empty_because)

    def rows(self) -> Rows:
        """Return a row for each setting, in the order of the figure."""
        return [_row(one) for one in self.losses]

    @property
    def table(self) -> Table:
        """The rows behind the figure; ACTION and PROVENANCE are among its columns, and not shown."""
        from kanslib.render.tables import Table

        return Table.from_rows(self.rows(), self.provenance, COLUMNS, empty_because=self.empty_because)

    def _panel(self, protocol: Protocol, left: float, top: float, width: float) -> Iterator[h.Node]:
        cell_width = (width - 3 * SIZES.gap) / len(_DEATHS)
        lefts = [left + SIZES.gap + place * (cell_width + SIZES.gap) for place in range(len(_DEATHS))]
        holds = {one.scenario.hold for one in self.losses if one.scenario.protocol == protocol == "BGP"}
        name = tr(_PROTOCOL_WORDS[protocol])
        title = tr("{protocol}, hold time {hold:g} s", protocol=name, hold=min(holds)) if holds else name
        y = top + SIZES.line
        yield text(left + SIZES.gap, y, title, bold=True, size=SIZES.title)
        y += SIZES.line
        for x, death in zip(lefts, _DEATHS, strict=True):
            yield text(x + SIZES.gap, y, tr(_DEATH_WORDS[death]), bold=True)
        for policy in _POLICIES:
            y += SIZES.line
            yield text(left + SIZES.gap, y, tr("policy {policy}", policy=policy))
            y += SIZES.gap / 2
            for x, death in zip(lefts, _DEATHS, strict=True):
                yield from self._cell((protocol, policy, death), x, y, cell_width)
            y += _CELL + SIZES.gap / 2

    def _cell(self, setting: Setting, x: float, y: float, width: float) -> Iterator[h.Node]:
        loss = next((one for one in self.losses if one.setting == setting), None)
        is_recorded = loss is not None and loss.provenance.source == "recorded"
        yield box(x, y, width, _CELL, dash=None if is_recorded else _EVENLY_DASHED)
        inner, room = x + SIZES.gap, width - 2 * SIZES.gap
        if loss is None:
            yield text(inner, y + SIZES.line, tr("not observed"))
            return
        longest = max(one.seconds for one in self.losses)
        yield text(inner, y + SIZES.line, lost_words(loss.seconds), bold=True)
        yield from lost_bar(loss.dark, loss.partly, inner, y + SIZES.line + 6, room / (longest or 1.0), room)[0]
        below = y + SIZES.line + 6 + BAR + SIZES.line
        yield text(inner, below, source_words(loss.provenance.source))
        yield text(inner, below + SIZES.line, tr("expected {expected}", expected=_expected(loss)))


def _sentence(loss: NodeLoss) -> str:
    protocol, policy, death = loss.setting
    lost = lost_words(loss.seconds)
    if loss.dark and loss.partly:
        lost = tr("{lost} ({dark:.1f} dark, {partly:.1f} partly dark)", lost=lost, dark=loss.dark, partly=loss.partly)
    return tr(
        "{protocol}, policy {policy}, {death}: {lost}, {source}; expected {expected}.",
        protocol=tr(_PROTOCOL_WORDS[protocol]),
        policy=policy,
        death=tr(_DEATH_WORDS[death]),
        lost=lost,
        source=source_words(loss.provenance.source),
        expected=_expected(loss),
    )


def _expected(loss: NodeLoss) -> str:
    return tr("no end") if math.isinf(loss.expected) else f"{numeral(loss.expected, '.1f')} s"


def _row(loss: NodeLoss) -> Row:
    protocol, policy, death = loss.setting
    low, high = loss.interval
    causes = Counter(one.reason.cause for one in loss.outage.failures(loss.service) if one.reason)
    return {
        "PROTOCOL": protocol, "POLICY": policy, "NODE": death,
        "LOST SECONDS": loss.seconds, "95 %": f"{numeral(low, '.1f')}–{numeral(high, '.1f')}",
        "EXPECTED": loss.expected,
        "DARK": loss.dark, "PARTLY": loss.partly,
        "BECAUSE": listed(f"{kind} ×{count}" for kind, count in causes.most_common()),
        "SOURCE": loss.provenance.source, "ACTION": loss.action, "PROVENANCE": str(loss.provenance),
    }  # fmt: skip
