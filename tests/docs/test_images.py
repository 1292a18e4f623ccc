"""docs/how-to/own-cluster.md names the images that a live cluster uses."""

from __future__ import annotations

import pytest

from kanslib import manifests
from kanslib.cluster import docker, lifecycle
from kanslib.k8s.manifest import documents
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "how-to" / "own-cluster.md"
POD_IMAGES = {one["image"] for pod in documents(manifests.webpods) for one in pod["spec"]["containers"]}
METALLB_IMAGES = {f"quay.io/metallb/{name}:{lifecycle.METALLB}" for name in ("controller", "speaker")}


@pytest.mark.parametrize(
    "image",
    sorted({docker.NODE_IMAGE, docker.CLIENT_IMAGE, docker.ROUTER_IMAGE} | POD_IMAGES | METALLB_IMAGES),
)
def test_page_names_image(image: str) -> None:
    assert image in PAGE.read_text()
