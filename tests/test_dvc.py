"""DVC: what Snakemake computed goes to a remote and comes back whole, and nothing is computed again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from counterpoise.errors import UserError
from counterpoise.publishing import restore

ROOT = Path(__file__).parents[1]
STUDY = """
title: Two cases on digits
source: {paper: none, url: https://example.org}
base: digits_mlp
cases: {baseline: {}, oversampling: {sample: random_oversampling}}
grid: [{imbalance: step, imbalance.minority_count: 10, imbalance.mu: 0.5}]
seeds: 5
primary: {metric: balanced_accuracy}
claims: [{text: Oversampling helps, form: better, A: oversampling, B: baseline, margin: 0.01, concerns: nothing}]
scales: {smoke: {scope: analogue, config: {finetune: {steps: 20, snapshots: 1}}}}
"""


def run(*command: str, cwd: Path) -> str:
    """Run a command with this environment's tools first; return what it printed."""
    tools = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def project(folder: Path) -> Path:
    """Make a small project beside this one: its code and rules, one study, no tracking."""
    ignored = shutil.ignore_patterns("__pycache__", "studies", "tmp", "cache", "config.local")
    for name in ("counterpoise", "config", "rules", "profiles", "envs", "workflow", ".dvc"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("Snakefile", "requirements.lock", "dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "config/studies").mkdir()
    (folder / "config/studies/tiny2000_digits.yaml").write_text(STUDY)
    (folder / "config/config.yaml").write_text("studies: [tiny2000]\nscale: smoke\ntracking: ''\n")
    run("git", "init", "-q", cwd=folder)
    save(folder)
    return folder


def save(folder: Path) -> None:
    run("git", "add", "-A", cwd=folder)
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    run("git", *who, "commit", "-q", "-m", "as it is", cwd=folder)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file that jobs declare, with its content."""
    found = sorted(p for p in (folder / "results").rglob("*") if p.is_file())
    skip = {"logs", ".lock", "plan.json", "plans"}
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if not skip & set(p.parts)}


def test_round_trip_through_a_remote_leaves_nothing_to_compute(tmp_path: Path) -> None:
    first = project(tmp_path / "first")
    run("snakemake", "--cores", "2", cwd=first)
    run("dvc", "commit", "-f", "-q", cwd=first)
    assert "Data and pipelines are up to date" in run("dvc", "repro", cwd=first)
    metrics = json.loads((first / "results/metrics.json").read_text())["tiny2000_digits.smoke"]
    assert set(metrics["claims"]["0 better"]) == {"verdict", "effect", "p", "n"}
    assert len(metrics["cases"]) == 2

    with (first / ".dvc/config").open("a") as config:
        config.write(f"    remote = store\n['remote \"store\"']\n    url = {tmp_path / 'remote'}\n")
    run("dvc", "push", "-q", cwd=first)
    save(first)
    run("git", "clone", "-q", str(first), str(tmp_path / "second"), cwd=tmp_path)
    second = tmp_path / "second"
    assert "restored" in run(sys.executable, "-m", "counterpoise", "restore", cwd=second)
    assert files(second) == files(first)
    assert "Nothing to be done" in run("snakemake", "--cores", "2", cwd=second)
    assert files(second) == files(first)

    metrics["cases"]["baseline at name=step, minority_count=10, mu=0.5"] = 0.125
    (second / "results/metrics.json").write_text(json.dumps({"tiny2000_digits.smoke": metrics}))
    assert "0.125" in run("dvc", "metrics", "diff", cwd=second)
    run("dvc", "plots", "show", "-o", "plots", cwd=second)
    assert "oversampling at" in (second / "plots/index.html").read_text()


def test_restore_without_anything_published_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"has no dvc\.lock, so there is nothing to fetch"):
        restore.restore()


def test_restore_without_a_remote_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache", "config.local"))
    run("git", "init", "-q", cwd=tmp_path)
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no DVC remote is set"):
        restore.restore()
