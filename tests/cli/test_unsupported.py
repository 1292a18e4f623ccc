"""Which cells of which chapters fall back: read from the chapters themselves."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from kanslib.cli import unsupported

REASON = "it is not here"


@pytest.mark.parametrize(
    ("lacking", "chapters", "call"),
    [
        ("a BGP router", {"07-bgp"}, "lab.route_client()"),
        (
            "captures",
            {
                "00-start-here",
                "00q-fifteen-minutes",
                "03-arp",
                "04-iptables",
                "05-election",
                "06-failover",
                "07-bgp",
                "08-broken-labs",
            },
            'trip = lab.capture_path("svc1")',
        ),
        (
            "ARP scans",
            {"00q-fifteen-minutes", "03-arp", "08-broken-labs"},
            "lab.arp_scan()",
        ),
    ],
)
def test_unsupported_cells_by_missing_requirement(
    monkeypatch: pytest.MonkeyPatch, lacking: str, chapters: set[str], call: str
) -> None:
    needs = [
        replace(need, lacking=partial(str, REASON if need.what == lacking else "")) for need in unsupported.REQUIREMENTS
    ]
    monkeypatch.setattr(unsupported, "REQUIREMENTS", needs)
    found = list(unsupported.unsupported_cells())
    assert {gap.chapter for gap in found} == chapters
    assert call in {gap.code for gap in found}
    assert {gap.why for gap in found} == {REASON}


def test_unsupported_cells_none_when_nothing_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        unsupported, "REQUIREMENTS", [replace(need, lacking=lambda: "") for need in unsupported.REQUIREMENTS]
    )
    assert list(unsupported.unsupported_cells()) == []


def test_no_cluster_without_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "every cell answers from the recordings" in unsupported.no_cluster()
