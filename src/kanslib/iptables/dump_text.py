"""The text around and of a dump as it reaches us: encodings, byte order marks, and lines that a terminal wrapped."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from kanslib.exceptions import DumpError
from kanslib.i18n import tr

_MARKS = {
    codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be",
}  # fmt: skip
_BEGINS = re.compile(
    r"\s*(?:$|#|\*\w|COMMIT\s*$|:\S+ (?:ACCEPT|DROP|QUEUE|REJECT|-)(?:\s|$)|(?:\[\d+:\d+\]\s+)?-[AIRD]\s|-[NXFZP]\s)"
)
# 32 MiB are the rules of about 20,000 Services. Read, they take up to six times as much memory.
LARGEST_TEXT = 32 << 20  # characters
MOST_LINES = 400_000
_LONG_NUMBER = re.compile(r"\d{4300}")  # Python reads no longer one (sys.set_int_max_str_digits)
LONGEST_LINE = 10_239  # characters; iptables-restore 1.8 takes what is behind them for another line
_NARROWEST = 40  # columns of a terminal that somebody reads


def decode(data: bytes) -> str:
    """Return the text of a file: UTF-8, or UTF-16 of either byte order as PowerShell's `>` writes it; without its mark.

    A byte that is no UTF-8 is kept as a surrogate (PEP 383).

    >>> decode("*nat".encode("utf-16"))
    '*nat'
    """
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="surrogateescape" if encoding == "utf-8" else "replace")
    half = len(data[:400]) // 2
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if half and data[start:400:2].count(0) > half * 0.9:
            return data.decode(encoding, errors="replace")
    return data.decode(errors="surrogateescape")


def check_size(text: str | bytes) -> None:
    """Raise DumpError for a text that is larger than the rules of any machine."""
    if len(text) > LARGEST_TEXT:
        raise DumpError(
            1,
            1,
            "",
            tr(
                "at most {largest_text:,} characters of rules, not {number:,}",
                largest_text=LARGEST_TEXT,
                number=len(text),
            ),
        )


def split_lines(text: str, longest: int) -> list[str]:
    """Return the lines of a text. DumpError for more than rules have, or for one of more than `longest` characters."""
    check_size(text)
    if (count := text.count("\n")) > MOST_LINES:
        raise DumpError(
            MOST_LINES,
            1,
            "",
            tr("at most {most_lines:,} lines of rules, not {count:,}", most_lines=MOST_LINES, count=count),
        )
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > longest:
            raise DumpError(
                number,
                longest + 1,
                "",
                tr("a line of at most {longest:,} characters, not {number:,}", longest=longest, number=len(line)),
            )
        if len(line) > 4300 and (found := _LONG_NUMBER.search(line)):
            raise DumpError(number, found.start() + 1, "", tr("a number of fewer digits"))
    return lines


def unwrap(lines: Sequence[str]) -> list[str] | None:
    """Return the lines of a dump that was copied from a terminal, each rule whole again; None where none was wrapped.

    A terminal breaks a line at its width; an editor or a mail program breaks it between two words. The further lines of
    a rule become empty, so that every line keeps its number.
    """
    whole = [line.removesuffix("\r") for line in lines]
    inside = _lines_of_tables(whole)
    rests = [at for at in inside if not _BEGINS.match(whole[at])]
    width = max((len(whole[at - 1]) for at in rests), default=0)
    if width < _NARROWEST or any(len(whole[at]) > width for at in inside):
        return None
    # a blank at the break is lost, so such a line is shorter by one or two
    is_terminal = all(len(whole[at - 1]) >= width - 2 for at in rests)
    if not is_terminal and any(len(whole[at - 1]) + 1 + len(whole[at].split()[0]) <= width for at in rests):
        return None  # the next word had room: nothing has wrapped this line
    for at in reversed(rests):
        blanks = width - len(whole[at - 1]) if is_terminal else 1
        if len(whole[at]) > LONGEST_LINE:
            return None  # no rule is so long
        whole[at - 1 : at + 1] = [whole[at - 1] + " " * blanks + whole[at], ""]
    return whole


def _lines_of_tables(lines: Sequence[str]) -> list[int]:
    """Return the numbers (from 0) of the lines between `*TABLE` and COMMIT."""
    found, is_open = [], False
    for number, line in enumerate(lines):
        if line.startswith("*"):
            is_open = True
        elif line.strip() == "COMMIT":
            is_open = False
        elif is_open:
            found.append(number)
    return found
