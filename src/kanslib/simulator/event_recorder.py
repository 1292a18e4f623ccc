"""Simulate how components write events: client-go v0.30 tools/record. Pure."""

from __future__ import annotations

import copy

from kanslib.k8s.objects import KubeObject
from kanslib.metallb.allocation import EventMessage
from kanslib.simulator.api_server import timestamp
from kanslib.simulator.event_loop import EventLoop

_EVENT_BURST, _EVENT_INTERVAL = 25.0, 300.0  # client-go's defaultSpamBurst, and the seconds until one more is allowed


class EventRecorder:
    """Write the events of objects: count a repeated one, drop those above the rate limit of a process and object.

    client-go v0.30 tools/record/events_cache.go: a process may write 25 events about an object, then one in 5 minutes.
    """

    def __init__(self, cluster: EventLoop) -> None:
        self._cluster = cluster
        self._tokens: dict[tuple[str, str], tuple[float, float]] = {}  # (process, uid): tokens left, at which moment
        self._event_names: dict[tuple[str, str, str], str] = {}
        for event in cluster.objects("events"):
            self._event_names[_event_key(event)] = event["metadata"]["name"]

    def write(self, obj: KubeObject, component: str, message: EventMessage, process: str) -> None:
        """Write an event of a component (`metallb-speaker`) about an object; `process`: its instance, for the limit."""
        meta, now = obj["metadata"], timestamp(self._cluster.now)
        if not self._try_accept(process, meta["uid"]):
            return
        key = (meta["uid"], message.reason, message.message)
        if key in self._event_names:
            event = copy.deepcopy(self._cluster.get("events", self._event_names[key], meta["namespace"]) or {})
            event.update(count=event.get("count", 1) + 1, lastTimestamp=now)
        else:
            involved = {
                "kind": obj["kind"], "apiVersion": "v1", **{k: meta[k] for k in ("namespace", "name", "uid")},
            }  # fmt: skip
            name = f"{meta['name']}.{self._cluster.ids.uid()[:16].replace('-', '')}"
            event = {
                "kind": "Event", "apiVersion": "v1", "metadata": {"name": name, "namespace": meta["namespace"]},
                "involvedObject": involved, "reason": message.reason, "message": message.message, "type": message.type,
                "source": {"component": component}, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
            }  # fmt: skip
            self._event_names[key] = name
        self._cluster.put("events", event)

    def _try_accept(self, process: str, uid: str) -> bool:
        """Take a token from the bucket of a process and an object; return False when it is empty."""
        tokens, since = self._tokens.get((process, uid), (_EVENT_BURST, self._cluster.now))
        tokens = min(_EVENT_BURST, tokens + (self._cluster.now - since) / _EVENT_INTERVAL)
        self._tokens[process, uid] = (tokens - 1 if tokens >= 1 else tokens, self._cluster.now)
        return tokens >= 1


def _event_key(event: KubeObject) -> tuple[str, str, str]:
    return event["involvedObject"].get("uid", ""), event.get("reason", ""), event.get("message", "")
