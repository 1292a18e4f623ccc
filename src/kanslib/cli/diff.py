"""`kans diff`: compare two recordings by meaning."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from kanslib.cli.terminal import plain_console, plain_table
from kanslib.comparison.recordings import compare
from kanslib.i18n import tr, tr_plural
from kanslib.recording import Recording
from kanslib.status import show_status

console = plain_console()


def diff(a: Path, b: Path, as_json: bool) -> int:
    """Print the differences in meaning between two recordings; return 1 when there are any."""
    with show_status(tr("comparing {name} and {b_name}", name=a.name, b_name=b.name)):
        found = list(compare(Recording.open(a), Recording.open(b)))
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1))
        return 1 if found else 0
    table = plain_table(tr("story"), tr("moment"), tr("what"), a.name, b.name)
    for one in found:
        table.add_row(one.story, one.moment, one.what, one.a, one.b)
    if found:
        console.print(table)
    console.print(
        tr_plural("{n} difference in meaning", "{n} differences in meaning", len(found))
        if found
        else tr("the same in meaning")
    )
    return 1 if found else 0
