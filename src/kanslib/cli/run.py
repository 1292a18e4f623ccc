"""`kans run`: execute chapters without a browser, several at a time."""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.text import Text

from kanslib import i18n
from kanslib.backends import factory
from kanslib.cli.terminal import plain_console, plain_table
from kanslib.course import chapters
from kanslib.exceptions import KanslibError
from kanslib.i18n import numeral, tr, tr_plural
from kanslib.installation import pip_install
from kanslib.status import show_status

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode

Returned = TypeVar("Returned")
_LOG = logging.getLogger(__name__)
_MEMORY = """
try:
    print(next(l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM")))
except (OSError, StopIteration):
    import resource, sys
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1))
"""
_CLOSE = "from kanslib.cluster import session; session.close()"


@dataclass(frozen=True)
class Result:
    """The run of one chapter: code cells, seconds, peak memory of its kernel in MB, and the error that ended it."""

    chapter: str
    cells: int
    seconds: float
    peak_mb: float
    error: str = ""


def run(names: Sequence[str], backend: str, workers: int, as_json: bool) -> int:
    """Execute chapters and print a report; return the exit code, 0 when every cell ran, else 1.

    `names`: chapters by number or name, all without one. `workers`: chapters at a time, 0 for one per processor.
    KanslibError without nbclient, or without a cluster for `live`.
    """
    factory.validate_backend_name(backend)
    if importlib.util.find_spec("nbclient") is None:
        raise KanslibError(tr("running chapters needs nbclient. Fix: {command}", command=pip_install("lab")))
    chosen = chapters.pick(names)
    os.environ["KANS_BACKEND"] = backend
    os.environ.setdefault(i18n.VARIABLE, i18n.notebook_language(chosen[0]))  # a kernel is not told its notebook
    if backend == "live":
        from kanslib.cluster import lifecycle

        lifecycle.guard()
        workers = 1  # one cluster: one chapter after the other
    began = time.monotonic()
    results = _execute_all(chosen, workers or os.cpu_count() or 1)
    seconds = round(time.monotonic() - began, 1)
    failed = [result for result in results if result.error]
    if as_json:
        print(json.dumps({"seconds": seconds, "chapters": [asdict(result) for result in results]}, indent=1))
    else:
        _print(results, seconds)
    return 1 if failed else 0


def _execute_all(chosen: Sequence[Path], workers: int) -> list[Result]:
    finished: list[Result] = []
    with show_status(tr("running chapters"), total=len(chosen)) as status:

        def count(result: Result) -> None:
            _LOG.info("%s: %d cells, %.1f s %s", result.chapter, result.cells, result.seconds, result.error)
            finished.append(result)
            status.advance(finished=result.chapter)

        try:
            return wait_for(lambda: _execute_several(chosen, workers, count))
        except (KeyboardInterrupt, SystemExit):
            plain_console(stderr=True).print(
                tr_plural(
                    "stopped: {finished} of {n} chapter ran to its end",
                    "stopped: {finished} of {n} chapters ran to their end",
                    len(chosen),
                    finished=len(finished),
                )
            )
            raise


async def _execute_several(chosen: Sequence[Path], workers: int, count: Callable[[Result], None]) -> list[Result]:
    slots = asyncio.Semaphore(workers)

    async def execute_next(chapter: Path) -> Result:
        async with slots:
            result, _ = await execute_in_kernel(chapter)
        count(result)
        return result

    return await asyncio.gather(*map(execute_next, chosen))


def wait_for(work: Callable[[], Coroutine[Any, Any, Returned]]) -> Returned:
    """Run a coroutine to its end; after Ctrl-C or SIGTERM cancel it, and wait until it has cleaned up.

    It runs in another thread: in the main thread nbclient takes these signals (`NotebookClient.async_setup_kernel`).
    """
    import nbclient  # noqa: F401 (takes a second: Ctrl-C ends it here, and would not in the other thread)
    import nbformat  # noqa: F401

    tasks: list[asyncio.Task[Returned]] = []

    async def run_task() -> Returned:
        tasks.append(asyncio.create_task(work()))
        return await tasks[0]

    def run_loop() -> Returned:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # pyzmq needs this one on Windows
            return runner.run(run_task())

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_loop)
        try:
            return running.result()
        except (KeyboardInterrupt, SystemExit):
            for task in tasks:
                task.get_loop().call_soon_threadsafe(task.cancel)
            raise


def execute(chapter: Path) -> tuple[Result, NotebookNode]:
    """Run one chapter in a new kernel; return its result and the executed notebook."""
    return wait_for(lambda: execute_in_kernel(chapter))


async def execute_in_kernel(chapter: Path, before: str = "") -> tuple[Result, NotebookNode]:
    """Run one chapter in a new kernel, which ends with it; return its result and the executed notebook.

    `before`: code that the kernel runs first, and that the notebook does not show.
    """
    import nbformat
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(chapter, as_version=4)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    live = os.environ.get("KANS_BACKEND") == "live"
    notebook.cells[:0] = [nbformat.v4.new_code_cell(before)] if before else []
    # before the kernel ends, a live lab restores the cluster and a recorder completes its story
    notebook.cells += [nbformat.v4.new_code_cell(code) for code in ([_CLOSE] if live else []) + [_MEMORY]]
    began, error = time.monotonic(), ""
    try:
        with tempfile.TemporaryDirectory(prefix="kans-") as private:
            client = _client(notebook, private, cell_seconds=900 if live else 120)  # a failover: minutes
            try:
                await client.async_execute()
            finally:
                if client.km is None:  # at exit nbclient ends the kernel, and fails where it has none
                    atexit.unregister(client._cleanup_kernel)  # noqa: SLF001
    except CellExecutionError as exc:
        error = f"{exc.ename}: {exc.evalue}".strip()
    except (RuntimeError, OSError, NoSuchKernel) as exc:  # a kernel that dies, hangs or never starts
        error = f"{type(exc).__name__}: {exc}".splitlines()[0]
    seconds = time.monotonic() - began
    memory = notebook.cells.pop()
    if live:
        notebook.cells.pop()
    if before:
        notebook.cells.pop(0)
    peak = int(memory.outputs[0].text) / 1024 if memory.get("outputs") and not error else 0.0
    return Result(chapter.stem, cells, round(seconds, 1), round(peak, 1), error), notebook


def _client(notebook: NotebookNode, private: str, cell_seconds: int) -> NotebookClient:
    """Return a client whose kernel keeps its files in a folder of its own; the home may be read-only."""
    from nbclient import NotebookClient
    from traitlets.config import Config

    # kernels on one machine need no TCP port; on Windows there is no alternative
    channel = {} if os.name == "nt" else {"transport": "ipc", "ip": f"{private}/kernel"}
    config = Config({"KernelManager": {**channel, "connection_file": f"{private}/kernel.json"}})
    return NotebookClient(
        notebook, timeout=cell_seconds, kernel_name="python3", config=config, shutdown_kernel="immediate"
    )


def _print(results: Sequence[Result], seconds: float) -> None:
    table = plain_table(tr("chapter"), tr("cells"), tr("seconds"), tr("peak MB"), tr("result"))
    for result in results:
        outcome = Text(result.error.splitlines()[0], "bold red") if result.error else Text(tr("ok"))
        table.add_row(
            result.chapter,
            str(result.cells),
            numeral(result.seconds, ".1f"),
            numeral(result.peak_mb, ".0f"),
            outcome,
        )
    console = plain_console()
    console.print(table)
    console.print(
        tr_plural("{n} chapter in {seconds:.1f} s", "{n} chapters in {seconds:.1f} s", len(results), seconds=seconds)
    )
    for result in (result for result in results if result.error):
        console.print(f"{result.chapter}: {result.error}")
