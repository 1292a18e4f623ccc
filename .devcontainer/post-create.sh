#!/bin/bash
# Runs once, when the container is made: kind of the course's version, and the project with all extras in .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v0.24.0 # the checksums are those of its release on GitHub
case $(uname -m) in
  x86_64) machine=amd64 sum=b89aada5a39d620da3fcd16435b7f28d858927dd53f92cbac77686b0588b600d ;;
  aarch64) machine=arm64 sum=2968808d916e12d0a25c56d07c9a1c987163f972513fa8a94a2125a69f9c50eb ;;
  *) echo "kind $version is not published for $(uname -m)" >&2 && exit 1 ;;
esac
program=$(mktemp)
curl -fsSL -o "$program" "https://kind.sigs.k8s.io/dl/$version/kind-linux-$machine"
echo "$sum  $program" | sha256sum --check --quiet
sudo install -m 755 "$program" /usr/local/bin/kind
rm "$program"

python3 -m venv .venv
.venv/bin/pip install -q -e '.[lab,live,test,dev]'
.venv/bin/pre-commit install
