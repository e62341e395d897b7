#!/usr/bin/env bash
# Runs the relays of examples/relay/ between a real server and stubs of AWS and Plivo, and signs delivery reports with the
# vendors' libraries.
#
# usage: tests/relay/run.sh <server binary> [scratch folder]
# Needs bash, python3 with venv, and node 20 with npm. Packages are installed into the scratch folder, which is removed at
# the end when none was given.
set -euo pipefail

binary=$(realpath "$1")
root=$(realpath "$(dirname "$0")/../..")
if (($# > 1)); then
    mkdir -p "$2"
    scratch=$(realpath "$2")
else
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
fi

# The relays run where they were copied to, so that no packages land in the project.
rm -rf "$scratch"/server-*
mkdir -p "$scratch/relay"
cp "$root"/examples/relay/* "$root/tests/relay/supabase_function.mjs" "$scratch/relay"
npm install --silent --no-audit --no-fund --no-package-lock --prefix "$scratch/relay"
[[ -x "$scratch/venv/bin/python" ]] || python3 -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    -r "$root/examples/relay/requirements.txt" -r "$root/tests/relay/requirements.txt"

PYTHONDONTWRITEBYTECODE=1 "$scratch/venv/bin/python" "$root/tests/relay/run.py" "$binary" "$scratch"
