"""The derived neighbor cache beside this kernel's, after answers, announcements and messages that it ignores."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kanslib.analysis.neighbor_cache import neighbor_updates, neighbors_at
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.packets.capture import Frame
from tests.wire import CLIENT, CLIENT6, NODE1, NODE2, PC, VIP, VIP6, Wire

from .machine import UNSHARE, needs_kernel

pytestmark = pytest.mark.kernel
DRIVER = Path(__file__).with_name("neighbor_driver.py")
SCRIPT = f"""
set -e
ip link add v0 type veth peer name v1
unshare -n sleep 60 & client=$!
sleep 0.5
ip link set v1 address {PC} netns $client
sysctl -qw net.ipv6.conf.v0.disable_ipv6=1
ip link set v0 up
nsenter -t $client -n ip addr add {CLIENT}/24 dev v1
nsenter -t $client -n ip -6 addr add {CLIENT6}/64 dev v1 nodad
nsenter -t $client -n ip link set v1 up
sleep 2
"$1" "$2" $client
kill $client
"""
Step = tuple[str, str | float]


def sent(make: Callable[[Wire], None]) -> list[Step]:
    wire = Wire()
    make(wire)
    return [("send", raw.hex()) for _, raw in wire.frames]


ARP_STEPS: list[Step] = [
    ("ask", VIP), *sent(lambda wire: wire.answer(0, NODE1)), ("check", VIP), ("wait", 1.2),
    *sent(lambda wire: wire.announcement(0, NODE2)), ("check", VIP),
    *sent(lambda wire: wire.answer(0, NODE1)), ("check", VIP), ("wait", 1.2),  # too soon after the update: locktime
    *sent(lambda wire: wire.answer(0, NODE1)), ("check", VIP), ("wait", 1.2),
    *sent(lambda wire: wire.question(0, CLIENT, NODE2, VIP)), ("check", VIP), ("wait", 1.2),
]  # fmt: skip
DISCOVERY_STEPS: list[Step] = [
    ("ask", VIP6), *sent(lambda wire: wire.answer6(0, NODE1)), ("check", VIP6),
    *sent(lambda wire: wire.advertisement(0, NODE2)), ("check", VIP6),
    *sent(lambda wire: wire.advertisement(0, NODE1, override=False)), ("check", VIP6),
    *sent(lambda wire: wire.answer6(0, NODE1)), ("check", VIP6),  # nobody asked, and it does not override
    *sent(lambda wire: wire.advertisement(0, NODE1)), ("check", VIP6),
    *sent(lambda wire: wire.solicitation(0, mac=NODE2, ip="::")), ("check", VIP6),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "ip"), [(ARP_STEPS, CLIENT), (DISCOVERY_STEPS, CLIENT6)], ids=["ARP", "NDP"])
def test_neighbors_at_equals_kernel(steps: list[Step], ip: str) -> None:
    needs_kernel()
    command = [*UNSHARE, "sh", "-c", SCRIPT, "sh", sys.executable, str(DRIVER)]
    lines = "".join(json.dumps(step) + "\n" for step in steps)
    ran = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    frames = [Frame(moment, bytes.fromhex(raw)) for moment, raw in answer["frames"]]
    updates = neighbor_updates(NeighborAnalysis.of(frames), ip, PC, frames)
    ours = [neighbors_at(updates, moment).get(address, "") for moment, address, _ in answer["checks"]]
    theirs = [mac for _, _, mac in answer["checks"]]
    assert ours == theirs
    assert {NODE1, NODE2} <= set(theirs)
