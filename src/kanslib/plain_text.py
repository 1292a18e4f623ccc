"""Text of others as it can be shown: without characters that move a cursor, colour a terminal or hide other text."""

from __future__ import annotations

import re

# C0 and C1 controls without tab and newline; marks of direction and of zero width; separators of lines; surrogates
_UNSHOWN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def escape_controls(text: str) -> str:
    r"""Return a text with its control characters as escapes of Python; tabs and newlines stay.

    >>> escape_controls("\x1b[31mred\u202e")
    '\\x1b[31mred\\u202e'
    """
    return _UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str, longest: int = 200) -> str:
    r"""Return a text as one line of at most `longest` characters, without control characters.

    >>> one_line("two\nlines"), one_line("a long name", 8)
    ('two\\nlines', 'a long …')
    """
    line = escape_controls(text[: longest + 1]).replace("\n", "\\n").replace("\t", "\\t")
    return line if len(line) <= longest else f"{line[: longest - 2].rstrip()} …"
