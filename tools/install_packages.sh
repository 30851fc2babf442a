#!/bin/bash
# usage: install_packages.sh: installs the Debian packages that the build needs and that are missing.
set -euo pipefail
packages=(g++ make cmake ninja-build python3 python3-venv git libhwy-dev libprotozero-dev libflatbuffers-dev
          flatbuffers-compiler libxxhash-dev libgtest-dev libcli11-dev nlohmann-json3-dev)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit 0
echo "installing: ${missing[*]}"
sudo=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "not root, and no sudo: apt-get install ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"
