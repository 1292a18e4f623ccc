"""The questions of one machine for an address and the answers that it got, as lines between machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import htpy as h

from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.answer import Provenance
from kanslib.i18n import listed, numeral, tr, tr_plural
from kanslib.palette import GROUND
from kanslib.render.arp_words import MESSAGE_STYLES, PlotContext, describe_message
from kanslib.render.event_marks import short_names
from kanslib.render.figure import SIZES, Drawing, Figure, first_fitting, stack_labels, wrap_text
from kanslib.render.figure.marks import arrow, line, symbol, text
from kanslib.render.rows import Row

_MOST_DRAWN = 8  # messages in the picture; words and table have all
_MARGIN = 4
_OVER_LINES = f"paint-order:stroke;stroke:{GROUND};stroke-width:4px;stroke-linejoin:round"


def conversation(analysis: NeighborAnalysis, address: str, asker: str) -> tuple[NeighborMessage, ...]:
    """Return the questions for an address that a machine asked, and the answers to it, in order of time.

    `asker`: its IP address. An answer to another machine is left out, and so is an announcement.
    """
    kinds = (MessageKind.QUESTION, MessageKind.ANSWER)
    mine = [one for one in analysis.messages if one.address == address and one.kind in kinds]
    return tuple(one for one in mine if _asker(one) == asker)


def _asker(message: NeighborMessage) -> str:
    """Return the IP address of who asks, or of who gets the answer."""
    if message.kind is MessageKind.QUESTION:
        return message.claimed
    return message.frame.arp.target_ip if message.frame.arp else message.asker


@dataclass(frozen=True, repr=False)
class ARPConversation(Figure):
    """Each message as arrows from its sender to the machines that receive it; `answers` are those of them that answer.

    `messages`: in order of time; `address`: the one that is asked for; `asker`: who asks; `machines`: who may hear it.
    """

    messages: Sequence[NeighborMessage]
    address: str
    asker: str
    machines: Sequence[str]
    context: PlotContext
    provenance: Provenance

    @property
    def answers(self) -> list[NeighborMessage]:
        """The answers that the asker got, in order of time; each has its captured `.frame`."""
        return [message for message in self.messages if message.kind is MessageKind.ANSWER]

    @property
    def places(self) -> list[str]:
        """The machines of the picture, and who else sent a message."""
        return list(dict.fromkeys([*self.machines, self.asker, *(self._sender(one) for one in self.messages)]))

    def receivers(self, message: NeighborMessage) -> list[str]:
        """Return the machines of the picture that receive a message: all others, or one."""
        if message.is_to_all:
            return [place for place in self.places if place != self._sender(message)]
        destination = message.frame.destination_mac
        return [self.context.places.get(destination, destination) if destination else self.asker]

    def drawing(self, width: int) -> Drawing:
        """Draw a line downward for each machine and below each other the messages, each with its words above it."""
        title = tr("Who has {address}? {asker} asks", address=self.address, asker=self.asker)
        step = (width - 2 * _MARGIN) / len(self.places)
        lanes = {place: round(_MARGIN + step * (number + 0.5), 1) for number, place in enumerate(self.places)}
        names = short_names(place for place in self.machines if place != self.context.client)
        heads = stack_labels([(x, names.get(place, place)) for place, x in lanes.items()], _MARGIN, width - _MARGIN)
        rows = max(head.row for head in heads) + 1
        labels = [text(head.x, SIZES.line * (rows - head.row), head.text, "middle") for head in heads]
        y = top = SIZES.line * rows + SIZES.gap / 2
        parts: list[h.Node] = []
        for message in self.messages[:_MOST_DRAWN]:
            y = self._add_message(parts, message, lanes, y, width)
        for words in wrap_text(self._foot(), width - 2 * _MARGIN):
            y += SIZES.line
            parts.append(_words(y, words))
        lifelines = [h.g(opacity=".45")[line(x, top, x, y, "currentColor", 1, "2 4")] for x in lanes.values()]
        return Drawing(title, y + SIZES.gap, [lifelines, labels, parts])

    def _add_message(
        self, parts: list[h.Node], message: NeighborMessage, lanes: Mapping[str, float], y: float, width: int
    ) -> float:
        """Add the words of a message and its arrows below `y`; return where they end."""
        y += SIZES.gap / 2
        for words in self._label(message, width - 2 * _MARGIN):
            y += SIZES.line
            parts.append(_words(y, words))
        y += SIZES.line
        colour, shape = MESSAGE_STYLES[message.kind]
        start = lanes[self._sender(message)]
        ends = [lanes[place] for place in self.receivers(message) if place in lanes]
        parts += [arrow([(start, y), (end, y)], colour) for end in ends]
        parts.append(symbol(shape, start, y, colour, describe_message(message, self.context)))
        return y + SIZES.gap

    def _label(self, message: NeighborMessage, width: float) -> list[str]:
        """Return when a message was sent, to whom, and what it says: in one line where there is room."""
        to = tr("to all") if message.is_to_all else tr("to {place}", place=listed(self.receivers(message)))
        parts = [f"{numeral(self._seconds(message), '.2f')}\u00a0s {to}:", str(message.frame.arp or message.frame)]
        whole = first_fitting([" ".join(parts)], width)
        return [whole] if whole else [words for part in parts for words in wrap_text(part, width)]

    def _foot(self) -> str:
        if not self.messages:
            return tr("No question of {asker} for {address} was captured.", asker=self.asker, address=self.address)
        more = len(self.messages) - _MOST_DRAWN
        if more > 0:
            return tr_plural("and {n:,} more message", "and {n:,} more messages", more)
        return "" if self.answers else tr("No machine answered.")

    def describe(self) -> str:
        """Return the messages in words, one line each."""
        return "\n".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        for message in self.messages:
            yield f"{numeral(self._seconds(message), '.2f')} s {describe_message(message, self.context)}"
        if not self.answers:
            yield self._foot()

    def rows(self) -> list[Row]:
        """Return the messages, one row each: AT (seconds after the action), FROM, TO, MESSAGE and FRAME."""
        return [
            {"AT": round(self._seconds(message), 2), "FROM": self._sender(message),
             "TO": listed(self.receivers(message)), "MESSAGE": str(message.frame.arp or message.frame),
             "FRAME": message.frame.number}
            for message in self.messages
        ]  # fmt: skip

    def _seconds(self, message: NeighborMessage) -> float:
        return message.frame.time - self.context.window.zero

    def _sender(self, message: NeighborMessage) -> str:
        return self.context.places.get(message.mac, message.mac)


def _words(y: float, words: str) -> h.Element:
    """Return a line of text that is readable over the lines of the machines."""
    return h.g(style=_OVER_LINES)[text(_MARGIN, y, words)]
