"""Reading captures: frames a second beside scapy and dpkt, and the memory that a gigabyte takes.

    pip install dpkt && python bench/captures.py [--gigabyte]

All read the same file in one process, one after the other, and decode every frame down to TCP's ports and flags.
Ratios count; the figures depend on the machine.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dpkt
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from kanslib.course.recordings import shipped
from kanslib.packets import capture, table
from kanslib.recording import Recording

SYN = 2


def columns(path: Path) -> tuple[int, int]:
    """Count frames and SYNs with the columns of a capture."""
    frames = syns = 0
    for part in table.read(path):
        frames += len(part["time"])
        syns += int((part["is_tcp"] & (part["flags"] == SYN)).sum())
    return frames, syns


def objects(path: Path) -> tuple[int, int]:
    """Count frames and SYNs with an object for each frame."""
    frames = syns = 0
    for frame in capture.read(path):
        frames += 1
        syns += frame.tcp is not None and frame.tcp.flags == "S"
    return frames, syns


def with_dpkt(path: Path) -> tuple[int, int]:
    """Count frames and SYNs with dpkt."""
    frames = syns = 0
    with path.open("rb") as stream:
        for _, raw in dpkt.pcap.Reader(stream):
            frames += 1
            packet = dpkt.ethernet.Ethernet(raw).data
            segment = getattr(packet, "data", None)
            syns += isinstance(segment, dpkt.tcp.TCP) and segment.flags == SYN
    return frames, syns


def with_scapy(path: Path, at_most: int = 20_000) -> tuple[int, int]:
    """Count frames and SYNs with scapy, in the first `at_most` frames."""
    frames = syns = 0
    for raw, _ in RawPcapReader(str(path)):
        packet = Ether(raw)
        frames += 1
        syns += TCP in packet and packet[TCP].flags == "S"
        if frames == at_most:
            break
    return frames, syns


def rate(read: Callable[[Path], tuple[int, int]], path: Path) -> float:
    """Return the frames a second, the best of three runs."""
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        frames, _syns = read(path)
        best = max(best, frames / (time.perf_counter() - start))
    return best


def repeated(content: bytes, size: int, out: Path) -> None:
    """Write a capture of about `size` bytes: the frames of `content`, again and again."""
    with out.open("wb") as stream:
        stream.write(content[:24])
        for _ in range(size // len(content)):
            stream.write(content[24:])


def main() -> None:
    """Print the speed of each reader and, when asked, the memory that a gigabyte takes."""
    content = Recording.open(shipped("bgp")).read("captures/course/06-bridge.pcap")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "some.pcap")
        repeated(content, 30_000_000, path)
        assert columns(path) == objects(path) == with_dpkt(path)
        rates = {read.__name__: rate(read, path) for read in (columns, objects, with_dpkt, with_scapy)}
        for name, frames in rates.items():
            beside = f"{frames / rates['with_scapy']:7.1f} × scapy {frames / rates['with_dpkt']:7.2f} × dpkt"
            print(f"{name:12} {frames:12,.0f} frames/s {beside}")
        if "--gigabyte" in sys.argv:
            path = Path(folder, "large.pcap")
            repeated(content, 1_000_000_000, path)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            start = time.perf_counter()
            frames, syns = columns(path)
            seconds = time.perf_counter() - start
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            grown = (after - before) / 1024
            print(f"1 GB: {frames:,} frames, {syns:,} SYNs in {seconds:.1f} s; memory grew by {grown:.0f} MiB")


if __name__ == "__main__":
    main()
