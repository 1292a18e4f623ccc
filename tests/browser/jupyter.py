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
def running(directory: Path) -> Iterator[str]:
    """`kans lab` on a fresh copy of the chapters; gives the address it printed."""
    command = [sys.executable, "-m", "kanslib", "lab", "--dir", str(directory), "--no-browser", "--port", "8931"]
    lab = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        assert lab.stdout is not None
        for line in lab.stdout:
            if found := re.search(r"http://\S+", line):
                _wait_for(found[0])
                yield found[0]
                return
        raise AssertionError("kans lab ended without saying its address")
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(20)


def _wait_for(address: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(address, timeout=10).close()
        except OSError:
            time.sleep(0.3)
        else:
            return
    raise AssertionError(f"nothing answers at {address}")


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
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=90_000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(state="attached", timeout=90_000)
    for _ in range(4):  # a kernel that is only just connecting forgets what it was asked
        page.wait_for_timeout(2000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        for _ in range(60):
            page.wait_for_timeout(500)
            prompts = page.evaluate(_PROMPTS)
            if prompts and all(re.search(r"\d", prompt) for prompt in prompts):
                page.wait_for_timeout(1500)
                return
            if not any("*" in prompt or re.search(r"\d", prompt) for prompt in prompts):
                break
    raise AssertionError(f"{chapter}: cells that did not run: {prompts}")
