"""The programs that show a notebook: JupyterLab, Notebook 7, nbclassic, and a static page without a network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import nbformat
from nbconvert import HTMLExporter
from nbformat.sign import NotebookNotary
from playwright.sync_api import Browser, Page

from tests.browser import jupyter

THEMES = ("light", "dark")
HEIGHT = 2400  # of the window, in px: a figure has to be in it whole to be photographed


@dataclass(frozen=True)
class Selectors:
    """Where a program puts code cells and outputs, and which element scrolls."""

    cells: str = ".jp-CodeCell"
    outputs: str = ".jp-OutputArea-output"
    scroller: str = "html"


class Frontend:
    """A program with one chapter open, in a theme and a width that can be changed."""

    selectors = Selectors()

    def __init__(self, page: Page) -> None:
        self.page = page

    def show(self, theme: str, width: int) -> None:
        """Change theme and width, and wait until the page has settled."""
        self.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.set_theme(theme)
        self.page.wait_for_timeout(700)

    def set_theme(self, theme: str) -> None:
        raise NotImplementedError


class StaticPage(Frontend):
    """What nbconvert writes, opened from the disk while there is no network."""

    def __init__(self, page: Page, pages: Mapping[str, Path]) -> None:
        super().__init__(page)
        self._pages = pages
        page.context.set_offline(True)

    def set_theme(self, theme: str) -> None:
        self.page.goto(self._pages[theme].as_uri())


def _settle(page: Page) -> None:
    """Wait until no output is added and no widget is still to come; a widget hides what stands for it on paper."""
    before = None
    for _ in range(60):
        page.wait_for_timeout(1000)
        now = page.evaluate(
            "[document.querySelectorAll('*').length, document.body.textContent.includes('Loading widget')]"
        )
        if now == before and not now[1]:
            return
        before = now


_NO_SIDEBARS = """
for (const side of ["left", "right"]) {
  jupyterapp.shell[side === "left" ? "collapseLeft" : "collapseRight"]()
  if (jupyterapp.shell.isSideTabBarVisible(side)) jupyterapp.shell.toggleSideTabBarVisibility(side)
}
"""


class JupyterLab(Frontend):
    """JupyterLab as `kans lab` opens it; in a narrow window without its sidebars."""

    selectors = Selectors(scroller=".jp-WindowedPanel-outer")

    def show(self, theme: str, width: int) -> None:
        if width < 600:
            self.page.evaluate(_NO_SIDEBARS)
        super().show(theme, width)

    def set_theme(self, theme: str) -> None:
        name = "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"
        self.page.evaluate("name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)


class Notebook7(JupyterLab):
    """Notebook 7, which draws outputs as JupyterLab does."""

    def show(self, theme: str, width: int) -> None:
        Frontend.show(self, theme, width)


class Classic(Frontend):
    """nbclassic. It has no dark theme: its page stays white, also where the system is dark."""

    selectors = Selectors(cells=".code_cell", outputs=".output_subarea", scroller="#site")

    def set_theme(self, theme: str) -> None:
        pass


class Server:
    """A running `kans lab` that opens executed notebooks in each program."""

    def __init__(self, address: str, directory: Path, data: Path) -> None:
        self._base, self._token = address.partition("/lab/tree")[0], address.partition("token=")[2]
        self._directory, self._data = directory, data

    @contextmanager
    def open(self, browser: Browser, name: str, notebook: nbformat.NotebookNode) -> Iterator[Frontend]:
        """Open an executed notebook in the program `name`: jupyterlab, notebook7, nbclassic or static."""
        page = browser.new_page(viewport={"width": 1440, "height": HEIGHT})
        try:
            yield self._static(page, notebook) if name == "static" else self._served(page, name, notebook)
        finally:
            page.close()
            self._end_kernels()

    def _static(self, page: Page, notebook: nbformat.NotebookNode) -> Frontend:
        pages = {}
        for theme in THEMES:
            pages[theme] = self._directory / f"{theme}.html"
            pages[theme].write_text(HTMLExporter(theme=theme).from_notebook_node(notebook)[0], encoding="utf-8")
        return StaticPage(page, pages)

    def _served(self, page: Page, name: str, notebook: nbformat.NotebookNode) -> Frontend:
        NotebookNotary(data_dir=str(self._data)).sign(notebook)
        nbformat.write(notebook, self._directory / f"{name}.ipynb")
        place, ready, frontend = {
            "jupyterlab": ("lab/tree", ".jp-Notebook .jp-OutputArea-output", JupyterLab),
            "notebook7": ("notebooks", ".jp-Notebook .jp-OutputArea-output", Notebook7),
            "nbclassic": ("nbclassic/notebooks", ".code_cell .output_subarea", Classic),
        }[name]
        page.goto(f"{self._base}/{place}/{name}.ipynb?token={self._token}", timeout=90_000)
        page.locator(ready).first.wait_for(timeout=90_000)
        _settle(page)
        return frontend(page)

    def _end_kernels(self) -> None:
        for session in json.loads(self._ask("GET", "api/sessions")):
            self._ask("DELETE", f"api/sessions/{session['id']}")

    def _ask(self, method: str, path: str) -> bytes:
        headers = {"Authorization": f"token {self._token}"}
        with urlopen(Request(f"{self._base}/{path}", headers=headers, method=method), timeout=30) as answer:
            content: bytes = answer.read()
            return content


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Run `kans lab` with settings for a photographer: every cell is drawn, and the page can be told what to do."""
    data, settings, config = folder / "data", folder / "course.settings", folder / "config" / "labconfig"
    for place, content in (
        (config / "page_config.json", {"exposeAppInBrowser": True}),
        (settings / "@jupyterlab/notebook-extension/tracker.jupyterlab-settings", {"windowingMode": "none"}),
    ):
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(content))
    before = dict(os.environ)
    os.environ |= {
        "JUPYTER_DATA_DIR": str(data), "JUPYTER_CONFIG_PATH": str(config.parent),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }  # fmt: skip
    try:
        with jupyter.running(folder / "course", 9931) as address:
            yield Server(address, folder / "course", data)
    finally:
        os.environ.clear()
        os.environ.update(before)
