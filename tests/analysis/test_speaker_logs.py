"""Events in the logs of MetalLB's speakers of every version, with and without times.

The lines are what the code of each version writes: speaker/main.go and internal/logging/logging.go of v0.9.6, v0.12.1,
v0.14.8 and v0.16.2. go-kit's JSON logger sorts the keys.
"""

from __future__ import annotations

import json

import pytest

from kanslib.analysis.speaker_logs import announced_addresses, speaker_events, undated_events
from kanslib.k8s.log_lines import read_lines

VIP = "192.0.2.50"
ZERO = 1794157560.0  # 2026-11-08T17:06:00Z


def line(second: int, **fields: object) -> str:
    return json.dumps({"ts": f"2026-11-08T17:06:{second:02}Z", **fields}, separators=(",", ":"), sort_keys=True)


def announced(second: int, **fields: object) -> str:
    return line(second, event="serviceAnnounced", msg="service has IP, announcing", service="shop/web", **fields)


def withdrawn(second: int, **fields: object) -> str:
    return line(second, event="serviceWithdrawn", msg="withdrawing service announcement", service="shop/web", **fields)


VERSIONS = {
    "v0.9.6": [announced(2, ip=VIP, protocol="layer2"), withdrawn(9, ip="", reason="notOwner")],
    "v0.12.1": [announced(2, ips=[VIP], protocol="layer2"), withdrawn(9, ip=None, ips=[VIP], reason="notOwner")],
    "v0.14.8": [announced(2, ips=[VIP], protocol="layer2")] * 3
    + [withdrawn(9, ip=[VIP], ips=[VIP], reason="notOwner")],
    "v0.16.2": [
        announced(2, ips=[VIP], protocol="layer2", level="info"),
        announced(5, ips=[VIP], protocol="layer2", level="debug"),
        withdrawn(9, ip=[VIP], ips=[VIP], reason="notOwner", level="info"),
    ],
}


def words(*logs: str, zero: float = ZERO) -> list[tuple[float, str]]:
    read = {f"node{number}": list(read_lines(log)) for number, log in enumerate(logs, 1)}
    return [(event.at, str(event)) for event in speaker_events(read, {VIP: VIP}, zero)]


@pytest.mark.parametrize("version", VERSIONS)
def test_speaker_events_announcements_by_version(version: str) -> None:
    found = words("\n".join(VERSIONS[version]))
    assert [at for at, _ in found] == [2.0, 9.0]
    assert found[0][1] == f"node1 announces {VIP} (layer2)"
    assert found[1][1].startswith(f"node1 stops announcing {VIP}")


def test_speaker_events_before_zero_are_state() -> None:
    log = "\n".join(VERSIONS["v0.14.8"])
    assert [at for at, _ in words(log, zero=ZERO + 5)] == [4.0]


def test_speaker_events_new_process_announces_anew() -> None:
    start = line(4, msg="MetalLB speaker starting version 0.14.8", version="0.14.8")
    found = words("\n".join([announced(2, ips=[VIP]), start, announced(6, ips=[VIP])]))
    assert [at for at, _ in found] == [2.0, 6.0]


def test_speaker_events_members() -> None:
    log = "\n".join([
        line(1, msg="memberlist: Suspect node2 has failed, no acks received", component="Memberlist"),
        line(5, msg="memberlist: Marking node2 as failed, suspect timeout reached (2 peer confirmations)"),
        line(5, **{"msg": "node event - forcing sync", "node event": "NodeLeave", "node name": "node2"}),
        line(50, **{"node name": "node2", "msg": "node event - forcing sync", "node event": "NodeJoin"}),
    ])  # fmt: skip
    changes = ["suspects", "declares dead", "lets go of", "takes in"]
    assert [text for _, text in words(log)] == [f"node1 {change} node2" for change in changes]


def test_undated_events_order_only() -> None:
    fields = [json.loads(text) for text in VERSIONS["v0.9.6"]]
    for one in fields:
        del one["ts"]
    logs = {"node1": list(read_lines("\n".join(map(json.dumps, fields))))}
    assert not list(speaker_events(logs, {VIP: VIP}, ZERO))
    assert [str(event) for event in undated_events(logs, {VIP: VIP})["node1"]] == [
        f"node1 announces {VIP} (layer2)", f"node1 stops announcing {VIP} (any)",
    ]  # fmt: skip


def test_undated_events_not_of_a_dated_log() -> None:
    assert not undated_events({"node1": list(read_lines(VERSIONS["v0.9.6"][0]))}, {VIP: VIP})


def test_announced_addresses_in_order() -> None:
    log = "\n".join([announced(1, ips=["192.0.2.51", "2001:db8::51"]), announced(2, ip=VIP)])
    assert announced_addresses([list(read_lines(log))]) == ["192.0.2.51", "2001:db8::51", VIP]
