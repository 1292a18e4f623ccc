"""binder/constraints.txt pins what pyproject.toml asks for; tests/browser/test_binder.py installs it."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterable

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.docs.pages import PROJECT, ROOT

BINDER = ROOT / "binder"
PINS = [line for line in (BINDER / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
ASKED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["lab"]]
installed_by_conda: Callable[[str], Iterable[str]] = runpy.run_path(
    str(ROOT / "docs" / "make_constraints.py"), run_name="constraints"
)["installed_by_conda"]
MAKE = "run: python docs/make_constraints.py"


def test_constraints_pin_one_version_of_each_package() -> None:
    assert [pin for pin in PINS if not re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin)] == []
    names = [pin.partition("==")[0] for pin in PINS]
    assert sorted(set(names)) == names


@pytest.mark.parametrize("asked", ASKED)
def test_constraints_agree_with_pyproject(asked: str) -> None:
    requirement = Requirement(asked)
    pinned = dict(pin.split("==") for pin in PINS)
    version = pinned.get(canonicalize_name(requirement.name))
    assert version, MAKE
    assert requirement.specifier.contains(version), MAKE


def test_binder_takes_a_python_of_the_project() -> None:
    version = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    assert SpecifierSet(PROJECT["requires-python"]).contains(Version(version))
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_binder_installs_the_course_with_its_constraints() -> None:
    lines = (BINDER / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-c constraints.txt", "./[lab]"]


def test_conda_lock_read_as_constraints() -> None:
    lock = """\
# platform: linux-64
@EXPLICIT
https://conda.anaconda.org/conda-forge/linux-64/_libgcc_mutex-0.1-conda_forge.tar.bz2#d7c89558
https://conda.anaconda.org/conda-forge/noarch/tzdata-2025b-h78e105d_0.conda#42220727
https://conda.anaconda.org/conda-forge/linux-64/libjpeg-9e-h0b41bf4_3.conda#0123
https://conda.anaconda.org/conda-forge/noarch/ipython_pygments_lexers-1.1.1-pyhd8ed1ab_0.conda#bd80ba06
https://conda.anaconda.org/conda-forge/noarch/nbconvert-core-7.16.6-pyh29332c3_0.conda#d24beda1
https://conda.anaconda.org/conda-forge/noarch/python-json-logger-2.0.7-pyhd8ed1ab_0.conda#a61bf9ec
"""
    assert list(installed_by_conda(lock)) == [
        "ipython_pygments_lexers==1.1.1", "nbconvert==7.16.6", "python-json-logger==2.0.7",
    ]  # fmt: skip
