"""Interpret a shell command of a raw recording: its verb and its targets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass

from kanslib.actions import Verb
from kanslib.k8s.manifest import documents, reference
from kanslib.recording.format import verb_in_memory

_DELETED = re.compile(r'^([a-z0-9.-]+) "([^"]+)"(?: force)? deleted', re.MULTILINE)


@dataclass(frozen=True)
class ClusterNames:
    """The names that identify the targets of a command: the nodes, and the Services' external addresses."""

    nodes: Collection[str]
    vips: Collection[str]


def interpret(command: str, manifest: str, output: str, names: ClusterNames) -> tuple[Verb, tuple[str, ...]]:
    """Return the verb and the targets of a recorded command; ("wait", ()) for one that changes nothing.

    `manifest`: its standard input. `output`: what it printed. Raises ManifestError for a manifest that cannot be read.

    >>> names = ClusterNames(nodes=["myk8s-worker"], vips=[])
    >>> interpret("docker kill --signal KILL myk8s-worker", "", "", names)
    ('kill_node', ('myk8s-worker',))
    >>> interpret("kubectl delete svc svc1", "", 'service "svc1" deleted', names)
    ('delete', ('service/svc1',))
    """
    words = _words(command)
    if words[:1] == ["kubectl"]:
        return _kubectl(words, manifest, output)
    if words[:2] == ["kind", "create"]:
        return "create_cluster", ()
    if words[:2] in (["docker", "kill"], ["docker", "stop"], ["docker", "start"]):
        return ("start_node" if words[1] == "start" else "kill_node"), (words[-1],)
    if words[:2] == ["docker", "run"]:
        return _docker_run(words, names)
    if words[:2] == ["docker", "rm"]:
        return ("stop_router" if "router" in words[-1] else "remove_conflicting_host"), (words[-1],)
    if words[:2] == ["docker", "exec"]:
        return _docker_exec(words, names)
    return "wait", ()


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # an unbalanced quote; the verb can still be read
        return command.split()


def _kubectl(words: list[str], manifest: str, output: str) -> tuple[Verb, tuple[str, ...]]:
    match words[1:]:
        case ["apply", "-f", "-", *_]:
            return "apply", tuple(reference(doc) for doc in documents(manifest))
        case ["apply", "-f", source, *_] if "metallb" in source:
            return "install_metallb", ()
        case ["delete", *_]:
            return "delete", tuple(f"{kind.split('.')[0]}/{name}" for kind, name in _DELETED.findall(output))
        case ["label", "node" | "nodes", node, *labels]:
            return "label", (node, *(word for word in labels if not word.startswith("--")))
        case ["patch", kind, name, *_]:
            return verb_in_memory("patch", [f"{kind}/{name}"], " ".join(words)), (f"{kind}/{name}",)
    return "wait", ()


def _docker_run(words: list[str], names: ClusterNames) -> tuple[Verb, tuple[str, ...]]:
    name = _option(words, "--name")
    if _option(words, "--network").startswith("container:"):
        return ("route_client", ()) if "route" in words and "add" in words else ("wait", ())
    if any("frr" in word for word in words):
        return "start_router", (name,)
    if _option(words, "--ip") in names.vips:
        return "add_conflicting_host", (name, _option(words, "--ip"))
    return "start_client", (name,)


def _docker_exec(words: list[str], names: ClusterNames) -> tuple[Verb, tuple[str, ...]]:
    place, *inner = [word for word in words[2:] if word not in ("--privileged", "-i", "-t", "-it")]
    script = " ".join(inner)
    if place in names.nodes and "ip link set" in script:
        return ("link_down" if script.endswith("down") else "link_up"), (place,)
    if "vtysh" in inner:
        return "start_router", (place,)
    if "sysctl" in inner:
        return "route_client", ()
    if "ip route del" in script:
        return "unroute_client", ()
    return "wait", ()


def _option(words: list[str], name: str) -> str:
    """Return the value of `--name value` or `--name=value`; empty without that option."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(name + "="):
            return word.partition("=")[2]
    return ""
