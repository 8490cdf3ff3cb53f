#!/usr/bin/env bash
# Refreshes constraints/py311.txt from pyproject.toml: names and versions only, no addresses, no CUDA packages.
# The torch pin stays where it is; change it in that file by hand first to move it.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
pinned=$(mktemp)
trap 'rm -f "$pinned"' EXIT
grep '^torch==' constraints/py311.txt > "$pinned"
"$venv/bin/uv" pip compile pyproject.toml --all-extras --group dev --group docs -c "$pinned" --universal --python-version 3.11 \
  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet -o constraints/all.tmp
grep -vE '^(nvidia-|cuda-|triton==)' constraints/all.tmp > constraints/py311.txt
rm constraints/all.tmp
