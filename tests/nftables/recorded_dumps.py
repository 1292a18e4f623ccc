"""What kube-proxy v1.37.2 wrote in nftables mode: the dumps in tests/data (its README says how they were made)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kanslib.iptables import Routing
from kanslib.k8s.objects import KubeObject

PACKED = Path(__file__).parent.parent / "data" / "nftables-dumps.tar.xz"


@dataclass(frozen=True)
class RecordedDump:
    """One node at one moment of a cluster, with the objects that its kube-proxy had.

    `saved`: what iptables-save printed there, the rules of Docker and of the Pod network; empty where no one else
    wrote rules.
    """

    cluster: str
    moment: str
    node: str
    text: str
    as_json: str
    saved: str
    routing: Routing
    services: tuple[KubeObject, ...]
    endpointslices: tuple[KubeObject, ...]

    def __str__(self) -> str:
        return f"{self.cluster}-{self.moment}-{self.node}"


@cache
def recorded_dumps() -> tuple[RecordedDump, ...]:
    """Return every dump, in order of its names."""
    with tarfile.open(PACKED) as archive:
        files = {member.name: content.read().decode() for member in archive if (content := archive.extractfile(member))}
    return tuple(_dumps(files))


def _dumps(files: dict[str, str]) -> Iterator[RecordedDump]:
    for name in sorted(files):
        if not name.endswith("/nft.txt"):
            continue
        folder = name.removesuffix("/nft.txt")
        cluster, moment, node = folder.split("/")
        routes = [json.loads(files[f"{folder}/{file}"]) for file in ("route.json", "route6.json")]
        routing = Routing.read(files[f"{folder}/addr.json"], json.dumps([one for some in routes for one in some]))
        services, endpointslices = (
            tuple(json.loads(files[f"{cluster}/{moment}/{kind}.json"])) for kind in ("services", "endpointslices")
        )
        yield RecordedDump(
            cluster, moment, node, files[name], files[f"{folder}/nft.json"],
            files.get(f"{folder}/iptables-save.txt", ""), routing, services, endpointslices,
        )  # fmt: skip
