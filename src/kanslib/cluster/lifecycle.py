"""`kans up` and `kans down`: the course's kind cluster and its client container, made and removed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml

from kanslib.cluster import docker
from kanslib.cluster.api import CONTROL_PLANE, kubectl
from kanslib.cluster.docker import CLIENT, CLIENT_IMAGE, NODE_IMAGE, check_output
from kanslib.cluster.state_file import CLUSTER, OwnedResources, delete_state, load_state, save_state
from kanslib.course import manifests
from kanslib.course.addressing import address_plan
from kanslib.exceptions import BackendUnavailableError, ClusterError

Notify = Callable[[str], None]
METALLB = "v0.14.8"
_METALLB_URL = f"https://raw.githubusercontent.com/metallb/metallb/{METALLB}/config/manifests/metallb-native.yaml"
_RECORDED = "everything works on recordings, too: name no backend, and leave KANS_BACKEND unset"
_MEMORY = 4 * 2**30
_INOTIFY = {"max_user_watches": 65536, "max_user_instances": 256}
_PROC = Path("/proc/sys/fs/inotify")


# ── whose cluster is this? ───────────────────────────────────────────────────────────────────────────────


def _nodes() -> dict[str, docker.Container]:
    return {name: one for name, one in docker.containers().items() if not one.owned}


def _ours(nodes: Mapping[str, docker.Container]) -> bool:
    """True when these nodes are of the cluster that `kans up` made, whole or half."""
    made = load_state()
    if made is None or not nodes:
        return False
    if made.containers:
        return set(made.containers) >= {one.id for one in nodes.values()}
    created = check_output(docker.docker("inspect", "-f", "{{.Created}}", *nodes)).split()
    return all(_moment(stamp) >= made.began - 2 for stamp in created)


def _moment(stamp: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(stamp[:19] + "+00:00").timestamp()


def guard() -> None:
    """Raise BackendUnavailableError unless the kind cluster that is up is the course's own, made by `kans up`."""
    if not docker.is_available():
        raise BackendUnavailableError(f"no Docker engine answers here, so there is no live world.\n{_RECORDED}")
    nodes = _nodes()
    if not nodes:
        raise BackendUnavailableError(f"there is no course cluster here. Next step: kans up.\n{_RECORDED}")
    if not _ours(nodes):
        raise BackendUnavailableError(_not_ours())


def _not_ours() -> str:
    return (
        f"a kind cluster {CLUSTER} is here, but `kans up` did not make it, so the course leaves it alone.\n"
        f"next step, if you can do without it: kind delete cluster --name {CLUSTER}, then kans up"
    )


# ── before anything is changed ───────────────────────────────────────────────────────────────────────────


def obstacles() -> Iterator[str]:
    """What stands in the way of a cluster on this machine, one clear sentence each; looks only."""
    if shutil.which("docker") is None:
        yield "Docker is missing: install it (https://docs.docker.com/engine/install/), or use recordings: kans lab"
        return
    if not docker.is_available():
        yield "Docker is installed, but no engine answers: start it, or join its group: sudo usermod -aG docker $USER"
        return
    if shutil.which("kind") is None:
        yield "kind is missing: install it (https://kind.sigs.k8s.io/docs/user/quick-start/#installation)"
    yield from _too_little()
    yield from _in_the_way()


def _too_little() -> Iterator[str]:
    memory = int(check_output(docker.docker("info", "--format", "{{.MemTotal}}")) or 0)
    if memory < _MEMORY:
        yield (
            f"too little memory: Docker has {memory / 2**30:.1f} GiB, four nodes need {_MEMORY / 2**30:.0f} GiB; "
            "give it more (Docker Desktop: Settings, Resources)"
        )
    for name, least in _INOTIFY.items():
        try:
            there = int((_PROC / name).read_text())
        except (OSError, ValueError):
            continue  # no Linux: Docker's own machine has limits of its own
        if there < least:
            yield f"inotify limit too low for four nodes: sudo sysctl fs.inotify.{name}={least * 2} (now {there})"


def _in_the_way() -> Iterator[str]:
    if nodes := _nodes():
        if not _ours(nodes):
            yield _not_ours()
        return
    yield from (
        f"port {port} is taken on this machine, and the course maps its NodePorts there: stop what listens on it"
        for port in _host_ports()
        if _taken(port)
    )
    if docker.name_in_use(CLIENT) and CLIENT not in docker.containers():
        yield f"a container named {CLIENT} is here that is not the course's: docker rename {CLIENT} something-else"


def _host_ports() -> list[int]:
    config = yaml.safe_load(manifests.kind_cluster)
    return [mapped["hostPort"] for node in config["nodes"] for mapped in node.get("extraPortMappings", [])]


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return True
    return False


# ── up ───────────────────────────────────────────────────────────────────────────────────────────────────


def up(say: Notify) -> bool:
    """Make the cluster and its client, or complete and heal what is there. True when a cluster was made.

    Raises ClusterError, with everything that stands in the way, before anything is changed.
    """
    stops = list(obstacles())
    if stops:
        raise ClusterError("\n".join(stops))
    made = not _whole()
    if made:
        if _nodes():
            say("a half-made cluster is here: removing it")
            down(say)
        _make(say)
    _start_client(say)
    return made


def _whole() -> bool:
    """True when all four nodes are there and the last `kans up` came to its end."""
    made = load_state()
    return bool(made and made.containers and {one.id for one in _nodes().values()} == set(made.containers))


def _make(say: Notify) -> None:
    save_state(OwnedResources(time.time(), network_made=docker.network() is None))
    config = manifests.kind_cluster
    arguments = ["kind", "create", "cluster", "--name", CLUSTER, "--image", NODE_IMAGE, "--config", "-", "--wait", "0s"]
    say(f"making the kind cluster {CLUSTER} ({NODE_IMAGE})")
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as kind:
        assert kind.stdin is not None and kind.stderr is not None  # noqa: PT018 (pipes were asked for)
        kind.stdin.write(config)
        kind.stdin.close()
        told = []
        for line in kind.stderr:
            told.append(line.strip())
            if line.startswith(" • "):
                say(line.strip(" •.…\n\r"))
    if kind.returncode:
        _remove_made(say)
        raise ClusterError("kind could not make the cluster: " + "\n".join(line for line in told if line)[-800:])
    _wait_ready(say)
    made = load_state()
    save_state(
        OwnedResources(
            made.began if made else 0.0, bool(made and made.network_made), tuple(c.id for c in _nodes().values())
        )
    )


def _wait_ready(say: Notify) -> None:
    for _ in range(240):
        lines = kubectl("get nodes --no-headers").out.splitlines()
        waiting = [line.split()[0] for line in lines if line.split()[1] != "Ready"]
        if lines and not waiting:
            return
        say(f"waiting for nodes to be Ready: {', '.join(waiting) or 'all'}")
        time.sleep(0.5)
    raise ClusterError(f"these nodes did not become Ready in two minutes: {', '.join(waiting)}")


def _start_client(say: Notify) -> None:
    there = docker.containers().get(CLIENT)
    if there and there.running:
        return
    if there:
        check_output(docker.docker("start", CLIENT))
        return
    found = docker.network()
    if found is None:
        raise ClusterError(f"the Docker network {docker.network_name()} is gone: kans down, then kans up")
    say(f"starting the client {CLIENT} ({CLIENT_IMAGE})")
    check_output(docker.start(CLIENT, CLIENT_IMAGE, address_plan(found.subnet).client))


def metallb_manifest(file: Path | None = None) -> str:
    """MetalLB's manifest: `file`, METALLB_MANIFEST, or the project's own address. Raises ClusterError."""
    source = file or (Path(told) if (told := os.environ.get("METALLB_MANIFEST")) else None)
    if source is not None:
        try:
            return source.read_text()
        except OSError as exc:
            raise ClusterError(f"MetalLB's manifest cannot be read: {source} ({exc.strerror})") from None
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(_METALLB_URL, timeout=20) as answer:
            return str(answer.read().decode())
    except (URLError, OSError) as exc:
        raise ClusterError(
            f"MetalLB's manifest cannot be fetched from {_METALLB_URL} ({exc}).\n"
            "next step: download it where there is internet, then kans up --metallb --manifest FILE, "
            "or set METALLB_MANIFEST"
        ) from None


# ── down ─────────────────────────────────────────────────────────────────────────────────────────────────


def down(say: Notify) -> bool:
    """Remove exactly what `kans up` and the course made since. True when there was something."""
    if not docker.is_available():
        raise ClusterError("no Docker engine answers here, so there is nothing that could be removed")
    if (nodes := _nodes()) and not _ours(nodes):
        raise ClusterError(_not_ours())
    return _remove_made(say)


def _remove_made(say: Notify) -> bool:
    made = load_state()
    beside = [one.name for one in docker.containers().values() if one.owned]
    if beside:
        say(f"removing {', '.join(beside)}")
        check_output(docker.docker("rm", "-f", "-v", *beside))
    nodes = _nodes()
    if nodes:
        say(f"removing the cluster {CLUSTER}")
        if shutil.which("kind"):
            docker.command("kind", "delete", "cluster", "--name", CLUSTER)
        if left := _nodes():
            check_output(docker.docker("rm", "-f", "-v", *left))
    if made and made.network_made and docker.network():
        docker.docker("network", "rm", docker.network_name())  # refused while others use it: then it stays
    delete_state()
    return bool(beside or nodes)


def control_plane_up() -> bool:
    """True when the course's control plane runs."""
    there = docker.containers().get(CONTROL_PLANE)
    return there is not None and there.running
