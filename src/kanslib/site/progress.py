"""A reader's progress in a page without a kernel: what its script fills in, chapter by chapter, and the token."""

from __future__ import annotations

from collections.abc import Mapping

import htpy as h
import msgspec
from markupsafe import Markup

from kanslib.exercises.exercise import Exercise
from kanslib.i18n import tr
from kanslib.site.forms import form_id
from kanslib.site.page_data import inside
from kanslib.site.page_words import WORDS


def progress_html(catalog: Mapping[str, Exercise], places: Mapping[str, str], titles: Mapping[str, str]) -> Markup:
    """Return the progress of every chapter, where it is kept, and a token to carry it to a lab and back.

    `places`: the address of each exercise, from the root of the site. `titles`: of each chapter.
    """
    tokens = h.div(".kans-tokens", hidden=True)[
        h.p[tr(WORDS["token_use"])],
        _button("make", tr(WORDS["make_token"])),
        h.div(".kans-own-token", hidden=True)[
            h.textarea(readonly=True, rows=3, aria_label=tr(WORDS["own_token"])),
            _button("copy", tr(WORDS["copy_token"])),
        ],
        h.label[tr(WORDS["other_token"]), h.textarea(name="token", rows=3, spellcheck="false", autocomplete="off")],
        _button("read", tr(WORDS["read_token"])),
    ]
    return Markup(
        h.div(".kans-progress", data_progress=True, data_titles=msgspec.json.encode(titles).decode())[
            h.ul(".kans-chapters"),
            h.p[tr("The questions of notebook 00q count in the chapters that explain them.")],
            h.p(".kans-signs"),
            h.p(".kans-kept")[tr(WORDS["needs_script"])],
            tokens,
            inside(_by_chapter(catalog, places)),
        ]
    )


def chapter_progress_html(catalog: Mapping[str, Exercise], chapter: str) -> Markup:
    """Return the progress of one chapter in a line, with a link to all of it."""
    return page_progress_html({name: one for name, one in catalog.items() if one.chapter == chapter})


def page_progress_html(asked: Mapping[str, Exercise]) -> Markup:
    """Return the progress in the exercises of one page, with a link to all of it."""
    chapters = _by_chapter(asked, {name: f"#{form_id(name)}" for name in asked})
    return Markup(
        h.div(".kans-progress", data_progress=True)[h.ul(".kans-chapters"), h.p(".kans-all"), inside(chapters)]
    )


def _button(name: str, words: str) -> h.Element:
    """Return a button with the place beside it for what came of it."""
    button = h.button(type="button", name=name)[words]
    return h.div[button, " ", h.span(".kans-token-status", role="status")]


def _by_chapter(catalog: Mapping[str, Exercise], places: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return where each exercise stands, chapter by chapter; empty for one that no page asks."""
    chapters: dict[str, dict[str, str]] = {}
    for name, exercise in catalog.items():
        chapters.setdefault(exercise.chapter, {})[name] = places.get(name, "")
    return dict(sorted(chapters.items()))
