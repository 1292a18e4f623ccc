"""MetalLB's configuration in a simulated cluster: refused, read in part, or stale, as MetalLB does it."""

from __future__ import annotations

import copy
import json

import pytest

import kanslib
from kanslib.exceptions import ConfigurationError, RefusedError
from kanslib.lab.lab import Lab
from tests.types import OpenLab

SYSTEM = ", namespace: metallb-system"
WEB = """---
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: web}}
spec: {containers: [{name: c, image: whoami, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: till}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
"""


def obj(kind: str, spec: str, name: str = "one", namespace: str = SYSTEM) -> str:
    version = "v1beta2" if kind == "BGPPeer" else "v1beta1"
    meta = f"metadata: {{name: {name}{namespace}}}"
    return f"---\napiVersion: metallb.io/{version}\nkind: {kind}\n{meta}\nspec: {spec}\n"


def pool(addresses: str = "[172.18.255.10-172.18.255.20]", namespace: str = SYSTEM, name: str = "pears") -> str:
    return obj("IPAddressPool", f"{{addresses: {addresses}}}", name, namespace)


def peer(more: str = "", my_asn: str = "myASN: 65000, ") -> str:
    return obj("BGPPeer", f"{{{my_asn}peerASN: 65001, peerAddress: 172.18.0.200{more}}}")


L2 = obj("L2Advertisement", "{}")


def events(lab: Lab, name: str = "till") -> set[str]:
    return {str(reason) for reason in lab.events(name).REASON}


def test_simulate_pool_of_another_namespace_not_read() -> None:
    lab = kanslib.simulate(pool(namespace="") + L2 + WEB)
    assert lab.object("service", "till")["status"] == {"loadBalancer": {}}
    assert "IPAllocated" not in events(lab)


def test_simulate_advertisement_of_another_namespace_not_read() -> None:
    lab = kanslib.simulate(pool() + obj("L2Advertisement", "{}", namespace="") + WEB)
    assert lab.vip("till") == "172.18.255.10"
    assert lab.leader("till") is None


@pytest.mark.parametrize(
    ("manifest", "component", "words"),
    [
        (pool("['192.0.2.5']"), "metallb webhook", 'invalid CIDR "192.0.2.5"'),
        (pool("[' 192.0.2.0/24']"), "metallb webhook", 'invalid CIDR " 192.0.2.0/24"'),
        (pool("['192.0.2.0/28', '192.0.2.8-192.0.2.12']"), "metallb webhook", "overlaps with already defined CIDR"),
        (pool() + pool(name="plums"), "metallb webhook", 'in pool "plums" overlaps'),
        (
            pool() + obj("BGPAdvertisement", "{aggregationLength: 24}"),
            "metallb webhook",
            "invalid aggregation length 24",
        ),
        (
            obj("BGPAdvertisement", "{aggregationLength: 24}") + pool(),
            "metallb speaker",
            "invalid aggregation length 24",
        ),
        (
            pool() + obj("BGPAdvertisement", "{communities: [slow]}"),
            "metallb speaker",
            "invalid community format: slow",
        ),
        (peer(", bfdProfile: fast"), "metallb speaker", "has bfd-profile set on native bgp mode"),
        (peer(", passwordSecret: {name: s}"), "metallb speaker", "secret ref not found"),
        (peer(", holdTime: 2s"), "metallb webhook", 'invalid hold time "2s": must be 0 or >=3s'),
        (peer(my_asn=""), "kube-apiserver", "spec.myASN: Required value"),
        (obj("BFDProfile", "{}"), "metallb speaker", "bfd profiles section set"),
        (obj("Community", "{communities: [{name: a, value: '1'}]}"), "metallb webhook", 'parsing community "a"'),
    ],
)
def test_simulate_refused_configuration(manifest: str, component: str, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        kanslib.simulate(manifest + WEB)
    assert refused.value.component == component
    assert words in refused.value.message


def test_simulate_password_of_a_secret() -> None:
    secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: metallb-system}\n"
    typed = f"{secret}type: kubernetes.io/basic-auth\nstringData: {{password: hidden}}\n"
    assert kanslib.simulate(typed + peer(", passwordSecret: {name: s}") + pool() + WEB).vip("till")
    with pytest.raises(RefusedError, match="secret type mismatch"):
        kanslib.simulate(f"{secret}stringData: {{password: hidden}}\n" + peer(", passwordSecret: {name: s}"))


def test_lab_apply_denied_by_the_webhook() -> None:
    lab = kanslib.simulate(pool() + L2 + WEB)
    with pytest.raises(RefusedError) as refused:
        lab.apply(pool("[172.18.255.30-172.18.255.40]", namespace="", name="plums"))
    assert refused.value.component == "metallb webhook"
    assert refused.value.message == (
        'admission webhook "ipaddresspoolvalidationwebhook.metallb.io" denied the request: '
        "resource must be created in metallb-system namespace"
    )


def test_lab_apply_configuration_stale_and_repaired() -> None:
    lab = kanslib.simulate(pool() + L2 + WEB)
    lab.apply(obj("BGPAdvertisement", "{communities: [slow]}"))
    lab.apply(pool("[172.18.255.30-172.18.255.40]", name="plums"))
    lab.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: till2}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n"
    )
    errors = [line for line in str(lab.log("speaker", "myk8s-worker")).splitlines() if "ConfigReconciler" in line]
    fields = json.loads(errors[0].partition(" ")[2])
    assert (fields["level"], fields["controller"]) == ("error", "ConfigReconciler")
    assert fields["error"] == 'invalid community format: slow\ninvalid community "slow" in BGP advertisement'
    assert lab.leader("till")  # the speakers keep the configuration that they have
    with pytest.raises(ConfigurationError, match=r"(?s)keeps an older configuration.*slow.*next step"):
        lab.election("till")
    assert lab.vip("till2") == "172.18.255.11"  # the controller does not read advertisements
    lab.apply(obj("Community", "{communities: [{name: slow, value: '64500:1'}]}"))
    assert len([line for line in str(lab.log("speaker", "myk8s-worker")).splitlines() if "slow" in line]) == len(errors)


def test_lab_apply_advertisement_while_stale_not_announced() -> None:
    lab = kanslib.simulate(pool() + WEB)
    lab.apply(obj("BFDProfile", "{}"))
    lab.apply(L2)
    assert lab.leader("till") is None
    assert "nodeAssigned" not in events(lab)
    lab.delete_object("bfdprofile/one")
    assert lab.leader("till")


def test_lab_delete_object_profile_in_use_denied() -> None:
    lab = kanslib.simulate(pool() + L2 + WEB)
    lab.apply(obj("BFDProfile", "{}", "fast"))
    lab.apply(peer(", bfdProfile: fast"))
    with pytest.raises(RefusedError, match="failed to delete BFDProfile fast, used by BGPPeer one"):
        lab.delete_object("bfdprofile/fast")


def test_simulate_interface_that_the_node_lacks() -> None:
    lab = kanslib.simulate(pool() + obj("L2Advertisement", "{interfaces: [eth7]}") + WEB)
    assert events(lab) == {"IPAllocated", "announceFailed", "nodeAssigned"}
    message = next(row for row in lab.events("till").MESSAGE if "interfaces" in row)
    node = lab.election("till").leader
    where = f'doesn\'t exist in assigned node "{node}" with protocol "layer2"'
    assert message == f'the interfaces specified by LB IP "172.18.255.10" {where}'
    assert "172.18.255.10" not in str(lab.arp_scan().table)
    assert lab.objects("servicel2statuses") == []


def test_simulate_interface_of_another_advertisement() -> None:
    both = obj("L2Advertisement", "{interfaces: [eth7]}", "a") + obj("L2Advertisement", "{interfaces: [eth0]}", "b")
    lab = kanslib.simulate(pool() + both + WEB)
    assert events(lab) == {"IPAllocated", "nodeAssigned"}


def test_lab_apply_interface_taken_away_still_answered() -> None:
    """MetalLB does not withdraw what it announced before."""
    lab = kanslib.simulate(pool() + L2 + WEB)
    node = lab.leader("till")
    lab.apply(obj("L2Advertisement", "{interfaces: [eth7]}"))
    lab.apply(WEB.partition("---\n")[2].replace("port: 80}]}", "port: 81}]}"))
    assert "announceFailed" in events(lab)
    assert lab.leader("till") == node
    assert "172.18.255.10" in str(lab.arp_scan().table)


def test_simulate_equal_pools_answer_is_one_of_several() -> None:
    lab = kanslib.simulate(pool() + pool("[172.18.255.30-172.18.255.40]", name="plums") + L2 + WEB)
    assert lab.vip("till") == "172.18.255.10"
    words = "default/till: 172.18.255.10 or 172.18.255.30 (MetalLB takes pools in no fixed order)"
    assert words in str(lab.services().provenance)
    lab.delete_object("svc/till")
    assert "in no fixed order" not in str(lab.services().provenance)


def test_lab_apply_pool_moved_controller_log() -> None:
    lab = kanslib.simulate(pool() + L2 + WEB)
    lab.apply(pool("[172.18.255.30-172.18.255.40]"))
    assert lab.vip("till") == "172.18.255.30"
    said = [json.loads(line.partition(" ")[2]) for line in str(lab.log("controller")).splitlines()]
    assert [one["msg"] for one in said if one.get("service") == "default/till"] == [
        "IP address assigned by controller",
        "current IP not allowed by config, clearing",
        "IP address assigned by controller",
    ]


def test_lab_apply_speakers_ignore_the_exclude_label() -> None:
    lab = kanslib.simulate(pool() + L2 + WEB)
    control_plane = lab.election("till").eligibilities[0]
    assert (control_plane.node, control_plane.rule) == ("myk8s-control-plane", "exclude label")
    daemonset = copy.deepcopy(lab.object("daemonset", "speaker", "metallb-system"))
    daemonset["spec"]["template"]["spec"]["containers"][0]["args"] = ["--port=7472", "--ignore-exclude-lb"]
    meta = {key: daemonset["metadata"][key] for key in ("name", "namespace", "labels")}
    lab.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": daemonset["spec"]})
    assert lab.election("till").eligibilities[0].is_candidate
    assert lab.leader("till") == lab.election("till").leader


def test_speaker_announces_again_when_an_advertisement_gains_an_interface() -> None:
    lab = kanslib.simulate(pool() + obj("L2Advertisement", "{interfaces: [eth9]}") + WEB)
    assert lab.curl("till").table.HOSTNAME[0] != "p1"
    lab.apply(obj("L2Advertisement", "{interfaces: [eth0]}", name="two"))
    assert lab.curl("till").table.HOSTNAME[0] == "p1"


def test_objects_have_the_defaults_of_their_definitions(open_lab: OpenLab) -> None:
    for story, kind in (("l2", "ipaddresspools"), ("bgp", "bgpadvertisements"), ("bgp", "bgppeers")):
        recorded = open_lab(story=story)
        recorded.at(recorded.moments().table["MOMENT"].iloc[-1])
        (real,) = recorded.objects(kind)
        applied = json.loads(real["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])
        (ours,) = kanslib.simulate(json.dumps(applied)).objects(kind)
        assert ours["spec"] == real["spec"]
        assert ours["spec"] != applied["spec"]
