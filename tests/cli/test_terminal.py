"""Names and texts of others in the terminal: as they are, without rich's markup and emoji codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.table import Table
from typer.testing import CliRunner

from kanslib.cli.app import app
from kanslib.cli.terminal import plain_console

MARKUP = "[red]a[/] [link=x]b[/link] 2001:db8:a:b::1 :warning: [/nothing-is-open]"


def test_plain_console_prints_strings_as_they_are() -> None:
    console = plain_console(soft_wrap=True)
    table = Table(MARKUP, title=None)
    table.add_row(MARKUP)
    with console.capture() as printed:
        console.print(MARKUP)
    assert printed.get() == MARKUP + "\n"
    console.width = 200
    with console.capture() as printed:
        console.print(table)
    assert printed.get().count(MARKUP) == 2


@pytest.mark.parametrize("comment", ["[red]", "[/]", ":warning:"])
def test_kans_trace_prints_rules_as_they_are(comment: str, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.write_text(
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
        f'-A FORWARD -d 2001:db8:a:b::1/128 -m comment --comment "{comment}" -j ACCEPT\nCOMMIT\n'
    )
    ran = CliRunner().invoke(app, ["trace", str(dump), "--from", "2001:db8::1", "--to", "[2001:db8:a:b::1]:80"])
    assert ran.exit_code == 0
    assert "2001:db8:a:b::1" in ran.stdout
    assert comment in ran.stdout


def test_kans_timeline_prints_names_as_they_are(tmp_path: Path) -> None:
    log = tmp_path / "speaker@[red]node1.log"
    log.write_text('2026-11-23T13:31:18.000000000Z {"msg":"memberlist: Suspect [/]:b: has failed, no acks received"}\n')
    out = tmp_path / "[bold]page.html"
    ran = CliRunner().invoke(app, ["timeline", str(log), "--zero", "2026-11-23T13:31:10", "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    assert "[red]node1 suspects [/]:b:" in ran.stdout
    assert str(out) in ran.stdout
