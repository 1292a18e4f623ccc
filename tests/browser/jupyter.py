"""A real JupyterLab, opened by `kans lab`, seen by a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def running(directory: Path, first_port: int = 8931) -> Iterator[str]:
    """`kans lab` on a fresh copy of the chapters; gives the address it printed."""
    command = [
        sys.executable,
        "-m",
        "kanslib",
        "lab",
        "--dir",
        str(directory),
        "--no-browser",
        "--port",
        _port(first_port),
    ]
    log = directory.with_suffix(".log")
    with log.open("w") as out:
        # a theme that a test chooses is not for who runs the tests
        env = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(directory.with_suffix(".settings"))}
        lab = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, env=env)
    try:
        yield _address(log)
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(20)


def _port(first: int) -> str:
    """A port for each worker of the suite: two that look for a free one at once would find the same."""
    return str(first + 50 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))


def _address(log: Path) -> str:
    """The address that `kans lab` said, once somebody answers there."""
    for _ in range(200):
        found = re.search(r"http://\S+", log.read_text())
        if found and answers(found[0]):
            return found[0]
        time.sleep(0.3)
    raise AssertionError(f"no JupyterLab: {log.read_text()}")


def answers(address: str) -> bool:
    """Whether a server answers at an address."""
    try:
        urllib.request.urlopen(address, timeout=10).close()
    except OSError:
        return False
    return True


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


_PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(prompt => prompt.textContent)"


def run_all(page: Page, address: str, chapter: str) -> None:
    """Open a chapter in JupyterLab, run every cell, and wait until each has its number."""
    page.goto(address.replace("00-start-here", chapter) + "&reset", wait_until="load", timeout=90_000)
    wait_for_kernel(page)
    for _ in range(4):  # a kernel that is only just connecting forgets what it was asked
        page.wait_for_timeout(2000)
        click_run_all(page)
        if settled(page):
            page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 0)")
            page.wait_for_timeout(1500)
            return
    raise AssertionError(f"{chapter}: cells that did not run: {page.evaluate(_PROMPTS)}")


def wait_for_kernel(page: Page) -> None:
    """Wait until a notebook is shown and its kernel, which the status bar names, has nothing to do."""
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=90_000)
    page.get_by_text(re.compile(r"\(ipykernel\) \| Idle")).first.wait_for(timeout=90_000)


def click_run_all(page: Page) -> None:
    """Run every cell, by the menu."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def settled(page: Page) -> bool:
    """Wait until every cell has its number; False when nothing runs."""
    for _ in range(60):
        page.wait_for_timeout(500)
        prompts = page.evaluate(_PROMPTS)
        if prompts and all(re.search(r"\d", prompt) for prompt in prompts):
            return True
        if not is_running(page):
            return False
    return False


def is_running(page: Page) -> bool:
    """Whether a cell runs or has run; not so when the kernel forgot what it was asked."""
    return any(re.search(r"[*\d]", prompt) for prompt in page.evaluate(_PROMPTS))


def scroll_to(page: Page, selector: str) -> None:
    """Scroll the notebook until something that matches is in the middle of the view; fails when nothing ever is."""
    panel = "document.querySelector('.jp-WindowedPanel-outer')"
    for y in range(0, page.evaluate(f"{panel}.scrollHeight"), 400):
        page.evaluate(f"{panel}.scrollTo(0, {y})")
        page.wait_for_timeout(300)
        found = page.locator(selector)
        if found.count() and found.first.is_visible():
            found.first.evaluate("one => one.scrollIntoView({block: 'center'})")
            page.wait_for_timeout(1000)
            return
    raise AssertionError(f"nothing on the page is {selector}")


def scrolled(page: Page) -> Iterator[None]:
    """Go through a notebook from its beginning to its end, a screen at a time: only what is in view exists."""
    panel = "document.querySelector('.jp-WindowedPanel-outer')"
    y = 0
    while y < page.evaluate(f"{panel}.scrollHeight"):
        page.evaluate(f"{panel}.scrollTo(0, {y})")
        page.wait_for_timeout(500)
        yield
        y += 900


def choose_theme(page: Page, name: str) -> None:
    """A theme, by the menu."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-item", has_text=re.compile(r"^\s*Theme\s*$")).hover()
    page.locator(".lm-Menu-item", has_text=re.compile(rf"^\s*{name}\s*$")).click()
    page.wait_for_timeout(1500)


def run_from(page: Page, text: str, cells: int) -> None:
    """Run a number of cells, the first of them the one that holds a text, with Shift-Enter."""
    cell = page.locator(".jp-CodeCell", has_text=text).first
    cell.locator(".jp-InputPrompt").click()
    done = 0
    while done < cells:
        is_code = page.locator(".jp-Cell.jp-mod-active.jp-CodeCell").count() > 0
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(1500)
        done += is_code
