"""Tell whether an action would change anything. Every backend checks this before it performs an action."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kanslib.actions import ActiveAction, Verb, changes_nothing
from kanslib.k8s.apply import has_labels
from kanslib.k8s.objects import KubeObject


def is_done(
    verb: Verb,
    targets: Sequence[str],
    active: Callable[[], Iterable[ActiveAction]],
    objects: Callable[[str], list[KubeObject]],
) -> bool:
    """Return True when doing this now would change nothing, by what is active and by the cluster's objects.

    `active` and `objects` are asked only for what the action is about.
    """
    match verb:
        case "install_metallb":
            spaces = (space["metadata"] for space in objects("namespaces"))
            return any(meta["name"] == "metallb-system" and not meta.get("deletionTimestamp") for meta in spaces)
        case "label":
            return has_labels(objects("nodes"), targets[0], targets[1:])
        case _:
            return changes_nothing(verb, targets, active())
