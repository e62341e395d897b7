#!/usr/bin/env bash
# Generates clients from docs/openapi.json with the tools that app teams use, and signs in with two of them at a real server.
#
# usage: tests/generators/run.sh <server binary> [scratch folder]
# Needs bash, java 11 or later, python3 with venv, and node 20 with npm. The tools are installed into the scratch folder, which
# is removed at the end when none was given.
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
document="$root/docs/openapi.json"
rm -rf "$scratch"/{kotlin,swift5,dart-dio,typescript-axios,typescript,auth,server,*.yaml}

[[ -x "$scratch/venv/bin/python" ]] || python3 -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$root/tests/generators/requirements.txt"
cp -r "$root/tests/generators/typescript" "$scratch/typescript"
npm install --silent --no-audit --no-fund --no-package-lock --prefix "$scratch/typescript"
export PATH="$scratch/venv/bin:$PATH"

# One start of Java for all: it validates the document before each.
for generator in kotlin swift5 dart-dio typescript-axios; do
    printf 'generatorName: %s\ninputSpec: %s\noutputDir: %s\n' "$generator" "$document" "$scratch/$generator" \
        >"$scratch/$generator.yaml"
done
# What is one of two things is a class that holds either, and not one with the members of both.
echo 'additionalProperties: {serializationLibrary: gson, generateOneOfAnyOfWrappers: true}' >>"$scratch/kotlin.yaml"
openapi-generator-cli batch --fail-fast "$scratch"/{kotlin,swift5,dart-dio,typescript-axios}.yaml >"$scratch/generated.log" 2>&1 ||
    { cat "$scratch/generated.log"; exit 1; }

cp -r "$scratch/typescript-axios" "$scratch/typescript/axios-client"
(
    cd "$scratch/typescript"
    npx --no-install openapi-typescript "$document" -o api.d.ts >/dev/null
    npx --no-install tsc -p .
    npx --no-install tsc --noEmit --strict --skipLibCheck --target es2022 --module esnext --moduleResolution bundler axios-client/index.ts
)

openapi-python-client generate --path "$document" --output-path "$scratch/auth" --meta none --fail-on-warning

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$scratch" python "$root/tests/generators/run.py" "$binary" "$scratch"
