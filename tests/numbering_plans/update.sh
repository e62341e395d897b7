#!/usr/bin/env bash
# Writes the numbering plans of the newest libphonenumber into crates/domain/src/phone/plans. Then run the tests, and run.sh.
#
# usage: tests/numbering_plans/update.sh
# Needs bash and python3 with venv.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$here/wheel.sh" phonenumbers "$scratch"
PYTHONDONTWRITEBYTECODE=1 python3 "$here/make.py" "$scratch"/phonenumbers-*.whl "$here/../../crates/domain/src/phone/plans"
