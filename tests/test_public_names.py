"""What `import kanslib` offers: `__all__`, `dir()` and the exports name the same things."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import kanslib
from kanslib import exceptions


def test_dir_names_what_all_names() -> None:
    assert dir(kanslib) == sorted(kanslib.__all__)
    assert len(set(kanslib.__all__)) == len(kanslib.__all__)


@pytest.mark.parametrize("name", kanslib.__all__)
def test_exported_name_can_be_imported(name: str) -> None:
    code = f"from kanslib import {name} as found; assert found is not None"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_star_import_gives_all_names() -> None:
    names: dict[str, object] = {}
    exec("from kanslib import *", names)
    assert set(kanslib.__all__) <= names.keys()


def test_exceptions_are_exported() -> None:
    errors = {
        name
        for name, found in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(found, kanslib.KanslibError)
    }
    assert errors <= set(kanslib.__all__)
    assert all(getattr(kanslib, name) is getattr(exceptions, name) for name in errors)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'open_lap'"):
        kanslib.open_lap  # noqa: B018
