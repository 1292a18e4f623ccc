"""Delays in seconds: the median of what recordings of kind clusters show, or a documented default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Delays:
    """Seconds from a cause to its effect. A test compares each with every recorded instance of it."""

    pod_start: float = 1.3  # a Pod with its image on the node: applied to Ready
    pod_stop: float = 0.5  # SIGTERM: the container has ended
    endpoint_slices: float = 0.03  # a Pod or a Service changed: its EndpointSlices follow
    allocate: float = 0.06  # a Service appeared: MetalLB's controller has decided
    announce: float = 0.1  # an object that a speaker watches changed: it has decided and announced
    kube_proxy: float = 0.3  # kube-proxy has written its rules (iptables.minSyncPeriod 1 s spaces them)
    metallb_start: float = 35.0  # the manifest applied: every speaker and the controller Ready
    # a node fails
    monitor_grace: float = 40.0  # node-monitor-grace-period, counted from the last lease renewal
    monitor_period: float = 5.0  # node-monitor-period: how often the node controller checks
    lease_period: float = 10.0  # how often a kubelet renews its lease
    eviction: float = 300.0  # tolerationSeconds of the unreachable taint: then its Pods are deleted
    # a node recovers
    boot: float = 4.5  # docker start: the kubelet reports Ready
    restart: float = 6.5  # docker start: its Pods run again
    rejoin: float = 25.0  # docker start: the speaker runs and has joined the member list
    link_up: float = 11.0  # the link is up again: Pods are Ready in the API
    link_up_rejoin: float = 9.0  # the link is up again: the speakers are members again (up to a minute)
    # a speaker Pod is replaced
    leave: float = 0.2  # deleted: it has left the member list
    replacement_joins: float = 1.6  # deleted: its successor has joined
    speaker_ready: float = 15.0  # a speaker runs: its readiness probe succeeds

    def not_ready(self, since_renewal: float) -> float:
        """Return the seconds from a node's failure until it is NotReady.

        `since_renewal`: the age of its lease at the failure, in seconds. The grace period counts from the renewal;
        the node controller's next check comes half a period later on average.

        >>> Delays().not_ready(5.0)
        37.5
        """
        return self.monitor_grace - since_renewal + self.monitor_period / 2


DELAYS = Delays()
