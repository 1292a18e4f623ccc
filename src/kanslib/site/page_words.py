"""Every sentence that the scripts of a page show, and how an outcome is shown. The scripts have no other words."""

from __future__ import annotations

import msgspec

from kanslib.exercises.exercise import OUTCOME_MARKS, AnswerOutcome
from kanslib.palette import GREY

WORDS_SCRIPT = "kans-words.js"
# where a form of the lab says the same, a test compares the words
WORDS = {
    "check": "Check",
    "hint": "Hint",
    "solution": "Solution",
    "write_down": "Write it down",
    "not_answered": "Not answered yet",
    "choose": "Choose one.",
    "tick": "Tick one or more.",
    "slide": "Move the slider.",
    "untouched": "not answered yet",
    "write": "Write your answer.",
    "number": "Write a number from {low} to {high}, in steps of {step}.",
    "choose_parts": "Choose the {parts}.",
    "and": " and the ",
    "nothing_chosen": "(choose)",
    "right": "✓ right",
    "not_right": "✗ not right",
    "your_prediction": "Your prediction",
    "written_down": "Written down. Now look.",
    "in_notebook": "Write this function in a notebook: this page cannot run it. Its hints and its solution are here.",
    "without_script": "Answers are checked by a script of this page, which does not run in this browser.",
    "look_first": "Ask this cluster something first. The causes come after your first query.",
    "ask": "Ask",
    "query": "your query",
    "loading": "Loading …",
    "not_loaded": "A file of this site cannot be loaded: {file}. Load the page again.",
    "chapter": "chapter {chapter}: {right} of {all} right",
    "tried": ", {wrong} tried",
    "progress": "Your progress",
    "kept": "It is kept in this browser and nowhere else.",
    "not_kept": "This browser keeps nothing for this page. Copy the token before you close it.",
    "token": "Token",
    "token_use": "A token carries your progress: lab.progress(token=\"…\") reads it in a notebook, and this page reads "
    "the one that lab.progress().token gives.",
    "make_token": "Show my token",
    "copy_token": "Copy",
    "copied": "Copied.",
    "read_token": "Read a token",
    "merged": "The token had {count} exercises. They are beside yours now.",
    "bad_token": "That is no progress token; one begins with \"kans1.\": lab.progress().token gives it.",
    "no_compression": "This browser is too old to make or to read a token.",
    "before": "◀ before",
    "before_title": "To the stop before this moment (←)",
    "next": "next ▶",
    "next_title": "To the next stop (→)",
    "seconds": "seconds",
    "at": "{seconds} s",
    "closes": "Escape closes it.",
}  # fmt: skip


def words_script() -> str:
    """Return a script that gives these words to the other scripts of a page; it stands before them."""
    return f"(globalThis.kans ??= {{}}).page = {msgspec.json.encode(page_words()).decode()};\n"


def page_words() -> dict[str, object]:
    """Return the sentences by their names, and the sign, the words and the colour of each outcome and of a guess."""
    outcomes: dict[str, tuple[str, str, str]] = {
        one.value: (mark.sign, mark.words, mark.colour) for one, mark in OUTCOME_MARKS.items()
    }
    not_tried = OUTCOME_MARKS[AnswerOutcome.NOT_TRIED]
    outcomes[AnswerOutcome.NOT_TRIED] = ("", not_tried.words, not_tried.colour)
    wrong = OUTCOME_MARKS[AnswerOutcome.WRONG]
    guesses = {
        "": ("", "no guess yet", GREY), "written": ("", "written down", GREY),
        "wrong": (wrong.sign, "not right", wrong.colour),
    }  # fmt: skip
    return {"words": WORDS, "outcomes": outcomes, "guesses": guesses}
