"""Manifests and references: YAML as objects, and the name that kubectl gives to an object. Pure."""

from __future__ import annotations

import yaml

from kanslib.exceptions import ManifestError
from kanslib.k8s.objects import KubeObject, plural


def documents(manifest: str) -> list[KubeObject]:
    """Return the objects of a YAML manifest, without its empty documents. ManifestError for any other text."""
    return [check_object(document) for document in load_yaml(manifest)]


def load_yaml(text: str) -> list[object]:
    """Return the documents of a YAML text, without empty ones. ManifestError for a text that is not YAML."""
    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as exc:
        raise ManifestError(f"not YAML: {exc}") from None


def check_object(document: object) -> KubeObject:
    """Return the document when it is a Kubernetes object. ManifestError for any other."""
    if not isinstance(document, dict) or "kind" not in document or "name" not in document.get("metadata", {}):
        raise ManifestError(f"not a Kubernetes object (kind and metadata.name are needed): {document!r:.80}")
    return document


def reference(obj: KubeObject) -> str:
    """Return the reference that kubectl prints for an object.

    >>> reference({"kind": "Service", "metadata": {"name": "svc1"}})
    'service/svc1'
    """
    return f"{obj['kind'].lower()}/{obj['metadata']['name']}"


def canonical_reference(ref: str) -> str:
    """Return a reference with the plural of its kind, from any spelling that kubectl accepts.

    >>> canonical_reference("svc/svc1"), canonical_reference("Service/svc1")
    ('services/svc1', 'services/svc1')
    """
    kind, _, name = ref.partition("/")
    return f"{plural(kind)}/{name}"
