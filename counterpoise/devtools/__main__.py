"""`python -m counterpoise.devtools check | docs | envs`: what `make check` runs, and the files that are generated.

Environments: `envs/*.yaml` hold, for each phase, the packages that its jobs import and everything that those need,
at the versions of `requirements.lock`, which is the truth.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from counterpoise.errors import UserError
from counterpoise.records import write_text

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
DATA = ("annotated-types", "numpy", "pyarrow", "pydantic", "pyyaml", "scikit-learn", "tqdm")
ENVIRONMENTS = {  # the packages that the jobs of each phase import
    "data": DATA,
    "train": (*DATA, "imbalanced-learn", "lightgbm", "safetensors", "skops", "torch", "xgboost-cpu"),
    "evaluate": (*DATA, "jinja2", "matplotlib", "pandas", "safetensors", "scipy", "torch", "torchmetrics"),
}


def main(arguments: list[str]) -> int:
    """Run one of the three commands; a method file that cannot be documented is one line and exit code 2."""
    try:
        return run(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(arguments: list[str]) -> int:
    """Run one of the three commands."""
    if arguments == ["check"]:
        return check()
    if arguments in (["docs"], ["envs"]):
        for path, text in (documents() if arguments == ["docs"] else environments()).items():
            write_text(path, text)
            print(path.relative_to(ROOT))
        return 0
    print("usage: python -m counterpoise.devtools check | docs | envs", file=sys.stderr)
    return 2


def check() -> int:
    """Run every static check, print what each found, and return 1 if one failed."""
    snakefiles = ["Snakefile", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "rules").glob("*.smk"))]
    tools = {
        "ruff check": ["ruff", "check", "--quiet", "."],
        "ruff format": ["ruff", "format", "--check", "--quiet", "."],
        "snakefmt": ["snakefmt", "--check", *snakefiles],
        "snakemake --lint": ["snakemake", "--lint"],
        "mypy": ["mypy", "--no-error-summary"],
    }
    failed = []
    for name, command in tools.items():
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
        print(f"{'OK  ' if done.returncode == 0 else 'FAIL'}  {name}", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stdout + done.stderr)
    stale = [str(path.relative_to(ROOT)) for path, text in generated().items() if not is_current(path, text)]
    print("OK    generated files" if not stale else f"FAIL  stale: {', '.join(stale)} (run `make docs envs`)")
    return 1 if failed or stale else 0


def generated() -> dict[Path, str]:
    """Return every generated file with the text that it should have."""
    return documents() | environments()


def is_current(path: Path, text: str) -> bool:
    """Return whether a file has the text that it should have."""
    return path.exists() and path.read_text(encoding="utf-8") == text


def documents() -> dict[Path, str]:
    """Return the documents that are written from the code."""
    from counterpoise.devtools import documents as pages

    readme = ROOT / "README.md"
    return {
        readme: pages.results(readme.read_text(encoding="utf-8"), ROOT / "published"),
        ROOT / "docs" / "results.md": pages.verdicts(ROOT / "published"),
        ROOT / "docs" / "configuration.md": pages.configuration(),
        ROOT / "docs" / "commands.md": pages.commands(),
        ROOT / "docs" / "methods.md": pages.methods(ROOT / "published"),
        ROOT / "workflow" / "schemas" / "config.schema.json": pages.schema(),
    }


def environments() -> dict[Path, str]:
    """Return the conda environment of each phase."""
    pins = dict(line.split("==") for line in LOCK.read_text().splitlines() if "==" in line)
    return {ROOT / "envs" / f"{name}.yaml": _environment(roots, pins) for name, roots in ENVIRONMENTS.items()}


def _environment(roots: tuple[str, ...], pins: dict[str, str]) -> str:
    lines = [f"      - {name}=={pins[name]}" for name in sorted(_needed(roots, pins))]
    return (
        "# Written from requirements.lock by `make envs`; do not edit.\n"
        "channels:\n  - conda-forge\n"
        "dependencies:\n  - python=3.11\n  - pip\n  - pip:\n" + "\n".join(lines) + "\n"
    )


def _needed(roots: tuple[str, ...], pins: dict[str, str]) -> set[str]:
    """Return the locked packages among `roots` and what they need, directly or not."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name not in pins:
            continue
        found.add(name)
        for line in metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(needed.name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
