"""What a catalogue must not hold: a wrong placeholder, and in Korean a placeholder before a particle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from string import Formatter

from babel.messages.catalog import Catalog

from kanslib.i18n import NUMBER

# A Korean particle has two forms, by the sound before it: 은/는 이/가 을/를 과/와 으로/로 …
# A placeholder's last sound is known only when it is filled in. So another word stands between: "{name} 노드는".
_FORMS = "은 는 이 가 을 를 과 와 으로 로 이나 나 이랑 랑 이란 란 이라 라 이며 며 이고 이면 이든 든 이여 여 이야 야 아"
_IS = "였 이었 예요 이에요"  # verbs of two forms, with any ending: 였습니다, 이었지만
_APART = "은 는 을 를 과 와"  # a particle behind a space, where it does not belong
_AFTER = "는 도 만 의 서 써 부터 까지 는지 면 고 서는 서도 는데 든지 도록 며"  # what may follow a particle in one word
_MARKS = (
    r"(?:[”’\"')\]」』）》〉】`>*_…]|</[a-z]+>|\[/[a-z ]*\])*"  # closing marks between the placeholder and the particle
)
_HANGUL = "가-힣"
_PARTICLE = re.compile(
    rf"(?:\}}|\bVALUE){_MARKS}(?:(?:{'|'.join(sorted(_FORMS.split(), key=len, reverse=True))})"
    rf"(?:{'|'.join(_AFTER.split())})?(?![{_HANGUL}])|\((?:은|는|이|가|을|를|과|와|으)\)|[은는이가을를과와]\(|"
    rf"(?:{'|'.join(_IS.split())})|\s(?:{'|'.join(_APART.split())})(?![{_HANGUL}]))"
)
# what no other language can keep: an article, an ending or a part of a word at a placeholder, an “(s)” for a plural
_PLACEHOLDER = r"(?<!\{)\{\w+(?:![rs])?(?::[^{}|]*)?\}(?!\})"
_HARD = re.compile(
    rf"\b(?:an?|An?) {_PLACEHOLDER}|[A-Za-z]{_PLACEHOLDER}|{_PLACEHOLDER}(?:[A-Za-z]|['’]s\b)|\((?:s|es)\)"
)


_NUMBER = re.compile(r"1\D?234\D5")
_VERBS = re.compile(r"\{[^{}|]*\|[^{}|]*\}")


def particles_after_placeholders(text: str) -> list[str]:
    """Return each placeholder of a text that stands before a particle, with the particle.

    >>> particles_after_placeholders("{name}은 리더입니다"), particles_after_placeholders("{name} 노드는 리더입니다")
    (['}은'], [])
    """
    return [found[0] for found in _PARTICLE.finditer(text)]


def hard_to_translate(text: str) -> list[str]:
    """Return what in an English message stands so close to a placeholder that no other language can have it there.

    >>> hard_to_translate("an {kind}"), hard_to_translate("{name}'s leader"), hard_to_translate("the {kind} of {name}")
    (['an {kind}'], ["{name}'s"], [])
    """
    return [found[0] for found in _HARD.finditer(text)]


def placeholders(text: str) -> list[tuple[str, str, str]]:
    """Return the placeholders of a text: name, conversion and format, sorted. ValueError for wrong braces.

    The two verbs of a question, `{is|is not}`, are words to translate and no placeholder.
    """
    parts = Formatter().parse(text)
    return sorted(
        {(name, how or "", form or "") for _, name, form, how in parts if name is not None and "|" not in name}
    )


def verbs(text: str) -> int:
    """Return how many pairs of verbs a text has.

    >>> verbs("the packet {is|is not} a later fragment"), verbs("set {name} {{holds|does not hold}}")
    (1, 1)
    """
    return len(_VERBS.findall(text))


def forms(text: str | Sequence[str]) -> tuple[str, ...]:
    """Return a message, or the forms of one for a number of things."""
    return (text,) if isinstance(text, str) else tuple(text)


def faults(catalog: Catalog) -> Iterator[str]:
    """Return what is wrong in a catalogue, a line each."""
    for message in catalog:
        ids, strings = forms(message.id), forms(message.string or "")
        for text in filter(None, strings if message.id else ()):
            for found in particles_after_placeholders(text):
                yield f"{text!r}: a placeholder before a particle: {found}"
            try:
                differ = not set(placeholders(text)) <= {one for id_ in ids for one in placeholders(id_)}
            except ValueError as exc:
                differ = _has_braces(ids) and bool(exc)
            if ids[0] == NUMBER and not _NUMBER.fullmatch(text):
                yield f"{text!r}: expected {NUMBER} with the marks of the language alone"
            if differ or verbs(text) != verbs(ids[0]):
                yield f"{text!r}: other placeholders than {ids[0]!r}"


def _has_braces(ids: tuple[str, ...]) -> bool:
    """Return whether a message is one with placeholders: others may hold any braces."""
    try:
        return any(map(placeholders, ids))
    except ValueError:
        return False
