"""Who asked, answered and announced, by ARP and neighbor discovery, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import htpy as h

from kanslib.analysis.neighbor_cache import NeighborUpdate
from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.answer import Provenance
from kanslib.i18n import numeral, tr, tr_later, tr_plural
from kanslib.palette import PURPLE, VERMILLION
from kanslib.render.arp_words import (
    MESSAGE_STYLES,
    PlotContext,
    count_messages,
    describe_message,
    neighbor_entries,
    sentences,
)
from kanslib.render.event_marks import short_names
from kanslib.render.figure import SIZES, Drawing, Figure, TimeAxis, first_fitting, text_width, wrap_text
from kanslib.render.figure.marks import band, line, symbol, text, time_axis, time_axis_height, time_grid
from kanslib.render.rows import Row

if TYPE_CHECKING:
    from kanslib.render.interactive import InteractiveFigure

_ENTRY = tr_later("neighbor entry")
_SYMBOL_PX = 4  # messages of one kind that are nearer to each other are one symbol
_MOST_TITLES = 8  # of one symbol


@dataclass(frozen=True, repr=False)
class ARPTimeline(Figure):
    """The messages about each address, and what the client remembered; `plotly()` is the same, to hover and to zoom.

    `analysis`: the messages; `updates`: the changes of the client's neighbor cache.
    """

    analysis: NeighborAnalysis
    updates: Sequence[NeighborUpdate]
    context: PlotContext
    provenance: Provenance

    def drawing(self, width: int) -> Drawing:
        """Draw a block for each address: the client's neighbor entry as a bar, then a lane for each kind of message.

        Time is seconds after the action. An announcement has the name of its sender beside it.
        """
        window, messages = self.context.window, self._messages()
        heads = [tr(_ENTRY), *(_count(kind, mine) for found in messages.values() for kind, mine in found.items())]
        column = max(text_width(head) for head in heads) + 2 * SIZES.gap
        axis = TimeAxis(window.start - window.zero, window.end - window.zero, column, width - SIZES.gap)
        layers, lines = _Layers(axis, self.context), list[h.Node]()
        for address, by_kind in messages.items():
            layers.add_address(address, width - 2 * SIZES.gap)
            top = layers.y
            layers.add_entries(list(neighbor_entries(self.updates, address, self.context)))
            for kind, mine in by_kind.items():
                layers.add_messages(kind, mine)
            lines += [*time_grid(axis, top, layers.y), line(axis.x(0), top, axis.x(0), layers.y, VERMILLION, 1, "4 3")]
        title = tr("seconds after {action}", action=window.action)
        foot = list(time_axis(axis, layers.y, layers.y, title))
        height = layers.y + time_axis_height(axis, title)
        return Drawing(
            tr("ARP and neighbor discovery around {action}", action=window.action), height, [lines, foot, layers.parts]
        )

    def describe(self) -> str:
        """Return what the figure shows, in sentences."""
        return "\n".join(sentences(self.analysis, self.updates, self.context)) or tr(
            "No message about these addresses."
        )

    def rows(self) -> list[Row]:
        """Return the messages, in order."""
        zero, addresses = self.context.window.zero, self.context.services
        return [
            {"AT": round(message.frame.time - zero, 2), "ADDRESS": message.address, "KIND": str(message.kind),
             "WHAT": describe_message(message, self.context)}
            for message in self.analysis.messages
            if message.address in addresses
        ]  # fmt: skip

    def plotly(self) -> InteractiveFigure:
        """Return the same as a plotly figure, to hover over and to zoom."""
        from kanslib.render import interactive

        return interactive.arp_timeline(self.analysis, self.updates, self.context)

    def _messages(self) -> dict[str, dict[MessageKind, list[NeighborMessage]]]:
        """Return the messages about each address by their kind; no address and no kind without a message."""
        return {
            address: {kind: found for kind in MESSAGE_STYLES if (found := [m for m in mine if m.kind is kind])}
            for address in self.context.services
            if (mine := [message for message in self.analysis.messages if message.address == address])
        }


@dataclass
class _Layers:
    """The figure as it grows downward: `y` is where the next lane begins."""

    axis: TimeAxis
    context: PlotContext
    y: float = 0.0
    parts: list[h.Node] = field(default_factory=list)

    def add_address(self, address: str, width: float) -> None:
        """Write the name of a Service and its address above its lanes."""
        service = self.context.services[address]
        self.y += SIZES.gap
        for words in wrap_text(address if service == address else f"{service} {address}", width, bold=True):
            self.parts.append(text(SIZES.gap, self.y + SIZES.text, words, bold=True))
            self.y += SIZES.line
        self.y += SIZES.gap / 2

    def add_entries(self, entries: Sequence[tuple[float, float, str]]) -> None:
        """Draw the client's entries for an address as bars, each with its holder inside."""
        if not entries:
            return
        self._write_head(tr(_ENTRY))
        short = short_names(self.context.places.values())
        for start, end, holder in entries:
            x1, x2 = (self.axis.x(moment - self.context.window.zero) for moment in (start, end))
            title = tr("{client} sends to {holder}", client=self.context.client, holder=holder)
            self.parts.append(band(x1, self.y, max(x2 - 1, x1), SIZES.line, PURPLE, 0.22, title))
            names = [title, tr("to {holder}", holder=holder), holder, short.get(holder, "")]
            if words := first_fitting(names, x2 - x1 - SIZES.gap):
                self.parts.append(text(x1 + SIZES.gap / 2, self.y + SIZES.text, words))
        self.y += SIZES.line + 2

    def add_messages(self, kind: MessageKind, messages: Sequence[NeighborMessage]) -> None:
        """Draw the messages of one kind, with their sender's name where the kind tells who claims the address."""
        self._write_head(_count(kind, messages))
        colour, shape = MESSAGE_STYLES[kind]
        places = [
            (x * _SYMBOL_PX, list(found))
            for x, found in groupby(messages, lambda one: round(self._x(one) / _SYMBOL_PX))
        ]
        middle = self.y + SIZES.line / 2
        for x, found in places:
            self.parts.append(symbol(shape, x, middle, colour, self._titles(found)))
        if kind in (MessageKind.ANNOUNCEMENT, MessageKind.OBJECTION):
            ends = [*(x for x, _ in places[1:]), self.axis.right + SIZES.gap]
            for (x, found), end in zip(places, ends, strict=True):
                holder = self._holder(found[-1])
                if first_fitting([holder], end - x - 2 * SIZES.gap - 2):
                    self.parts.append(text(x + SIZES.gap + 1, middle + 4, holder))
        self.y += SIZES.line

    def _write_head(self, words: str) -> None:
        self.parts.append(text(self.axis.left - SIZES.gap, self.y + SIZES.text, words, "end"))

    def _x(self, message: NeighborMessage) -> float:
        return self.axis.x(message.frame.time - self.context.window.zero)

    def _holder(self, message: NeighborMessage) -> str:
        return self.context.places.get(message.mac, message.mac)

    def _titles(self, messages: Sequence[NeighborMessage]) -> str:
        zero = self.context.window.zero
        titles = [
            f"{numeral(message.frame.time - zero, '+.2f')} s {describe_message(message, self.context)}"
            for message in messages[:_MOST_TITLES]
        ]
        left = len(messages) - _MOST_TITLES
        more = [tr_plural("and {n} more", "and {n:,} more", left)] if left > 0 else []
        return "\n".join([*titles, *more])


def _count(kind: MessageKind, messages: Sequence[NeighborMessage]) -> str:
    return count_messages(kind, len(messages))
