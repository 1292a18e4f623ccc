"""Run docker, and read the state of the course's containers. Every command of the live backend runs through here."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kanslib.cluster.state_file import CLUSTER
from kanslib.exceptions import ClusterError
from kanslib.i18n import tr
from kanslib.recording.secret_patterns import redact

_LOG = logging.getLogger(__name__)
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
    """A finished command: start `t` and `end` (Unix seconds), exit status `rc`, standard output and standard error."""

    command: tuple[str, ...]
    t: float
    end: float
    rc: int
    out: str
    err: str

    @property
    def output(self) -> str:
        """The standard output; of a failed command also the standard error."""
        return self.out if self.rc == 0 else self.out + self.err


def command(*arguments: str, stdin: str | None = None, timeout: float = 120) -> CommandResult:
    """Run a command on this machine. Raises ClusterError when it is not installed or exceeds `timeout` (seconds)."""
    began = time.time()
    try:
        finished = subprocess.run(
            arguments, input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise ClusterError(
            tr("{arguments} is not on the PATH; `kans doctor` says how to install it", arguments=arguments[0])
        ) from None
    except subprocess.TimeoutExpired:
        raise ClusterError(
            tr("no answer within {timeout:.0f} s from: {arguments}", timeout=timeout, arguments=" ".join(arguments))
        ) from None
    result = CommandResult(tuple(arguments), began, time.time(), finished.returncode, finished.stdout, finished.stderr)
    # neither input nor output: manifests and kubeconfigs pass through here
    seconds = result.end - result.t
    _LOG.debug("%s: exit status %d after %.0f ms", redact(" ".join(arguments)), result.rc, seconds * 1000)
    return result


def docker(*arguments: str, stdin: str | None = None, timeout: float = 120) -> CommandResult:
    """Run `docker` with these arguments. Raises ClusterError as `command` does."""
    return command("docker", *arguments, stdin=stdin, timeout=timeout)


def check(result: CommandResult) -> CommandResult:
    """Return the result unchanged. Raises ClusterError with the error of a failed command."""
    if result.rc:
        raise ClusterError(f"{' '.join(result.command[:6])}: {error_summary(result)}")
    return result


def check_output(result: CommandResult) -> str:
    """Return the standard output. Raises ClusterError with the error of a failed command."""
    return check(result).out


def error_summary(result: CommandResult) -> str:
    """Return the line that explains a failed command; some print a hint at their help text after it."""
    lines = [line for line in (result.err or result.out).splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line or "denied" in line]
    return (errors or lines[-1:] or [tr("exit status {rc}", rc=result.rc)])[0].strip()


def exec_in(place: str, script: str, stdin: str | None = None, timeout: float = 120) -> CommandResult:
    """Run a shell command in a container with `--privileged`, so that it may change the network there."""
    interactive = ["-i"] if stdin is not None else []
    return docker("exec", "--privileged", *interactive, place, "sh", "-c", script, stdin=stdin, timeout=timeout)


def run_sidecar(place: str, script: str, timeout: float = 120) -> CommandResult:
    """Run a shell command in a new container of the client's image that shares the network of `place`."""
    return docker(
        "run", "--rm", "--privileged", "--label", OWNED, "--network", f"container:{place}",
        CLIENT_IMAGE, "sh", "-c", script, timeout=timeout,
    )  # fmt: skip


def network_name() -> str:
    """Return the name of the Docker network of kind's clusters."""
    return os.environ.get("KIND_EXPERIMENTAL_DOCKER_NETWORK", "kind")


@dataclass(frozen=True)
class Network:
    """kind's Docker network: IPv4 range (CIDR), gateway, and the name of its bridge interface."""

    subnet: str
    gateway: str
    bridge: str


def network() -> Network | None:
    """Read kind's Docker network; None where it does not exist. Raises ClusterError for one without IPv4."""
    result = docker("network", "inspect", network_name())
    if result.rc:
        return None
    (inspected,) = json.loads(result.out)
    for config in inspected["IPAM"]["Config"]:
        if ":" not in config["Subnet"]:
            first = config["Subnet"].split("/")[0].rpartition(".")[0] + ".1"
            bridge = inspected["Options"].get("com.docker.network.bridge.name", f"br-{inspected['Id'][:12]}")
            return Network(config["Subnet"], config.get("Gateway", first), bridge)
    raise ClusterError(
        tr("the Docker network {network_name} has no IPv4 range: the course needs one", network_name=network_name())
    )


def existing_network() -> Network:
    """Read kind's Docker network. Raises ClusterError where it does not exist."""
    if (existing := network()) is None:
        raise ClusterError(
            tr("the Docker network {network_name} does not exist: kans down, then kans up", network_name=network_name())
        )
    return existing


@dataclass(frozen=True)
class Container:
    """A container of the course; `address` and `mac` on kind's network are empty while it does not run.

    `owned`: the course started it beside the cluster; False for a node of kind.
    """

    id: str
    name: str
    running: bool
    address: str
    mac: str
    owned: bool


def containers() -> dict[str, Container]:
    """Read the course's containers by name: the nodes of the kind cluster, and those with the course's label."""
    ids = {*_ids(_KIND), *_ids(f"label={OWNED}")}
    if not ids:
        return {}
    result = docker("inspect", *sorted(ids))
    found = [_container(inspected) for inspected in json.loads(result.out or "[]")]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}


def _ids(condition: str) -> list[str]:
    return check_output(docker("ps", "-aq", "--no-trunc", "--filter", condition)).split()


def _container(inspected: dict[str, Any]) -> Container:
    endpoint = inspected["NetworkSettings"]["Networks"].get(network_name(), {})
    return Container(
        id=inspected["Id"],
        name=inspected["Name"].removeprefix("/"),
        running=inspected["State"]["Running"],
        address=endpoint.get("IPAddress", ""),
        mac=endpoint.get("MacAddress", ""),
        owned=OWNED in (inspected["Config"]["Labels"] or {}),
    )


def name_in_use(name: str) -> bool:
    """Return True when any container, of the course or not, has this name."""
    return docker("container", "inspect", name).rc == 0


def start(
    name: str, image: str, address: str, *options: str, run: Sequence[str] = ("sleep", "infinity")
) -> CommandResult:
    """Start a container with the course's label on kind's network, under this IPv4 address.

    `options`: further options of `docker run`. `run`: the command in the container.
    """
    return docker(
        "run", "-d", "--name", name, "--hostname", name, "--label", OWNED, "--network", network_name(),
        "--ip", address, *options, image, *run,
    )  # fmt: skip


def is_available() -> bool:
    """Return True when docker is installed and its engine answers."""
    return (
        shutil.which("docker") is not None and docker("version", "--format", "{{.Server.Version}}", timeout=20).rc == 0
    )
