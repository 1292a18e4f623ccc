"""Everything that can be done to a cluster, in one table: ACTIONS. Pure.

A new action is a row here, what performs it (`cluster/actions.py`, `simulator/simulator.py`), and a method of Lab.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Literal, NamedTuple

from kanslib.i18n import listed, tr, tr_plural

Verb = Literal[
    "create_cluster", "start_client", "apply", "delete", "install_metallb", "label", "patch", "wait",
    "start_router", "stop_router", "route_client", "unroute_client", "stop_speakers", "start_speakers",
    "add_conflicting_host", "remove_conflicting_host", "kill_node", "start_node", "link_down", "link_up",
]  # fmt: skip
Targets = Literal["nothing", "objects", "node", "labels", "container"]


@dataclass(frozen=True)
class ActionType:
    """One row of ACTIONS: what an action is done to, what ends its effect, and how long it takes to settle.

    `done`: the action in words once it is done, `{targets}` for its targets. `targets`: nothing; objects (kind/name); a
    node; a node and its labels; a container beside the cluster.
    `inverse`: the action that ends the effect of this one; None when the effect does not last, or is an object's.
    `ends`: the action whose effect this one ends. `loses_node`: a worker cannot be reached afterwards.
    `before_objects`: a state is reached by this first, and by its objects afterwards.
    `undone_at_exit`: a process that did it undoes it when it ends. `patience_s`: seconds after which to stop waiting.
    """

    done: str
    targets: Targets = "nothing"
    inverse: Verb | None = None
    ends: Verb | None = None
    loses_node: bool = False
    before_objects: bool = False
    undone_at_exit: bool = False
    patience_s: float = 60.0


# The order counts: to reach a state, what is unwanted ends, last row first; then the rest begins, first row first.
ACTIONS: dict[Verb, ActionType] = {
    "create_cluster": ActionType("cluster created"),
    "start_client": ActionType("{targets} started", targets="container"),
    "wait": ActionType("nothing done"),
    "apply": ActionType("{targets} applied", targets="objects"),
    "delete": ActionType("{targets} deleted", targets="objects"),
    "patch": ActionType("{targets} patched", targets="objects"),
    "install_metallb": ActionType("MetalLB installed", patience_s=240),
    "start_router": ActionType("BGP router started", targets="container", inverse="stop_router", before_objects=True),
    "stop_router": ActionType("BGP router stopped", targets="container", ends="start_router"),
    "route_client": ActionType("client routed through the router", inverse="unroute_client"),
    "unroute_client": ActionType("client no longer routed through the router", ends="route_client"),
    # its own inverse: `key-` takes away what `key=value` gave
    "label": ActionType("{targets} labelled", targets="labels", inverse="label", ends="label", undone_at_exit=True),
    "add_conflicting_host": ActionType(
        "conflicting host {targets} started",
        targets="container",
        inverse="remove_conflicting_host",
        undone_at_exit=True,
    ),
    "remove_conflicting_host": ActionType(
        "conflicting host {targets} removed", targets="container", ends="add_conflicting_host"
    ),
    "stop_speakers": ActionType("{targets} stopped", targets="objects", inverse="start_speakers", undone_at_exit=True),
    "start_speakers": ActionType("{targets} started", targets="objects", ends="stop_speakers"),
    "kill_node": ActionType(
        "{targets} killed", targets="node", inverse="start_node", loses_node=True, undone_at_exit=True, patience_s=150
    ),
    "start_node": ActionType("{targets} started", targets="node", ends="kill_node", patience_s=180),
    "link_down": ActionType(
        "link of {targets} taken down",
        targets="node",
        inverse="link_up",
        loses_node=True,
        undone_at_exit=True,
        patience_s=150,
    ),
    "link_up": ActionType("link of {targets} brought up", targets="node", ends="link_down", patience_s=180),
}


class ActiveAction(NamedTuple):
    """An action that was done and not undone: its verb, and its target (empty where there is none)."""

    verb: Verb
    target: str = ""

    @property
    def inverse(self) -> Verb:
        """The action that ends this one."""
        return ACTIONS[self.verb].inverse or self.verb


def active_after(steps: Iterable[tuple[Verb, Sequence[str]]]) -> list[ActiveAction]:
    """Return what is active after these steps (each a verb and its targets), in the order in which it began.

    Labels are left out: the nodes have them.

    >>> active_after([("kill_node", ["a"]), ("route_client", []), ("start_node", ["a"])])
    [ActiveAction(verb='route_client', target='')]
    """
    active: dict[ActiveAction, None] = {}
    for verb, targets in steps:
        row, target = ACTIONS[verb], next(iter(targets), "")
        if row.ends == verb:
            continue
        if row.inverse:
            active[ActiveAction(verb, "" if row.targets == "nothing" else target)] = None
        for one in [one for one in active if one.verb == row.ends and target in (one.target, "")]:
            del active[one]
    return list(active)


def changes_nothing(verb: Verb, targets: Sequence[str], active: Iterable[ActiveAction]) -> bool:
    """Return True when what the action brings about is so already, or what it ends is not active.

    >>> down = [ActiveAction("kill_node", "a")]
    >>> [changes_nothing(verb, ["a"], down) for verb in ("kill_node", "start_node", "link_down", "link_up")]
    [True, False, False, True]
    """
    row = ACTIONS[verb]
    if not (row.inverse or row.ends):
        return False
    wanted = row.ends or verb
    there = any(one.verb == wanted and (row.targets != "node" or one.target == targets[0]) for one in active)
    return there != bool(row.ends)


def describe(verb: Verb, targets: Sequence[str]) -> str:
    """Return an action in words.

    >>> describe("kill_node", ["myk8s-worker"])
    'kill-node myk8s-worker'
    """
    return " ".join([verb.replace("_", "-"), *targets])


_MOST_TARGETS = 3  # more of them are a number


def describe_done(verb: Verb, targets: Sequence[str]) -> str:
    """Return an action in words, as something that is done.

    >>> describe_done("kill_node", ["myk8s-worker"]), describe_done("label", ["myk8s-worker", "a=b"])
    ('myk8s-worker killed', 'myk8s-worker labelled')
    """
    row = ACTIONS[verb]
    named = targets[:1] if row.targets == "labels" else targets
    shown = listed(named) if len(named) <= _MOST_TARGETS else tr_plural("{n} object", "{n} objects", len(named))
    return tr(row.done, targets=shown)


def base_name(name: str) -> str:
    """Return a moment's name without the number of a repeat.

    >>> base_name("apply-services-2")
    'apply-services'
    """
    return re.sub(r"-[0-9]+$", "", name)


def deduplicate(names: Iterable[str]) -> list[str]:
    """Return the names of moments, made unique: a repeat gets the next free number.

    >>> deduplicate(["apply-services", "delete-services", "apply-services", "apply-services-2"])
    ['apply-services', 'delete-services', 'apply-services-2', 'apply-services-3']
    """
    unique: dict[str, None] = {}
    for name in names:
        candidates = chain([name], (f"{base_name(name)}-{number}" for number in count(2)))
        unique[next(one for one in candidates if one not in unique)] = None
    return list(unique)
