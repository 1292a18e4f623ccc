"""What several tests need: the shipped recording, labs on it, the raw recordings and labs on those."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import kanslib
from kanslib.course.recordings import shipped
from kanslib.lab.lab import Lab
from kanslib.lab.learning import kernel_predictions
from kanslib.recording import Recording
from kanslib.recording.raw.convert import Labels, convert
from tests.types import OpenLab, OpenReference

RAW = Path(__file__).parent / "data" / "reference-raw.tar.xz"
RAW_NAMES = ("l2", "ip-conflict", "bgp", "bgp-silent")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail when a test was skipped")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What compares with the reference recording is slow: the default part compares with the shipped one."""
    for item in items:
        fixtures, call = getattr(item, "fixturenames", ()), getattr(item, "callspec", None)
        uses_reference = "raw" in fixtures or (call and "reference_recording" in call.params.values())
        if uses_reference and not any(item.get_closest_marker(part) for part in ("kernel", "kernel_long", "peers")):
            item.add_marker("slow")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With --no-skips, what could not be tested is no success."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.option.no_skips and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Live tests share one cluster: one after the other, in this process."""
    return 0 if config.option.markexpr.strip() == "live" else None


@pytest.fixture(scope="session", autouse=True)
def nobodys_progress(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test writes what a learner has done."""
    path = tmp_path_factory.mktemp("progress") / "progress.json"
    os.environ["KANS_PROGRESS"] = str(path)
    return path


@pytest.fixture(autouse=True)
def nothing_was_tried(nobodys_progress: Path) -> None:
    """No hint or try of the test before counts in this one."""
    nobodys_progress.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def no_guess_waits() -> Iterator[None]:
    """No query of the next test scores a guess of this one: guesses wait in the process, for whichever lab is asked."""
    kernel_predictions.cache_clear()
    yield
    kernel_predictions.cache_clear()


@pytest.fixture(scope="session")
def recording() -> Recording:
    return Recording.open(shipped("l2"))


@pytest.fixture
def open_lab(capsys: pytest.CaptureFixture[str]) -> OpenLab:
    """`kanslib.open_lab` without its banner on the screen."""

    def quietly(*arguments: object, **options: object) -> Lab:
        lab = kanslib.open_lab(*arguments, **options)  # type: ignore[arg-type]
        capsys.readouterr()
        return lab

    return quietly


@pytest.fixture(scope="session")
def reference(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw recordings, which no recorder of ours has made, as one recording: the truth beside the one that ships."""
    out = tmp_path_factory.mktemp("reference") / "reference.zip"
    labels = Labels("The course on kind", {"kind": "v0.24.0"}, ("a stand-in",))
    convert([raw / name for name in RAW_NAMES], out, labels)
    return out


@pytest.fixture(scope="session")
def reference_recording(reference: Path) -> Recording:
    return Recording.open(reference)


@pytest.fixture
def open_reference(reference: Path, open_lab: OpenLab) -> OpenReference:
    """A lab on the reference recording."""
    return lambda story: open_lab(story, recording=reference)


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those that ship with the tests, unpacked; $KANS_RAW_RECORDINGS names a folder of others."""
    if others := os.environ.get("KANS_RAW_RECORDINGS"):
        return Path(others)
    folder = tmp_path_factory.mktemp("raw")
    with tarfile.open(RAW) as archive:
        archive.extractall(folder, filter="data")
    return folder
