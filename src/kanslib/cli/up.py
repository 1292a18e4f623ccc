"""`kans up`, with its progress."""

from __future__ import annotations

import time
from pathlib import Path

from rich.text import Text

from kanslib.cli.terminal import plain_console
from kanslib.cluster import lifecycle
from kanslib.cluster.state_file import CLUSTER
from kanslib.status import show_status

console = plain_console(soft_wrap=True)


def up(metallb: bool, manifest: Path | None) -> None:
    """Create the course's cluster, or repair the one that exists, and print the next commands."""
    from kanslib.cluster.reconciler import install_metallb, repair

    wanted = lifecycle.metallb_manifest(manifest) if metallb or manifest else ""
    began = time.monotonic()
    with show_status("checking this machine") as status:
        created = lifecycle.up(status.update)
        repaired = [] if created else repair(status.update)
        if wanted:
            install_metallb(wanted, status.update)
    for line in repaired:
        console.print(f"undone: {line}")
    state = "is created" if created else "is ready" if not repaired else "is repaired"
    console.print(f"The cluster {CLUSTER} {state} ({time.monotonic() - began:.0f} s).")
    console.print(
        Text.assemble(
            "kubectl's context: ",
            ("kind-myk8s", "bold"),
            "   next: ",
            ("kans lab --backend live", "bold"),
            "   remove it: kans down",
        )
    )
