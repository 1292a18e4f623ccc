"""`kans up`, with its progress."""

from __future__ import annotations

import time
from pathlib import Path

from rich.text import Text

from kanslib.cli.terminal import plain_console
from kanslib.cluster import lifecycle
from kanslib.cluster.state_file import CLUSTER
from kanslib.i18n import tr
from kanslib.status import show_status

console = plain_console(soft_wrap=True)


def up(metallb: bool, manifest: Path | None) -> None:
    """Create the course's cluster, or repair the one that exists, and print the next commands."""
    from kanslib.cluster.reconciler import install_metallb, repair

    wanted = lifecycle.metallb_manifest(manifest) if metallb or manifest else ""
    began = time.monotonic()
    with show_status(tr("checking this machine")) as status:
        created = lifecycle.up(status.update)
        repaired = [] if created else repair(status.update)
        if wanted:
            install_metallb(wanted, status.update)
    for line in repaired:
        console.print(tr("undone: {line}", line=line))
    seconds = time.monotonic() - began
    if created:
        words = tr("The cluster {cluster} is created ({seconds:.0f} s).", cluster=CLUSTER, seconds=seconds)
    elif repaired:
        words = tr("The cluster {cluster} is repaired ({seconds:.0f} s).", cluster=CLUSTER, seconds=seconds)
    else:
        words = tr("The cluster {cluster} is ready ({seconds:.0f} s).", cluster=CLUSTER, seconds=seconds)
    console.print(words)
    console.print(
        Text.assemble(
            tr("kubectl's context:"),
            (" kind-myk8s", "bold"),
            f"   {tr('next:')} ",
            ("kans lab --backend live", "bold"),
            f"   {tr('remove it: {command}', command='kans down')}",
        )
    )
