"""A reader's progress in a page without a kernel: what its script fills in, chapter by chapter, and the token."""

from __future__ import annotations

from collections.abc import Mapping

import htpy as h
from markupsafe import Markup

from kanslib.exercises.exercise import Exercise
from kanslib.i18n import tr
from kanslib.site.page_data import inside
from kanslib.site.page_words import WORDS


def progress_html(catalog: Mapping[str, Exercise]) -> Markup:
    """Return the progress of every chapter, where it is kept, and a token to carry it to a lab and back."""
    chapters: dict[str, list[str]] = {}
    for name, exercise in catalog.items():
        chapters.setdefault(exercise.chapter, []).append(name)
    tokens = h.div(".kans-tokens", hidden=True)[
        h.p[tr(WORDS["token_use"])],
        h.div[h.button(type="button", name="make")[tr(WORDS["make_token"])]],
        h.div(".kans-own-token", hidden=True)[
            h.textarea(readonly=True, rows=3, aria_label=tr(WORDS["own_token"])),
            h.button(type="button", name="copy")[tr(WORDS["copy_token"])],
        ],
        h.label[tr(WORDS["other_token"]), h.textarea(name="token", rows=3, spellcheck="false", autocomplete="off")],
        h.div[h.button(type="button", name="read")[tr(WORDS["read_token"])]],
        h.p(".kans-token-status", role="status"),
    ]
    return Markup(
        h.div(".kans-progress", data_progress=True)[
            h.ul(".kans-chapters"),
            h.p(".kans-signs"),
            h.p(".kans-kept")[tr(WORDS["needs_script"])],
            tokens,
            inside(dict(sorted(chapters.items()))),
        ]
    )


def chapter_progress_html(catalog: Mapping[str, Exercise], chapter: str) -> Markup:
    """Return the progress of one chapter in a line, with a link to all of it."""
    names = [name for name, exercise in catalog.items() if exercise.chapter == chapter]
    return Markup(
        h.div(".kans-progress", data_progress=True)[h.ul(".kans-chapters"), h.p(".kans-all"), inside({chapter: names})]
    )
