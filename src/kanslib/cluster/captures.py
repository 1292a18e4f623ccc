"""Capture frames of the course's own network with tcpdump."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import IO

from kanslib.cluster import docker
from kanslib.cluster.docker import CLIENT_IMAGE, OWNED
from kanslib.exceptions import UnsupportedError
from kanslib.i18n import tr

_LOG = logging.getLogger(__name__)
# what a lab captures: ARP, ICMP, gossip, BGP, and the SYN and RST segments of the client's connections
CAPTURE_FILTER = (
    "arp or icmp or udp port 7946 or tcp port 179 "
    "or (tcp port 80 and host {client} and tcp[tcpflags] & (tcp-syn|tcp-rst) != 0)"
)


class Capture:
    """A running tcpdump in the network of a container, or in Docker's own for the bridge (`network="host"`).

    It writes the first `snap` bytes of each frame that matches `condition` to `file` until `stop`.
    Raises UnsupportedError when tcpdump does not start.
    """

    def __init__(self, network: str, interface: str, condition: str, file: Path, snap: int = 96) -> None:
        self._name = f"kans-capture-{uuid.uuid4().hex[:8]}"
        # immediate mode: else the kernel buffers frames for up to a second, and the last ones are lost at the end
        tcpdump = f"tcpdump --immediate-mode -i {interface} -U -s {snap} -w - '{condition}'"
        _LOG.debug("%s in the network %s, to %s: started", tcpdump, network, file)
        with file.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    "docker", "run", "--rm", "-i", "--name", self._name, "--label", OWNED, "--network", network,
                    "--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN", CLIENT_IMAGE,
                    # `cat` ends with standard input, also when the lab's process was killed
                    "sh", "-c", f"{tcpdump} & cat; kill $!; wait",
                ],
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE,
            )  # fmt: skip
        self._wait_until_listening()

    def _wait_until_listening(self) -> None:
        assert self._process.stderr is not None
        last = b""
        for line in self._process.stderr:
            last = line
            if b"listening on" in line:
                threading.Thread(target=self._drain, args=(self._process.stderr,), daemon=True).start()
                return
        self._process.wait()
        raise UnsupportedError(tr("a capture"), last.decode(errors="replace").strip() or tr("tcpdump did not start"))

    @staticmethod
    def _drain(errors: IO[bytes]) -> None:
        for _ in errors:
            pass

    def stop(self) -> None:
        """End the capture; the file is complete afterwards."""
        time.sleep(0.1)  # tcpdump still handles the last frames
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            docker.docker("rm", "-f", self._name)
            self._process.wait(10)
