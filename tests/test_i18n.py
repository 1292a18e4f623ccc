"""Which language texts are shown in, and what happens where a catalogue has no text, or a wrong one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from kanslib import i18n
from kanslib.cli import help_texts
from kanslib.i18n import tr, tr_later, tr_plural

TEXTS: dict[str | tuple[str, ...], str | tuple[str, ...]] = {
    "no {what}": "kein {what}",
    "{n} was {what}": "{n} {was}",
    ("{n} row", "{n} rows"): ("{n} Zeile", "{n} Zeilen"),
    "a day": "ein Tag",
}
NUMBERS: dict[str | tuple[str, ...], str | tuple[str, ...]] = {
    "1,234.5": "1.234,5", "{share:.1%} of {all:,}": "{share:.1%} von {all:,}",
    "{one}, {other}": "{one} – {other}", "{one}; {other}": "{one} / {other}",
}  # fmt: skip
BRAZILIAN: dict[str | tuple[str, ...], str | tuple[str, ...]] = {"a day": "um dia"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Catalogues of German and of Brazilian Portuguese."""
    for language, texts in (("de", TEXTS), ("pt_BR", BRAZILIAN)):
        catalog = Catalog(language)
        for one, other in (texts | (NUMBERS if language == "de" else {})).items():
            catalog.add(one, other)
        path = tmp_path / language / "LC_MESSAGES" / "kanslib.mo"
        path.parent.mkdir(parents=True)
        with path.open("wb") as out:
            write_mo(out, catalog)
    monkeypatch.setenv("KANS_LOCALE_DIR", str(tmp_path))
    return tmp_path


def test_message_in_the_language(folder: Path) -> None:
    with i18n.use("de"):
        assert (tr("no {what}", what=3), tr("a day"), tr("not translated"), tr("")) == (
            "kein 3",
            "ein Tag",
            "not translated",
            "",
        )
        assert [tr_plural("{n} row", "{n} rows", n) for n in (1, 2)] == ["1 Zeile", "2 Zeilen"]
    assert (tr("no {what}", what=3), tr_plural("{n} row", "{n} rows", 2), tr_later("a day")) == (
        "no 3",
        "2 rows",
        "a day",
    )


def test_numbers_have_the_marks_of_the_language(folder: Path) -> None:
    def shown() -> tuple[str, ...]:
        return (
            tr("{share:.1%} of {all:,}", share=0.125, all=1234567), tr("{seconds:+.1f} s {n:#06x}", seconds=2.5, n=10),
            tr("{version} {part!r}", version="1.5", part=0.5), i18n.numeral(1234.5, ",.2f"), tr("{x}", x=True),
        )  # fmt: skip

    assert shown() == ("12.5% of 1,234,567", "+2.5 s 0x000a", "1.5 0.5", "1,234.50", "True")
    with i18n.use("de"):
        assert shown() == ("12,5% von 1.234.567", "+2,5 s 0x000a", "1.5 0.5", "1.234,50", "True")
    with i18n.use("pt_BR"):  # its catalogue does not say
        assert shown()[3] == "1,234.50"


def test_lists_in_the_language(folder: Path) -> None:
    assert (i18n.listed("abc"), i18n.parted("ab"), i18n.listed([])) == ("a, b, c", "a; b", "")
    with i18n.use("de"):
        assert (i18n.listed("abc"), i18n.parted("ab")) == ("a – b – c", "a / b")


def test_translation_with_a_wrong_placeholder_is_not_shown(folder: Path) -> None:
    with i18n.use("de"):
        assert tr("{n} was {what}", n=1, what="here") == "1 was here"


def test_message_without_a_value_is_a_fault_of_the_code() -> None:
    with pytest.raises(KeyError):
        tr("no {what}", where=1)


@pytest.mark.parametrize("name", ["fr", "../de", "", "x" * 5000])
def test_unknown_language_is_english(folder: Path, name: str) -> None:
    with i18n.use(name):
        assert i18n.language() == "en"


@pytest.mark.parametrize(
    ("name", "language"), [("de", "de"), ("de_AT.UTF-8", "de"), ("de-CH", "de"), ("pt_BR", "pt_BR"), ("pt_PT", "en")]
)
def test_language_of_a_region(folder: Path, name: str, language: str) -> None:
    with i18n.use(name):
        assert i18n.language() == language


def test_use_is_of_one_thread_alone(folder: Path) -> None:
    with i18n.use("de"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(i18n.language).result() == "en"


def asked(variables: Mapping[str, str], *words: str) -> str:
    """Return the language that surroundings and a command line ask for, and a message in it."""
    names = ("KANS_LANG", "JPY_SESSION_NAME", i18n.LIST_VARIABLE, *i18n.LOCALE_VARIABLES)
    clean = {name: value for name, value in os.environ.items() if name not in names}
    with mock.patch.dict(os.environ, clean | dict(variables), clear=True):
        i18n.language_around.cache_clear()
        help_texts.choose_language(words)
        found = f"{i18n.language()} {tr('a day')}"
    i18n.language_around.cache_clear()
    return found


def notebook(path: Path, language: str) -> str:
    path.write_text(json.dumps({"cells": [], "metadata": {"kanslib": {"language": language}}}))
    return str(path)


def test_order_of_option_variable_notebook_locale(folder: Path, tmp_path: Path) -> None:
    german, english = notebook(tmp_path / "de.ipynb", "de"), notebook(tmp_path / "en.ipynb", "en")
    german_locale = {"LANG": "de_DE.UTF-8"}
    assert asked({}) == "en a day"
    assert asked({"LANG": "C"}) == "en a day"
    assert asked(german_locale) == "de ein Tag"
    assert asked({"LANGUAGE": "fr:de:en", **german_locale}) == "de ein Tag"
    assert asked({**german_locale, "LC_ALL": "en_US.UTF-8"}) == "en a day"
    assert asked({**german_locale, "JPY_SESSION_NAME": english}) == "en a day"
    assert asked({"LANG": "en_US.UTF-8", "JPY_SESSION_NAME": german}) == "de ein Tag"
    assert asked({**german_locale, "JPY_SESSION_NAME": str(tmp_path / "gone.ipynb")}) == "de ein Tag"
    assert asked({**german_locale, "JPY_SESSION_NAME": german, "KANS_LANG": "en"}) == "en a day"
    assert asked({**german_locale, "JPY_SESSION_NAME": german, "KANS_LANG": "pt_BR"}) == "pt_BR um dia"
    assert asked({"KANS_LANG": "pt_BR"}, "--lang", "de", "doctor") == "de ein Tag"
    assert asked({"KANS_LANG": "pt_BR"}, "-v", "--lang=en", "doctor") == "en a day"
    assert asked({"KANS_LANG": "pt_BR"}, "run", "--lang", "de") == "pt_BR um dia"


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "C", "LANGUAGE": "de"}, "en"),  # GNU gettext reads no LANGUAGE in the locale C
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "POSIX", "LANGUAGE": "de"}, "en"),
        ({"LANGUAGE": "de"}, "en"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "de"}, "de"),
        ({"LANG": "fr_FR.UTF-8", "LANGUAGE": "C:de"}, "en"),
        ({"LANG": "fr_FR.UTF-8", "LANGUAGE": "en_GB:de"}, "en"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr::de"}, "de"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": ""}, "de"),
        ({"LANG": "de_DE", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "", "LC_MESSAGES": "de_AT@euro"}, "de"),
        ({"KANS_LANG": "C", "LANG": "de_DE.UTF-8"}, "en"), ({"KANS_LANG": " de\n"}, "de"), ({"KANS_LANG": "DE"}, "de"),
        ({"KANS_LANG": "pt-br"}, "pt_BR"), ({"KANS_LANG": "pt-BR-x-mine"}, "pt_BR"), ({"KANS_LANG": "de:fr"}, "en"),
        ({"KANS_LANG": "  ", "LANG": "de_DE.UTF-8"}, "de"), ({"KANS_LANG": "."}, "en"), ({"KANS_LANG": "_"}, "en"),
    ],
)  # fmt: skip
def test_odd_surroundings(folder: Path, variables: dict[str, str], language: str) -> None:
    assert asked(variables).split()[0] == language


@pytest.mark.parametrize(
    ("words", "language"),
    [
        (["--lang", "de", "--lang", "en", "run"], "en"), (["--lang=en", "-v", "--lang", "de", "run"], "de"),
        (["--lang", "de", "--lang=", "run"], "pt_BR"), (["--lang", "de", "run", "--lang", "en"], "de"),
        (["--lang"], "pt_BR"), (["--", "--lang", "de"], "pt_BR"), ([], "pt_BR"),
    ],
)  # fmt: skip
def test_last_option_before_the_command_names_the_language(folder: Path, words: list[str], language: str) -> None:
    assert asked({"KANS_LANG": "pt_BR"}, *words).split()[0] == language


@pytest.mark.parametrize("language", ["xx", "C", "../de", "d" * 5000])
def test_notebook_in_a_language_without_a_catalogue_is_english(folder: Path, tmp_path: Path, language: str) -> None:
    path = notebook(tmp_path / "a.ipynb", language)
    assert asked({"LANG": "de_DE.UTF-8", "JPY_SESSION_NAME": path}) == "en a day"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"metadata": {"kanslib": {"language": 3}}}', '{"metadata": []}'])
def test_language_of_a_notebook_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    assert i18n.notebook_language(path) == ""


def kans(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command, env = [sys.executable, "-m", "kanslib", *words], {**os.environ, "COLUMNS": "120", **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_language_without_a_catalogue_is_said_once_and_answered_in_english(folder: Path) -> None:
    ran = kans("--lang", "fr", "run", "13", KANS_LANG="de")
    notice, error, *_ = ran.stderr.splitlines()
    assert notice == "kans: the language 'fr' has no catalogue, so texts are in English; there are: de · en · pt_BR"
    assert error.startswith("kans: no chapter named '13'")
    assert ran.returncode == 2


def test_locale_without_a_catalogue_is_not_worth_a_notice() -> None:
    assert "catalogue" not in kans("run", "13", LANG="fr_FR.UTF-8").stderr


def test_lab_says_that_a_language_has_no_catalogue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import kanslib

    monkeypatch.setenv("KANS_LANG", "fr")
    for _ in range(2):
        kanslib.open_lab("arp")
    assert capsys.readouterr().out.count("the language 'fr' has no catalogue") == 1


def test_lab_says_that_the_language_of_its_notebook_has_no_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import kanslib

    monkeypatch.delenv("KANS_LANG", raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", notebook(tmp_path / "a.ipynb", "nn"))
    kanslib.open_lab("arp")
    assert "the language 'nn' has no catalogue" in capsys.readouterr().out
