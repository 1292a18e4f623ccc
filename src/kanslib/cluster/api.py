"""The Kubernetes API of the course's cluster: kubectl on its control plane, open watches, and logs."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import yaml

from kanslib.cluster import docker
from kanslib.cluster.docker import CommandResult
from kanslib.cluster.state_file import CLUSTER
from kanslib.exceptions import ClusterError
from kanslib.k8s.objects import KubeObject, WatchEvent, as_of, key_of

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import BaseHTTPResponse

_LOG = logging.getLogger("kanslib.cluster")
CONTROL_PLANE = f"{CLUSTER}-control-plane"
PATHS = {
    "nodes": "/api/v1/nodes",
    "namespaces": "/api/v1/namespaces",
    "pods": "/api/v1/pods",
    "services": "/api/v1/services",
    "endpoints": "/api/v1/endpoints",
    "events": "/api/v1/events",
    "endpointslices": "/apis/discovery.k8s.io/v1/endpointslices",
    "leases": "/apis/coordination.k8s.io/v1/leases",
    "daemonsets": "/apis/apps/v1/daemonsets",
    "deployments": "/apis/apps/v1/deployments",
    "ipaddresspools": "/apis/metallb.io/v1beta1/ipaddresspools",
    "l2advertisements": "/apis/metallb.io/v1beta1/l2advertisements",
    "bgpadvertisements": "/apis/metallb.io/v1beta1/bgpadvertisements",
    "bgppeers": "/apis/metallb.io/v1beta2/bgppeers",
    "servicel2statuses": "/apis/metallb.io/v1beta1/servicel2statuses",
}


def kubectl(arguments: str, stdin: str | None = None, timeout: float = 120) -> CommandResult:
    """Run kubectl in the control plane's container: it cannot reach another cluster, and need not be installed here.

    `stdin`: text for `-f -`. `timeout`: seconds. Raises ClusterError when docker does not answer.
    """
    return docker.exec_in(
        CONTROL_PLANE, f"kubectl --kubeconfig /etc/kubernetes/admin.conf {arguments}", stdin, timeout=timeout
    )


def client() -> ApiClient:
    """Return a client of the course's cluster; the learner's kubeconfig is not read.

    Raises ClusterError where the kubernetes package is missing.
    """
    try:
        from kubernetes.config import new_client_from_config_dict
    except ImportError:
        raise ClusterError("the live backend needs the kubernetes package. Fix: pip install 'kanslib[live]'") from None
    text = docker.check_output(docker.docker("exec", CONTROL_PLANE, "cat", "/etc/kubernetes/admin.conf"))
    config = yaml.safe_load(text)
    port = docker.check_output(docker.docker("port", CONTROL_PLANE, "6443/tcp")).split()[0].rpartition(":")[2]
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = f"https://127.0.0.1:{port}"
    api_client: ApiClient = new_client_from_config_dict(config)  # type: ignore[no-untyped-call]
    return api_client


class Watches:
    """The watch events of every kind from now on, kept in memory: one open watch a kind.

    `on_event` is called with the kind and each watch event. Call `close` at the end.
    Raises ClusterError when a kind is not listed within 30 s.
    """

    def __init__(self, on_event: Callable[[str, WatchEvent], None] = lambda _kind, _event: None) -> None:
        self._on_event, self._stop = on_event, threading.Event()
        self._events: dict[str, list[WatchEvent]] = {kind: [] for kind in PATHS}
        self._listed = {kind: threading.Event() for kind in PATHS}
        self._api = client()
        self._threads = [
            threading.Thread(target=self._follow, args=(kind,), name=f"watch-{kind}", daemon=True) for kind in PATHS
        ]
        for thread in self._threads:
            thread.start()
        for kind, listed in self._listed.items():
            if not listed.wait(30):
                raise ClusterError(f"the API server of {CLUSTER} does not list {kind}: is the control plane up?")

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()

    def events(self, kind: str) -> list[WatchEvent]:
        """Return the watch events of a kind so far, in order of time."""
        return list(self._events[kind])

    def all(self) -> dict[str, list[WatchEvent]]:
        """Return the watch events so far by kind."""
        return {kind: self.events(kind) for kind in PATHS}

    def objects(self, kind: str) -> list[KubeObject]:
        """Return the objects of a kind as they are now."""
        return as_of(self.events(kind), float("inf"))

    def _append(self, kind: str, type_: str, obj: KubeObject) -> None:
        obj.get("metadata", {}).pop("managedFields", None)
        event = WatchEvent(time.time(), type_, obj)
        self._events[kind].append(event)
        self._on_event(kind, event)

    def _follow(self, kind: str) -> None:
        """List and watch until closed; again after a lost connection, or when a CRD is not installed yet."""
        from urllib3.exceptions import HTTPError

        while not self._stop.is_set():
            try:
                self._list_and_watch(kind)
            except PermissionError as refused:
                _LOG.error("no more watching of %s: %s", kind, refused)
                return
            except (OSError, HTTPError, LookupError, ValueError) as lost:
                _LOG.debug("watching %s again: %s", kind, lost)
                self._stop.wait(0.5)
            except Exception:
                _LOG.exception("watching %s again after an unexpected error", kind)
                self._stop.wait(0.5)

    def _list_and_watch(self, kind: str) -> None:
        version = self._list(kind)
        self._listed[kind].set()
        for line in self._lines(PATHS[kind], version):
            change = json.loads(line)
            if change["type"] in ("ERROR", "BOOKMARK") or self._stop.is_set():
                return
            self._append(kind, change["type"], change["object"])

    def _get(self, path: str, **query: str) -> BaseHTTPResponse:
        # the client's connection pool: its generated methods would parse every object into a class
        answer: BaseHTTPResponse = self._api.rest_client.pool_manager.request(
            "GET", self._api.configuration.host + path, fields=query, preload_content=False, timeout=300, retries=False
        )
        if answer.status == 404:
            raise LookupError(path)
        if answer.status in (401, 403):
            raise PermissionError(f"{path}: HTTP {answer.status}")
        if answer.status != 200:
            raise ConnectionError(f"{path}: HTTP {answer.status}")
        return answer

    def _list(self, kind: str) -> str:
        try:
            listed = json.loads(self._get(PATHS[kind]).data)
        except LookupError:  # MetalLB is not installed
            self._delete_absent(kind, set())
            self._listed[kind].set()
            raise
        items = listed["items"]
        names = {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
        self._delete_absent(kind, {key_of(item) for item in items})
        versions = {key_of(obj): obj["metadata"]["resourceVersion"] for obj in self.objects(kind)}
        for item in items:
            if versions.get(key_of(item)) != item["metadata"]["resourceVersion"]:
                self._append(kind, "ADDED" if key_of(item) not in versions else "MODIFIED", {**names, **item})
        return str(listed["metadata"]["resourceVersion"])

    def _delete_absent(self, kind: str, present: set[tuple[str, str]]) -> None:
        for obj in self.objects(kind):
            if key_of(obj) not in present:
                self._append(kind, "DELETED", obj)

    def _lines(self, path: str, version: str) -> Iterator[bytes]:
        response = self._get(path, watch="1", resourceVersion=version, timeoutSeconds="240")
        buffer = b""
        for part in response.stream(1 << 16, decode_content=True):
            *lines, buffer = (buffer + part).split(b"\n")
            yield from (line for line in lines if line)


def logs(watches: Watches, component: str) -> Iterator[tuple[str, str, str]]:
    """Yield Pod, node and log of each Pod of `speaker` or `controller`, as `kubectl logs --timestamps` prints it.

    The logs are read from files on the nodes: the API cannot reach a node whose link is down, but it still logs.
    A node that does not run is skipped.
    """
    running = {name for name, one in docker.containers().items() if one.running}
    for pod in watches.objects("pods"):
        meta, node = pod["metadata"], pod["spec"].get("nodeName", "")
        if meta["name"].startswith(component + "-") and meta["namespace"] == "metallb-system" and node in running:
            folder = f"/var/log/pods/metallb-system_{meta['name']}_{meta['uid']}/{component}"
            result = docker.exec_in(node, f"cat $(ls -tr {folder}/*.log)")
            if result.rc == 0:
                yield meta["name"], node, "".join(cri_log_lines(result.out))


def cri_log_lines(text: str) -> Iterator[str]:
    """Yield the lines of a CRI log (time, stream, P for a part or F for a full line, text) as time and text."""
    partial = ""
    for line in text.splitlines():
        moment, _, rest = line.partition(" ")
        _stream, _, rest = rest.partition(" ")
        tag, _, text_part = rest.partition(" ")
        partial = (partial or f"{moment} ") + text_part
        if tag == "F":
            yield partial + "\n"
            partial = ""
