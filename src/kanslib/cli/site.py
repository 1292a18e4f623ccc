"""`kans site`: execute the chapters on the recording, and write the course as a static website."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kanslib import open_lab
from kanslib.cli.os_errors import about
from kanslib.cli.output_files import check_new_output
from kanslib.cli.run import execute_in_kernel, wait_for
from kanslib.cli.terminal import plain_console
from kanslib.exceptions import KanslibError
from kanslib.i18n import listed, tr, tr_plural
from kanslib.installation import pip_install
from kanslib.site import content
from kanslib.site.page_data import FOLDER_VARIABLE, SHOW_FOR_SITE
from kanslib.status import Status, show_status

if TYPE_CHECKING:
    from nbformat import NotebookNode

MARK = ".kans-site"  # a file in every site that was written: only such a folder is replaced
_BEFORE = f"from kanslib import i18n\ni18n.choose('{{language}}')\n{SHOW_FOR_SITE}"  # what a kernel runs first
_NEEDED = ("sphinx", "myst_nb", "furo", "tinycss2", "nbclient")


def site(out: Path, base_url: str, languages: Sequence[str]) -> None:
    """Write the site to the folder `out`, whole or not at all.

    base_url: where it will be, `http` or `https`; may be empty. languages: besides the default one; all for none.
    KanslibError where packages are missing, `out` is something else, a chapter fails, or a page has a fault.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise KanslibError(
            tr(
                "the website needs {packages}; next step: {command}",
                packages=listed(missing),
                command=pip_install("site,lab"),
            )
        )
    _check(out, base_url)
    made_of = content.shipped()
    chosen = made_of.pick(list(languages))
    base_url = base_url and base_url.rstrip("/") + "/"
    chapters = sorted({page for language in chosen for page in made_of.chapters(language)}, key=lambda page: page.file)
    with about(f"--out {out}"), tempfile.TemporaryDirectory(dir=_parent(out), prefix=".kans-") as folder:
        made, data = Path(folder, "site"), Path(folder, "data")
        with show_status(tr("executing the chapters"), total=len(chapters)) as status:
            executed = execute_all(chapters, status, data)
        with show_status(tr("writing the pages")) as status:
            from kanslib.site import builder

            names: list[str] = []
            builder.build(made_of, executed, made, chosen, base_url, data, _picture(), names.append)
        (made / MARK).touch()
        if out.exists():
            out.replace(Path(folder, "old"))
        shutil.move(made, out)
    plain_console(soft_wrap=True).print(
        tr_plural(
            "written: {file} ({n} page, opens in any browser)",
            "written: {file} ({n} pages, opens in any browser)",
            len(names),
            file=out / "index.html",
        )
    )


def _picture() -> str:
    """Return the figure of the first page: the timeline of the recorded failover."""
    with redirect_stdout(io.StringIO()):
        lab = open_lab(backend="recorded", story="failover")
    return lab.observation("kill-node").timeline().body_html()


def execute_all(chapters: Sequence[content.Page], status: Status, data: Path) -> dict[Path, NotebookNode]:
    """Execute chapters on the recording, one for each processor at a time. KanslibError for a cell that fails.

    `data`: the folder into which the kernels write the data that pages load late; it is made.
    """
    data.mkdir()

    async def execute_one(page: content.Page, slots: asyncio.Semaphore) -> tuple[Path, NotebookNode]:
        async with slots:
            result, notebook = await execute_in_kernel(page.file, _BEFORE.format(language=page.language))
        if result.error:
            raise KanslibError(tr("{chapter}: {error}", chapter=page.file.name, error=result.error))
        status.advance(finished=page.file.stem)
        return page.file, notebook

    async def execute_several() -> list[tuple[Path, NotebookNode]]:
        slots = asyncio.Semaphore(os.cpu_count() or 1)
        return await asyncio.gather(*(execute_one(page, slots) for page in chapters))

    with _environment(data):
        return dict(wait_for(execute_several))


@contextmanager
def _environment(data: Path) -> Iterator[None]:
    """Let the kernels ask the recording, write into `data`, and not touch what somebody here has learned."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="kans-") as folder:
        os.environ |= {
            "KANS_BACKEND": "recorded", "KANS_PROGRESS": str(Path(folder, "progress.json")),
            FOLDER_VARIABLE: str(data.absolute()),
        }  # fmt: skip
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _check(out: Path, base_url: str) -> None:
    if base_url and (urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).hostname):
        raise KanslibError(
            tr(
                "--base-url {address!r}: expected an address, such as https://somebody.github.io/course/",
                address=base_url,
            )
        )
    is_ours = (out / MARK).is_file() or (out.is_dir() and not any(out.iterdir()))
    if not is_ours:
        check_new_output("--out", out)


def _parent(out: Path) -> Path:
    parent = out.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    return parent
