"""Chapter 02: MetalLB's install, its pool and its advertisement, and which address a Service gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

import yaml

from kanslib import manifests
from kanslib.exercises.catalog import CATALOG
from kanslib.lab.lab import Lab
from tests.notebooks.claims import Claims

CLAIMS = Claims()

_NAMES = ("svc1", "svc2", "svc3")
_PIN = "metallb.universe.tf/loadBalancerIPs"


def _addresses(lab: Lab) -> dict[str, str]:
    return {name: lab.vip(name) for name in _NAMES}


def _speakers(lab: Lab) -> list[dict[str, str]]:
    return [
        {"NODE": str(row["NODE"]), "IP": str(row["IP"])}
        for row in lab.pods().to_dict("records")
        if str(row["NAME"]).startswith("speaker-")
    ]


@CLAIMS.claim("02-03", "one Deployment and one DaemonSet", story="metallb")
def one_of_each(lab: Lab) -> None:
    lab.at("install-metallb")
    assert len(lab.objects("deployments", "metallb-system")) == 1
    assert len(lab.objects("daemonsets", "metallb-system")) == 1


@CLAIMS.claim("02-09", "Each speaker has the address of *its node*", story="metallb")
@CLAIMS.claim("02-09", "The controller has one from the Pod range.", story="metallb")
@CLAIMS.claim("02-57", "the MetalLB Pod on each node", story="metallb")
def speakers_have_their_nodes_addresses(lab: Lab) -> None:
    lab.at("install-metallb")
    addresses = dict(zip(lab.nodes().NAME, lab.nodes()["INTERNAL-IP"], strict=True))
    assert {row["NODE"]: row["IP"] for row in _speakers(lab)} == addresses
    pods = lab.pods().set_index("NAME").IP
    controller = next(address for name, address in pods.items() if str(name).startswith("controller-"))
    assert controller not in addresses.values()


@CLAIMS.claim("02-09", "so it shares this network", story="metallb")
def speakers_share_the_network(lab: Lab) -> None:
    lab.at("install-metallb")
    assert lab.object("daemonset", "speaker", "metallb-system")["spec"]["template"]["spec"]["hostNetwork"] is True


@CLAIMS.claim("02-11", "It comes from a Secret that the controller creates.", story="metallb", on=("recorded",))
@CLAIMS.claim("who-makes-the-secret", "the controller creates the Secret", story="metallb", on=("recorded",))
def the_controller_makes_the_secret(lab: Lab) -> None:
    lab.at("install-metallb")
    volumes = lab.object("daemonset", "speaker", "metallb-system")["spec"]["template"]["spec"]["volumes"]
    secret = next(volume["secret"] for volume in volumes if volume["name"] == "memberlist")
    containers = lab.object("deployment", "controller", "metallb-system")["spec"]["template"]["spec"]["containers"]
    assert {"name": "METALLB_ML_SECRET_NAME", "value": secret["secretName"]} in containers[0]["env"]
    assert not secret.get("optional")


@CLAIMS.claim("02-27", "The controller took the lowest free addresses", story="metallb")
@CLAIMS.claim("next-address", "MetalLB takes the lowest address that is free", story="metallb")
def lowest_free_addresses(lab: Lab) -> None:
    lab.at("apply-services")
    assert list(_addresses(lab).values()) == lab.pool()[:3]


@CLAIMS.claim("02-27", "No Service is pending any more", story="metallb")
@CLAIMS.claim("02-29", "`IPAllocated` comes from the controller.", story="metallb")
@CLAIMS.claim("02-29", "`nodeAssigned` comes from a speaker", story="metallb")
def authors_of_the_events(lab: Lab) -> None:
    lab.at("apply-services")
    assert "<pending>" not in lab.services()["EXTERNAL-IP"].tolist()
    authors = lab.events("svc1").set_index("REASON").FROM
    assert authors["IPAllocated"] == "metallb-controller"
    assert authors["nodeAssigned"] == "metallb-speaker"


@CLAIMS.claim(
    "02-33", "One node leads two Services, another node leads one, and the third worker leads none.", story="metallb"
)
def two_one_none(lab: Lab) -> None:
    lab.at("apply-services")
    led = Counter(lab.leader(name) for name in _NAMES)
    workers = set(lab.nodes().NAME) - {lab.control_plane}
    assert sorted(led[worker] for worker in workers) == [0, 1, 2]


@CLAIMS.claim("02-33", "It runs a speaker, but it is *not allowed to lead*.", story="metallb")
def control_plane_may_not_lead(lab: Lab) -> None:
    lab.at("apply-services")
    assert lab.control_plane in {row["NODE"] for row in _speakers(lab)}
    assert all(lab.control_plane not in lab.election(name).candidates for name in _NAMES)


@CLAIMS.claim("02-42", "Addresses and leaders are the same.", story="metallb")
@CLAIMS.claim("same-again", "the same address gives the same leader", story="metallb")
def the_same_again(lab: Lab) -> None:
    lab.at("apply-services")
    before = [(lab.vip(name), lab.leader(name)) for name in _NAMES]
    lab.at("apply-services-2")
    assert [(lab.vip(name), lab.leader(name)) for name in _NAMES] == before


@CLAIMS.claim("02-61", "svc3 came first and took the lowest address.", story="metallb", on=("simulated",))
@CLAIMS.claim("02-49", "svc1 moved to that address.", story="metallb", on=("simulated",))
@CLAIMS.claim("02-53", "svc1 lost its old address and got no new one.", story="metallb", on=("simulated",))
@CLAIMS.claim("02-53", "with another address, svc1 had another leader", story="metallb", on=("simulated",))
@CLAIMS.claim("02-53", "the Service has an event", story="metallb", on=("simulated",))
@CLAIMS.claim("one-too-many", "A Service that asks for one address gets that address or none.", story="metallb",
              on=("simulated",))  # fmt: skip
def pinned_addresses(lab: Lab) -> None:
    lab.at("delete-services")
    svc1, svc2, svc3 = yaml.safe_load_all(manifests.services)
    for service in (svc3, svc2, svc1):
        lab.apply(service)
    assert [lab.vip(name) for name in ("svc3", "svc2", "svc1")] == lab.pool()[:3]
    svc1["metadata"]["annotations"] = {_PIN: lab.pool()[-1]}
    lab.apply(svc1)
    assert lab.vip("svc1") == lab.pool()[-1]
    svc1["metadata"]["annotations"] = {_PIN: str(ip_address(lab.pool()[-1]) + 1)}
    lab.apply(svc1)
    assert lab.services().set_index("NAME")["EXTERNAL-IP"]["svc1"] == "<pending>"
    events = lab.events("svc1")
    assert events[events.REASON == "nodeAssigned"].MESSAGE.nunique() == 2
    assert "not allowed in config" in lab.events("svc1").MESSAGE.tolist()[-1]


@CLAIMS.claim(
    "02-72",
    "With your pool, svc1 gets the address, and nobody touched svc1.",
    "After each change of a pool, the controller looks at the Services that wait.",
    "svc1 has an address for which no node answers",
    story="metallb",
    on=("simulated",),
)
@CLAIMS.claim("02-68", "svc1 still waits.", story="metallb", on=("simulated",))
@CLAIMS.claim("write-a-pool", "With both, a speaker can announce these addresses.", story="metallb", on=("simulated",))
def new_pool_serves_who_waited(lab: Lab) -> None:
    lab.at("apply-services")
    beyond = ip_address(lab.pool()[-1]) + 1
    svc1, *_ = yaml.safe_load_all(manifests.services)
    svc1["metadata"]["annotations"] = {_PIN: str(beyond)}
    lab.apply(svc1)
    assert lab.services().set_index("NAME")["EXTERNAL-IP"]["svc1"] == "<pending>"
    scope: dict[str, Callable[[str], str]] = {}
    exec(CATALOG["write-a-pool"].solution, scope)
    pool, advertisement = yaml.safe_load_all(scope["spare_pool"](f"{beyond}-{beyond + 1}"))
    lab.apply(pool)
    assert lab.vip("svc1") == str(beyond)
    assert lab.leader("svc1") is None
    lab.apply(advertisement)
    assert lab.leader("svc1") is not None


CLAIMS.fact(
    "write-a-pool",
    "Two objects are two YAML documents, with --- between them.",
    source="YAML 1.2, section 9.2: documents",
)


@CLAIMS.claim("02-65", "A Pod answered, and `PORT(S)` has no second number.", story="metallb", on=("simulated",))
@CLAIMS.claim("02-65", "kube-proxy has a rule for the VIP and port 80", story="metallb", on=("simulated",))
@CLAIMS.claim("without-a-node-port", "the packet passes no NodePort", story="metallb", on=("simulated",))
def without_a_node_port(lab: Lab) -> None:
    lab.at("apply-services-2")
    *_, service = yaml.safe_load_all(manifests.services)
    service["metadata"]["name"] = "svc4"
    service["spec"]["allocateLoadBalancerNodePorts"] = False
    lab.apply(service)
    assert lab.services().set_index("NAME")["PORT(S)"]["svc4"] == "80/TCP"
    assert lab.curl("svc4").HOSTNAME.item() in ("webpod1", "webpod2")
    rules = [step.rule for way in lab.trace("svc4") for step in way.steps if step.rule]
    assert "KUBE-NODEPORTS" not in {rule.chain for rule in rules}
    assert any(f"-d {lab.vip('svc4')}/32" in rule.raw and "--dport 80" in rule.raw for rule in rules)


@CLAIMS.claim(
    "newer-annotation",
    "v0.14.8 reads only annotations that begin with metallb.universe.tf/",
    story="metallb",
    on=("simulated",),
)
def new_prefix_is_ignored(lab: Lab) -> None:
    lab.at("delete-services")
    svc1, *_ = yaml.safe_load_all(manifests.services)
    svc1["metadata"]["annotations"] = {"metallb.io/loadBalancerIPs": lab.pool()[-1]}
    lab.apply(svc1)
    assert lab.vip("svc1") == lab.pool()[0]
    assert "Warning" not in lab.events("svc1").TYPE.tolist()


CLAIMS.fact(
    "02-57", 'ends with "failed calling webhook"', source="MetalLB issues #1540, #1597; MetalLB docs, installation"
)
CLAIMS.fact(
    "02-11",
    "A speaker waits in `ContainerCreating` until the Secret exists.",
    source="MetalLB v0.14.8 config/manifests/metallb-native.yaml: the volume memberlist is not optional",
)
CLAIMS.fact(
    "02-14", "Docker gives its addresses from the low end of that network.", source="Docker's libnetwork, default IPAM"
)
CLAIMS.fact("02-42", "Each speaker computes the leader *from the address*.",
            source="MetalLB v0.14.8 speaker/layer2_controller.go ShouldAnnounce")  # fmt: skip
CLAIMS.fact(
    "02-53",
    "the current MetalLB is 0.16, and 0.14 is at its end of life",
    "`metallb-native.yaml` of 0.16 installs the same components",
    "the rule for addresses is the same",
    "Annotations begin with `metallb.io/` since 0.14.9, and the old prefix still works.",
    "v0.14.8 ignores the new prefix without an event.",
    source="MetalLB release notes, 0.14.9 and 0.16; speaker/layer2_controller.go of v0.16.2",
)
CLAIMS.fact(
    "newer-annotation", "The docs that you read are for 0.14.9 or later.", source="MetalLB release notes, 0.14.9"
)
CLAIMS.fact(
    "next-address",
    "returns the next address, or None if no address is free",
    "After the loop, return None.",
    source="MetalLB v0.14.8 internal/allocator/allocator.go: no available IPs",
)
CLAIMS.fact(
    "pool-of-another-network",
    "BGP announces a /32 route to a router (chapter 07).",
    source="MetalLB docs, BGPAdvertisement: aggregationLength is 32 by default",
)
CLAIMS.fact(
    "who-answers-without-advertisement",
    "It was so until 0.12, when one ConfigMap held both.",
    "Since 0.13 the advertisement is an object of its own, and without it no speaker announces anything.",
    source="MetalLB release notes, 0.13.2",
)
CLAIMS.fact(
    "who-wakes-the-waiting",
    "Two Services share an address only if both have the same allow-shared-ip key.",
    source="MetalLB docs, usage (IP address sharing)",
)
CLAIMS.fact("who-elects", "Cilium's layer 2 announcements work with Leases.", source="Cilium docs, L2 announcements")
