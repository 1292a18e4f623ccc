"""docs/licences.md names each direct dependency once, with the licence of what is installed."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = {"kanslib": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
ROW = re.compile(r"^\| (?!library)(\S+) \| (.+) \| (\S+) \|$", re.MULTILINE)
LISTED = {name: (extras, licence) for name, extras, licence in ROW.findall((ROOT / "docs" / "licences.md").read_text())}
INSTALLED = sorted(LISTED.keys() & {distribution.name.lower() for distribution in metadata.distributions()})


def test_licences_list_has_every_direct_dependency() -> None:
    required = {
        (re.split(r"[><=;\[ ]", requirement)[0], extra)
        for extra, requirements in REQUIRED.items()
        for requirement in requirements
    }
    assert {(name, extra) for name, (extras, _) in LISTED.items() for extra in re.findall(r"\w+", extras)} == required


@pytest.mark.parametrize("name", INSTALLED)
def test_licence_is_the_installed_one(name: str) -> None:
    licence = LISTED[name][1]
    stated = metadata.metadata(name)
    if "License-Expression" in stated:
        # a wheel may bring libraries under others, or be under one of several
        assert licence in re.split(" AND | OR ", stated["License-Expression"])
        return
    files = [
        file.read_text() for file in metadata.files(name) or () if re.search(r"licen[cs]e", file.name, re.IGNORECASE)
    ]
    texts = [*stated.get_all("License", []), *stated.get_all("Classifier", []), *files]
    assert re.search(rf"\b{licence.partition('-')[0]}\b", "\n".join(texts))


def test_licences_gpl_is_never_in_the_core() -> None:
    assert LISTED["scapy"] == ("`live`, `test`", "GPL-2.0-only")
    assert not [name for name, (extras, licence) in LISTED.items() if "kanslib" in extras and "GPL" in licence]
