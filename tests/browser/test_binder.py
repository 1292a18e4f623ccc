"""The repository on Binder: a clean clone, built in the steps of repo2docker, and opened as a learner opens it.

repo2docker's steps for these files (repo2docker/buildpacks/python, base.py, 2026-08): Python of binder/runtime.txt;
`pip install --no-cache-dir -r binder/requirements.txt` in the root of the repository, which is also the home of the
user; binder/postBuild, made executable; no binder/start. Its own environment, which conda installs first, is not made
here: pip installs the same versions.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page

from kanslib.repository import REPOSITORY
from tests.docs.pages import ROOT

from . import jupyter

pytestmark = [
    pytest.mark.binder,
    pytest.mark.skipif(not jupyter.CHROMIUM and not os.environ.get("CI"), reason="no Chromium on this machine"),
]
CHAPTER = "notebooks/en/00q-fifteen-minutes.ipynb"
VERSION = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
MOST_MEGABYTES = 500
MOST_SECONDS_TO_FIRST_OUTPUT = 90


@dataclass(frozen=True)
class Build:
    """A built repository: the home of its user, the Python environment, and the variables of its processes."""

    home: Path
    environment: Path
    variables: Mapping[str, str]

    def run(self, *command: str) -> str:
        """Run a command as a step of the build does, and return its output."""
        ran = subprocess.run(
            command, cwd=self.home, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout
        return ran.stdout


def clone(home: Path) -> None:
    """Clone the tree as the next commit has it: neither ignored files nor those of an installation."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    origin = home.with_name("origin")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, origin / name)
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    for command in (
        ("git", "init", "-q", "."),
        ("git", "add", "."),
        ("git", *identity, "commit", "-q", "-m", "all"),
        ("git", "clone", "-q", str(origin), str(home)),
    ):
        subprocess.run(command, cwd=origin, check=True)


def python() -> str:
    """Return a Python of the version that Binder takes."""
    installed = Path.home().glob(f".pyenv/versions/{VERSION}*/bin/python")
    for one in filter(None, [shutil.which(f"python{VERSION}"), shutil.which("python3"), *map(str, installed)]):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        ran = subprocess.run([one, "-c", code], capture_output=True, text=True, check=False)
        if ran.stdout.strip() == VERSION:
            return one
    pytest.skip(f"no Python {VERSION} on this machine")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("binder")
    home, environment = folder / "home", folder / "environment"
    clone(home)
    subprocess.run([python(), "-m", "venv", str(environment)], check=True)
    foreign = re.compile(r"PYTHON|VIRTUAL_ENV|KANS_|JUPYTER|JPY_|PYTEST|XDG_")
    variables = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    path = os.pathsep.join([str(environment / "bin"), variables["PATH"]])
    built = Build(home, environment, {**variables, "HOME": str(home), "PATH": path, "PYTHONUNBUFFERED": "1"})
    began = time.monotonic()
    built.run(str(environment / "bin" / "pip"), "install", "--no-cache-dir", "-r", "binder/requirements.txt")
    (home / "binder" / "postBuild").chmod(0o755)
    print(f"\npip: {time.monotonic() - began:.0f} s")
    print(built.run("./binder/postBuild"))
    print(f"built: {time.monotonic() - began:.0f} s")
    return built


def installed(build: Build) -> dict[str, str]:
    """Return the version of each package of the environment, without pip's own and ours."""
    found = json.loads(
        build.run(str(build.environment / "bin" / "pip"), "list", "--format=json", "--disable-pip-version-check")
    )
    return {normal(one["name"]): one["version"] for one in found if one["name"] not in ("pip", "kanslib")}


def normal(name: str) -> str:
    """Return the name of a package as an index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_binder_installs_what_is_pinned_and_nothing_else(build: Build) -> None:
    lines = (ROOT / "binder" / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert installed(build) == pinned


def test_binder_environment_is_small(build: Build) -> None:
    assert not {"scapy", "kubernetes", "pytest", "ruff"} & installed(build).keys()
    packages = next((build.environment / "lib").glob("python*/site-packages"))
    sizes = {
        one.name: sum(file.stat().st_size for file in [one, *one.rglob("*")] if file.is_file()) / 1e6
        for one in packages.iterdir()
    }
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:12]
    print(f"\n{sum(sizes.values()):.0f} MB:", ", ".join(f"{name} {size:.0f}" for name, size in largest))
    assert sum(sizes.values()) < MOST_MEGABYTES


@pytest.fixture(scope="module")
def session(build: Build) -> Iterator[tuple[str, float]]:
    """A server as Binder starts it; the address of the chapter in it, and when it was started (monotonic seconds)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = parse_qs(urlsplit(REPOSITORY.binder(CHAPTER)).query)["urlpath"][0]
    base = "/user/somebody-course-x1y2z3/"
    command = [
        str(build.environment / "bin" / "jupyter"), "lab", "--ip=127.0.0.1", f"--port={port}", "--no-browser",
        "--allow-root", "--IdentityProvider.token=secret", f"--ServerApp.base_url={base}", "--ServerApp.port_retries=0",
    ]  # fmt: skip
    variables = {**build.variables, "BINDER_REPO_URL": REPOSITORY.url, "BINDER_LAUNCH_HOST": "https://mybinder.org/"}
    began = time.monotonic()
    with (build.home.with_name("server.log")).open("w") as log:
        server = subprocess.Popen(
            command, cwd=build.home, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}{base}{where}?token=secret"
        for _ in range(300):
            if jupyter.answers(f"http://127.0.0.1:{port}{base}api"):
                break
            time.sleep(0.2)
        yield address, began
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def run_until_first_output(page: Page) -> None:
    """Run every cell, and again where a kernel that was only just connecting forgot it; wait for the first output."""
    shown = page.locator(".jp-CodeCell .jp-OutputArea-output")
    for _ in range(4):
        jupyter.click_run_all(page)
        page.wait_for_timeout(500)
        while jupyter.is_running(page) and not shown.count():
            page.wait_for_timeout(100)
        if shown.count():
            return
    raise AssertionError("no cell of the notebook runs")


@pytest.fixture(scope="module")
def page(session: tuple[str, float]) -> Iterator[Page]:
    """The chapter after Run All, once its first output is on the page."""
    address, began = session
    with jupyter.chromium() as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        times = {"server": time.monotonic() - began}
        page.goto(address, wait_until="load", timeout=90_000)
        jupyter.wait_for_kernel(page)
        times["notebook"] = time.monotonic() - began
        run_until_first_output(page)
        times["first output"] = time.monotonic() - began
        assert jupyter.settled(page)
        times["all cells"] = time.monotonic() - began
        print("\nseconds from the start of the server:", {name: round(one, 1) for name, one in times.items()})
        assert times["first output"] < MOST_SECONDS_TO_FIRST_OUTPUT
        yield page


def test_binder_opens_the_chapter_and_runs_it(build: Build, page: Page) -> None:
    jupyter.scroll_to(page, ".jp-OutputArea:has-text('EXTERNAL-IP')")
    page.keyboard.press("Control+s")
    page.wait_for_timeout(2000)
    cells = json.loads((build.home / CHAPTER).read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert len(outputs) > 10
    assert [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"] == []


def test_binder_offers_the_progress_token(page: Page) -> None:
    jupyter.scroll_to(page, ".kans-banner:has-text('Binder deletes this machine')")
    jupyter.scroll_to(page, ".kans-token")
    assert re.fullmatch(r'lab\.progress\("kans1\.[\w-]+"\)', page.locator(".kans-token").inner_text())


def test_binder_has_no_link_that_opens_binder(page: Page) -> None:
    for _ in jupyter.scrolled(page):
        assert page.locator("a[href*='mybinder.org/v2']").count() == 0
        assert page.get_by_text("Open in Binder").count() == 0
