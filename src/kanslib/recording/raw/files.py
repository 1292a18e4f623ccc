"""Read raw recordings: folders that a recording script or a journal wrote.

acts.ndjson, reads.ndjson + reads/<step>/…, objects/<kind>.ndjson, logs/<pod>@<node>.log,
captures/*.pcap, probes/*.ndjson
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kanslib.actions import Verb
from kanslib.exceptions import RecordingError
from kanslib.k8s.objects import KubeObject, WatchEvent
from kanslib.recording.format import verb_in_memory

_EXEC = re.compile(r"^docker exec (?:--?\w+ )*(?P<place>[\w.-]+) (?P<command>.*)$", re.DOTALL)
_EACH_NODE = re.compile(
    r"echo (?P<node>[\w.-]+); docker exec (?P<place>[\w.-]+) (?P<command>curl [^$]*)"
    r"\$\(docker inspect -f '[^']*' [\w.-]+\)(?P<rest>:[^;]*);(?: echo;)? ?"
)
HOST = "host"


@dataclass(frozen=True)
class RawOutput:
    """The output of a command: its place, its text, and when it ran (`t` to `end`, Unix seconds)."""

    t: float
    end: float
    place: str
    command: str
    rc: int
    content: bytes


@dataclass(frozen=True)
class RawAction:
    """One line of acts.ndjson: a command that changed the cluster.

    Only a journal has the last fields: `group`, equal for all steps of one action, `verb` and `targets`.
    """

    t: float
    end: float
    label: str
    command: str
    stdin: str
    rc: int
    output: str
    group: str = ""
    verb: Verb | None = None
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawPlaces:
    """The places in a journal's places.json; those of a script's recording are found in its commands."""

    client: str | None
    control_plane: str
    router: str | None
    network: str
    addresses: Mapping[str, str]


class RawRecording:
    """A raw recording. Everything raises RecordingError with the file and the line that cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.resolve().name
        if not (path / "acts.ndjson").is_file():
            raise RecordingError(str(path), "holds no acts.ndjson: not a raw recording")

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of an ndjson file; none where it does not exist."""
        try:
            lines = (self.path / name).read_text().splitlines()
        except FileNotFoundError:
            return
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError:
                raise RecordingError(f"{self.name}/{name}", "not a line of JSON", number) from None

    @cached_property
    def actions(self) -> list[RawAction]:
        """The rows of acts.ndjson in order of time."""
        return [
            RawAction(
                r["t"], r["end"], r["act"], r["cmd"], r.get("stdin") or "", r["rc"], r.get("out") or "",
                r.get("group", ""), _verb(r), tuple(r.get("targets", ())),
            )
            for r in sorted(self.rows("acts.ndjson"), key=lambda row: row["t"])
        ]  # fmt: skip

    @cached_property
    def settled(self) -> dict[str, float]:
        """When each group of steps had settled (Unix seconds), where a journal waited for it."""
        return {row["group"]: row["settled"] for row in self.rows("settled.ndjson")}

    @cached_property
    def stories(self) -> list[dict[str, Any]]:
        """The rows of a journal's stories.ndjson in order of time; a row without a name closes the last story."""
        return sorted(self.rows("stories.ndjson"), key=lambda row: float(row["t"]))

    @cached_property
    def places(self) -> RawPlaces | None:
        """The places of a journal; None for a script's recording."""
        try:
            row = json.loads((self.path / "places.json").read_text())
        except FileNotFoundError:
            return None
        keys = ("client", "control_plane", "router", "network", "addresses")
        return RawPlaces(*(row[key] for key in keys))

    @cached_property
    def watches(self) -> dict[str, list[WatchEvent]]:
        """The watch events of each kind, in order of time."""
        found = {}
        for file in sorted((self.path / "objects").glob("*.ndjson")):
            rows = self.rows(f"objects/{file.name}")
            events = [WatchEvent(row["t"], row["type"], row["object"]) for row in rows]
            found[file.stem] = sorted(events, key=lambda event: event.t)
        return found

    @cached_property
    def reads(self) -> list[RawOutput]:
        """Every recorded output in order of time; the output of a loop over all nodes is split by node."""
        out: list[RawOutput] = []
        for row in self.rows("reads.ndjson"):
            try:
                content = (self.path / row["file"]).read_bytes()
            except FileNotFoundError:
                raise RecordingError(f"{self.name}/{row['file']}", "reads.ndjson lists it, but it is missing") from None
            out += self._outputs_of(row, content)
        return sorted(out, key=lambda read: read.t)

    def _outputs_of(self, row: dict[str, Any], content: bytes) -> list[RawOutput]:
        command = row["cmd"]
        if "place" in row:
            return [RawOutput(row["t"], row["end"], row["place"], command, row["rc"], content)]
        loop = list(_EACH_NODE.finditer(command))
        if loop:
            return list(self._outputs_per_node(row, loop, content.decode()))
        inside = _EXEC.match(command)
        place, inner = (inside["place"], inside["command"]) if inside else (HOST, command)
        return [RawOutput(row["t"], row["end"], place, inner, row["rc"], content)]

    def _outputs_per_node(self, row: dict[str, Any], loop: list[re.Match[str]], text: str) -> Iterator[RawOutput]:
        """Split a loop's output at the node names that it echoed; yield each piece with its command."""
        names = [part["node"] for part in loop]
        pieces = re.split(rf"(?m)^(?:{'|'.join(map(re.escape, names))})\n", text)[1:]
        for part, piece in zip(loop, pieces, strict=True):
            command = f"{part['command']}{self.node_addresses[part['node']]}{part['rest']}"
            yield RawOutput(row["t"], row["end"], part["place"], command, 0 if piece.strip() else 1, piece.encode())

    @cached_property
    def nodes(self) -> dict[str, KubeObject]:
        """The newest known object of each node."""
        return {event.object["metadata"]["name"]: event.object for event in self.watches.get("nodes", [])}

    @cached_property
    def node_addresses(self) -> dict[str, str]:
        """The internal address of each node."""
        found: dict[str, str] = {}
        for name, node in self.nodes.items():
            for address in node.get("status", {}).get("addresses", []):
                if address["type"] == "InternalIP":
                    found.setdefault(name, address["address"])
        return found

    @cached_property
    def control_plane(self) -> str:
        """The control plane's node."""
        role = "node-role.kubernetes.io/control-plane"
        for name, node in self.nodes.items():
            if role in node["metadata"].get("labels", {}):
                return name
        raise RecordingError(f"{self.name}/objects/nodes.ndjson", f"no node carries the label {role}")

    @cached_property
    def cluster(self) -> str:
        """The identity of the cluster: the UID of its control plane's node."""
        return str(self.nodes[self.control_plane]["metadata"]["uid"])

    @cached_property
    def vips(self) -> set[str]:
        """Every external address that a Service had at any time."""
        return {
            ingress["ip"]
            for event in self.watches.get("services", [])
            for ingress in event.object.get("status", {}).get("loadBalancer", {}).get("ingress", [])
            if "ip" in ingress
        }

    @cached_property
    def network(self) -> str:
        """The Docker network (CIDR), from `docker network inspect`, else from the control plane's interface."""
        for read in self.reads:
            if read.command.startswith("docker network inspect"):
                return str(json.loads(read.content)[0]["IPAM"]["Config"][0]["Subnet"])
        address = self.node_addresses[self.control_plane]
        for read in self.reads:
            if read.place == self.control_plane and read.command == "ip -j addr":
                for info in (info for link in json.loads(read.content) for info in link["addr_info"]):
                    if info["local"] == address:
                        return str(ipaddress.ip_interface(f"{address}/{info['prefixlen']}").network)
        raise RecordingError(f"{self.name}/reads.ndjson", "no command shows the Docker network's range")

    @property
    def span(self) -> tuple[float, float]:
        """Start and end (Unix seconds) of everything recorded, except logs and captures."""
        starts = [action.t for action in self.actions] + [read.t for read in self.reads]
        ends = [action.end for action in self.actions] + [read.end for read in self.reads]
        opened = [float(row["t"]) for row in self.stories]
        starts, ends = starts + opened, ends + opened
        for events in self.watches.values():
            ends += [event.t for event in events[-1:]]
        return min(starts) - 0.01, max(ends)


def _verb(row: dict[str, Any]) -> Verb | None:
    return verb_in_memory(row["verb"], row["targets"], row["cmd"]) if "verb" in row else None
