"""Every snippet of README.md, CONTRIBUTING.md and docs/ runs, and prints what the page shows.

The info string of a block says how it is tested:

python    `>>>` examples run, one page in one namespace, and their output is compared; other code runs
console   each `$` command runs in bash and ends with 0, and its output is compared
sh live   needs Docker, a browser, the network or minutes: each `kans` command must accept its options

Commands run in a copy of docs/examples. `...` stands for any output. The reference is not here: its examples are the
docstrings', which pytest runs where they stand.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from kanslib.cli.app import app
from tests.docs.pages import PAGES, ROOT, page_name

WITH_SNIPPETS = [page for page in PAGES if page.parent.name != "reference"]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
INFO_STRINGS = {"python", "console", "sh live", "yaml", "text"}

# a command, which a backslash continues on the next line, and its output
CONSOLE_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n?)*)", re.MULTILINE)


@pytest.fixture(autouse=True)
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a copy of docs/examples, where `kans` is the command of this Python."""
    folder = tmp_path / "docs" / "examples"
    shutil.copytree(ROOT / "docs" / "examples", folder)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    command = tmp_path / "bin" / "kans"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m kanslib "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(folder)
    return folder


def run_in_bash(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)


def check_console(example: Example) -> str | None:
    """Run each `$` command of a block, and return how its output differs from the block's."""
    for command, wanted in CONSOLE_COMMAND.findall(example.parsed):
        ran = run_in_bash(command)
        if ran.returncode or not doctest.OutputChecker().check_output(wanted, ran.stdout, FLAGS):
            return f"{command}\nexpected:\n{wanted}\ngot ({ran.returncode}):\n{ran.stdout}{ran.stderr}"
    return None


def kans_commands(block: str) -> Iterator[list[str]]:
    """Yield the arguments of each `kans` command of a shell block."""
    for line in block.replace("\\\n", " ").splitlines():
        for command in re.split(r"&&|\|", line):
            words = shlex.split(command, comments=True)
            if words and Path(words[0]).name in ("kans", "kans.exe"):
                yield words[1:]


def check_live(example: Example) -> None:
    """Parse the options of each `kans` command of a block; a wrong one raises click's UsageError."""
    commands = typer.main.get_group(app)
    for arguments in kans_commands(example.parsed):
        name, command, rest = commands.resolve_command(typer.Context(commands), arguments)
        assert command, f"no command {arguments}"
        command.make_context(name, rest)


def snippets(page: Path) -> list[Example]:
    parsers = (
        PythonCodeBlockParser(doctest_optionflags=FLAGS),
        CodeBlockParser("console", check_console),
        CodeBlockParser("sh live", check_live),
    )
    return list(Document.parse(str(page), *parsers).examples())


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=page_name)
def test_page_snippets(page: Path) -> None:
    for example in snippets(page):
        example.evaluate()


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=page_name)
def test_page_info_strings(page: Path) -> None:
    fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)
    assert set(fences[::2]) <= INFO_STRINGS | ({""} if page.name == "architecture.md" else set())


def test_pages_have_snippets() -> None:
    assert len([page for page in WITH_SNIPPETS if snippets(page)]) > 8
