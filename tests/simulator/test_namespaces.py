"""Objects of several namespaces: which one kubectl deletes, and what goes with a namespace."""

from __future__ import annotations

import pytest

import kanslib
from kanslib.exceptions import RefusedError
from kanslib.lab.lab import Lab

SERVICES = "\n---\n".join(
    f"""apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: Service
metadata: {{name: till, namespace: {namespace}}}
spec: {{type: LoadBalancer, selector: {{app: web}}, ports: [{{port: 80}}]}}"""
    for namespace in ("attic", "zoo")
)
TILL = "apiVersion: v1\nkind: Service\nmetadata: {name: till%s}\nspec: {ports: [{port: 80}]}\n"


def _namespaces(lab: Lab, kind: str = "services") -> list[str]:
    return [one["metadata"]["namespace"] for one in lab.objects(kind) if one["metadata"]["name"] == "till"]


def test_lab_delete_object_takes_that_of_default() -> None:
    lab = kanslib.simulate(f"{SERVICES}\n---\n{TILL % ''}")
    assert _namespaces(lab) == ["attic", "default", "zoo"]
    assert str(lab.delete_object("svc/till")) == 'service "till" deleted'
    assert _namespaces(lab) == ["attic", "zoo"]
    assert str(lab.delete_object("svc/till")) == "svc/till not found"
    lab.delete_object("svc/zoo/till")
    assert _namespaces(lab) == ["attic"]


def test_lab_delete_takes_that_of_the_manifest() -> None:
    lab = kanslib.simulate(SERVICES)
    lab.delete(TILL % ", namespace: zoo")
    assert _namespaces(lab) == ["attic"]


def test_lab_delete_object_namespace_takes_what_is_in_it() -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: till, namespace: zoo, labels: {app: web}}\n"
    lab = kanslib.simulate(f"{SERVICES}\n---\n{pod}spec: {{containers: [{{name: c, image: whoami}}]}}\n")
    assert _namespaces(lab, "pods") == ["zoo"]
    assert str(lab.delete_object("ns/zoo")) == 'namespace "zoo" deleted'
    assert _namespaces(lab) == ["attic"]
    assert _namespaces(lab, "pods") == []
    assert {one["metadata"]["namespace"] for one in lab.objects("endpointslices")} == {
        "default",
        "attic",
        "kube-system",
    }
    with pytest.raises(RefusedError, match='namespaces "zoo" not found'):
        lab.apply(TILL % ", namespace: zoo")


def test_lab_delete_object_namespace_default_refused() -> None:
    lab = kanslib.simulate(SERVICES)
    with pytest.raises(RefusedError, match='namespaces "default" is forbidden: this namespace may not be deleted'):
        lab.delete_object("ns/default")


def test_lab_apply_refuses_one_and_applies_the_others() -> None:
    lab = kanslib.simulate(SERVICES)
    with pytest.raises(RefusedError, match='namespaces "shop" not found') as refused:
        lab.apply(f"{TILL % ', namespace: shop'}---\n{TILL % ''}")
    assert refused.value.component == "kube-apiserver"
    assert _namespaces(lab) == ["attic", "default", "zoo"]
    before = len(lab.moments())
    with pytest.raises(RefusedError):
        lab.apply(TILL % ", namespace: shop")
    assert len(lab.moments()) == before  # nothing was done
