#!/usr/bin/env bash
# Writes the list of all crates that the binary is made of and built with, as CycloneDX 1.5 in JSON.
#
# usage: deploy/sbom.sh <file>
# Needs cargo-cyclonedx: cargo install cargo-cyclonedx --locked
set -euo pipefail

out=$(realpath -m "$1")
cd "$(dirname "$0")/.."
# The tool writes beside each manifest. What it wrote goes away, whatever happens.
name=loopin-auth-sbom
clean() { find . -name "$name.json" -not -path './target/*' -delete; }
trap clean EXIT
cargo cyclonedx --format json --spec-version 1.5 --all --target x86_64-unknown-linux-gnu --override-filename "$name"
# The paths of this machine say nothing to others.
sed "s|path+file://$PWD|path+file://|g" "$name.json" >"$out"
echo "$out: $(grep -c '"alg"' "$out") crates of others, with their checksums"
