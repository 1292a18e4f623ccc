"""Record what a real cluster refuses, and in which words: tests/data/refusals.json.

Run it where kubectl reaches a fresh kind cluster (Kubernetes v1.31.0, one worker, serviceSubnet 10.200.1.0/24) with
MetalLB v0.14.8 Ready: `python -m tests.data.record_refusals [CASE...]`. It removes what it makes. `message` is the
Status that the API server sends, or kubectl's own words behind `error:`; `printed` is what `kubectl apply` prints.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).parent / "refusals.json"


def kubectl(arguments: str, manifest: str = "") -> subprocess.CompletedProcess[str]:
    """Run kubectl with a manifest on stdin."""
    return subprocess.run(["kubectl", *arguments.split()], input=manifest, capture_output=True, text=True, check=False)


def service(spec: str, name: str = "till", kind: str = "LoadBalancer", meta: str = "") -> str:
    """Return a Service of a type; `spec` and `meta` are further fields in YAML's flow style."""
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}{meta}}}\n"
        f"spec: {{type: {kind}, selector: {{app: web}}{spec}}}\n"
    )


def workload(kind: str, spec: str, labels: str = "{app: web}", name: str = "web") -> str:
    """Return a Deployment or DaemonSet that selects app=web."""
    return (
        f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
        f"spec: {{selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {labels}}}, "
        f"spec: {{containers: [{{name: c, image: 'traefik/whoami:v1.10.3'}}]}}}}{spec}}}\n"
    )


def pod(spec: str = "", name: str = "web", container: str = "", meta: str = "") -> str:
    """Return a Pod with one container."""
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}{meta}}}\n"
        f"spec: {{containers: [{{name: c, image: 'traefik/whoami:v1.10.3'{container}}}]{spec}}}\n"
    )


def metallb(kind: str, spec: str, name: str = "one", meta: str = "", version: str = "v1beta1") -> str:
    """Return an object of MetalLB's."""
    return (
        f"apiVersion: metallb.io/{version}\nkind: {kind}\n"
        f"metadata: {{name: {name}, namespace: metallb-system{meta}}}\nspec: {{{spec}}}\n"
    )


PORT = ", ports: [{port: 80}]"

# name of the case: the manifest that is refused, and the one before it that is not
CASES: dict[str, tuple[str, str]] = {
    # ── any object ──
    "namespace that does not exist": (service(PORT, meta=", namespace: shop"), ""),
    "unknown kind": ("apiVersion: v1\nkind: Servise\nmetadata: {name: till}\n", ""),
    "unknown version": ("apiVersion: v2\nkind: Service\nmetadata: {name: till}\n", ""),
    "no apiVersion": ("kind: Service\nmetadata: {name: till}\nspec: {ports: [{port: 80}]}\n", ""),
    "no kind": ("apiVersion: v1\nmetadata: {name: till}\n", ""),
    "no name": ("apiVersion: v1\nkind: Service\nmetadata: {labels: {a: b}}\nspec: {ports: [{port: 80}]}\n", ""),
    "name in capitals": (service(PORT, name="Till"), ""),
    "name with a dot": (service(PORT, name="till.shop"), ""),
    "name that starts with a digit": (service(PORT, name="9till"), ""),
    "name of 64 characters": (service(PORT, name="t" * 64), ""),
    "Pod name with an underscore": (pod(name="web_1"), ""),
    "label with a space": (service(PORT, meta=", labels: {app: 'my web'}"), ""),
    "label key with two slashes": (service(PORT, meta=", labels: {a/b/c: web}"), ""),
    "label that is a number": (service(PORT, meta=", labels: {app: 1}"), ""),
    "annotation that is a boolean": (service(PORT, meta=", annotations: {a: true}"), ""),
    "unknown field in spec": (service(PORT + ", externalTrafficPolcy: Local"), ""),
    "unknown fields in two places": (service(", ports: [{port: 80, nodeport: 30080}], loadBalancerIp: 192.0.2.1"), ""),
    "unknown field in metadata": (service(PORT, meta=", label: {app: web}"), ""),
    "unknown field in a container": (pod(container=", port: [{containerPort: 80}]"), ""),
    "string for a number": (service(", ports: [{port: '80'}]"), ""),
    "number for a list": (service(", ports: 80"), ""),
    "map for a string": (service(PORT + ", externalName: {a: b}"), ""),
    "number for a boolean": (service(PORT + ", allocateLoadBalancerNodePorts: 1"), ""),
    "string for a list": (service(PORT + ", loadBalancerSourceRanges: 192.0.2.0/24"), ""),
    # ── Service ──
    "no ports": (service(""), ""),
    "unknown type": (service(PORT, kind="Loadbalancer"), ""),
    "two ports without names": (service(", ports: [{port: 80}, {port: 443}]"), ""),
    "two ports, one name": (service(", ports: [{name: a, port: 80}, {name: a, port: 443}]"), ""),
    "one port twice": (service(", ports: [{name: a, port: 80}, {name: b, port: 80}]", kind="ClusterIP"), ""),
    "port name in capitals": (service(", ports: [{name: HTTP, port: 80}]"), ""),
    "port 0": (service(", ports: [{port: 0}]"), ""),
    "port 70000": (service(", ports: [{port: 70000}]"), ""),
    "port 10250": (service(", ports: [{port: 10250}]"), ""),
    "protocol in small letters": (service(", ports: [{port: 80, protocol: tcp}]"), ""),
    "targetPort 70000": (service(", ports: [{port: 80, targetPort: 70000}]"), ""),
    "targetPort with a long name": (service(", ports: [{port: 80, targetPort: a-name-of-16-chars}]"), ""),
    "nodePort out of range": (service(", ports: [{port: 80, nodePort: 8080}]"), ""),
    "nodePort taken": (
        service(", ports: [{port: 80, nodePort: 30080}]"),
        service(", ports: [{port: 80, nodePort: 30080}]", name="first"),
    ),
    "nodePort twice": (
        service(", ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 81, nodePort: 30080}]"),
        "",
    ),
    "nodePort of a ClusterIP Service": (service(", ports: [{port: 80, nodePort: 30080}]", kind="ClusterIP"), ""),
    "clusterIP out of range": (service(PORT + ", clusterIP: 192.0.2.1"), ""),
    "clusterIP taken": (
        service(PORT + ", clusterIP: 10.200.1.50"),
        service(PORT + ", clusterIP: 10.200.1.50", name="first"),
    ),
    "clusterIP that is no address": (service(PORT + ", clusterIP: ten"), ""),
    "clusterIP changed": (
        service(PORT + ", clusterIP: 10.200.1.60", kind="ClusterIP"),
        service(PORT + ", clusterIP: 10.200.1.61", kind="ClusterIP"),
    ),
    "clusterIP and clusterIPs differ": (service(PORT + ", clusterIP: 10.200.1.62, clusterIPs: [10.200.1.63]"), ""),
    "headless LoadBalancer": (service(PORT + ", clusterIP: None"), ""),
    "headless NodePort": (service(PORT + ", clusterIP: None", kind="NodePort"), ""),
    "RequireDualStack in an IPv4 cluster": (service(PORT + ", ipFamilyPolicy: RequireDualStack"), ""),
    "family IPv6 in an IPv4 cluster": (service(PORT + ", ipFamilies: [IPv6]"), ""),
    "unknown family": (service(PORT + ", ipFamilies: [ipv4]"), ""),
    "unknown family policy": (service(PORT + ", ipFamilyPolicy: DualStack"), ""),
    "two families, SingleStack": (service(PORT + ", ipFamilies: [IPv4, IPv6]"), ""),
    "externalTrafficPolicy of a ClusterIP Service": (
        service(PORT + ", externalTrafficPolicy: Local", kind="ClusterIP"),
        "",
    ),
    "unknown externalTrafficPolicy": (service(PORT + ", externalTrafficPolicy: local"), ""),
    "unknown internalTrafficPolicy": (service(PORT + ", internalTrafficPolicy: Node"), ""),
    "unknown trafficDistribution": (service(PORT + ", trafficDistribution: Near"), ""),
    "healthCheckNodePort without Local": (service(PORT + ", healthCheckNodePort: 30090"), ""),
    "healthCheckNodePort out of range": (
        service(PORT + ", externalTrafficPolicy: Local, healthCheckNodePort: 8080"),
        "",
    ),
    "healthCheckNodePort taken": (
        service(PORT + ", externalTrafficPolicy: Local, healthCheckNodePort: 30080"),
        service(", ports: [{port: 80, nodePort: 30080}]", name="first"),
    ),
    "healthCheckNodePort changed": (
        service(PORT + ", externalTrafficPolicy: Local, healthCheckNodePort: 30091"),
        service(PORT + ", externalTrafficPolicy: Local, healthCheckNodePort: 30090"),
    ),
    "allocateLoadBalancerNodePorts of a NodePort Service": (
        service(PORT + ", allocateLoadBalancerNodePorts: false", kind="NodePort"),
        "",
    ),
    "loadBalancerClass of a NodePort Service": (
        service(PORT + ", loadBalancerClass: example.com/a", kind="NodePort"),
        "",
    ),
    "loadBalancerClass with a space": (service(PORT + ", loadBalancerClass: my class"), ""),
    "loadBalancerClass changed": (
        service(PORT + ", loadBalancerClass: example.com/b"),
        service(PORT + ", loadBalancerClass: example.com/a"),
    ),
    "loadBalancerClass added": (service(PORT + ", loadBalancerClass: example.com/b"), service(PORT)),
    "loadBalancerSourceRanges of a NodePort Service": (
        service(PORT + ", loadBalancerSourceRanges: [192.0.2.0/24]", kind="NodePort"),
        "",
    ),
    "loadBalancerSourceRanges without a mask": (service(PORT + ", loadBalancerSourceRanges: [192.0.2.1]"), ""),
    "unknown sessionAffinity": (service(PORT + ", sessionAffinity: clientIP"), ""),
    "sessionAffinity timeout of two days": (
        service(PORT + ", sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 172800}}"),
        "",
    ),
    "ExternalName without a name": (service("", kind="ExternalName"), ""),
    "ExternalName in capitals": (service(", externalName: Shop.Example", kind="ExternalName"), ""),
    "ExternalName with a clusterIP": (
        service(", externalName: shop.example, clusterIP: 10.200.1.70", kind="ExternalName"),
        "",
    ),
    "externalIPs that is no address": (service(PORT + ", externalIPs: [shop.example]"), ""),
    "externalIPs of loopback": (service(PORT + ", externalIPs: [127.0.0.1]"), ""),
    "several at once": (service(", ports: [{port: 0, protocol: tcp}], sessionAffinity: sticky"), ""),
    # ── Pod, Deployment, DaemonSet ──
    "Pod without containers": ("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {}\n", ""),
    "container without a name": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{image: whoami}]}\n",
        "",
    ),
    "container without an image": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c}]}\n",
        "",
    ),
    "two containers, one name": (
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
            "spec: {containers: [{name: c, image: a}, {name: c, image: b}]}\n"
        ),
        "",
    ),
    "containerPort 0": (pod(container=", ports: [{containerPort: 0}]"), ""),
    "containerPort 70000": (pod(container=", ports: [{containerPort: 70000}]"), ""),
    "port name of 16 characters": (pod(container=", ports: [{containerPort: 80, name: a-name-of-16-chars}]"), ""),
    "port name twice": (
        pod(container=", ports: [{containerPort: 80, name: http}, {containerPort: 81, name: http}]"),
        "",
    ),
    "hostNetwork with another hostPort": (
        pod(", hostNetwork: true", container=", ports: [{containerPort: 80, hostPort: 8080}]"),
        "",
    ),
    "unknown restartPolicy": (pod(", restartPolicy: always"), ""),
    "unknown taint effect": (pod(", tolerations: [{key: a, operator: Exists, effect: NoRun}]"), ""),
    "toleration Exists with a value": (pod(", tolerations: [{key: a, operator: Exists, value: b}]"), ""),
    "unknown node selector operator": (
        pod(
            ", affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: "
            "[{matchExpressions: [{key: zone, operator: Is, values: [a]}]}]}}}"
        ),
        "",
    ),
    "node selector In without values": (
        pod(
            ", affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: "
            "[{matchExpressions: [{key: zone, operator: In}]}]}}}"
        ),
        "",
    ),
    "anti-affinity without a topologyKey": (
        pod(
            ", affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
            "[{labelSelector: {matchLabels: {app: web}}}]}}"
        ),
        "",
    ),
    "Pod moved to another node": (pod(", nodeName: api-control-plane"), pod(", nodeName: api-worker")),
    "Pod with another port": (
        pod(container=", ports: [{containerPort: 81}]"),
        pod(container=", ports: [{containerPort: 80}]"),
    ),
    "Pod of a namespace that does not exist": (pod(meta=", namespace: shop"), ""),
    "Deployment without a selector": (
        workload("Deployment", "").replace("selector: {matchLabels: {app: web}}, ", ""),
        "",
    ),
    "Deployment whose Pods it does not select": (workload("Deployment", "", labels="{app: other}"), ""),
    "Deployment with another selector": (
        workload("Deployment", "", labels="{app: other}").replace(
            "matchLabels: {app: web}", "matchLabels: {app: other}"
        ),
        workload("Deployment", ""),
    ),
    "negative replicas": (workload("Deployment", ", replicas: -1"), ""),
    "replicas that is a string": (workload("Deployment", ", replicas: '2'"), ""),
    "Deployment with a Pod's error": (workload("Deployment", "").replace("name: c", "name: C"), ""),
    "unknown field in a template": (
        workload("Deployment", "").replace("containers:", "nodeselector: {a: b}, containers:"),
        "",
    ),
    "DaemonSet with replicas": (workload("DaemonSet", ", replicas: 2"), ""),
    "DaemonSet whose Pods it does not select": (workload("DaemonSet", "", labels="{app: other}"), ""),
    "DaemonSet with another selector": (
        workload("DaemonSet", "", labels="{app: other}").replace(
            "matchLabels: {app: web}", "matchLabels: {app: other}"
        ),
        workload("DaemonSet", ""),
    ),
    # ── others ──
    "Namespace with a dot": ("apiVersion: v1\nkind: Namespace\nmetadata: {name: my.shop}\n", ""),
    "ConfigMap with a list": ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: [1]}\n", ""),
    "ConfigMap key with a space": ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {'a b': c}\n", ""),
    "Secret that is not base64": ("apiVersion: v1\nkind: Secret\nmetadata: {name: one}\ndata: {a: '***'}\n", ""),
    "Secret with another type": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: one}\ntype: example.com/b\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: one}\ntype: example.com/a\n",
    ),
    "EndpointSlice without an addressType": (
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: one}\nendpoints: []\n",
        "",
    ),
    "EndpointSlice with a wrong address": (
        (
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: one}\naddressType: IPv4\n"
            "endpoints: [{addresses: ['2001:db8::1']}]\n"
        ),
        "",
    ),
    # ── MetalLB's kinds, as their CustomResourceDefinitions say ──
    "pool without addresses": (metallb("IPAddressPool", "autoAssign: true"), ""),
    "pool without a spec": (
        "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: one, namespace: metallb-system}\n",
        "",
    ),
    "pool with an unknown field": (metallb("IPAddressPool", "addresses: [192.0.2.0/28], autoassign: false"), ""),
    "pool whose addresses are a string": (metallb("IPAddressPool", "addresses: 192.0.2.0/28"), ""),
    "pool whose autoAssign is a string": (metallb("IPAddressPool", "addresses: [192.0.2.0/28], autoAssign: 'no'"), ""),
    "pool priority that is a string": (
        metallb("IPAddressPool", "addresses: [192.0.2.0/28], serviceAllocation: {priority: high}"),
        "",
    ),
    "advertisement with ipAddressPool": (metallb("L2Advertisement", "ipAddressPool: [one]"), ""),
    "advertisement whose pools are a string": (metallb("L2Advertisement", "ipAddressPools: one"), ""),
    "selector expression without an operator": (
        metallb("L2Advertisement", "nodeSelectors: [{matchExpressions: [{key: a, values: [b]}]}]"),
        "",
    ),
    "selector expression without a key": (
        metallb("L2Advertisement", "nodeSelectors: [{matchExpressions: [{operator: Exists}]}]"),
        "",
    ),
    "aggregationLength 0": (metallb("BGPAdvertisement", "aggregationLength: 0"), ""),
    "peer without ASNs": (metallb("BGPPeer", "peerAddress: 192.0.2.1", version="v1beta2"), ""),
    "peer with an ASN of 33 bits": (
        metallb("BGPPeer", "peerAddress: 192.0.2.1, myASN: 4294967296, peerASN: 64501", version="v1beta2"),
        "",
    ),
    "peer with port 70000": (
        metallb("BGPPeer", "peerAddress: 192.0.2.1, myASN: 64500, peerASN: 64501, peerPort: 70000", version="v1beta2"),
        "",
    ),
    "peer of version v1beta3": (
        metallb("BGPPeer", "peerAddress: 192.0.2.1, myASN: 64500, peerASN: 64501", version="v1beta3"),
        "",
    ),
    "pool of version v1beta2": (metallb("IPAddressPool", "addresses: [192.0.2.0/28]", version="v1beta2"), ""),
    "pool in a namespace that does not exist": (
        metallb("IPAddressPool", "addresses: [192.0.2.0/28]").replace("metallb-system", "shop"),
        "",
    ),
    "pool name in capitals": (metallb("IPAddressPool", "addresses: [192.0.2.0/28]", name="One"), ""),
}


def refusal(verbose: str, printed: str) -> tuple[str, str]:
    """Return who refused and the words, from what `kubectl -v=9` and `kubectl` wrote to stderr."""
    if printed.startswith("error: "):
        return "kubectl", printed.removeprefix("error: ")
    if printed.startswith("Error from server (NotFound)"):  # with -v, kubectl asks for the object first: another 404
        return "kube-apiserver", printed.rpartition('"STDIN": ')[2]
    bodies = [json.loads(body) for body in re.findall(r'Response Body: (\{"kind":"Status".*)', verbose)]
    return "kube-apiserver", next(body["message"] for body in reversed(bodies) if body.get("status") == "Failure")


def record(name: str, manifest: str, before: str) -> dict[str, str]:
    """Return the row of a case: its manifests, who refused, and the words. Raise ValueError where nobody did."""
    if before:
        subprocess.run(["kubectl", "apply", "-f", "-"], input=before, text=True, check=True, capture_output=True)
    verbose = kubectl("apply -v=9 -f -", manifest)
    printed = kubectl("apply -f -", manifest).stderr
    for text in filter(None, (manifest, before)):
        kubectl("delete --ignore-not-found --grace-period=1 -f -", text)
    if verbose.returncode == 0:
        raise ValueError(f"{name}: accepted")
    component, message = refusal(verbose.stderr, printed.strip())
    row = {"case": name, "before": before, "manifest": manifest, "component": component, "message": message.strip()}
    return {**row, "printed": printed}


def main(names: list[str]) -> None:
    """Record the named cases again, or all; drop the rows of cases that are no more."""
    rows = {row["case"]: row for row in json.loads(FILE.read_text(encoding="utf-8"))} if names else {}
    for name, (manifest, before) in CASES.items():
        if name in names or name not in rows:
            rows[name] = record(name, manifest, before)
    FILE.write_text(json.dumps([rows[name] for name in CASES], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
