"""Every sentence that the scripts of a page show, and how an outcome is shown. The scripts have no other words."""

from __future__ import annotations

import msgspec

from kanslib.exercises.exercise import OUTCOME_MARKS, AnswerOutcome
from kanslib.i18n import listed, numeral, tr, tr_later
from kanslib.palette import GREY
from kanslib.render.time_machine import SINCE_ACTION

WORDS_SCRIPT = "kans-words.js"
# where a form of the lab says the same, a test compares the words
WORDS = {
    "check": tr_later("Check"),
    "hint": tr_later("Hint"),
    "solution": tr_later("Solution"),
    "write_down": tr_later("Write it down"),
    "not_answered": tr_later("Not answered yet"),
    "choose": tr_later("Choose one."),
    "tick": tr_later("Tick one or more."),
    "slide": tr_later("Move the slider."),
    "untouched": tr_later("not answered yet"),
    "write": tr_later("Write your answer."),
    "number": tr_later("Write a number from {low} to {high}, in steps of {step}."),
    "nothing_chosen": tr_later("(choose)"),
    "right": tr_later("✓ right"),
    "not_right": tr_later("✗ not right"),
    "your_prediction": tr_later("Your prediction"),
    "written_down": tr_later("Written down. Now look."),
    "in_notebook": tr_later(
        "Write this function in a notebook: this page cannot run it. Its hints and its solution are here."
    ),
    "look_first": tr_later("Ask this cluster something first. The causes come after your first query."),
    "your_query": tr_later("(your query)"),
    "ask": tr_later("Ask"),
    "tried_before": tr_later("tried before"),
    "loading": tr_later("Loading …"),
    "not_loaded": tr_later("A file of this site cannot be loaded: {file}. Load the page again."),
    "all": tr_later("Progress in all chapters"),
    "own_token": tr_later("The line with your progress"),
    "other_token": tr_later("A line from another device"),
    "needs_script": tr_later("A script of this page shows your progress; it does not run in this browser."),
    "kept": tr_later("Your progress is kept in this browser."),
    "not_kept": tr_later("This browser keeps nothing for this page. Copy the line below before you close it."),
    "token_use": tr_later(
        "Take your progress to another device: copy this line, open “Your progress” there, and paste it. In a "
        'notebook, lab.progress(token="…") reads it, and lab.progress().token gives one.'
    ),
    "make_token": tr_later("Show the line to copy"),
    "copy_token": tr_later("Copy"),
    "copied": tr_later("Copied."),
    "read_token": tr_later("Add it to my progress"),
    "merged": tr_later("Exercises added to your progress: {count}."),
    "bad_token": tr_later("That is no line with progress: one begins with “kans1.”."),
    "no_compression": tr_later("This browser is too old to make or to read such a line."),
    "found": tr_later("Sections found: {count}."),
    "not_found": tr_later("Nothing found for “{query}”. Try one word, as it stands on the pages."),
    "before": tr_later("◀ before"),
    "before_title": tr_later("To the stop before this moment (←)"),
    "next": tr_later("next ▶"),
    "next_title": tr_later("To the next stop (→)"),
    "seconds": tr_later("seconds"),
    "since_action": SINCE_ACTION,
    "leaders_now": tr_later("Leaders now"),
    "legend": tr_later(
        "settled: nothing that the action caused is still to come. LEADER BY THE API: the node that MetalLB named "
        "last, in an event of the Service. CLIENT REMEMBERS: the node to whose MAC address the client sends. What has "
        "just changed flashes. The map follows the API at once. The path has the rules as the recording printed them "
        "last, so it can change a little later than the rules did."
    ),
    "choose_parts": tr_later("Choose: {parts}."),
    "chapter": tr_later("chapter {chapter}: {right} of {all} right"),
    "chapter_tried": tr_later("chapter {chapter}: {right} of {all} right, {wrong} not yet"),
}  # fmt: skip


def words_script() -> str:
    """Return a script that gives these words to the other scripts of a page; it stands before them."""
    return f"(globalThis.kans ??= {{}}).page = {msgspec.json.encode(page_words()).decode()};\n"


def page_words() -> dict[str, object]:
    """Return what the scripts write with.

    The sentences by their names; the sign, the words and the colour of each outcome and of a guess; the mark between
    ones and tenths, and what stands between the things of a list.
    """
    outcomes: dict[str, tuple[str, str, str]] = {
        one.value: (mark.sign, tr(mark.words), mark.colour) for one, mark in OUTCOME_MARKS.items()
    }
    not_tried = OUTCOME_MARKS[AnswerOutcome.NOT_TRIED]
    outcomes[AnswerOutcome.NOT_TRIED] = ("", tr(not_tried.words), not_tried.colour)
    wrong = OUTCOME_MARKS[AnswerOutcome.WRONG]
    guesses = {
        "": ("", tr("no guess yet"), GREY), "written": ("", tr("written down"), GREY),
        "wrong": (wrong.sign, tr("not right"), wrong.colour),
    }  # fmt: skip
    return {
        "words": {name: tr(words) for name, words in WORDS.items()}, "outcomes": outcomes, "guesses": guesses,
        "decimal_mark": numeral(0.5, ".1f")[1:-1], "list_separator": listed(["", ""]),
    }  # fmt: skip
