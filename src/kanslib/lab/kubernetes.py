"""What kubectl would show of a cluster, and the manifests that a learner hands to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kanslib.course import manifests
from kanslib.exceptions import ManifestError, NotRecordedError
from kanslib.i18n import tr
from kanslib.k8s.manifest import check_object, documents
from kanslib.k8s.objects import KubeObject, plural
from kanslib.k8s.schema import versions
from kanslib.lab import places
from kanslib.lab.queries import ClusterView

if TYPE_CHECKING:
    from kanslib.answer import Text
    from kanslib.render.tables import Table

# of what kubectl prints: the columns that are only shown when they are asked for
_WIDE = {
    "nodes": ("EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"),
    "pods": ("NOMINATED NODE", "READINESS GATES"),
    "services": ("SELECTOR",),
    "ipaddresspools": ("AVOID BUGGY IPS",),
}
EVENT_COLUMNS = ["TYPE", "REASON", "AGE", "FROM", "MESSAGE"]


def objects(view: ClusterView, kind: str, namespace: str | None) -> list[KubeObject]:
    """Return the API objects of a kind, of one namespace or of all."""
    if namespace is not None:
        places.check_namespace(view, namespace)
    return [obj for obj in view.objects(kind) if namespace in (None, obj["metadata"].get("namespace"))]


def table(view: ClusterView, kind: str, namespace: str | None, *, wide: bool) -> Table:
    """Return what `kubectl get KIND -o wide` prints; see `Lab.table`."""
    from kanslib.k8s import kubectl
    from kanslib.render.rows import Columns
    from kanslib.render.tables import Table

    rows = kubectl.rows(kind, objects(view, kind, namespace), view.backend.now())
    columns = Columns(tuple(kubectl.columns(kind)), _WIDE.get(plural(kind), ()))
    if namespace:
        why = tr("there are no {objects} in {namespace} at this moment", objects=plural(kind), namespace=namespace)
    else:
        why = tr("there are no {objects} at this moment", objects=plural(kind))
    return Table.from_rows(rows, view.provenance(), columns.shown(wide), empty_because=why)


def events(view: ClusterView, service: str) -> Table:
    """Return the Kubernetes events of a Service, in the order of their resourceVersion."""
    from kanslib.k8s import kubectl
    from kanslib.render.tables import Table

    found = places.find_service(view, service)
    uid = found["metadata"]["uid"]
    mine = [event for event in view.objects("events") if event["involvedObject"].get("uid") == uid]
    mine.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    rows = [kubectl.described_event(event, view.backend.now()) for event in mine]
    kind = found["spec"].get("type", "ClusterIP")
    why = tr(
        "{service}, a Service of type {kind}, has no event at this moment; the API keeps one for an hour",
        service=service,
        kind=kind,
    )
    return Table.from_rows(rows, view.provenance(), EVENT_COLUMNS, empty_because=why)


def describe(view: ClusterView, service: str) -> Text:
    """Return what `kubectl describe svc` printed of one Service."""
    found = places.find_service(view, service)["metadata"]
    text = view.backend.run("host", "kubectl describe svc")
    name, namespace = re.escape(found["name"]), re.escape(found.get("namespace", "default"))
    section = text.section(rf"Name: +{name}\nNamespace: +{namespace}\n")
    if not section:
        raise NotRecordedError(
            tr("kubectl describe of {service} at this moment", service=service),
            hint=tr("lab.events({service!r}) and lab.object('service', …) have the rest", service=service),
        )
    return section


def documents_of(view: ClusterView, manifest: str | KubeObject) -> list[KubeObject]:
    """Return the objects of a manifest; one of the course gets the addresses of this cluster's network.

    A dict may leave its apiVersion out. Raise ManifestError for a manifest without an object.
    """
    if isinstance(manifest, manifests.CourseManifest) and manifest.name:
        manifest = manifests.on(view.topology().network, manifest.name)
    if not isinstance(manifest, (str, dict)):
        raise ManifestError(tr("a manifest is YAML text or a dict, not of type {name}", name=type(manifest).__name__))
    found = documents(manifest) if isinstance(manifest, str) else [_with_version(check_object(manifest))]
    if not found:
        raise ManifestError(
            tr("the manifest is empty: expected YAML with at least one object, e.g. manifests.services")
        )
    return found


def _with_version(obj: KubeObject) -> KubeObject:
    """Return an object with the newest version of its kind, where it has none."""
    known = versions(obj.get("kind", ""))
    return {"apiVersion": known[-1], **obj} if known and "apiVersion" not in obj else obj
