"""The docker command, and what it says of the course's containers. Everything that runs, runs through here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kanslib.cluster.state_file import CLUSTER
from kanslib.exceptions import ClusterError

CLIENT = "mypc"
ROUTER = "router"
CONFLICTING_HOST = "squatter"
NODE_IMAGE = "kindest/node:v1.31.0"
CLIENT_IMAGE = "nicolaka/netshoot:v0.13"
ROUTER_IMAGE = "quay.io/frrouting/frr:8.4.2"
OWNED = "io.kanslib.course"  # the label of every container that the course starts beside kind's
_KIND = f"label=io.x-k8s.kind.cluster={CLUSTER}"


@dataclass(frozen=True)
class CommandResult:
    """A command that has run: from when to when (Unix seconds), its exit status and what it printed."""

    command: tuple[str, ...]
    t: float
    end: float
    rc: int
    out: str
    err: str

    @property
    def output(self) -> str:
        """Its output; with its complaints when it failed."""
        return self.out if self.rc == 0 else self.out + self.err


def command(*arguments: str, stdin: str | None = None, timeout: float = 120) -> CommandResult:
    """Run a command on this machine. Raises ClusterError when it is not there or takes too long."""
    began = time.time()
    try:
        ran = subprocess.run(
            arguments, input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise ClusterError(f"{arguments[0]} is not on the PATH; `kans doctor` says how to install it") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"no answer within {timeout:.0f} s from: {' '.join(arguments)}") from None
    return CommandResult(tuple(arguments), began, time.time(), ran.returncode, ran.stdout, ran.stderr)


def docker(*arguments: str, stdin: str | None = None, timeout: float = 120) -> CommandResult:
    """`docker …`."""
    return command("docker", *arguments, stdin=stdin, timeout=timeout)


def check(ran: CommandResult) -> CommandResult:
    """The same command; ClusterError with its complaint when it failed."""
    if ran.rc:
        raise ClusterError(f"{' '.join(ran.command[:6])}: {error_summary(ran)}")
    return ran


def check_output(ran: CommandResult) -> str:
    """What the command printed; ClusterError with its complaint when it failed."""
    return check(ran).out


def error_summary(ran: CommandResult) -> str:
    """The line in which a failed command says what went wrong; some end with a hint at their help text."""
    lines = [line for line in (ran.err or ran.out).splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line or "denied" in line]
    return (telling or lines[-1:] or [f"exit status {ran.rc}"])[0].strip()


def exec_in(place: str, script: str, stdin: str | None = None, timeout: float = 120) -> CommandResult:
    """Run a shell command in a container, with the rights to change its network."""
    interactive = ["-i"] if stdin is not None else []
    return docker("exec", "--privileged", *interactive, place, "sh", "-c", script, stdin=stdin, timeout=timeout)


def run_sidecar(place: str, script: str, timeout: float = 120) -> CommandResult:
    """Run a shell command with the client's tools in the network of a container that may lack them."""
    return docker(
        "run", "--rm", "--privileged", "--label", OWNED, "--network", f"container:{place}",
        CLIENT_IMAGE, "sh", "-c", script, timeout=timeout,
    )  # fmt: skip


def network_name() -> str:
    """The Docker network of kind's clusters."""
    return os.environ.get("KIND_EXPERIMENTAL_DOCKER_NETWORK", "kind")


@dataclass(frozen=True)
class Network:
    """kind's Docker network: its IPv4 range, its gateway, and the bridge on Docker's machine."""

    subnet: str
    gateway: str
    bridge: str


def network() -> Network | None:
    """kind's Docker network; None where there is none yet."""
    ran = docker("network", "inspect", network_name())
    if ran.rc:
        return None
    (found,) = json.loads(ran.out)
    for config in found["IPAM"]["Config"]:
        if ":" not in config["Subnet"]:
            first = config["Subnet"].split("/")[0].rpartition(".")[0] + ".1"
            bridge = found["Options"].get("com.docker.network.bridge.name", f"br-{found['Id'][:12]}")
            return Network(config["Subnet"], config.get("Gateway", first), bridge)
    raise ClusterError(f"the Docker network {network_name()} has no IPv4 range: the course needs one")


@dataclass(frozen=True)
class Container:
    """One container of the course: is it running, and its address and MAC on kind's network (empty when not)."""

    id: str
    name: str
    running: bool
    address: str
    mac: str
    owned: bool


def containers() -> dict[str, Container]:
    """The course's containers by name: the nodes of the kind cluster, and those that carry the course's label."""
    ids = {*_ids(_KIND), *_ids(f"label={OWNED}")}
    if not ids:
        return {}
    ran = docker("inspect", *sorted(ids))
    found = [_container(said) for said in json.loads(ran.out or "[]")]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}


def _ids(condition: str) -> list[str]:
    return check_output(docker("ps", "-aq", "--no-trunc", "--filter", condition)).split()


def _container(said: dict[str, Any]) -> Container:
    wired = said["NetworkSettings"]["Networks"].get(network_name(), {})
    return Container(
        id=said["Id"],
        name=said["Name"].removeprefix("/"),
        running=said["State"]["Running"],
        address=wired.get("IPAddress", ""),
        mac=wired.get("MacAddress", ""),
        owned=OWNED in (said["Config"]["Labels"] or {}),
    )


def name_in_use(name: str) -> bool:
    """True when some container, of the course or not, has this name."""
    return docker("container", "inspect", name).rc == 0


def start(
    name: str, image: str, address: str, *options: str, run: Sequence[str] = ("sleep", "infinity")
) -> CommandResult:
    """Start a container of the course on kind's network."""
    return docker(
        "run", "-d", "--name", name, "--hostname", name, "--label", OWNED, "--network", network_name(),
        "--ip", address, *options, image, *run,
    )  # fmt: skip


def is_available() -> bool:
    """True when there is a docker command and an engine answers it."""
    return (
        shutil.which("docker") is not None and docker("version", "--format", "{{.Server.Version}}", timeout=20).rc == 0
    )
