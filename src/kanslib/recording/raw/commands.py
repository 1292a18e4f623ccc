"""What a shell command did to the world: its verb and its targets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count

import yaml

from kanslib.exceptions import ManifestError
from kanslib.k8s.objects import KubeObject, plural
from kanslib.recording.format import Verb

_DELETED = re.compile(r'^([a-z0-9.-]+) "([^"]+)"(?: force)? deleted', re.MULTILINE)


@dataclass(frozen=True)
class ClusterNames:
    """What has to be known of a cluster to read its commands: node names and Services' external addresses."""

    nodes: Collection[str]
    vips: Collection[str]


def documents(manifest: str) -> list[KubeObject]:
    """The objects of a YAML manifest, empty documents left out. Raises ManifestError for what is no manifest."""
    try:
        docs = [doc for doc in yaml.safe_load_all(manifest) if doc is not None]
    except yaml.YAMLError as exc:
        raise ManifestError(f"not YAML: {exc}") from None
    for doc in docs:
        if not isinstance(doc, dict) or "kind" not in doc or "name" not in doc.get("metadata", {}):
            raise ManifestError(f"not a Kubernetes object (kind and metadata.name are needed): {doc!r:.80}")
    return docs


def reference(obj: KubeObject) -> str:
    """An object as kubectl names it.

    >>> reference({"kind": "Service", "metadata": {"name": "svc1"}})
    'service/svc1'
    """
    return f"{obj['kind'].lower()}/{obj['metadata']['name']}"


def canonical_reference(ref: str) -> str:
    """A reference in one spelling, whatever the learner typed.

    >>> canonical_reference("svc/svc1"), canonical_reference("Service/svc1")
    ('services/svc1', 'services/svc1')
    """
    kind, _, name = ref.partition("/")
    return f"{plural(kind)}/{name}"


def describe(verb: Verb, targets: Sequence[str]) -> str:
    """An act in words.

    >>> describe("kill_node", ["myk8s-worker"])
    'kill-node myk8s-worker'
    """
    return " ".join([verb.replace("_", "-"), *targets])


def base_name(name: str) -> str:
    """An act's name without the number of a repeat.

    >>> base_name("apply-services-2")
    'apply-services'
    """
    return re.sub(r"-[0-9]+$", "", name)


def deduplicate(names: Iterable[str]) -> list[str]:
    """The names of acts, made unique: a repeat gets the next free number.

    >>> deduplicate(["apply-services", "delete-services", "apply-services", "apply-services-2"])
    ['apply-services', 'delete-services', 'apply-services-2', 'apply-services-3']
    """
    taken: dict[str, None] = {}
    for name in names:
        tries = chain([name], (f"{base_name(name)}-{number}" for number in count(2)))
        taken[next(one for one in tries if one not in taken)] = None
    return list(taken)


def interpret(command: str, manifest: str, output: str, places: ClusterNames) -> tuple[Verb, tuple[str, ...]]:
    """The verb and the targets of a recorded command; ("wait", ()) for one that changes nothing.

    >>> places = ClusterNames(nodes=["myk8s-worker"], vips=[])
    >>> interpret("docker kill --signal KILL myk8s-worker", "", "", places)
    ('kill_node', ('myk8s-worker',))
    >>> interpret("kubectl delete svc svc1", "", 'service "svc1" deleted', places)
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
        return _docker_run(words, places)
    if words[:2] == ["docker", "rm"]:
        return ("stop_router" if "router" in words[-1] else "remove_squatter"), (words[-1],)
    if words[:2] == ["docker", "exec"]:
        return _docker_exec(words, places)
    return "wait", ()


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # an unbalanced quote: still good enough to tell what was done
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
            return "patch", (f"{kind}/{name}",)
    return "wait", ()


def _docker_run(words: list[str], places: ClusterNames) -> tuple[Verb, tuple[str, ...]]:
    name = _option(words, "--name")
    if _option(words, "--network").startswith("container:"):
        return ("route_client", ()) if "route" in words and "add" in words else ("wait", ())
    if any("frr" in word for word in words):
        return "start_router", (name,)
    if _option(words, "--ip") in places.vips:
        return "add_squatter", (name, _option(words, "--ip"))
    return "start_client", (name,)


def _docker_exec(words: list[str], places: ClusterNames) -> tuple[Verb, tuple[str, ...]]:
    place, *inner = [word for word in words[2:] if word not in ("--privileged", "-i", "-t", "-it")]
    script = " ".join(inner)
    if place in places.nodes and "ip link set" in script:
        return ("cut_link" if script.endswith("down") else "mend_link"), (place,)
    if "vtysh" in inner:
        return "start_router", (place,)
    if "sysctl" in inner:
        return "route_client", ()
    if "ip route del" in script:
        return "unroute_client", ()
    return "wait", ()


def _option(words: list[str], name: str) -> str:
    """The value of `--name value` or `--name=value`; empty when it is not there."""
    for here, following in zip(words, [*words[1:], ""], strict=True):
        if here == name:
            return following
        if here.startswith(name + "="):
            return here.partition("=")[2]
    return ""
