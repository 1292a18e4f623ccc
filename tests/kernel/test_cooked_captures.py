"""What a kernel puts into a capture of all interfaces: each frame of a bridge and its veth twice, without destinations.

The client is in a network namespace of its own. Its frames pass v0, a port of the bridge br0, and br0 itself.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from kanslib.analysis.attempts import attempts_from_capture
from kanslib.analysis.capture_limits import CaptureLimit, capture_limits
from kanslib.analysis.duplicates import without_duplicates
from kanslib.analysis.neighbor_messages import MessageKind, neighbor_messages
from kanslib.packets import capture
from kanslib.packets.capture import Frame

from .machine import UNSHARE, needs_kernel

pytestmark = pytest.mark.kernel
VIP = "192.0.2.1"
SCRIPT = """
set -e
cd "$1"
ip link set lo up
ip link add br0 type bridge
ip link set br0 up
ip addr add 192.0.2.1/24 dev br0
ip link add v0 type veth peer name v1
unshare -n sleep 60 & client=$!
sleep 0.5
ip link set v0 master br0 up
ip link set v1 netns $client
nsenter -t $client -n ip addr add 192.0.2.9/24 dev v1
nsenter -t $client -n ip link set v1 up
tshark -Q -i any -F pcap -w - > any.pcap & any=$!
tshark -Q -i v0 -F pcap -w - > v0.pcap & one=$!
python3 -m http.server 80 --bind 192.0.2.1 > /dev/null 2>&1 & server=$!
sleep 4
for n in 1 2 3; do
  nsenter -t $client -n ip neigh flush dev v1
  nsenter -t $client -n python3 -c 'import socket; socket.create_connection(("192.0.2.1", 80), 2).close()'
  sleep 0.5
done
sleep 1
kill -INT $any $one
kill $server $client
wait $any $one || true
"""


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Frame]]:
    """The same traffic, captured on all interfaces and on one."""
    needs_kernel()
    if not shutil.which("tshark"):
        pytest.skip("no tshark (Debian: apt-get install tshark)")
    folder = tmp_path_factory.mktemp("captures")
    command = [*UNSHARE, "sh", "-c", SCRIPT, "sh", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert ran.returncode == 0, ran.stderr
    return {name: list(capture.read(Path(folder, f"{name}.pcap"))) for name in ("any", "v0")}


def counts(frames: list[Frame]) -> tuple[int, int, int]:
    """How many questions about the address, answers for it, and attempts to reach it."""
    kinds = Counter(message.kind for message in neighbor_messages(frames) if message.address == VIP)
    return kinds[MessageKind.QUESTION], kinds[MessageKind.ANSWER], len(attempts_from_capture(frames, VIP, 0))


def test_without_duplicates_counts_a_frame_of_all_interfaces_once(captured: dict[str, list[Frame]]) -> None:
    once, (kept, left_out) = counts(captured["v0"]), without_duplicates(captured["any"])
    assert once == (3, 3, 3)
    assert counts(captured["any"])[0] == 2 * once[0]
    assert counts(kept) == once
    assert left_out >= len(captured["v0"]) // 2


def test_without_duplicates_of_both_captures_keeps_the_one_with_destinations(captured: dict[str, list[Frame]]) -> None:
    both = sorted((*captured["any"], *captured["v0"]), key=lambda frame: frame.time)
    kept, _ = without_duplicates(both)
    assert counts(kept) == counts(captured["v0"])
    assert capture_limits(captured["any"]) == (CaptureLimit.NO_DESTINATION_MAC,)
    assert capture_limits(kept) == ()
