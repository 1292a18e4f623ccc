"""Read raw recordings: folders that a recording script or a journal wrote.

acts.ndjson, reads.ndjson + reads/<step>/…, objects/<kind>.ndjson, logs/<pod>@<node>.log,
captures/*.pcap, probes/*.ndjson
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, ip_interface, ip_network
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field

from kanslib.exceptions import RecordingError
from kanslib.i18n import tr
from kanslib.k8s.objects import WatchEvent
from kanslib.recording.files import FolderFiles
from kanslib.recording.format import Seconds, decode, decode_rows, decode_text, verb_in_memory
from kanslib.recording.objects import watch_rows

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


class RawAction(Struct, frozen=True):
    """One row of acts.ndjson: a command that changed the cluster.

    Only a journal has the last fields: `group`, equal for all steps of one action, `recorded_verb` and `targets`.
    """

    t: Seconds
    end: Seconds
    label: str = field(name="act")
    command: str = field(name="cmd")
    rc: int
    stdin: str | None = None
    output: str | None = field(name="out", default=None)
    group: str = ""
    recorded_verb: str | None = field(name="verb", default=None)
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.recorded_verb is not None:
            verb_in_memory(self.recorded_verb, self.targets, self.command)  # raises ValueError


class RawStory(Struct, frozen=True):
    """One row of a journal's stories.ndjson: a story is open from `t` on; without a name, the last one is closed.

    `lesson`: it belongs to the whole lesson.
    """

    t: Seconds
    name: str = field(name="story")
    title: str
    hide_actions: bool = field(name="neutral")
    lesson: bool


class RawPlaces(Struct, frozen=True):
    """The places in a journal's places.json; those of a script's recording are found in its commands."""

    client: str | None
    control_plane: str
    router: str | None
    network: str
    addresses: Mapping[str, str]

    def __post_init__(self) -> None:
        IPv4Network(self.network)  # raises ValueError


class _OutputRow(Struct, frozen=True):
    """One row of reads.ndjson. Only a journal names the place; a script's command names it."""

    t: Seconds
    end: Seconds
    command: str = field(name="cmd")
    rc: int
    file: str
    place: str | None = None


class _SettledRow(Struct, frozen=True):
    """One row of a journal's settled.ndjson."""

    group: str
    settled: Seconds


class _NodeMetadata(Struct):
    name: str
    uid: str
    labels: Mapping[str, str] = {}


class _NodeAddress(Struct):
    type: str
    address: str


class _Condition(Struct):
    type: str
    status: str


class _NodeInfo(Struct):
    kubelet_version: str = field(name="kubeletVersion")


class _NodeStatus(Struct):
    info: _NodeInfo = field(name="nodeInfo")
    addresses: tuple[_NodeAddress, ...] = ()
    conditions: tuple[_Condition, ...] = ()


class RawNode(Struct):
    """The part of a Node object that a conversion needs."""

    metadata: _NodeMetadata
    status: _NodeStatus


class _NodeRow(Struct):
    """One row of objects/nodes.ndjson."""

    t: Seconds
    object: RawNode


class _Subnet(Struct):
    subnet: str = field(name="Subnet")

    def __post_init__(self) -> None:
        ip_network(self.subnet)  # raises ValueError


class _AddressManagement(Struct):
    config: tuple[_Subnet, ...] = field(name="Config")


class _DockerNetwork(Struct):
    """A network as `docker network inspect` prints it."""

    address_management: _AddressManagement = field(name="IPAM")


class _InterfaceAddress(Struct):
    local: str
    prefixlen: int

    def __post_init__(self) -> None:
        ip_interface(f"{self.local}/{self.prefixlen}")  # raises ValueError


class _ContainerInterface(Struct):
    """An interface as `ip -j addr` prints it."""

    addr_info: tuple[_InterfaceAddress, ...]


T = TypeVar("T")


class RawRecording:
    """A raw recording. Everything raises RecordingError with the file and the line that cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.resolve().name
        if not (path / "acts.ndjson").is_file():
            raise RecordingError(str(path), tr("holds no acts.ndjson: not a raw recording"))
        self._files = FolderFiles(path)

    def names(self, folder: str, *suffixes: str) -> list[str]:
        """Return the names of the files of a folder (not of folders in it) that end in one of these suffixes."""
        inside = (name for name in self._files.sizes if name.rpartition("/")[0] == folder)
        return sorted(name for name in inside if name.endswith(suffixes))

    def content(self, name: str) -> bytes:
        """Return the content of a file."""
        if name not in self._files.sizes:
            raise RecordingError(f"{self.name}/{name}", tr("expected a file of this name inside the raw recording"))
        return self._files.read(name)

    def rows(self, name: str, kind: type[T]) -> Iterator[T]:
        """Yield the rows of an ndjson file; none where it does not exist."""
        if name in self._files.sizes:
            yield from decode_rows(self.content(name), kind, f"{self.name}/{name}")

    @cached_property
    def actions(self) -> list[RawAction]:
        """The rows of acts.ndjson in order of time."""
        return sorted(self.rows("acts.ndjson", RawAction), key=lambda row: row.t)

    @cached_property
    def settled(self) -> dict[str, float]:
        """When each group of steps had settled (Unix seconds), where a journal waited for it."""
        return {row.group: row.settled for row in self.rows("settled.ndjson", _SettledRow)}

    @cached_property
    def stories(self) -> list[RawStory]:
        """The rows of a journal's stories.ndjson in order of time."""
        return sorted(self.rows("stories.ndjson", RawStory), key=lambda row: row.t)

    @cached_property
    def places(self) -> RawPlaces | None:
        """The places of a journal; None for a script's recording."""
        if "places.json" not in self._files.sizes:
            return None
        return decode(self.content("places.json"), RawPlaces, f"{self.name}/places.json")

    @cached_property
    def watches(self) -> dict[str, list[WatchEvent]]:
        """The watch events of each kind, in order of time."""
        found = {}
        for name in self.names("objects", ".ndjson"):
            kind = name.removeprefix("objects/").removesuffix(".ndjson")
            rows = list(watch_rows(self.content(name), kind, f"{self.name}/{name}"))
            if any(row.type == "LIST" for row in rows):
                raise RecordingError(f"{self.name}/{name}", tr("has a row of type LIST: another cluster begins"))
            events = [WatchEvent(row.t, row.type, row.object or {}) for row in rows]
            found[kind] = sorted(events, key=lambda event: event.t)
        return found

    @cached_property
    def reads(self) -> list[RawOutput]:
        """Every recorded output in order of time; the output of a loop over all nodes is split by node."""
        out: list[RawOutput] = []
        for row in self.rows("reads.ndjson", _OutputRow):
            out += self._outputs_of(row, self.content(row.file))
        return sorted(out, key=lambda read: read.t)

    def _outputs_of(self, row: _OutputRow, content: bytes) -> list[RawOutput]:
        if row.place is not None:
            return [RawOutput(row.t, row.end, row.place, row.command, row.rc, content)]
        loop = list(_EACH_NODE.finditer(row.command))
        if loop:
            return list(self._outputs_per_node(row, loop, decode_text(content, f"{self.name}/{row.file}")))
        inside = _EXEC.match(row.command)
        place, inner = (inside["place"], inside["command"]) if inside else (HOST, row.command)
        return [RawOutput(row.t, row.end, place, inner, row.rc, content)]

    def _outputs_per_node(self, row: _OutputRow, loop: list[re.Match[str]], text: str) -> Iterator[RawOutput]:
        """Split a loop's output at the node names that it echoed; yield each piece with its command."""
        names = [part["node"] for part in loop]
        pieces = re.split(rf"(?m)^(?:{'|'.join(map(re.escape, names))})\n", text)[1:]
        for part, piece in zip(loop, pieces, strict=True):
            command = f"{part['command']}{self.node_addresses[part['node']]}{part['rest']}"
            yield RawOutput(row.t, row.end, part["place"], command, 0 if piece.strip() else 1, piece.encode())

    @cached_property
    def nodes(self) -> dict[str, RawNode]:
        """The newest known object of each node."""
        rows = sorted(self.rows("objects/nodes.ndjson", _NodeRow), key=lambda row: row.t)
        return {row.object.metadata.name: row.object for row in rows}

    @cached_property
    def node_addresses(self) -> dict[str, str]:
        """The internal address of each node."""
        internal = (
            (name, one.address)
            for name, node in self.nodes.items()
            for one in reversed(node.status.addresses)
            if one.type == "InternalIP"
        )
        return dict(internal)  # the first of a node's addresses counts

    @cached_property
    def control_plane(self) -> str:
        """The control plane's node."""
        role = "node-role.kubernetes.io/control-plane"
        for name, node in self.nodes.items():
            if role in node.metadata.labels:
                return name
        raise RecordingError(f"{self.name}/objects/nodes.ndjson", tr("no node carries the label {role}", role=role))

    @cached_property
    def cluster(self) -> str:
        """The identity of the cluster: the UID of its control plane's node."""
        return self.nodes[self.control_plane].metadata.uid

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
        inspected = (read for read in self.reads if read.command.startswith("docker network inspect"))
        for network in (one for read in inspected for one in self._decode(read, list[_DockerNetwork])):
            for subnet in (config.subnet for config in network.address_management.config):
                if ":" not in subnet:
                    return subnet
        address = self.node_addresses.get(self.control_plane)
        shown = (read for read in self.reads if (read.place, read.command) == (self.control_plane, "ip -j addr"))
        for interface in (one for read in shown for one in self._decode(read, list[_ContainerInterface])):
            for info in interface.addr_info:
                if info.local == address:
                    return str(ip_interface(f"{address}/{info.prefixlen}").network)
        raise RecordingError(f"{self.name}/reads.ndjson", tr("no command shows the Docker network's range"))

    def _decode(self, read: RawOutput, kind: type[T]) -> T:
        return decode(read.content, kind, tr("{name}: output of `{command}`", name=self.name, command=read.command))

    @property
    def span(self) -> tuple[float, float]:
        """Start and end (Unix seconds) of everything recorded, except logs and captures."""
        starts = [action.t for action in self.actions] + [read.t for read in self.reads]
        ends = [action.end for action in self.actions] + [read.end for read in self.reads]
        opened = [row.t for row in self.stories]
        starts, ends = starts + opened, ends + opened
        if not starts:
            raise RecordingError(str(self.path), tr("holds no action, no output and no story: nothing to convert"))
        for events in self.watches.values():
            ends += [event.t for event in events[-1:]]
        return min(starts) - 0.01, max(ends)
