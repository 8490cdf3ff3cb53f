"""List the benchmarks, or run one.

    python -m benchmarks                     # what there is
    python -m benchmarks NAME [OPTION ...]   # run one; NAME --help for its options
"""

from __future__ import annotations

import ast
import difflib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def benchmarks() -> dict[str, str]:
    """Name -> first line of the docstring, of every script here that has a ``main``."""
    found = {}
    for path in sorted(HERE.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(words: list[str]) -> int:
    """Returns the exit status."""
    known = benchmarks()
    if not words or words[0] in ("-h", "--help"):
        print("Benchmarks (python -m benchmarks NAME --help for options; results go to docs/results):\n")
        width = max(map(len, known), default=0)
        for name, line in known.items():
            print(f"  {name:<{width}}  {line}")
        return 0
    name, *rest = words
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        print(f"no benchmark is called {name!r}; {hint}", file=sys.stderr)
        return 2
    return subprocess.run([sys.executable, str(HERE / f"{name}.py"), *rest], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
