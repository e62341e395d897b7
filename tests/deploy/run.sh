#!/usr/bin/env bash
# Checks the files of deploy/ and the compose files, and runs the fleet of deploy/ on this machine: Caddy, two servers,
# PgBouncer and PostgreSQL with the configuration that is in there.
#
# usage: tests/deploy/run.sh <server binary> [folder of the Python environment]
# Needs bash, python3 with venv, systemd-analyze, caddy, pgbouncer and PostgreSQL's server programs.
set -euo pipefail

binary=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
venv=$(realpath -m "${2:-$scratch/venv}")

[[ -x "$venv/bin/python" ]] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"

export PYTHONDONTWRITEBYTECODE=1
"$venv/bin/python" "$here/files.py" "$binary"
# PostgreSQL and PgBouncer run as a user of their own.
chmod 711 "$scratch"
"$venv/bin/python" "$here/fleet.py" "$binary" "$scratch"
