"""Manifests and references: YAML as objects, and the name that kubectl gives to an object. Pure."""

from __future__ import annotations

import yaml

from kanslib.exceptions import ManifestError
from kanslib.i18n import tr
from kanslib.k8s.objects import CLUSTER_SCOPED, KubeObject, plural

_METALLB_KINDS = ("ipaddresspools", "l2adv", "bgp", "bfd", "communities")


def documents(manifest: str) -> list[KubeObject]:
    """Return the objects of a YAML manifest, without its empty documents. ManifestError for any other text."""
    return [check_object(document) for document in load_yaml(manifest)]


def load_yaml(text: str) -> list[object]:
    """Return the documents of a YAML text, without empty ones. ManifestError for a text that is not YAML."""
    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as exc:
        raise ManifestError(tr("not YAML: {exc}", exc=exc)) from None


def check_object(document: object) -> KubeObject:
    """Return the document when it is a Kubernetes object. ManifestError for any other."""
    if not isinstance(document, dict) or "kind" not in document or "name" not in (document.get("metadata") or {}):
        raise ManifestError(
            tr("not a Kubernetes object (kind and metadata.name are needed): {document!r:.80}", document=document)
        )
    return document


def reference(obj: KubeObject) -> str:
    """Return the reference that kubectl prints for an object.

    >>> reference({"kind": "Service", "metadata": {"name": "svc1"}})
    'service/svc1'
    """
    return f"{obj['kind'].lower()}/{obj['metadata']['name']}"


def canonical_reference(ref: str) -> str:
    """Return a reference with the plural of its kind, from any spelling that kubectl accepts.

    >>> canonical_reference("svc/svc1"), canonical_reference("Service/default/svc1"), canonical_reference("po/shop/web")
    ('services/svc1', 'services/svc1', 'pods/shop/web')
    """
    kind, namespace, name = parse_reference(ref)
    implied = parse_reference(f"{kind}/{name}")[1]
    return f"{kind}/{name}" if namespace == implied else f"{kind}/{namespace}/{name}"


def parse_reference(ref: str) -> tuple[str, str, str]:
    """Return the plural of a reference's kind, its namespace and its name: `svc/web`, or `svc/shop/web`.

    Without one, the namespace is `default`, or MetalLB's for its objects and Pods. Nodes and Namespaces have none.

    >>> parse_reference("svc/web"), parse_reference("pod/speaker-x2x4z"), parse_reference("ns/shop")
    (('services', 'default', 'web'), ('pods', 'metallb-system', 'speaker-x2x4z'), ('namespaces', '', 'shop'))
    """
    kind, _, rest = ref.partition("/")
    namespace, slash, name = rest.rpartition("/")
    kind = plural(kind)
    if kind in CLUSTER_SCOPED:
        return kind, "", name
    if slash:
        return kind, namespace, name
    is_metallb = kind.startswith(_METALLB_KINDS) or (kind == "pods" and name.startswith(("speaker-", "controller-")))
    return kind, "metallb-system" if is_metallb else "default", name


def qualified_reference(obj: KubeObject) -> str:
    """Return the reference of an object, with its namespace where a reference without one means another.

    >>> qualified_reference({"kind": "Service", "metadata": {"name": "web", "namespace": "shop"}})
    'service/shop/web'
    """
    bare = reference(obj)
    kind, implied, name = parse_reference(bare)
    namespace = obj["metadata"].get("namespace", "default")
    return bare if kind in CLUSTER_SCOPED or namespace == implied else f"{obj['kind'].lower()}/{namespace}/{name}"
