"""Where MetalLB walks a Go map, the answer says that it is one of several, and which."""

from __future__ import annotations

import kanslib
from kanslib.simulator.chance import Chance, Unordered
from tests.simulator.test_router import CLUSTER, ROUTER, advertisement, peer

NODES = CLUSTER[: CLUSTER.index("---")]


def pool(name: str, first: int, last: int, more: str = "") -> str:
    kind = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool"
    addresses = f"[172.18.255.{first}-172.18.255.{last}]"
    meta = f"metadata: {{name: {name}, namespace: metallb-system}}"
    return f"---\n{kind}\n{meta}\nspec: {{addresses: {addresses}{more}}}\n"


def service(name: str) -> str:
    kind = "apiVersion: v1\nkind: Service"
    return f"---\n{kind}\nmetadata: {{name: {name}}}\nspec: {{type: LoadBalancer, ports: [{{port: 80}}]}}\n"


def notes(lab: kanslib.Lab) -> list[str]:
    return [note for note in lab.services().provenance.notes if "in no fixed order" in note]


def test_chance_none_where_one_pool_comes_first() -> None:
    first = ", serviceAllocation: {priority: 1, namespaces: [default]}"
    lab = kanslib.simulate(NODES + pool("pears", 20, 29) + pool("plums", 30, 39, first) + service("till"))
    assert lab.vip("till") == "172.18.255.30"
    assert not notes(lab)


def test_chance_none_for_services_in_turn() -> None:
    lab = kanslib.simulate(NODES + pool("pears", 20, 29) + service("a") + service("b"))
    assert not notes(lab)


def test_chance_services_that_waited_together() -> None:
    lab = kanslib.simulate(NODES)
    lab.install_metallb()
    lab.apply(service("a") + service("b") + service("c"))
    assert not notes(lab)
    lab.apply(pool("pears", 20, 21))
    (note,) = notes(lab)
    assert note.startswith("default/a, default/b, default/c: any order of 172.18.255.20, 172.18.255.21, none ")


def test_chance_peers_of_one_router() -> None:
    lab = kanslib.simulate(CLUSTER + peer("first", ROUTER) + peer("second", ROUTER, more=", holdTime: 6s"))
    lab.apply(advertisement())
    assert not notes(lab)  # no router, no session
    lab.start_router()
    assert notes(lab)[0] == "myk8s-control-plane: first or second (MetalLB takes BGPPeers in no fixed order)"
    assert len(notes(lab)) == 4


def test_chance_in_words() -> None:
    turns = Chance(Unordered.SERVICES, ("default/a", "default/b"), (("192.0.2.1",), ()))
    assert str(turns) == "default/a, default/b: any order of 192.0.2.1, none (MetalLB takes Services in no fixed order)"
