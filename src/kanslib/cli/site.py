"""`kans site`: execute the chapters on the recording, and write the course as a static website."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kanslib.cli.os_errors import about
from kanslib.cli.output_files import check_new_output
from kanslib.cli.run import execute_in_kernel, wait_for
from kanslib.cli.terminal import plain_console
from kanslib.exceptions import KanslibError
from kanslib.installation import pip_install
from kanslib.site import content
from kanslib.site.page_data import FOLDER_VARIABLE, SHOW_FOR_SITE
from kanslib.status import Status, show_status

if TYPE_CHECKING:
    from nbformat import NotebookNode

MARK = ".kans-site"  # a file in every site that was written: only such a folder is replaced
_NEEDED = ("sphinx", "myst_nb", "furo", "nbclient")


def site(out: Path, base_url: str, languages: Sequence[str]) -> None:
    """Write the site to the folder `out`, whole or not at all.

    base_url: where it will be, `http` or `https`; may be empty. languages: besides the default one; all for none.
    KanslibError where packages are missing, `out` is something else, a chapter fails, or a page has a fault.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise KanslibError(f"the website needs {', '.join(missing)}. Fix: {pip_install('site,lab')}")
    _check(out, base_url)
    made_of = content.shipped()
    chosen = made_of.pick(list(languages))
    base_url = base_url and base_url.rstrip("/") + "/"
    files = sorted({page.file for language in chosen for page in made_of.chapters(language)})
    with about(f"--out {out}"), tempfile.TemporaryDirectory(dir=_parent(out), prefix=".kans-") as folder:
        made = Path(folder, "site")
        with show_status("executing the chapters", total=len(files)) as status:
            executed = execute_all(files, status, Path(folder, "data"))
        with show_status("writing pages") as status:
            from kanslib.site import builder

            names: list[str] = []
            builder.build(made_of, executed, made, chosen, base_url, names.append, Path(folder, "data"))
        (made / MARK).touch()
        if out.exists():
            out.replace(Path(folder, "old"))
        shutil.move(made, out)
    plain_console(soft_wrap=True).print(f"written: {out / 'index.html'} ({len(names)} pages, open it in any browser)")


def execute_all(files: Sequence[Path], status: Status, data: Path) -> dict[Path, NotebookNode]:
    """Execute chapters on the recording, one for each processor at a time. KanslibError for a cell that fails.

    `data`: the folder into which the kernels write the data that pages load late; it is made.
    """
    data.mkdir()

    async def execute_one(file: Path, slots: asyncio.Semaphore) -> tuple[Path, NotebookNode]:
        async with slots:
            result, notebook = await execute_in_kernel(file, SHOW_FOR_SITE)
        if result.error:
            raise KanslibError(f"{file.name}: {result.error}")
        status.advance(finished=file.stem)
        return file, notebook

    async def execute_several() -> list[tuple[Path, NotebookNode]]:
        slots = asyncio.Semaphore(os.cpu_count() or 1)
        return await asyncio.gather(*(execute_one(file, slots) for file in files))

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
        raise KanslibError(f"--base-url {base_url!r}: expected an address, such as https://somebody.github.io/course/")
    is_ours = (out / MARK).is_file() or (out.is_dir() and not any(out.iterdir()))
    if not is_ours:
        check_new_output("--out", out)


def _parent(out: Path) -> Path:
    parent = out.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    return parent
