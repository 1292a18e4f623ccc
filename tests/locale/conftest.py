"""The template of the catalogues as the code makes it now, and the catalogue of the pseudo-language."""

from __future__ import annotations

import io
import runpy
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from tests.docs.pages import ROOT
from tests.locale.pseudo import write_catalogue


@pytest.fixture(scope="session")
def template() -> Catalog:
    made = runpy.run_path(str(ROOT / "docs" / "make_catalogue.py"))["template"]()
    return read_po(io.BytesIO(made.encode()))


@pytest.fixture(scope="session")
def pseudo_folder(template: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(template, tmp_path_factory.mktemp("locale"))
