#!/usr/bin/env bash
# Runs the services of examples/ against a real server, with the libraries that their teams use.
#
# usage: tests/interop/run.sh <server binary> [scratch folder]
# Needs bash, curl, python3 with venv, and node 20 with npm. What examples/ names is installed into the scratch folder, which is
# removed at the end when none was given.
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

# The examples run where they were copied to, so that neither packages nor databases land in the project.
rm -rf "$scratch/examples" "$scratch/discovery" "$scratch"/server-* "$scratch/django.sqlite3"
cp -r "$root/examples" "$scratch/examples"
cp -r "$root/tests/interop/discovery" "$scratch/discovery"

for folder in examples/node discovery; do
    npm install --silent --no-audit --no-fund --no-package-lock --prefix "$scratch/$folder"
done
[[ -x "$scratch/venv/bin/python" ]] || python3 -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    -r "$scratch/examples/python/requirements.txt" -r "$scratch/examples/django/requirements.txt" \
    -r "$scratch/discovery/requirements.txt"

PYTHONDONTWRITEBYTECODE=1 "$scratch/venv/bin/python" "$root/tests/interop/run.py" "$binary" "$scratch"
