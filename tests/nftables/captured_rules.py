"""Rules that other programs wrote for a configuration of ours (tests/data/README.md says which, and how)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kanslib.iptables import Routing

PACKED = Path(__file__).parent.parent / "data" / "captured-rules.tar.xz"


@dataclass(frozen=True)
class Listing:
    """A ruleset as one release of nft printed it, as text and as JSON."""

    text: str
    as_json: str


@dataclass(frozen=True)
class CapturedRules:
    """What a program wrote on a machine with these addresses and routes.

    `listing`: of nft 1.1.7. `older`: of nft 1.0.6, of the same rules; None where that crashes on what a newer library
    wrote. `saved`, `saved6`: what iptables-save and ip6tables-save printed; empty where the program wrote no rules of
    iptables.
    """

    name: str
    listing: Listing
    older: Listing | None
    saved: str
    saved6: str
    routing: Routing

    def __str__(self) -> str:
        return self.name


@cache
def captured_rules() -> tuple[CapturedRules, ...]:
    """Return every capture, in order of its name."""
    with tarfile.open(PACKED) as archive:
        files = {member.name: content.read().decode() for member in archive if (content := archive.extractfile(member))}
    return tuple(_captures(files))


def _captures(files: dict[str, str]) -> Iterator[CapturedRules]:
    for name in sorted(files):
        if not name.endswith("/nft.txt"):
            continue
        folder = name.removesuffix("/nft.txt")
        routes = [json.loads(files[f"{folder}/{file}"]) for file in ("route.json", "route6.json")]
        routing = Routing.read(files[f"{folder}/addr.json"], json.dumps([one for some in routes for one in some]))
        listing, older = (
            Listing(files[f"{folder}/{kind}.txt"], files[f"{folder}/{kind}.json"])
            if f"{folder}/{kind}.txt" in files
            else None
            for kind in ("nft", "nft-1.0.6")
        )
        assert listing
        saved, saved6 = (files.get(f"{folder}/{kind}-save.txt", "") for kind in ("iptables", "ip6tables"))
        yield CapturedRules(folder, listing, older, saved, saved6, routing)
