"""Configurations read and refused beside MetalLB v0.14.8's own package `config`, and its webhooks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.config import Configuration, parse_config, read_config
from kanslib.metallb.native_mode import check_native_mode
from kanslib.metallb.peers import check_durations
from kanslib.metallb.resources import Resources
from kanslib.metallb.webhook import WEBHOOKS, Operation, admit
from tests.peers.metallb import MetalLB, RefusedByMetalLBError, cases
from tests.peers.random_configurations import RandomConfigurations
from tests.peers.resources import (
    Described,
    Objects,
    cluster_resources,
    comparable,
    described,
    from_cluster_resources,
    our_resources,
)

pytestmark = pytest.mark.peers
CONFIGURATIONS = int(os.environ.get("KANS_CONFIGURATIONS", "500"))
OPERATIONS: tuple[Operation, ...] = ("CREATE", "UPDATE", "DELETE")
SEED = int(os.environ.get("KANS_SEED", "1"))


def refusal(read: Callable[[Resources], object], resources: Resources) -> str:
    """Return why our reading refuses resources; empty when it does not."""
    try:
        read(resources)
    except ConfigurationError as error:
        return str(error)
    return ""


def test_parse_config_cases_of_metallb(metallb_folder: Path) -> None:
    found = {"TestParse": 0, "TestValidate": 0}
    for case in cases(metallb_folder):
        read = parse_config if case["table"] == "TestParse" else check_native_mode
        assert refusal(read, from_cluster_resources(case["resources"])) == case["error"], case["name"]
        found[case["table"]] += 1
    assert found == {"TestParse": 81, "TestValidate": 10}


def test_read_config_random_configurations(real_metallb: MetalLB) -> None:
    """Any order of Go's maps is right: where several entries are wrong, MetalLB may name another one of them."""
    draw, accepted, differences = RandomConfigurations(SEED), 0, []
    for number in range(CONFIGURATIONS):
        objects = draw.draw()
        theirs, ours = _theirs(real_metallb, objects), _ours(objects)
        accepted += not isinstance(ours, str)
        if theirs != ours and not _is_order_of_a_map(real_metallb, objects, ours):
            differences.append((number, theirs, ours))
    print(f"seed {SEED}: {CONFIGURATIONS} configurations, {accepted} accepted, {len(differences)} differences")
    assert not differences, differences[:3]
    assert CONFIGURATIONS * 0.2 < accepted < CONFIGURATIONS * 0.8


def _theirs(real_metallb: MetalLB, objects: Objects) -> Described | str:
    try:
        found = real_metallb.ask("configuration", resources=cluster_resources(objects), mode="native")
    except RefusedByMetalLBError as error:
        return str(error)
    return comparable(found)


def _ours(objects: Objects) -> Described | str:
    try:
        config: Configuration = read_config(our_resources(objects))
    except ConfigurationError as error:
        return str(error)
    return described(config)


def _is_order_of_a_map(real_metallb: MetalLB, objects: Objects, ours: Described | str) -> bool:
    """Return True when MetalLB, asked again, also gives our answer: it walks maps in a random order."""
    return any(_theirs(real_metallb, objects) == ours for _ in range(40))


def test_admit_random_objects(real_metallb: MetalLB) -> None:
    draw, denied, differences = RandomConfigurations(SEED, wrong=0.05), 0, []
    for number in range(CONFIGURATIONS):
        objects = draw.draw()
        objects["bgppeers"] = [peer for peer in objects["bgppeers"] if _is_decodable(peer)]  # no other is ever stored
        candidates = [one for kind in objects for one in objects[kind] if one.get("kind") in WEBHOOKS]
        if not candidates:
            continue
        new, operation = draw.rng.choice(candidates), draw.rng.choice(OPERATIONS)
        new = {
            **new,
            "metadata": {**new["metadata"], "namespace": draw.rng.choice(("metallb-system",) * 9 + ("default",))},
        }
        theirs = _webhook_refusal(real_metallb, operation, new, objects)
        ours = _our_refusal(operation, new, objects)
        denied += bool(ours)
        if theirs != ours and not any(
            _webhook_refusal(real_metallb, operation, new, objects) == ours for _ in range(40)
        ):
            differences.append((number, operation, new["kind"], theirs, ours))
    print(f"seed {SEED}: {CONFIGURATIONS} objects, {denied} denied, {len(differences)} differences")
    assert not differences, differences[:3]
    assert CONFIGURATIONS * 0.1 < denied < CONFIGURATIONS * 0.8


def _is_decodable(peer: KubeObject) -> bool:
    try:
        check_durations([peer])
    except ConfigurationError:
        return False
    return True


def _webhook_refusal(real_metallb: MetalLB, operation: Operation, new: KubeObject, objects: Objects) -> str:
    try:
        real_metallb.ask("admission", operation=operation, object=new, resources=cluster_resources(objects))
    except RefusedByMetalLBError as error:
        return str(error)
    return ""


def _our_refusal(operation: Operation, new: KubeObject, objects: Objects) -> str:
    try:
        admit(operation, new, lambda kind: objects.get(kind, []))
    except ConfigurationError as error:
        return str(error)
    return ""
