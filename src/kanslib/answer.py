"""What every answer of a lab shares: its words, its HTML, and its provenance (the line that says where it is from)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import htpy as h
from markupsafe import Markup

from kanslib.i18n import numeral, tr, tr_later
from kanslib.k8s.logs import readable_line, timestamp_of
from kanslib.palette import BLUE, GROUND, VERMILLION, bar_style

# The chip has a line of its own, so that it covers nothing. Pointed at it becomes the whole line, over the first lines
# of the answer; tapped or reached with the Tab key, it moves the answer down. A page that drops styles shows both.
_CHIP_STYLE = f"""
.kans-provenance{{position:relative;height:18px}}
.kans-provenance>small{{position:absolute;top:0;right:0;z-index:2;box-sizing:border-box;max-width:100%;padding:0 .6em;\
font-size:11px;line-height:16px;border:1px solid;border-radius:9px;opacity:.75;cursor:help}}
.kans-provenance b{{font-weight:normal}}
.kans-provenance>small>span{{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}}
.kans-provenance>small:is(:hover,:focus){{opacity:1;background:{GROUND}}}
.kans-provenance>small:is(:hover,:focus)>b{{display:none}}
.kans-provenance>small:is(:hover,:focus)>span{{position:static;clip-path:none;width:auto;height:auto}}
.kans-provenance:focus-within{{height:auto;min-height:18px}}
.kans-provenance>small:focus{{position:relative;display:block;width:fit-content;margin-left:auto}}
"""

Source = Literal["live", "recorded", "simulated"]
_SOURCE_WORDS: dict[Source, str] = {
    "live": tr_later("live"), "recorded": tr_later("recorded"), "simulated": tr_later("simulated")
}  # fmt: skip


def source_words(source: Source) -> str:
    """Return who answers, in the chosen language."""
    return tr(_SOURCE_WORDS[source])


def utc(moment: float) -> str:
    """Return a moment (Unix seconds) as `2026-11-23 07:09:02 UTC`.

    >>> utc(1795417742.6)
    '2026-11-23 07:09:02 UTC'
    """
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))


@dataclass(frozen=True)
class Freshness:
    """How a recorded output relates to the moment that was asked for.

    `offset`: by how many seconds it was recorded later (negative: earlier); 0 for too few to mention. `outdated_by`:
    the action (or `the traffic`) that was done after it; empty for an output that tells of the moment itself.
    `is_repeat`: True when the same output answered before.

    >>> print(" · ".join(Freshness(-12.2, "kill-node").notes))
    recorded 12 s earlier · from before kill-node
    """

    offset: float = 0.0
    outdated_by: str = ""
    is_repeat: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the freshness in words; empty for an output of the moment itself."""
        distance = ""
        if self.offset > 0:
            distance = tr("recorded {seconds:.0f} s later", seconds=self.offset)
        elif self.offset:
            distance = tr("recorded {seconds:.0f} s earlier", seconds=-self.offset)
        outdated = tr("from before {action}", action=self.outdated_by) if self.outdated_by else ""
        repeat = tr("again: the same recorded answer") if self.is_repeat else ""
        return tuple(note for note in (distance, outdated, repeat) if note)


@dataclass(frozen=True)
class Provenance:
    """Who answered, for which moment, with which versions, and notes about the answer.

    `moment` is in Unix seconds; `after` names the last moment of the story that the answer comes after.
    `requested` is the backend that was asked, where it may be another one. `fallback_reason` says why a recording
    answers in its place; else it is empty.

    >>> print(Provenance("recorded", 1795417845.0, "apply-services", "MetalLB v0.14.8"))
    recorded 2026-11-23 07:10:45 UTC · after apply-services · MetalLB v0.14.8
    """

    source: Source
    moment: float
    after: str
    versions: str
    notes: tuple[str, ...] = ()
    fallback_reason: str = ""
    requested: Source | None = None
    freshness: Freshness = Freshness()

    @property
    def checkable(self) -> bool:
        """Return whether the requested backend answered; a fallback's answer must not feed a check."""
        return not self.fallback_reason

    def __str__(self) -> str:
        place_in_story = [] if self.after == "opening" else [tr("after {moment}", moment=self.after)]
        why = (
            tr(
                "NOT {requested}: {fallback_reason}",
                requested=source_words(self.requested).upper(),
                fallback_reason=self.fallback_reason,
            )
            if self.requested and self.fallback_reason
            else ""
        )
        head = [*filter(None, [why]), f"{source_words(self.source)} {utc(self.moment)}", *place_in_story, self.versions]
        return " · ".join([*head, *self.freshness.notes, *self.notes])

    @property
    def is_replacement(self) -> bool:
        """Return whether another backend answers than the one that was asked."""
        return self.requested not in (None, self.source)

    def html(self) -> Markup:
        """Return a chip for the corner of an answer: the whole line when it is pointed at, or has the focus.

        Where another backend answers than the one that was asked, the whole line stands there at once.
        """
        if self.is_replacement:
            return Markup(h.small[str(self)])
        source = () if self.freshness.offset else (source_words(self.source),)  # "recorded 12 s earlier" names it
        label = " · ".join((*source, *self.freshness.notes))
        chip = h.small(tabindex=0, role="note")[h.b(aria_hidden="true")[label], " ", h.span[str(self)]]
        return Markup(h.fragment[h.style[Markup(_CHIP_STYLE)], h.div(".kans-provenance")[chip]])

    @property
    def style(self) -> str:
        """Return the CSS of an answer: a bar at its left where another backend answers than the one that was asked."""
        return bar_style(VERMILLION if self.fallback_reason else BLUE) if self.is_replacement else ""

    def with_notes(self, *notes: str) -> Provenance:
        """Return the same provenance with further notes; empty notes are left out."""
        return replace(self, notes=(*self.notes, *(note for note in notes if note)))


class Printer(Protocol):
    """IPython's pretty printer, as far as answers use it."""

    def text(self, text: str) -> None:
        """Write text."""


class Answer:
    """The base of everything that a lab draws or tabulates.

    A subclass has words (`describe()`) and HTML (`body_html()`); a notebook shows the HTML below the provenance, a
    terminal shows the words. `provenance` is None for what no cluster answered, such as progress.
    """

    provenance: Provenance | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # IPython asks class by class: a `__repr__` or `str` that stands nearer would be printed in place of the answer
        if "_repr_pretty_" not in cls.__dict__:
            cls._repr_pretty_ = cls._repr_pretty_  # type: ignore[method-assign]

    def describe(self) -> str:
        """Return the answer in words."""
        raise NotImplementedError

    def body_html(self) -> Markup:
        """Return the answer as HTML, without its provenance."""
        raise NotImplementedError

    def _repr_html_(self) -> Markup:
        if self.provenance is None:
            return Markup(h.div[self.body_html()])
        head, style = self.provenance.html(), self.provenance.style
        return Markup(h.div(".kans-answer", style=style)[head, self.body_html()])

    def _repr_pretty_(self, printer: Printer, _cycle: bool) -> None:
        head = f"# {self.provenance}\n" if self.provenance else ""
        printer.text(head + self.describe())


class Text(str, Answer):
    r"""A `str` with a provenance: the output of a command, or a log up to the moment of the lab's clock.

    >>> text = Text("one\ntwo\nthree", Provenance("recorded", 1795417845.0, "opening", "MetalLB v0.14.8"))
    >>> text.matching("^t").splitlines()
    ['two', 'three']
    """

    provenance: Provenance
    action_time: float | None
    empty_because: str

    def __new__(
        cls,
        content: str,
        provenance: Provenance,
        action_time: float | None = None,
        empty_because: str = "",
    ) -> Self:
        """Return the text with its provenance.

        `action_time`: of the last action before it (Unix seconds). `empty_because`: what is shown in place of no text.
        """
        text = super().__new__(cls, content)
        text.provenance, text.action_time = provenance, action_time
        text.empty_because = empty_because or tr("nothing was printed")
        return text

    def matching(self, pattern: str, since_action: bool = False) -> Text:
        """Return the lines in which the regular expression `pattern` is found, as a Text.

        `since_action=True` keeps the lines from the last action on, writes the seconds since it in front, and shortens
        JSON log lines to their message and fields. Raises `re.error` for an invalid pattern.
        """
        search = re.compile(pattern).search
        lines = [line for line in self.splitlines() if search(line)]
        if since_action:
            start = self.action_time if self.action_time is not None else float("-inf")
            stamped = [(timestamp_of(line), line) for line in lines]
            lines = [
                f"{numeral(moment - start, '+8.1f')} s  {readable_line(line)}"
                if self.action_time is not None
                else readable_line(line)
                for moment, line in stamped
                if moment is not None and moment >= start
            ]
        why = self.empty_because
        if self and since_action:
            why = tr("no line since the last action matches {pattern!r}", pattern=pattern)
        elif self:
            why = tr("no line matches {pattern!r}", pattern=pattern)
        return Text("\n".join(lines), self.provenance, self.action_time, why)

    def section(self, start: str) -> Text:
        """Return the block from the line that matches `start` to the next two blank lines or the end."""
        found = re.search(rf"(?ms)^{start}.*?(?=\n\n\n|\Z)", self)
        section = found[0].rstrip("\n") if found else ""
        return Text(section, self.provenance, self.action_time, tr("no line matches {pattern!r}", pattern=start))

    def describe(self) -> str:
        """Return the text itself, as a plain str."""
        return str(self)

    def body_html(self) -> Markup:
        """Return the text in a box that scrolls sideways."""
        style = "margin:.2em 0;white-space:pre;overflow-x:auto"
        return Markup(h.pre(".kans-text", tabindex=0, role="group", aria_label=tr("text"), style=style)[self._shown()])

    def _repr_pretty_(self, printer: Printer, _cycle: bool) -> None:
        printer.text(f"# {self.provenance}\n{self._shown()}")

    def _shown(self) -> str:
        return str(self) or tr("(none: {why})", why=self.empty_because)
