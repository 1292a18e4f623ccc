"""The sizes of figures, the width of a text, labels that do not overlap, and the axis of seconds."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# A figure is drawn at each of these widths (px); a page shows the widest that fits. 320: a phone of 390 px with its
# margins. 640: a tablet of 820 px beside a sidebar. 960: a notebook of 1440 px with the file browser open.
WIDTHS = (320, 640, 960)


@dataclass(frozen=True)
class Sizes:
    """The sizes that all figures share, in px: texts, the distance of lines of text, lanes, gaps, symbols, strokes."""

    text: int = 12
    title: int = 14
    line: int = 16
    lane: int = 34
    gap: int = 8
    symbol: int = 10
    stroke: float = 1.5


SIZES = Sizes()

# Advance widths of DejaVu Sans in em: the widest of the usual sans-serif typefaces, so that a text fits in the others
_WIDTHS = {
    0.28: "ijl'|", 0.32: " \u00a0.,:;·", 0.36: "f-/\\", 0.40: "rt()[]\"", 0.53: "sz?_", 0.56: "cJLIF",
    0.62: "aeovxykTZ", 0.64: "bdghnpqu0123456789$*", 0.69: "ABEPRSXY", 0.75: "CDGHKNUV#", 0.80: "OQ&w+<>=~→←",
    0.88: "M", 0.99: "mW@%",
}  # fmt: skip
_MONOSPACE = 0.61
_WIDTH_OF = {character: width for width, characters in _WIDTHS.items() for character in characters}


def text_width(text: str, size: float = SIZES.text, *, bold: bool = False, monospace: bool = False) -> float:
    """Return the width in px that a text of `size` px needs at most, in any usual sans-serif or monospace typeface.

    >>> text_width("svc1") < text_width("svc1", bold=True) < text_width("myk8s-worker")
    True
    """
    least = _MONOSPACE if monospace else 0.0
    ems = sum(max(_WIDTH_OF.get(character) or _other_width(character), least) for character in text)
    return ems * size * (1.1 if bold else 1.0)


def _other_width(character: str) -> float:
    """Return the width of a character that is not in the table: full-width scripts fill an em, marks fill nothing."""
    if unicodedata.combining(character):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(character) in "WF" else 0.84


def wrap_text(
    text: str, width: float, size: float = SIZES.text, *, bold: bool = False, monospace: bool = False
) -> list[str]:
    """Return a text in lines of at most `width` px. A word that is wider than a line is broken; U+00A0 joins words.

    >>> wrap_text("the node is declared dead", 80)
    ['the node is', 'declared', 'dead']
    """
    lines: list[str] = []
    for word in filter(None, re.split(r"[^\S\u00a0]+", text)):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold=bold, monospace=monospace) <= width:
            lines[-1] = longer
        else:
            lines += _broken(word, width, size, bold, monospace)
    return lines


def _broken(word: str, width: float, size: float, bold: bool, monospace: bool) -> list[str]:
    pieces = [""]
    for character in word:
        longer = pieces[-1] + character
        if pieces[-1] and text_width(longer, size, bold=bold, monospace=monospace) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


@dataclass(frozen=True)
class Label:
    """A text that belongs to the point `x`: centred there, moved only as far as the edges of the figure ask for.

    `x` and `width` in px; `row`: 0 is nearest to the points.
    """

    x: float
    text: str
    width: float
    row: int = 0

    @property
    def left(self) -> float:
        """Return the left end in px."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """Return the right end in px."""
        return self.x + self.width / 2


def stack_labels(points: Sequence[tuple[float, str]], left: float, right: float) -> list[Label]:
    """Return a label for each (x, text), in rows in which no label touches another; all between `left` and `right`.

    >>> [label.row for label in stack_labels([(50, "declared dead"), (60, "NotReady"), (300, "out")], 0, 320)]
    [0, 1, 0]
    """
    rows: list[float] = []  # the right end of the last label in each row
    placed: list[Label] = []
    for x, text in sorted(points):
        width = text_width(text)
        middle = min(max(x, left + width / 2), max(right - width / 2, left + width / 2))
        start = middle - width / 2 - SIZES.gap
        row = next((row for row, end in enumerate(rows) if end <= start), len(rows))
        rows[row : row + 1] = [middle + width / 2]
        placed.append(Label(middle, text, width, row))
    return placed


NOTE_GAP = SIZES.symbol // 2 + 4  # from the middle of a symbol to its text


@dataclass(frozen=True)
class Note:
    """A symbol at `x` px in a row, and its text beside it in `lines`: right of it, or left where `is_left`.

    `row`: 0 is the first; a note of two lines takes two rows.
    """

    x: float
    lines: tuple[str, ...]
    is_left: bool
    row: int

    @property
    def text_x(self) -> float:
        """Return where the text begins, or where it ends if it is at the left of the symbol, in px."""
        return self.x - NOTE_GAP if self.is_left else self.x + NOTE_GAP

    @property
    def anchor(self) -> str | None:
        """Return the `text-anchor` of the text at `text_x`."""
        return "end" if self.is_left else None


def place_notes(points: Sequence[tuple[float, str]], left: float, right: float) -> list[Note]:
    """Return a note for each (x, text), none over another, all between `left` and `right`; `points`: in order of x.

    A later note stands below those that it would touch, so that a line may go down from each symbol.

    >>> [note.row for note in place_notes([(50, "declared dead"), (60, "NotReady"), (300, "out")], 0, 340)]
    [0, 1, 0]
    """
    placed: list[Note] = []
    ends: list[tuple[float, float, int]] = []  # left and right end of each note, and the row after it
    for x, text in points:
        rooms = right - x - NOTE_GAP, x - NOTE_GAP - left
        is_left = text_width(text) > rooms[0] and rooms[1] > rooms[0]
        lines = tuple(wrap_text(text, rooms[is_left])) or ("",)
        reach = NOTE_GAP + max(map(text_width, lines)) + SIZES.gap
        start, end = (x - reach, x + NOTE_GAP) if is_left else (x - NOTE_GAP, x + reach)
        row = max((below for from_, to, below in ends if from_ < end and to > start), default=0)
        ends.append((start, end, row + len(lines)))
        placed.append(Note(x, lines, is_left, row))
    return placed


def first_fitting(texts: Sequence[str], width: float) -> str:
    """Return the first text that fits into `width` px, or the empty one.

    >>> first_fitting(["healthy with stragglers", "healthy"], 80)
    'healthy'
    """
    return next((text for text in texts if text_width(text) <= width), "")


def name_column(names: Sequence[str], width: int) -> float:
    """Return the px at the left of a figure of `width` px that the names of its lanes need; 0: they stand above them.

    >>> name_column(["svc1", "svc2"], 320), name_column(["svc1", "svc2"], 640) > 40
    (0.0, True)
    """
    widest = max((text_width(name, bold=True) for name in names), default=0.0) + 2 * SIZES.gap
    return 0.0 if width < WIDTHS[1] or widest > width / 4 else widest


@dataclass(frozen=True)
class TimeAxis:
    """Seconds as px: `start` and `end` in seconds stand at `left` and `right` px.

    >>> axis = TimeAxis(-5, 95, left=100, right=600)
    >>> axis.x(45), axis.ticks()
    (350.0, [0.0, 20.0, 40.0, 60.0, 80.0])
    """

    start: float
    end: float
    left: float
    right: float

    def x(self, seconds: float) -> float:
        """Return the place of a moment in px; a moment outside stands at the nearer end."""
        whole = self.end - self.start
        fraction = (seconds - self.start) / whole if whole else 0.0
        return round(self.left + (self.right - self.left) * min(max(fraction, 0.0), 1.0), 1)

    def ticks(self, distance: float = 56) -> list[float]:
        """Return round numbers of seconds on the axis, at least `distance` px apart."""
        whole = self.end - self.start
        if not whole > 0:
            return [self.start]
        least = whole * distance / max(self.right - self.left, 1.0)
        power = 10.0 ** math.floor(math.log10(least))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= least)
        return [
            round(number * step, 6) for number in range(math.ceil(self.start / step), math.floor(self.end / step) + 1)
        ]

    def slices(self, px: float = 4) -> list[tuple[float, float]]:
        """Return the axis in slices of about `px` px, each as (start, end) in seconds."""
        count = max(1, round((self.right - self.left) / px))
        ends = [self.start + (self.end - self.start) * number / count for number in range(count + 1)]
        return list(pairwise(ends))
