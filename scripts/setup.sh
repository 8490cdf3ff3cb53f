#!/usr/bin/env bash
# Makes or refreshes the environment: scripts/setup.sh [GROUP...]   (groups: dev, docs)
#
#   VENV           where (default .venv)
#   PYTHON         which interpreter makes it (default python3; 3.11 to 3.13)
#   TORCH_BACKEND  cpu, cu130, ... (default auto: the CPU build without a GPU, the CUDA build with one)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
python=${PYTHON:-python3}

if [ ! -x "$venv/bin/python" ]; then
  "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
    echo "Bowerbird needs Python 3.11 to 3.13, $python is $("$python" --version 2>&1); set PYTHON=python3.12 or so" >&2
    exit 1
  }
  "$python" -m venv "$venv" || { echo "cannot make $venv; on Debian: apt install python3-venv" >&2; exit 1; }
fi
"$venv/bin/python" -m pip install -qq --disable-pip-version-check "uv>=0.8"

# uv does not read pip's settings: where pip is told to look in a folder that holds a torch wheel, tell uv as well.
links=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-$("$venv/bin/python" -m pip config get global.find-links 2>/dev/null || true)}}
if [ -n "$links" ] && [ -d "$links" ] && compgen -G "$links/torch-*.whl" >/dev/null; then
  export UV_FIND_LINKS=$links
else
  export UV_TORCH_BACKEND=${TORCH_BACKEND:-auto}
fi

groups=()
for group in "$@"; do groups+=(--group "$group"); done
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" -c constraints/py311.txt -e . ${groups[@]+"${groups[@]}"}
"$venv/bin/python" - <<'P'
from importlib.metadata import version
print(f"environment ready: bowerbird {version('bowerbird')}, torch {version('torch')}")
P
