#!/usr/bin/env bash
# Sends a real server what its own OpenAPI document allows and what it forbids, and compares the answers with the document.
#
# usage: tests/schemathesis/run.sh <server binary> [folder of the Python environment]
# Needs bash and python3 with venv. Everything else is in a scratch folder that is removed at the end; the Python
# environment is kept when its folder is named.
set -euo pipefail

binary=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
venv=$(realpath -m "${2:-$scratch/venv}")

[[ -x "$venv/bin/python" ]] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"

PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" "$here/run.py" "$binary" "$scratch"
