"""A pseudo-language: every message between ⟦ and ⟧, with accents, and longer by 40 %, as texts grow in translation."""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from tests.locale.gates import forms

LANGUAGE = "eo"  # one that kanslib will not ship: Babel knows its plural forms
GROWTH = 0.4
_LONG_WORD = "·" * 15 + " "
_ACCENTS = str.maketrans("aceijoruwyzACEIJORUWYZ", "áćéíĵóŕúŵýžÁĆÉÍĴÓŔÚŴÝŽ")
# what a translator keeps as well: placeholders, tags, rich's markup, code, names of options and of variables
_KEPT = re.compile(r"(\{[^{}]*\}|<[^<>]*>|\[/?[a-z ]*\]|`[^`]*`|--[a-z-]+|\b[A-Z][A-Z_]+\b|\\n)")


def pseudo(message: str) -> str:
    """Return a message in the pseudo-language.

    >>> pseudo("the leader is {name}")
    '⟦thé léádéŕ ís {name}······⟧'
    """
    parts = _KEPT.split(message)
    text = "".join(part if place % 2 else part.translate(_ACCENTS) for place, part in enumerate(parts))
    grown = max(1, round(len(message) * GROWTH) - 2)
    return f"⟦{text}{(_LONG_WORD * (grown // len(_LONG_WORD) + 1))[:grown].rstrip()}⟧"


def write_catalogue(template: Catalog, folder: Path) -> Path:
    """Write the catalogue of the pseudo-language for every message of a template, as KANS_LOCALE_DIR reads it."""
    catalog = Catalog(LANGUAGE)
    for message in template:
        texts = forms(message.id)
        if len(texts) > 1:
            catalog.add(texts, tuple(map(pseudo, texts)))
        elif message.id:
            catalog.add(texts[0], pseudo(texts[0]))
    path = folder / LANGUAGE / "LC_MESSAGES" / "kanslib.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as out:
        write_mo(out, catalog)
    return folder
