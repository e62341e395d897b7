#!/usr/bin/env bash
# usage: wheel.sh PACKAGE FOLDER
# Downloads the wheel of a Python package into a folder, in place of others.
set -euo pipefail

rm -f "$2"/*.whl
[[ -x "$2/venv/bin/python" ]] || python3 -m venv "$2/venv"
"$2/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$2" "$1"
