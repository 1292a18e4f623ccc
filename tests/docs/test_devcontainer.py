"""The development container has the versions of the course: those of the recording and of the live backend."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from kanslib.cluster.docker import NODE_IMAGE
from kanslib.recording import Recording
from tests.docs.pages import PROJECT, ROOT

FOLDER = ROOT / ".devcontainer"
CONTAINER = json.loads((FOLDER / "devcontainer.json").read_text())
SCRIPT = (FOLDER / "post-create.sh").read_text()
FEATURES = "ghcr.io/devcontainers/features"
# what we use of containers.dev's schema; the hook `devcontainer` of pre-commit asks for all of it
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string", "pattern": r"^[\w./-]+:[\w.-]+$"},
        "features": {
            "type": "object",
            "patternProperties": {
                rf"^{re.escape(FEATURES)}/[a-z-]+:\d+\.\d+\.\d+$": {
                    "type": "object",
                    "additionalProperties": {"type": ["string", "boolean"]},
                }
            },
            "additionalProperties": False,
        },
        "hostRequirements": {
            "type": "object",
            "properties": {
                "cpus": {"type": "integer", "minimum": 1},
                "memory": {"type": "string", "pattern": r"^\d+([tgmk]b)?$"},
                "storage": {"type": "string", "pattern": r"^\d+([tgmk]b)?$"},
            },
            "additionalProperties": False,
        },
        "remoteEnv": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        "postCreateCommand": {"type": "string"},
        "postStartCommand": {"type": "string"},
        "customizations": {"type": "object"},
    },
    "required": ["name", "image", "features", "postCreateCommand"],
    "additionalProperties": False,
}


def feature(name: str) -> dict[str, str | bool]:
    """Return the options of a feature, whatever its own version."""
    (found,) = [options for key, options in CONTAINER["features"].items() if key.startswith(f"{FEATURES}/{name}:")]
    return dict(found)


def test_devcontainer_has_the_form_of_containers_dev() -> None:
    jsonschema.validate(CONTAINER, SCHEMA)


def test_devcontainer_kubectl_is_that_of_the_nodes() -> None:
    assert f"v{feature('kubectl-helm-minikube')['version']}" == NODE_IMAGE.partition(":")[2]


def test_devcontainer_kind_is_that_of_the_recording(recording: Recording) -> None:
    assert re.findall(r"^version=(\S+)", SCRIPT, re.MULTILINE) == [recording.manifest.versions["kind"]]


def test_devcontainer_python_is_one_of_the_project() -> None:
    version = re.search(r":\d+-(\d+\.\d+)-", CONTAINER["image"])
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["classifiers"]


def test_devcontainer_installs_known_extras() -> None:
    (extras,) = re.findall(r"-e '\.\[([\w,]+)\]'", SCRIPT)
    assert {"lab", "live"} <= set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()
    assert CONTAINER["postCreateCommand"].split() == ["bash", ".devcontainer/post-create.sh"]


@pytest.mark.parametrize(("machine", "named"), [("x86_64", "amd64"), ("aarch64", "arm64")])
@pytest.mark.parametrize("is_genuine", [True, False])
def test_post_create_installs_kind_only_with_its_checksum(
    machine: str, named: str, is_genuine: bool, tmp_path: Path
) -> None:
    """The script itself, with programs in place of those that need a network or root."""
    log = tmp_path / "log"
    programs = {
        "uname": f"echo {machine}",
        "curl": f'echo "$@" >> {log}',
        "sha256sum": f"cat > /dev/null; {'true' if is_genuine else 'false'}",  # it reads what is piped to it
        "sudo": f'echo sudo "$@" >> {log}',
        "python3": "mkdir -p .venv/bin; cp $(type -P true) .venv/bin/pip; cp .venv/bin/pip .venv/bin/pre-commit",
    }
    for name, code in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\n{code}\n")
        program.chmod(0o755)
    (tmp_path / ".devcontainer").mkdir()
    script = tmp_path / ".devcontainer" / "post-create.sh"
    script.write_text(SCRIPT)
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(["bash", str(script)], env=env, capture_output=True, text=True, check=False)
    assert (ran.returncode == 0) == is_genuine, ran.stderr
    assert f"/kind-linux-{named}" in log.read_text()
    assert ("sudo install" in log.read_text()) == is_genuine
