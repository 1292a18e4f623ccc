"""A part of `kans doctor`: the cells of the chapters that a live cluster cannot serve on this machine."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kanslib.course import chapters
from kanslib.exceptions import KanslibError
from kanslib.i18n import tr


@dataclass(frozen=True)
class Requirement:
    """A requirement of live cells: the calls that need it, and a check that returns why it is missing, else ""."""

    what: str
    calls: re.Pattern[str]
    lacking: Callable[[], str]


@dataclass(frozen=True)
class UnsupportedCell:
    """A cell that a live cluster cannot serve here: chapter, number of the code cell, first line, reason."""

    chapter: str
    cell: int
    code: str
    why: str


def _no_image(image: str) -> str:
    from kanslib.cluster import docker

    return (
        ""
        if docker.docker("image", "inspect", image).rc == 0
        else tr("the image {image} is not here: docker pull it", image=image)
    )


def _no_router() -> str:
    from kanslib.cluster import docker

    return _no_image(docker.ROUTER_IMAGE)


def _no_capture() -> str:
    from kanslib.cluster import docker

    rootless = "rootless" in docker.docker("info", "--format", "{{.SecurityOptions}}").out
    return tr("Docker runs without root here and cannot capture on its own bridge") if rootless else ""


def _no_scan() -> str:
    from kanslib.cluster import docker

    if docker.CLIENT not in docker.containers():
        return ""
    found = docker.exec_in(docker.CLIENT, "command -v arp-scan").rc == 0
    return "" if found else tr("the client's image {client_image} has no arp-scan", client_image=docker.CLIENT_IMAGE)


REQUIREMENTS = (
    Requirement("a BGP router", re.compile(r"start_router|lab\.router|lab\.routes|route_client"), _no_router),
    Requirement(
        "captures",
        # queries of an observation that need frames; lab.events() reads the API
        re.compile(
            r"\.(frames|leadership|timeline|phases|failures|attempts|outage)\("
            r"|(?<!lab)\.events\(|\w\.(arp|bgp)\.|\.capture_path\(|\bcapture="
        ),
        _no_capture,
    ),
    Requirement("ARP scans", re.compile(r"arp_scan"), _no_scan),
)


_SIMULATED = re.compile(r"\bsimulated\.\S+")  # a query to a lab that needs no cluster


def no_cluster() -> str:
    """Return why no cell can be live here; empty when a course cluster is up."""
    if shutil.which("docker") is None:
        return tr("no Docker: every cell answers from the recordings")
    from kanslib.cluster import lifecycle

    try:
        lifecycle.guard()
    except KanslibError as exc:
        return str(exc).splitlines()[0]
    return ""


def unsupported_cells() -> Iterator[UnsupportedCell]:
    """Yield every cell that would fall back to the recording in a live lab."""
    lacking = {need.what: (need, why) for need in REQUIREMENTS if (why := need.lacking())}
    for chapter in chapters.pick([]):
        for number, code in enumerate(_code(chapter), 1):
            for need, why in lacking.values():
                if need.calls.search(_SIMULATED.sub("", code)):
                    yield UnsupportedCell(chapter.stem, number, code.splitlines()[0], why)


def _code(chapter: Path) -> Iterator[str]:
    for cell in json.loads(chapter.read_text())["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"])
