"""How long things take, in seconds: the middle of what recordings of kind clusters show, or a documented default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Delays:
    """Seconds from a cause to its effect. A test holds each beside every recorded instance of it."""

    pod_start: float = 1.3  # a Pod with its image on the node: applied to Ready
    pod_stop: float = 0.5  # a container that ends when it is told to
    slices: float = 0.03  # a Pod or a Service changed: its EndpointSlices follow
    allocate: float = 0.06  # a Service appeared: MetalLB's controller has decided
    announce: float = 0.1  # a speaker's world changed: it has decided, and said so
    proxy: float = 0.3  # kube-proxy has written its rules (iptables.minSyncPeriod 1 s spaces them)
    metallb_start: float = 35.0  # the manifest applied: every speaker and the controller Ready
    # a node that is lost
    monitor_grace: float = 40.0  # node-monitor-grace-period, counted from the last lease renewal
    monitor_period: float = 5.0  # node-monitor-period: how often that is looked at
    lease_period: float = 10.0  # a kubelet renews its lease so often
    eviction: float = 300.0  # tolerationSeconds of the unreachable taint: then its Pods are deleted
    # a node that comes back
    boot: float = 4.5  # docker start: the kubelet reports Ready
    restart: float = 6.5  # docker start: its Pods run again
    rejoin: float = 25.0  # docker start: the speaker runs and has joined the others
    mend: float = 11.0  # the link is up again: Pods are Ready in the API
    remend: float = 9.0  # the link is up again: the speakers have found each other (up to a minute)
    # a speaker Pod that is replaced
    leave: float = 0.2  # deleted: it has said goodbye
    return_: float = 1.6  # deleted: its successor has joined
    speaker_ready: float = 15.0  # a speaker runs: its readiness probe agrees

    def not_ready(self, since_renewal: float) -> float:
        """Seconds from a node's death until it is NotReady, when its lease was renewed `since_renewal` before.

        The grace period counts from the renewal; then, half a period on average until somebody looks.

        >>> Delays().not_ready(5.0)
        37.5
        """
        return self.monitor_grace - since_renewal + self.monitor_period / 2


DELAYS = Delays()
