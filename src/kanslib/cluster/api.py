"""The Kubernetes API of the course's cluster: kubectl on its control plane, open watches, and logs."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import yaml
from tenacity import (
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_exponential,
)

from kanslib.cluster import docker
from kanslib.cluster.docker import CommandResult
from kanslib.cluster.retries import log_retry
from kanslib.cluster.state_file import CLUSTER
from kanslib.exceptions import ClusterError
from kanslib.i18n import tr
from kanslib.installation import pip_install
from kanslib.k8s.objects import KubeObject, WatchEvent, WatchType, as_of, key_of

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import BaseHTTPResponse

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_STEADY_S = 10.0  # seconds after which a lost watch counts as one that worked
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
        raise ClusterError(
            tr("the live backend needs the kubernetes package. Fix: {command}", command=pip_install("live"))
        ) from None
    text = docker.check_output(docker.docker("exec", CONTROL_PLANE, "cat", "/etc/kubernetes/admin.conf"))
    config = yaml.safe_load(text)
    port = docker.check_output(docker.docker("port", CONTROL_PLANE, "6443/tcp")).split()[0].rpartition(":")[2]
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = f"https://127.0.0.1:{port}"
    api_client: ApiClient = new_client_from_config_dict(config)  # type: ignore[no-untyped-call]
    return api_client


class _RequestError(Exception):
    """A request to the API server failed; the text says which and why."""


class _InterruptedError(_RequestError):
    """A list or a watch ended early; the next one may succeed."""


class _RefusedError(_RequestError):
    """The API server refuses a request; to repeat it does not help."""


class _NotServedError(_RefusedError):
    """The API server has no such kind."""


class Watches:
    """The watch events of every kind from now on, kept in memory: one open watch a kind.

    `on_event` is called with the kind and each watch event. `api`: the client, by default of the course's own cluster.
    `patience`: seconds for which a lost connection is tried again. Call `close` at the end.
    Raises ClusterError when a kind cannot be listed; later, the methods do when a watch has ended for good.
    """

    def __init__(
        self,
        on_event: Callable[[str, WatchEvent], None] = lambda _kind, _event: None,
        api: ApiClient | None = None,
        patience: float = 120.0,
    ) -> None:
        self._on_event, self._patience, self._stop = on_event, patience, threading.Event()
        self._events: dict[str, list[WatchEvent]] = {kind: [] for kind in PATHS}
        self._errors: dict[str, Exception] = {}
        self._listed = {kind: threading.Event() for kind in PATHS}
        self._api = api or client()
        for kind in PATHS:
            threading.Thread(target=self._follow, args=(kind,), name=f"watch-{kind}", daemon=True).start()
        try:
            self._wait_until_listed()
        except ClusterError:
            self.close()
            raise

    def _wait_until_listed(self) -> None:
        for kind, listed in self._listed.items():
            if not listed.wait(30):
                raise ClusterError(
                    tr(
                        "the API server of {cluster} does not list {kind}: is the control plane up?",
                        cluster=CLUSTER,
                        kind=kind,
                    )
                )
            self._raise_error(kind)

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()

    @property
    def has_failed(self) -> bool:
        """True when a watch has ended for good: the cluster is not seen any more."""
        return bool(self._errors)

    def events(self, kind: str) -> list[WatchEvent]:
        """Return the watch events of a kind so far, in order of time."""
        self._raise_error(kind)
        return list(self._events[kind])

    def all(self) -> dict[str, list[WatchEvent]]:
        """Return the watch events so far by kind."""
        return {kind: self.events(kind) for kind in PATHS}

    def objects(self, kind: str) -> list[KubeObject]:
        """Return the objects of a kind as they are now."""
        return as_of(self.events(kind), float("inf"))

    def _raise_error(self, kind: str) -> None:
        error = self._errors.get(kind)
        if error is not None:
            reason = str(error) if isinstance(error, _RequestError) else f"{type(error).__name__}: {error}"
            raise ClusterError(
                tr(
                    "{kind} of {cluster} are not watched any more: {reason}\nnext step: kans up, then open "
                    "the lab again (KANS_LOG=debug logs every request)",
                    kind=kind,
                    cluster=CLUSTER,
                    reason=reason,
                )
            ) from error

    def _append(self, kind: str, type_: WatchType, obj: KubeObject) -> None:
        obj.get("metadata", {}).pop("managedFields", None)
        event = WatchEvent(time.time(), type_, obj)
        self._events[kind].append(event)
        self._on_event(kind, event)

    # ── one thread a kind ────────────────────────────────────────────────────────────────────────────────

    def _follow(self, kind: str) -> None:
        """List and watch until closed. What ends it is raised at the next question for this kind."""
        retrying = Retrying(
            retry=retry_if_exception_type(_InterruptedError),
            wait=wait_exponential(0.5, max=10),
            stop=stop_after_delay(self._patience) | stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            before_sleep=log_retry,
            reraise=True,
        )
        try:
            while not self._stop.is_set():
                retrying(self._list_and_watch, kind)
        except Exception as exc:  # noqa: BLE001 (nobody sees an exception of a thread: _raise_error raises it)
            if not self._stop.is_set():
                _LOG.error("%s are not watched any more: %s: %s", kind, type(exc).__name__, exc)
                self._errors[kind] = exc
        finally:
            self._listed[kind].set()

    def _list_and_watch(self, kind: str) -> None:
        """Return when the watch has ended after it had worked; raise _InterruptedError when it had not."""
        version = self._list(kind)
        self._listed[kind].set()
        if version is None:  # MetalLB is not installed
            self._stop.wait(0.5)
            return
        opened = time.monotonic()
        try:
            self._watch(kind, version)
        except _InterruptedError as lost:
            if time.monotonic() - opened < _STEADY_S:
                raise
            _LOG.info("watching %s again: %s", kind, lost)

    def _list(self, kind: str) -> str | None:
        """List a kind, and return the version to watch it from; None where the kind is MetalLB's and not installed."""
        try:
            with self._get(PATHS[kind]) as answer:
                listed = json.loads(_interruptible(answer.read))
        except _NotServedError:
            if "metallb.io" not in PATHS[kind]:
                raise
            self._delete_absent(kind, set())
            return None
        items = listed["items"]
        names = {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
        self._delete_absent(kind, {key_of(item) for item in items})
        versions = {key_of(obj): obj["metadata"]["resourceVersion"] for obj in self._now(kind)}
        for item in items:
            if versions.get(key_of(item)) != item["metadata"]["resourceVersion"]:
                self._append(kind, "ADDED" if key_of(item) not in versions else "MODIFIED", {**names, **item})
        return str(listed["metadata"]["resourceVersion"])

    def _now(self, kind: str) -> list[KubeObject]:
        return as_of(self._events[kind], float("inf"))

    def _delete_absent(self, kind: str, present: set[tuple[str, str]]) -> None:
        for obj in self._now(kind):
            if key_of(obj) not in present:
                self._append(kind, "DELETED", obj)

    def _watch(self, kind: str, version: str) -> None:
        """Append every change; raise _InterruptedError at the end, which a watch always has."""
        for line in self._lines(PATHS[kind], version):
            change = json.loads(line)
            if self._stop.is_set():
                break
            if change["type"] == "ERROR":
                _check_status(int(change["object"].get("code", 500)), PATHS[kind])
            if change["type"] != "BOOKMARK":
                self._append(kind, change["type"], change["object"])
        raise _InterruptedError(tr("the API server ended the watch"))

    def _lines(self, path: str, version: str) -> Iterator[bytes]:
        buffer = b""
        with self._get(path, watch="1", resourceVersion=version, timeoutSeconds="240") as response:
            parts = response.stream(1 << 16, decode_content=True)
            while part := _interruptible(lambda: next(parts, b"")):
                *lines, buffer = (buffer + part).split(b"\n")
                yield from (line for line in lines if line)

    def _get(self, path: str, **query: str) -> BaseHTTPResponse:
        # the client's connection pool: its generated methods would parse every object into a class
        began = time.monotonic()
        url = self._api.configuration.host + path
        pool = self._api.rest_client.pool_manager
        answer: BaseHTTPResponse = _interruptible(
            lambda: pool.request("GET", url, fields=query, preload_content=False, timeout=300, retries=False)
        )
        milliseconds = (time.monotonic() - began) * 1000
        _LOG.debug("GET %s %s: HTTP %d, %.0f ms", path, query or "", answer.status, milliseconds)
        if answer.status != 200:
            answer.close()
        _check_status(answer.status, path)
        return answer


def _check_status(status: int, path: str) -> None:
    """Raise _InterruptedError for a status after which the same request may succeed, _RefusedError for any other.

    410: the version to watch from is too old, so the objects are listed again (Kubernetes API concepts, "410 Gone").
    """
    if status == 200:
        return
    if status in (401, 403):
        raise _RefusedError(
            tr(
                "the API server refuses {path} (HTTP {status}): its credentials are of another cluster",
                path=path,
                status=status,
            )
        )
    if status == 404:
        raise _NotServedError(tr("the API server does not know {path} (HTTP 404): it is of another version", path=path))
    if status in (408, 410, 429) or status >= 500:
        raise _InterruptedError(f"{path}: HTTP {status}")
    raise _RefusedError(tr("the API server rejects {path} (HTTP {status})", path=path, status=status))


def _interruptible(read: Callable[[], T]) -> T:
    """Return what is read from a connection; raise _InterruptedError when it is lost."""
    from urllib3.exceptions import HTTPError

    try:
        return read()
    except HTTPError as lost:
        raise _InterruptedError(tr("the connection to the API server was lost ({lost})", lost=lost)) from lost


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
