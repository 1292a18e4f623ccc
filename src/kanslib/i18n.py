"""Translate every text that kanslib shows by the catalogue of the chosen language; English needs none.

A message is a whole sentence in English with named placeholders, and its own key in the catalogues (GNU gettext). The
language is that of `use` or `choose` (`kans --lang`), else of KANS_LANG, of the notebook, of the locale, else English.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import cache, reduce
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import NullTranslations
    from pathlib import Path

ENGLISH = "en"
DOMAIN = "kanslib"
VARIABLE = "KANS_LANG"
FOLDER_VARIABLE = "KANS_LOCALE_DIR"  # a folder with further catalogues: LANGUAGE/LC_MESSAGES/kanslib.mo
_SHIPPED = os.path.join(os.path.dirname(__file__), "locale")
LIST_VARIABLE = "LANGUAGE"  # of GNU gettext: languages in order, with colons
LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set names the locale (locale(7))
_NO_LANGUAGE = ("C", "POSIX")  # locales whose messages are those of the programs, in English; LANGUAGE is not read
_LARGEST_NOTEBOOK = 32 << 20  # characters

_chosen: ContextVar[str] = ContextVar("kanslib_language", default="")


def tr(message: str, /, **values: object) -> str:
    """Return a message in the chosen language, with `values` in the place of its placeholders.

    `message`: a literal, so that it can be extracted; `{name}` and `{name:.1f}` as for `str.format`. Without values
    braces stay. Raises KeyError for a placeholder without a value.

    >>> tr("{node} is down since {moment:.0f} s", node="worker", moment=3.0)
    'worker is down since 3 s'
    """
    language = _chosen.get() or language_around()
    translated = message if language == ENGLISH or not message else _translations(language, _folder()).gettext(message)
    return _fill(translated, message, values) if values else translated


def tr_plural(one: str, many: str, n: int, /, **values: object) -> str:
    """Return the message for a number of things, `n`, which is the placeholder `{n}`; languages differ in their forms.

    >>> tr_plural("{n} row", "{n} rows", 1), tr_plural("{n} row", "{n:,} rows", 1000)
    ('1 row', '1,000 rows')
    """
    language, english = _chosen.get() or language_around(), one if n == 1 else many
    translated = english if language == ENGLISH else _translations(language, _folder()).ngettext(one, many, n)
    return _fill(translated, english, {"n": n, **values})


def tr_later(message: str, /) -> str:
    """Return a message as it is: mark a constant for the catalogues, which `tr` translates where it is shown."""
    return message


def all_of(things: Iterable[str]) -> str:
    """Return things side by side in a sentence.

    >>> all_of(["ORIGIN", "AS_PATH", "NEXT_HOP"])
    'ORIGIN and AS_PATH and NEXT_HOP'
    """
    return _joined(things, lambda one, other: tr("{one} and {other}", one=one, other=other))


def any_of(things: Iterable[str]) -> str:
    """Return things of which one is enough, in a sentence.

    >>> any_of(["icmp", "tcp"])
    'icmp or tcp'
    """
    return _joined(things, lambda one, other: tr("{one} or {other}", one=one, other=other))


def listed(things: Iterable[str]) -> str:
    """Return things in a row.

    >>> listed(["svc1", "svc2", "svc3"])
    'svc1, svc2, svc3'
    """
    found = list(map(str, things))
    return tr("{one}, {other}", one="", other="").join(found) if len(found) > 1 else "".join(found)


def parted(things: Iterable[str]) -> str:
    """Return parts of a sentence in a row, which may have commas of their own.

    >>> parted(["svc1: healthy", "svc2: dark, then healthy"])
    'svc1: healthy; svc2: dark, then healthy'
    """
    found = list(map(str, things))  # a trace parts the effects of every rule: most have one or none
    return tr("{one}; {other}", one="", other="").join(found) if len(found) > 1 else "".join(found)


def in_turn(things: Iterable[str]) -> str:
    """Return things that follow one another in time, in a sentence.

    >>> in_turn(["node a", "nobody", "node b"])
    'node a, then nobody, then node b'
    """
    return _joined(things, lambda one, other: tr("{one}, then {other}", one=one, other=other))


def _joined(things: Iterable[str], join: Callable[[str, str], str]) -> str:
    found = list(things)
    return reduce(join, found) if found else ""


class Words(StrEnum):
    """Words that a value stands for: `str()` and f-strings show them in the chosen language.

    `.value`, comparisons and what is stored stay English. A member is marked with `tr_later`.
    """

    def __str__(self) -> str:
        return tr(self.value)

    def __format__(self, spec: str) -> str:
        return format(tr(self.value), spec)


NUMBER = tr_later("1,234.5")  # its translation has the marks with which a language writes numbers


def numeral(value: float, form: str) -> str:
    """Return a number in a form of `format`, with the marks of the language: those of the message `1,234.5`.

    >>> numeral(1234.5, ",.2f")
    '1,234.50'
    """
    return format(value, form).translate(_marks(_chosen.get() or language_around(), _folder()))


@cache
def _marks(name: str, folder: str) -> dict[int, str]:
    """Return what stands in a language in place of the comma and of the point of a number; nothing for the same."""
    sample = "" if name == ENGLISH else _translations(name, folder).gettext(NUMBER)
    head, thousands, tail = sample[:1], sample[1:-5], sample[-5:]
    if (head, tail[:3], tail[4:]) != ("1", "234", "5") or sample == NUMBER:
        return {}
    return {ord(","): thousands, ord("."): tail[3]}


def _fill(translated: str, message: str, values: dict[str, object]) -> str:
    """Fill the placeholders in; a translation with a wrong one is not shown."""
    try:
        if marks := _marks(_chosen.get() or language_around(), _folder()):
            return _filled(translated, values, marks)
        return translated.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError):
        return message.format(**values)


def _filled(translated: str, values: dict[str, object], marks: dict[int, str]) -> str:
    from string import Formatter

    class Numbers(Formatter):
        def format_field(self, value: object, format_spec: str) -> str:
            text = format(value, format_spec)
            return text.translate(marks) if isinstance(value, int | float) else text

    return Numbers().vformat(translated, (), values)


def language() -> str:
    """Return the language in which texts are shown: `en`, or that of a catalogue."""
    return _chosen.get() or language_around()


@contextmanager
def use(name: str) -> Iterator[None]:
    """Show texts in a language within a `with` block of this thread; English where it has no catalogue."""
    token = _chosen.set(_catalogue_of(name) or ENGLISH)
    try:
        yield
    finally:
        _chosen.reset(token)


def choose(name: str) -> None:
    """Show texts in a language from now on, in every thread of this process and in the processes that it starts."""
    os.environ[VARIABLE] = name
    language_around.cache_clear()


def missing_language() -> str:
    """Return the language that `kans --lang`, KANS_LANG or the notebook names, if it has no catalogue; else nothing."""
    wanted = _named_language()
    return wanted if wanted and not _catalogue_of(wanted) else ""


def _named_language() -> str:
    """Return the language that KANS_LANG names, where `kans --lang` stands as well, else the notebook; may be empty."""
    notebook = os.environ.get("JPY_SESSION_NAME", "")  # Jupyter names the notebook of a kernel
    of_notebook = notebook_language(notebook) if notebook.endswith(".ipynb") else ""
    return os.environ.get(VARIABLE, "").strip() or of_notebook


def _languages_of_locale() -> list[str]:
    """Return the languages that the locale names, in order, as GNU gettext does; none for the locale C."""
    locale = next(filter(None, map(os.environ.get, LOCALE_VARIABLES)), "C")
    return [] if locale in _NO_LANGUAGE else (os.environ.get(LIST_VARIABLE) or locale).split(":")


def missing_language_words(name: str) -> str:
    """Return what a person is told whose language has no catalogue."""
    return tr(
        "the language {name!r} has no catalogue, so texts are in English; there are: {known}",
        name=name[:40],
        known=" · ".join(languages()),
    )


def languages() -> list[str]:
    """Return the languages that texts can be shown in."""
    found = {ENGLISH}
    for folder in filter(os.path.isdir, (_folder(), _SHIPPED)):
        found |= {name for name in os.listdir(folder) if os.path.exists(_file(folder, name))}
    return sorted(found)


def notebook_language(notebook: str | Path) -> str:
    """Return the language in which a notebook is written, as its metadata say (`kanslib.language`); empty without."""
    import json

    try:
        with open(notebook, encoding="utf-8") as file:
            text = file.read(_LARGEST_NOTEBOOK + 1)
        found = json.loads(text)["metadata"]["kanslib"]["language"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


@cache
def language_around() -> str:
    """Return the language that the surroundings of this process ask for."""
    if wanted := _named_language():
        return _catalogue_of(wanted) or ENGLISH
    return next(filter(None, map(_catalogue_of, _languages_of_locale())), ENGLISH)


def _catalogue_of(name: str) -> str:
    """Return the language whose catalogue serves a name: `ko` also serves `ko_KR.UTF-8` and `ko-KR`; empty for none.

    Upper and lower case are one (RFC 5646, 2.1.1); of `zh_Hans_CN` also `zh_Hans` and `zh` are tried.
    """
    tag = name.strip().partition(".")[0].partition("@")[0].replace("-", "_")
    if tag in _NO_LANGUAGE:
        return ENGLISH
    known, parts = {one.lower(): one for one in languages()}, tag.lower().split("_")
    shorter = ("_".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((known[one] for one in shorter if one in known), "")


def _folder() -> str:
    return os.environ.get(FOLDER_VARIABLE, "")


def _file(folder: str, name: str) -> str:
    return os.path.join(folder, name, "LC_MESSAGES", f"{DOMAIN}.mo")


@cache
def _translations(name: str, further: str) -> NullTranslations:
    """Return the catalogue of a language, which is read once. `further`: the folder of KANS_LOCALE_DIR."""
    import gettext

    for folder in (further, _SHIPPED):
        if os.path.exists(_file(folder, name)):
            return gettext.translation(DOMAIN, folder, [name])
    return gettext.NullTranslations()
