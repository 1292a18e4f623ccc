"""Configurations that MetalLB refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kanslib.k8s.objects import KubeObject
from kanslib.metallb.config import pools


def test_pools_invalid_configuration_refused() -> None:
    def objects(*specs: list[str]) -> Callable[[str], list[KubeObject]]:
        found = [{"metadata": {"name": f"p{n}"}, "spec": {"addresses": spec}} for n, spec in enumerate(specs)]
        return lambda kind: found if kind == "ipaddresspools" else []

    for specs, words in (
        ((["192.0.2.0/24"], ["192.0.2.128-192.0.2.130"]), "overlaps"),
        ((["192.0.2.9-192.0.2.1"],), "invalid IP range"),
        ((["192.0.2.0/40"],), "invalid CIDR"),
        (([],), "has no addresses"),
    ):
        with pytest.raises(ValueError, match=words):
            pools(objects(*specs))
