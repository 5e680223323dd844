"""A project folder of its own for tests: the repository's workflow, with one small study on digits."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from counterpoise.planning import config

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ("Snakefile", "rules", "profiles", "envs", "workflow")
RESULTS_OF_JOBS = (
    "split.parquet",
    "statistics.json",
    "model.safetensors",
    "history.jsonl",
    "predictions.parquet",
    "metrics.parquet",
    "confusion.parquet",
)
RUN: dict[str, Any] = {  # a whole `run.json`
    "status": "done",
    "error": None,
    "diverged": {},
    "seeds": [0],
    "started": "2026-01-02T03:04:05+00:00",
    "wall_seconds": 4.0,
    "peak_memory_mb": 300.0,
    "versions": {"python": "3.11.7"},
    "commit": "abcdef0123",
    "dirty": False,
}
CLAIMS: dict[str, Any] = {  # a whole `claims.json`, of a study without claims
    "key": "a2000",
    "study": "a2000_b",
    "scale": "smoke",
    "title": "A study",
    "claims": [],
    "controls": [],
    "gaps": [],
    "diverged": [],
    "provenance": {"dirty": False},
    "dirty": False,
}
BASE: dict[str, Any] = {
    "block": 2,
    "data": "digits",
    "imbalance": {"name": "step", "per_class": 60, "minority_count": 6},
    "validation": 5,
    "model": "digits_cnn",
    "pretrain": {"steps": 60, "batch_size": 16},
    "finetune": {"steps": 60, "batch_size": 16, "schedule": "step_decay"},
}


def recipe(**given: Any) -> dict[str, Any]:
    """Return a whole recipe, as a plan holds it: a small network on digits, with what is given laid over it."""
    trained = {"steps": 1, "batch_size": 1}
    least = {"data": {"name": "digits"}, "model": {"name": "mlp"}, "pretrain": trained, "finetune": trained}
    whole = config.resolve(config.merge(config.default_methods(), least), "a recipe for tests")
    return config.merge(whole, given)


def make(folder: Path, cases: dict[str, Any], seeds: int | dict[str, int] = 2, **base: Any) -> Path:
    """Write a project to `folder` whose default run is one study of `cases`, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in WORKFLOW:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    study = {
        "title": "A study for tests",
        "source": {"paper": "none"},
        "base": "tiny",
        "cases": cases,
        "seeds": seeds,
        "primary": {"metric": "balanced_accuracy"},
        "claims": [],
        "scales": {"smoke": {}},
    }
    files = {
        "config.yaml": {"studies": ["test2026_small"], "scale": "smoke", "tracking": ""},
        "bases/tiny.yaml": BASE | base,
        "studies/test2026_small.yaml": study,
    }
    for name, content in files.items():
        path = folder / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    return folder


def environment(*first_on_path: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a run: this interpreter, this package, one thread."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    modules = os.pathsep.join(str(p) for p in (*first_on_path, ROOT))
    return os.environ | {"PATH": path, "PYTHONPATH": modules, "OMP_NUM_THREADS": "1"} | variables


def snakemake(cores: int = 2) -> list[str]:
    """Return the command line of a plain run."""
    return [sys.executable, "-m", "snakemake", "--cores", str(cores)]


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of everything that must not depend on how a run went."""
    paths = sorted(p for p in (folder / "results").rglob("*") if p.name in RESULTS_OF_JOBS)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def left_behind(folder: Path) -> list[Path]:
    """Return unfinished work and temporary files, of which a finished run leaves none."""
    return [p for p in (folder / "results").rglob("*") if p.name == "partial" or p.name.endswith(".tmp")]
