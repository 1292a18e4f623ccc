"""Runs in a network namespace: send frames to a client in another one, and print what its neighbor cache holds.

Usage: neighbor_driver.py CLIENT_PID < steps. A step is a JSON list: ["ask", address], ["send", hex], ["wait", seconds]
or ["check", address]. Prints {"frames": [[time, hex], …], "checks": [[time, address, MAC], …]}.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time

ANY_PROTOCOL = 3  # ETH_P_ALL
ASK = "import socket,sys; a=sys.argv[1]; socket.socket(socket.AF_INET6 if ':' in a else 2, 2).sendto(b'x', (a, 9))"


def main() -> None:
    """Do each step, and record every frame on the wire meanwhile."""
    client = ["nsenter", "-t", sys.argv[1], "-n"]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ANY_PROTOCOL))
    wire.bind(("v0", ANY_PROTOCOL))
    frames: list[tuple[float, str]] = []

    def record() -> None:
        while True:
            raw = wire.recv(65535)
            frames.append((time.time(), raw.hex()))

    threading.Thread(target=record, daemon=True).start()
    checks = []
    for line in sys.stdin:
        verb, value = json.loads(line)
        if verb == "ask":
            subprocess.run([*client, sys.executable, "-c", ASK, value], check=False)
        elif verb == "send":
            frames.append((time.time(), value))
            wire.send(bytes.fromhex(value))
        elif verb == "wait":
            time.sleep(value)
        else:
            time.sleep(0.1)
            command = [*client, "ip", "-j", "neigh", "show", "to", value]
            entries = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout or "[]")
            checks.append((time.time(), value, next((one["lladdr"] for one in entries if "lladdr" in one), "")))
    print(json.dumps({"frames": frames, "checks": checks}))


if __name__ == "__main__":
    main()
