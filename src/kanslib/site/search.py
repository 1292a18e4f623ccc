"""How the text of a page becomes the terms of the search: words, or for Hangul pairs of syllables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.search import SearchLanguage

_HANGUL = re.compile("([가-힣]+)")
# the same as `split_hangul`, for a query: of two syllables or more only the pairs
_JS_SPLITTER = r"""
var splitQuery = query => (query.match(/[\p{Letter}\p{Number}_]+/gu) || [])
  .flatMap(word => word.split(/([가-힣]+)/u).filter(Boolean))
  .flatMap(part => /^[가-힣]{2,}$/u.test(part)
    ? Array.from({length: part.length - 1}, (_, at) => part.slice(at, at + 2))
    : [part])
"""


def hangul_pairs() -> type[SearchLanguage]:
    """Return the search of Korean: a pair of neighbouring syllables is a term, so a noun is found with any particle.

    Other scripts are split into words. Sphinx has a search of its own for the other languages.
    """
    from sphinx.search import SearchLanguage

    class HangulPairs(SearchLanguage):
        lang = "ko"
        language_name = "Korean"
        js_splitter_code = _JS_SPLITTER

        def split(self, input: str) -> list[str]:  # noqa: A002 (Sphinx's name)
            return list(split_hangul(input))

    return HangulPairs


def split_hangul(text: str) -> Iterator[str]:
    """Yield the terms of a text. A single syllable is a term as well, since a query may be one.

    >>> list(split_hangul("Pod가 리더를 잃으면"))
    ['Pod', '가', '리', '더', '를', '리더', '더를', '잃', '으', '면', '잃으', '으면']
    """
    for word in re.findall(r"\w+", text):
        for part in filter(None, _HANGUL.split(word)):
            if _HANGUL.fullmatch(part):
                yield from part
                yield from (part[at : at + 2] for at in range(len(part) - 1))
            else:
                yield part
