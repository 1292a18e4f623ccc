"""The programs of other people that we are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import kubeproxy, metallb


@pytest.fixture(scope="session")
def metallb_folder() -> Path:
    """The folder of MetalLB's program, built where it is not there yet."""
    _need_go()
    return metallb.built()


@pytest.fixture(scope="session")
def kubeproxy_folder() -> Path:
    """The folder of kube-proxy's program, built where it is not there yet."""
    _need_go()
    return kubeproxy.built()


def _need_go() -> None:
    if not metallb.go():
        pytest.skip("needs Go: https://go.dev/dl, or apt-get install golang")


@pytest.fixture(scope="session")
def real_metallb(metallb_folder: Path) -> Iterator[metallb.MetalLB]:
    """MetalLB v0.14.8, ready to be asked."""
    running = metallb.MetalLB(metallb_folder)
    yield running
    running.close()
