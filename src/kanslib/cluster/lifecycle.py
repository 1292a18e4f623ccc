"""Create and remove the course's kind cluster and its client container, for `kans up` and `kans down`."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from kanslib.cluster import docker
from kanslib.cluster.api import CONTROL_PLANE, kubectl
from kanslib.cluster.docker import CLIENT, CLIENT_IMAGE, NODE_IMAGE, check_output
from kanslib.cluster.retries import retry_until
from kanslib.cluster.state_file import CLUSTER, OwnedResources, delete_state, load_state, save_state
from kanslib.course import manifests
from kanslib.course.addressing import address_plan
from kanslib.exceptions import BackendUnavailableError, ClusterError
from kanslib.i18n import listed, tr, tr_later

_LOG = logging.getLogger(__name__)
Notify = Callable[[str], None]
METALLB = "v0.14.8"
_METALLB_URL = f"https://raw.githubusercontent.com/metallb/metallb/{METALLB}/config/manifests/metallb-native.yaml"
_RECORDED = tr_later("chapters and challenges work on recordings, too: name no backend, and leave KANS_BACKEND unset")
_MEMORY = 4 * 2**30
_INOTIFY = {"max_user_watches": 65536, "max_user_instances": 256}
_PROC = Path("/proc/sys/fs/inotify")


# ── ownership ────────────────────────────────────────────────────────────────────────────────────────────


def _nodes() -> dict[str, docker.Container]:
    return {name: one for name, one in docker.containers().items() if not one.owned}


def _owned(nodes: Mapping[str, docker.Container]) -> bool:
    """Return True when these nodes belong to a cluster that `kans up` created, complete or not."""
    state = load_state()
    if state is None or not nodes:
        return False
    if state.containers:
        return set(state.containers) >= {one.id for one in nodes.values()}
    created = check_output(docker.docker("inspect", "-f", "{{.Created}}", *nodes)).split()
    return all(_unix_seconds(stamp) >= state.began - 2 for stamp in created)


def _unix_seconds(stamp: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(stamp[:19] + "+00:00").timestamp()


def guard() -> None:
    """Raise BackendUnavailableError unless there is a kind cluster that `kans up` created."""
    if not docker.is_available():
        raise BackendUnavailableError(
            tr("no Docker engine answers here, so there is no live backend.\n{recorded}", recorded=tr(_RECORDED))
        )
    nodes = _nodes()
    if not nodes:
        raise BackendUnavailableError(
            tr("there is no course cluster here. Next step: kans up.\n{recorded}", recorded=tr(_RECORDED))
        )
    if not _owned(nodes):
        raise BackendUnavailableError(_not_owned_message())


def _not_owned_message() -> str:
    return tr(
        "a kind cluster {cluster} is here, but `kans up` did not create it, so the course leaves it "
        "alone.\nnext step, if you can do without it: kind delete cluster --name {cluster}, then kans "
        "up",
        cluster=CLUSTER,
    )


# ── before anything is changed ───────────────────────────────────────────────────────────────────────────


def obstacles() -> Iterator[str]:
    """Yield what prevents a cluster on this machine, a sentence each. Changes nothing."""
    if shutil.which("docker") is None:
        yield tr("Docker is missing: install it (https://docs.docker.com/engine/install/), or use recordings: kans lab")
        return
    if not docker.is_available():
        yield tr(
            "Docker is installed, but no engine answers: start it, or join its group: sudo usermod -aG docker $USER"
        )
        return
    if shutil.which("kind") is None:
        yield tr("kind is missing: install it (https://kind.sigs.k8s.io/docs/user/quick-start/#installation)")
    yield from _resource_obstacles()
    yield from _conflict_obstacles()


def _resource_obstacles() -> Iterator[str]:
    memory = int(check_output(docker.docker("info", "--format", "{{.MemTotal}}")) or 0)
    if memory < _MEMORY:
        yield (
            tr(
                "too little memory: Docker has {memory:.1f} GiB, four nodes need {least:.0f} GiB; give "
                "it more (Docker Desktop: Settings, Resources)",
                memory=memory / 2**30,
                least=_MEMORY / 2**30,
            )
        )
    for name, least in _INOTIFY.items():
        try:
            limit = int((_PROC / name).read_text())
        except (OSError, ValueError):
            continue  # not Linux: the limits are those of Docker's virtual machine
        if limit < least:
            yield tr(
                "inotify limit too low for four nodes: sudo sysctl fs.inotify.{name}={least} (now {limit})",
                name=name,
                least=least * 2,
                limit=limit,
            )


def _conflict_obstacles() -> Iterator[str]:
    if nodes := _nodes():
        if not _owned(nodes):
            yield _not_owned_message()
        return
    yield from (
        tr(
            "port {port} is taken on this machine, and the course maps its NodePorts there: stop what listens on it",
            port=port,
        )
        for port in _host_ports()
        if _port_in_use(port)
    )
    if docker.name_in_use(CLIENT) and CLIENT not in docker.containers():
        yield tr(
            "a container named {client} is here that is not the course's: docker rename {client} something-else",
            client=CLIENT,
        )


def _host_ports() -> list[int]:
    config = yaml.safe_load(manifests.kind_cluster)
    return [mapped["hostPort"] for node in config["nodes"] for mapped in node.get("extraPortMappings", [])]


def _port_in_use(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return True
    return False


# ── up ───────────────────────────────────────────────────────────────────────────────────────────────────


def up(notify: Notify) -> bool:
    """Create the cluster and its client, or complete an existing one. Return True when a cluster was created.

    `notify` is called with each step. Raises ClusterError with every obstacle before anything is changed.
    """
    messages = list(obstacles())
    if messages:
        raise ClusterError("\n".join(messages))
    create = not _is_complete()
    if create:
        if _nodes():
            notify(tr("an incomplete cluster is here: removing it"))
            down(notify)
        _create(notify)
    _start_client(notify)
    return create


def _is_complete() -> bool:
    """Return True when the last `kans up` finished and all of its nodes exist."""
    state = load_state()
    return bool(state and state.containers and {one.id for one in _nodes().values()} == set(state.containers))


def _create(notify: Notify) -> None:
    state = OwnedResources(time.time(), network_made=docker.network() is None)
    save_state(state)
    config = manifests.kind_cluster
    arguments = ["kind", "create", "cluster", "--name", CLUSTER, "--image", NODE_IMAGE, "--config", "-", "--wait", "0s"]
    notify(tr("creating the kind cluster {cluster} ({node_image})", cluster=CLUSTER, node_image=NODE_IMAGE))
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as kind:
        assert kind.stdin is not None and kind.stderr is not None  # noqa: PT018 (both are pipes)
        kind.stdin.write(config)
        kind.stdin.close()
        lines = []
        for line in kind.stderr:
            lines.append(line.strip())
            if line.startswith(" • "):
                notify(line.strip(" •.…\n\r"))
    _LOG.debug("%s: exit status %d after %.0f s", " ".join(arguments), kind.returncode, time.time() - state.began)
    if kind.returncode:
        _remove_owned(notify)
        raise ClusterError(tr("kind could not create the cluster:") + " " + "\n".join(filter(None, lines))[-800:])
    _wait_ready(notify)
    save_state(replace(state, containers=tuple(one.id for one in _nodes().values())))


def _wait_ready(notify: Notify) -> None:
    retrying = retry_until(
        lambda waiting: waiting == [],
        every=0.5,
        seconds=120,
        on_wait=lambda waiting: notify(
            tr("waiting for nodes to be Ready: {waiting}", waiting=listed(waiting or [tr("all")]))
        ),
    )
    waiting = retrying(_not_ready)
    if waiting != []:
        raise ClusterError(
            tr("these nodes did not become Ready in two minutes: {waiting}", waiting=listed(waiting or [tr("all")]))
        )


def _not_ready() -> list[str] | None:
    """Return the nodes that are not Ready; None while the API server lists none at all."""
    lines = kubectl("get nodes --no-headers").out.splitlines()
    return [line.split()[0] for line in lines if line.split()[1] != "Ready"] if lines else None


def _start_client(notify: Notify) -> None:
    client = docker.containers().get(CLIENT)
    if client and client.running:
        return
    if client:
        check_output(docker.docker("start", CLIENT))
        return
    network = docker.existing_network()
    notify(tr("starting the client {client} ({client_image})", client=CLIENT, client_image=CLIENT_IMAGE))
    check_output(docker.start(CLIENT, CLIENT_IMAGE, address_plan(network.subnet).client))


def metallb_manifest(file: Path | None = None) -> str:
    """Read MetalLB's manifest from `file`, else from the path in METALLB_MANIFEST, else from the project's site.

    Raises ClusterError when it cannot be read.
    """
    source = file or (Path(path) if (path := os.environ.get("METALLB_MANIFEST")) else None)
    if source is not None:
        _LOG.info("reading %s", source)
        try:
            text = source.read_text(encoding="utf-8")
        except OSError as exc:
            raise ClusterError(
                tr("MetalLB's manifest cannot be read: {source} ({strerror})", source=source, strerror=exc.strerror)
            ) from None
        except UnicodeDecodeError:
            raise ClusterError(
                tr(
                    "MetalLB's manifest cannot be read: {source} is no text; download {metallb_url}",
                    source=source,
                    metallb_url=_METALLB_URL,
                )
            ) from None
        if "kind: DaemonSet" not in text:
            raise ClusterError(
                tr(
                    "{source}: has no DaemonSet, so it is not MetalLB's manifest; download {metallb_url}",
                    source=source,
                    metallb_url=_METALLB_URL,
                )
            )
        return text
    from urllib.error import URLError
    from urllib.request import urlopen

    _LOG.info("fetching %s", _METALLB_URL)
    try:
        with urlopen(_METALLB_URL, timeout=20) as response:
            return str(response.read().decode())
    except (URLError, OSError) as exc:
        raise ClusterError(
            tr(
                "MetalLB's manifest cannot be fetched from {metallb_url} ({exc}).\nnext step: download it "
                "where there is internet, then kans up --metallb --manifest FILE, or set METALLB_MANIFEST",
                metallb_url=_METALLB_URL,
                exc=exc,
            )
        ) from None


# ── down ─────────────────────────────────────────────────────────────────────────────────────────────────


def down(notify: Notify) -> bool:
    """Remove exactly what `kans up` and the course created. Return True when there was something to remove.

    Raises ClusterError when Docker does not answer, or for a cluster that `kans up` did not create.
    """
    if not docker.is_available():
        raise ClusterError(tr("no Docker engine answers here, so there is nothing that could be removed"))
    if (nodes := _nodes()) and not _owned(nodes):
        raise ClusterError(_not_owned_message())
    return _remove_owned(notify)


def _remove_owned(notify: Notify) -> bool:
    state = load_state()
    containers = [one.name for one in docker.containers().values() if one.owned]
    if containers:
        notify(tr("removing {containers}", containers=listed(containers)))
        check_output(docker.docker("rm", "-f", "-v", *containers))
    nodes = _nodes()
    if nodes:
        notify(tr("removing the cluster {cluster}", cluster=CLUSTER))
        if shutil.which("kind"):
            docker.command("kind", "delete", "cluster", "--name", CLUSTER)
        if left := _nodes():
            check_output(docker.docker("rm", "-f", "-v", *left))
    if state and state.network_made and docker.network():
        docker.docker("network", "rm", docker.network_name())  # Docker refuses, and it stays, while others use it
    delete_state()
    return bool(containers or nodes)


def control_plane_up() -> bool:
    """Return True when the control plane's container runs."""
    control_plane = docker.containers().get(CONTROL_PLANE)
    return control_plane is not None and control_plane.running
