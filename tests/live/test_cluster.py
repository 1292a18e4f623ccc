"""`kans up` and `kans down` on a real Docker: from nothing, interrupted at random moments, without leftovers.

Run with `pytest -m live`. Makes and removes the course's own cluster.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from kanslib.cluster import actions, docker, lifecycle
from kanslib.cluster.api import kubectl
from kanslib.cluster.state_file import CLUSTER, load_state
from kanslib.course import manifests
from kanslib.exceptions import BackendUnavailableError, ClusterError
from tests.types import OpenLab

pytestmark = pytest.mark.live
SEED = 20261123


def kans(*words: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kanslib", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def leftovers() -> dict[str, list[str]]:
    """Return the containers, networks, volumes, routes, links and namespaces of this machine."""
    commands: dict[str, tuple[str, ...]] = {
        "containers": ("docker", "ps", "-a", "--format", "{{.Names}}"),
        "networks": ("docker", "network", "ls", "--format", "{{.Name}}"),
        "volumes": ("docker", "volume", "ls", "-q"),
        "routes": ("ip", "route"),
        "links": ("ip", "-br", "link"),
        "namespaces": ("ip", "netns"),
    }
    found = {what: docker.command(*command).out.splitlines() for what, command in commands.items()}
    found["routes"] = [line.replace(" linkdown", "") for line in found["routes"]]
    found["links"] = [line.split()[0] for line in found["links"]]
    return {what: sorted(lines) for what, lines in found.items()}


def healthy() -> bool:
    nodes = kubectl("get nodes --no-headers").out.splitlines()
    return len(nodes) == 4 and all(line.split()[1] == "Ready" for line in nodes) and not actions.active_actions()


def interrupted(code: str, after: float, how: signal.Signals) -> None:
    """Run Python code, and send it a signal after `after` seconds."""
    # a background job of a shell ignores SIGINT, and so do its children
    interruptible = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + textwrap.dedent(code)
    process = subprocess.Popen([sys.executable, "-c", interruptible], stdout=subprocess.DEVNULL)
    try:
        time.sleep(after)
        process.send_signal(how)
        process.wait(60)
    finally:
        process.kill()


INJECTION = """
    import kanslib
    lab = kanslib.open_lab(story="failover", backend="live")
    with lab.observe(probes=["svc1"], seconds=30, queries_at=(5,)):
        lab.kill_node(lab.leader("svc1"))
"""
LINK_DOWN = """
    import kanslib
    lab = kanslib.open_lab(story="case-9", backend="live")
    lab = kanslib.open_lab(story="election", backend="live")
    lab.at("exclude-leader")
    lab.link_down("myk8s-worker2")
"""


@pytest.fixture(scope="module", autouse=True)
def _whole_afterwards() -> object:
    yield
    assert kans("up", "--metallb").returncode == 0


def test_kans_up_down_leave_nothing() -> None:
    assert kans("down").returncode == 0
    before = leftovers()
    up = kans("up")
    assert up.returncode == 0, up.stderr
    assert "is created" in up.stdout
    assert healthy()
    again = kans("up")
    assert "is ready" in again.stdout
    down = kans("down")
    assert "removed" in down.stdout
    assert leftovers() == before
    assert load_state() is None
    assert "nothing to remove" in kans("down").stdout


def test_open_lab_live_without_cluster_names_next_step() -> None:
    kans("down")
    with pytest.raises(BackendUnavailableError, match="Next step: kans up"):
        lifecycle.guard()


def test_kans_up_port_in_use_changes_nothing() -> None:
    import socket

    kans("down")
    before = leftovers()
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 30002))
        taken.listen()
        result = kans("up")
    assert result.returncode == 1
    assert "port 30002 is taken" in result.stderr
    assert "Traceback" not in result.stderr
    assert leftovers() == before


def test_kans_down_leaves_foreign_cluster() -> None:
    kans("down")
    made = docker.command("kind", "create", "cluster", "--name", CLUSTER, "--image", docker.NODE_IMAGE, timeout=300)
    assert made.rc == 0, made.err
    try:
        for command in ("up", "down", "run"):
            result = kans(command, *(["--backend", "live"] if command == "run" else []))
            assert result.returncode == 1
            assert "leaves it alone" in result.stderr
        with pytest.raises((ClusterError, BackendUnavailableError), match="leaves it alone"):
            actions.kill_node(f"{CLUSTER}-worker")
    finally:
        docker.command("kind", "delete", "cluster", "--name", CLUSTER)


def test_kans_up_after_interrupted_up() -> None:
    kans("down")
    rng = random.Random(SEED)
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "kanslib", "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(3, 30))
        process.kill()
        process.wait()
    up = kans("up", "--metallb")
    assert up.returncode == 0, up.stderr
    assert healthy()


@pytest.mark.parametrize("code", [INJECTION, LINK_DOWN], ids=["kill-node", "link-down"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_kans_up_after_interrupted_fault(code: str, how: signal.Signals) -> None:
    assert kans("up", "--metallb").returncode == 0
    rng = random.Random(f"{SEED}{how}{code}")
    interrupted(code, rng.uniform(8, 35), how)
    time.sleep(1)
    up = kans("up")
    assert up.returncode == 0, up.stderr
    assert healthy()
    assert not [name for name in docker.containers() if name.startswith("kans-")]


def test_kans_down_after_interrupted_fault() -> None:
    assert kans("up", "--metallb").returncode == 0
    interrupted(INJECTION, 25, signal.SIGKILL)
    assert kans("down").returncode == 0
    assert docker.containers() == {}


def test_kans_up_other_docker_network(monkeypatch: pytest.MonkeyPatch) -> None:
    kans("down")
    name, subnet = "kans-elsewhere", "192.168.228.0/24"
    docker.check_output(docker.docker("network", "create", name, "--subnet", subnet))
    monkeypatch.setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", name)
    code = """
        import kanslib
        lab = kanslib.open_lab(story="arp", backend="live")
        print(lab.pool()[0], lab.pool()[-1], lab.vip("svc1"), lab.address(lab.client))
        print(lab.apply(kanslib.course.manifests.pool))
        print(lab.arp_scan().HOLDER.tolist() == [lab.leader(s) for s in ("svc1", "svc2", "svc3")])
    """
    try:
        assert kans("up", "--metallb").returncode == 0
        output = docker.command(sys.executable, "-c", textwrap.dedent(code), timeout=200).out
        assert "192.168.228.200 192.168.228.250 192.168.228.200 192.168.228.100\n" in output
        assert "my-ippool unchanged\nTrue" in output
    finally:
        kans("down")
        docker.docker("network", "rm", name)


def test_live_backend_without_router_image_falls_back(open_lab: OpenLab) -> None:
    assert kans("up", "--metallb").returncode == 0
    name, kept = docker.ROUTER_IMAGE, "kans-test/kept:1"
    docker.check_output(docker.docker("tag", name, kept))
    docker.check_output(docker.docker("rmi", name))
    try:
        lab = open_lab(story="bgp", backend="live")
        lab.delete(manifests.l2advertisement)
        answer = lab.start_router()
        assert not answer.provenance.checkable
        assert docker.ROUTER_IMAGE in answer.provenance.fallback_reason
        assert "07-bgp" in kans("doctor").stdout
    finally:
        docker.check_output(docker.docker("tag", kept, name))
        docker.docker("rmi", kept)
