"""In a pseudo-language every sentence is translated, and figures have room for texts that are 40 % longer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.locale.pseudo import LANGUAGE

COMMANDS = 13  # each has a help text
_MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
_TAGS = re.compile(r"<style.*?</style>|<script.*?</script>|<[^<>]*>|&[a-z#0-9]+;", re.DOTALL)
_WORD = re.compile(r"(?<![\w/.:=-])[A-Za-z][a-z]+(?![\w/=-]|[.:]\w)")
_NAMES = {
    "kind", "Kubernetes", "mypc", "router", "worker", "bgp", "opening",  # programs, machines, recordings, moments
    "Idle", "Connect", "Established", "Ready",  # states of BGP (RFC 4271, 8.2.2); a condition of Kubernetes
    "tell", "delete", "answer", "yes", "no", "cause", "fix", "evidence",  # tcpdump, kubectl, an argument, values
}  # fmt: skip
_QUOTED = (
    "answer events",
    "answer attempts",
    "figure trace",
    "figure time_machine",
)  # logs, rules, the title of a story
_ENGLISH = re.compile(r"(?<![\w/.-])[a-z]{2,}(?: [a-z]{2,})+(?![\w/.-])")  # words in a row
# words of tools and of recordings, which no catalogue has: kube-proxy's comments, curl, logs, a story's title
_OTHERS = re.compile(
    r"kubernetes.*|(?:masquerade )?traffic.*|external destinations|forwarding rules|service (?:portals|traffic.*)|"
    r"to connect to|connect to server|network unreachable|timed out after|was reached|has failed|as failed|"
    r"no acks received|suspect timeout reached|peer confirmations|declares dead|node (?:event|addr|name)|forcing sync|"
    r"service has|announcing from node|with protocol|hold time|leader dies"
)


def environment(folder: Path) -> Mapping[str, str]:
    return {**os.environ, "KANS_LANG": LANGUAGE, "KANS_LOCALE_DIR": str(folder), "COLUMNS": "400"}


def left_in_english(text: str) -> list[str]:
    """Return the words in a row that stand outside of the marks of the pseudo-language."""
    return [words for words in _ENGLISH.findall(_outside_of_marks(text)) if not _OTHERS.fullmatch(words)]


def words_left(text: str) -> set[str]:
    """Return the single words that stand outside of the marks, and are no names."""
    return {word for word in _WORD.findall(_outside_of_marks(text)) if word not in _NAMES}


def _outside_of_marks(text: str) -> str:
    text = _TAGS.sub(" ", text)
    while (shorter := _MARKED.sub("¤", text)) != text:
        text = shorter
    return text


@pytest.fixture(scope="module")
def shown(pseudo_folder: Path) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.locale.shown"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(pseudo_folder))
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_every_sentence_is_translated(shown: dict[str, str]) -> None:
    left = {name: words for name, text in shown.items() if (words := left_in_english(text))}
    assert left == {}
    assert sum("⟦" in text for text in shown.values()) > 0.9 * len(shown)


@pytest.mark.slow
def test_every_single_word_is_translated(shown: dict[str, str]) -> None:
    left = {name: words for name, text in shown.items() if not name.startswith(_QUOTED) and (words := words_left(text))}
    assert left == {}
    assert {name for name in shown if name.startswith("widget")} >= {"widget time machine", "widget case-1"}


@pytest.mark.slow
def test_figures_have_room_for_longer_texts(shown: dict[str, str]) -> None:
    faults = {name: text for name, text in shown.items() if name.startswith("faults of")}
    assert len(faults) > 8
    assert {name: text for name, text in faults.items() if text} == {}


def test_help_is_translated(pseudo_folder: Path) -> None:
    command = [sys.executable, "-m", "kanslib", "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(pseudo_folder))
    assert ran.stdout.count("⟦") > COMMANDS
    lines = [line for line in ran.stdout.splitlines() if "completion" not in line and "--help" not in line]  # typer's
    assert left_in_english("\n".join(lines)) == []


def test_words_outside_the_marks_are_found() -> None:
    assert left_in_english("⟦á ⟦b⟧ ć⟧ no such node <b>svc1</b>") == ["no such node"]
    assert left_in_english("⟦no such ⟦node⟧ here⟧ kubectl") == []
    assert words_left("⟦á ⟦b⟧⟧ leader: <i>mypc</i> nobody, svc1, lab.map()") == {"leader", "nobody"}
