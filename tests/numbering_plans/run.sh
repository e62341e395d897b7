#!/usr/bin/env bash
# Compares the numbering plans, and the numbers that are read by them, with the libphonenumber that they come from.
#
# usage: tests/numbering_plans/run.sh READER [scratch folder]
# READER is what `cargo build --example phones` makes. Needs bash and python3 with venv.
set -euo pipefail

reader=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
plans=$here/../../crates/domain/src/phone/plans
if (($# > 1)); then
    mkdir -p "$2"
    scratch=$(realpath "$2")
else
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
fi
export PYTHONDONTWRITEBYTECODE=1

version=$(sed -n 's/^"libphonenumber":"\(.*\)",$/\1/p' "$plans/plans.json")
"$here/wheel.sh" "phonenumbers==$version" "$scratch"
mkdir -p "$scratch/plans"
python3 "$here/make.py" "$scratch"/phonenumbers-*.whl "$scratch/plans"
diff -r "$plans" "$scratch/plans" || { echo "crates/domain/src/phone/plans is not what make.py makes of $version"; exit 1; }
python3 "$here/check.py" "$scratch"/phonenumbers-*.whl "$reader"
