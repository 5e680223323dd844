"""`python -m benchmarks [name ...] [options]`: run all benchmarks, or those named, each in a process of its own."""

import pkgutil
import subprocess
import sys

import benchmarks
from benchmarks.harness import ROOT

HELPERS = {"harness", "page", "sides"}
KNOWN = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name[0] != "_" and m.name not in HELPERS)


def main(arguments: list[str]) -> int:
    """Run them one after the other; return 1 if one failed."""
    names = [a for a in arguments if a in KNOWN] or KNOWN
    options = [a for a in arguments if a not in KNOWN]
    failed = [n for n in names if subprocess.call([sys.executable, "-m", f"benchmarks.{n}", *options], cwd=ROOT)]
    for name in failed:
        print(f"failed: {name}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
