"""The tokens of an nftables text, and the cursor that reads them; an error names line, column and what was expected."""

from __future__ import annotations

import re
from typing import NamedTuple

from kanslib.exceptions import DumpError
from kanslib.i18n import any_of, tr

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\u00a0]+)  # a page of the web has spaces that do not break
    |(?P<comment>\#[^\n]*)
    |(?P<string>"[^"\n]*")
    |(?P<operator>[=!<>]=|<<|>>|[=!<>&|^{}(),;])
    |(?P<word>[^\s{}(),;"=!<>&^][^\s{}(),;"]*)
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """A word, a string (without its quotes) or an operator; `at`: where it begins in the text."""

    kind: str
    text: str
    at: int


class Cursor:
    """Read the tokens of a text, one after the other.

    `line` is the number of the text's first line, from 1; `text` may be a part of a whole, such as one rule.
    """

    def __init__(self, text: str, line: int = 1) -> None:
        self.text, self.line = text, line
        self._tokens: list[Token] = []
        self.comments: list[str] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise self.error_at(at, tr("a word, a string in quotes, or one of { } ( ) , ;"))
            kind = found.lastgroup or ""
            if kind == "string":
                self._tokens.append(Token(kind, found[0][1:-1], at))
            elif kind == "comment":
                self.comments.append(found[0][1:].strip())
            elif kind != "space":
                if found[0][0] in "$\\":
                    raise self.error_at(at, tr("a value: a listing has no variables, and a rule stands on one line"))
                self._tokens.append(Token(kind, found[0], at))
            at = found.end()
        self._end = Token("end", "", len(text))
        self._next = 0

    def peek(self, ahead: int = 0) -> Token:
        """Return a token that comes; one of kind `end` behind the last."""
        place = self._next + ahead
        return self._tokens[place] if place < len(self._tokens) else self._end

    def is_next(self, *texts: str, ahead: int = 0) -> bool:
        """Return whether one of these words or operators comes; a string in quotes is none."""
        token = self.peek(ahead)
        return token.kind != "string" and token.text in texts

    def take(self) -> Token:
        """Return the next token, and go on."""
        token = self.peek()
        self._next = min(self._next + 1, len(self._tokens))
        return token

    def split(self, length: int) -> None:
        """Make two tokens of the next word, which nft has printed together with what follows: `:tcp`."""
        token = self.take()
        self._next -= 1
        parts = Token("word", token.text[:length], token.at), Token("word", token.text[length:], token.at + length)
        self._tokens[self._next : self._next + 1] = parts

    def accept(self, *texts: str) -> str:
        """Return the next token's text and go on, if it is one of these; else "" and stay."""
        return self.take().text if self.is_next(*texts) else ""

    def expect(self, *texts: str) -> str:
        """Return the next token's text, which has to be one of these."""
        if not self.is_next(*texts):
            raise self.error(any_of(texts))
        return self.take().text

    def word(self, what: str, **values: object) -> str:
        """Return the next token's text, which has to be a word or a string; `what` it is, a message with `values`."""
        if self.peek().kind not in ("word", "string"):
            raise self.error(tr(what, **values))
        return self.take().text

    def number(self, what: str) -> int:
        """Return the next token as a number, decimal or hexadecimal; `what` it is, a message."""
        text = self.peek().text
        try:
            found = int(text, 16 if text.startswith("0x") else 10)
        except ValueError:
            raise self.error(tr(what)) from None
        self.take()
        return found

    def mark(self) -> int:
        """Return the present place, for `reset`."""
        return self._next

    def reset(self, mark: int) -> None:
        """Go back to a place."""
        self._next = mark

    def rest(self) -> str:
        """Return the text from the next token on, and go to the end."""
        text = self.text[self.peek().at :].strip()
        self._next = len(self._tokens)
        return text

    @property
    def at_end(self) -> bool:
        """Return whether no token comes."""
        return self._next >= len(self._tokens)

    def error(self, expected: str) -> DumpError:
        """Return the error that the next token is not what was expected."""
        return self.error_at(self.peek().at, expected)

    def error_at(self, at: int, expected: str) -> DumpError:
        """Return the error that something else was expected at a place of the text."""
        before = self.text[:at]
        start = before.rfind("\n") + 1
        shown = self.text[start:].partition("\n")[0]
        return DumpError(self.line + before.count("\n"), at - start + 1, shown or self.text, expected)
