"""The help texts of `kans` in the chosen language, and the language that a command line asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kanslib import i18n
from kanslib.cli.terminal import print_error
from kanslib.i18n import tr

OPTION = "--lang"
_OF_A_COMMAND = ("help", "short_help", "epilog")
_OF_A_PARAMETER = ("help", "rich_help_panel")


def choose_language(words: Sequence[str]) -> None:
    """Show texts in the language of `--lang` before the command, and say so where there is no catalogue for it.

    `words`: the command line without its name. It is read before typer does, which shows help texts while it reads.
    """
    if wanted := _wanted_language(words):
        i18n.choose(wanted)
    if missing := i18n.missing_language():
        print_error(i18n.missing_language_words(missing))


def _wanted_language(words: Sequence[str]) -> str:
    """Return what `--lang` names before the command; of several the last one, as with every option."""
    wanted, left = "", iter(words)
    for word in left:
        if word == OPTION:
            wanted = next(left, "")
        elif word.startswith(f"{OPTION}="):
            wanted = word.partition("=")[2]
        elif word == "--" or not word.startswith("-"):
            break
    return wanted


def translate(command: object) -> None:
    """Translate the help texts of a command of typer, of its parameters and of its commands, where they stand."""
    for _name, one, field in _fields(command, ""):
        setattr(one, field, tr(getattr(one, field)))


def texts(command: object) -> Iterator[tuple[str, str]]:
    """Return every help text of a command, of its parameters and of its commands, each with the command's name."""
    for name, one, field in _fields(command, "kans"):
        yield name, getattr(one, field)


def _fields(command: object, name: str) -> Iterator[tuple[str, object, str]]:
    """Return what holds a text, as (command, object, attribute); parts that typer adds have texts of its own."""
    for field in _OF_A_COMMAND:
        if getattr(command, field, None):
            yield name, command, field
    for parameter in getattr(command, "params", ()):
        if parameter.name in ("install_completion", "show_completion", "help"):
            continue
        for field in _OF_A_PARAMETER:
            if getattr(parameter, field, None):
                yield f"{name} {parameter.name}", parameter, field
    for inner, one in getattr(command, "commands", {}).items():
        yield from _fields(one, f"{name} {inner}".strip())
