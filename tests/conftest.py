"""What several tests need: the shipped recording, labs on it, the raw recordings where there are some."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import kanslib
from kanslib.lab import Lab
from kanslib.recording.format import Recording
from kanslib.stories import shipped

REPOSITORY = Path(__file__).parent.parent
RAW = Path(os.environ.get("KANS_RAW_RECORDINGS", REPOSITORY.parent / "shared" / "recordings"))
RAW_NAMES = ("l2", "ip-conflict", "bgp", "bgp-silent")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Live tests share one cluster: one after the other, in this process."""
    return 0 if config.option.markexpr.strip() == "live" else None


@pytest.fixture(scope="session")
def recording() -> Recording:
    return Recording.open(shipped("l2"))


@pytest.fixture
def open_lab(capsys: pytest.CaptureFixture[str]) -> Callable[..., Lab]:
    """`kanslib.open_lab` without its banner on the screen."""

    def quietly(*arguments: object, **options: object) -> Lab:
        lab = kanslib.open_lab(*arguments, **options)  # type: ignore[arg-type]
        capsys.readouterr()
        return lab

    return quietly


@pytest.fixture(scope="session")
def raw() -> Path:
    if not RAW.is_dir():
        pytest.skip(f"no raw recordings in {RAW}")
    return RAW
