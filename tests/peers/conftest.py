"""The programs of other people that we are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import golang, kubeproxy, kubeproxy_nftables, metallb


@pytest.fixture(scope="session")
def needs_go() -> None:
    """Skip where there is no Go."""
    if not golang.go():
        pytest.skip("needs Go: https://go.dev/dl, or apt-get install golang")


@pytest.fixture(scope="session")
def metallb_folder(needs_go: None) -> Path:
    """The folder of MetalLB's program, built where it is not there yet."""
    return metallb.built()


@pytest.fixture(scope="session")
def kubeproxy_folder(needs_go: None) -> Path:
    """The folder of kube-proxy's program, built where it is not there yet."""
    return kubeproxy.IPTABLES.built()


@pytest.fixture(scope="session")
def nftables_folder(needs_go: None) -> Path:
    """The folder of the program of kube-proxy's nftables mode, built where it is not there yet."""
    return kubeproxy_nftables.NFTABLES.built()


@pytest.fixture(scope="session")
def real_metallb(metallb_folder: Path) -> Iterator[metallb.MetalLB]:
    """MetalLB v0.14.8, ready to be asked."""
    running = metallb.MetalLB(metallb_folder)
    yield running
    running.close()
