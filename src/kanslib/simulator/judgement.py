"""Refuse what MetalLB refuses: one object as its webhooks do, a whole configuration as its components do. Pure."""

from __future__ import annotations

from kanslib.exceptions import ConfigurationError, RefusedError
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.config import read_config
from kanslib.metallb.resources import Objects, controller_resources_of, resources_of
from kanslib.metallb.webhook import WEBHOOKS, Operation, admit


def refuse_denied(operation: Operation, obj: KubeObject, objects: Objects) -> None:
    """Raise RefusedError, with the API server's words, for an object that MetalLB's webhook denies.

    `objects`: those that exist, as `lab.objects`.
    """
    try:
        admit(operation, obj, objects)
    except ConfigurationError as error:
        message = f'admission webhook "{WEBHOOKS[obj["kind"]]}" denied the request: {error}'
        raise RefusedError("metallb webhook", message) from None


def refuse_configuration(objects: Objects) -> None:
    """Raise RefusedError for a configuration that the controller or the speakers cannot use, in their words."""
    for component, resources in (("controller", controller_resources_of), ("speaker", resources_of)):
        try:
            read_config(resources(objects))
        except ConfigurationError as error:
            raise RefusedError(f"metallb {component}", str(error)) from None
