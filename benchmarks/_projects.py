"""Projects of any size in a folder of their own: one study of the digits, planned and, if asked, as if finished."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.sides import ROOT, Command

CASES = """  baseline: {}
  oversampling: {sample: random_oversampling}
  undersampling: {sample: random_undersampling}
  class_balanced: {sample: class_balanced}
  thresholding: {evaluate: {rebalancing: prior_threshold}}
"""
CELLS_OF_POINT = 10  # one sample, four fine-tunings, five evaluations


def write(folder: Path, cells: int, seeds: int = 5) -> Path:
    """Write a project whose plan holds about `cells` cells, each of one block, and return its folder."""
    for name in ("config/studies", "profiles"):
        (folder / name).mkdir(parents=True)
    for name in ("Snakefile", "rules", "envs", "workflow", "profiles/default"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "config/bases", folder / "config/bases")
    (folder / "config/config.yaml").write_text("studies: size_made\nscale: full\ntracking: ''\n")
    factors = ", ".join(f"{1 + step / 100:.2f}" for step in range(1, max(1, cells // CELLS_OF_POINT) + 1))
    (folder / "config/studies/size_made.yaml").write_text(
        "title: A study of a given size\nsource: {paper: none}\nbase: digits_mlp\n"
        f"cases:\n{CASES}grid: [{{imbalance: {{name: long_tailed}}, imbalance.factor: [{factors}]}}]\nseeds: {seeds}\n"
        "primary: {metric: balanced_accuracy}\n"
        "claims: [{text: made, form: better, A: oversampling, B: baseline, scope: analogue}]\nscales: {full: {}}\n"
    )
    return folder


def bare(folder: Path, jobs: int, files: int = 1) -> Path:
    """Write a Snakefile with so many trivial jobs and nothing else; each with one file, or with a log and an input."""
    folder.mkdir(parents=True)
    outputs = "".join(f'        "out/{{i}}/{number}.txt",\n' for number in range(files))
    beside = '    input:\n        lambda wildcards: ancient("Snakefile"),\n    log:\n        "logs/{i}.log",\n'
    (folder / "Snakefile").write_text(
        f'rule all:\n    input:\n        expand("out/{{i}}/0.txt", i=range({jobs})),\n\n\n'
        f'rule one:\n{beside if files > 1 else ""}    output:\n{outputs}    shell:\n        "touch {{output}}"\n'
    )
    return folder


def finished(folder: Path) -> int:
    """Leave the files that every job of the project would have left, empty but for the status; return their jobs."""
    from counterpoise.jobs import status
    from counterpoise.planning import plan

    made = plan.make("size_made", "full", folder / "config")
    jobs = list(status.jobs(made))
    for job in jobs:
        (folder / job.folder).mkdir(parents=True, exist_ok=True)
        for name in status.OUTPUTS[job.cell.stage]:
            (folder / job.folder / name).write_text(json.dumps({"status": "done", "error": None}))
    return len(jobs)


def filled(folder: Path, steps: int = 40) -> None:
    """Compute the first job of every stage for real, and give its files to all others, with other metrics to each.

    The study then looks finished to whatever reads it, at the cost of a few jobs. The report is left out.
    """
    import numpy as np
    import pandas as pd

    from counterpoise.jobs import status
    from counterpoise.planning import plan

    base = folder / "config/bases/digits_mlp.yaml"
    base.write_text(base.read_text().replace("steps: 300", f"steps: {steps}"))
    made = plan.make("size_made", "full", folder / "config")
    made.write(folder / plan.PLAN)
    first: dict[tuple[str, str | None], Path] = {}
    draw = np.random.default_rng(0)
    for job in status.jobs(made):
        here, stage = folder / job.folder, job.cell.stage
        if stage == "report":
            continue
        if (stage, job.block) not in first:
            line = [sys.executable, "-m", "counterpoise", stage, job.cell.name, *([job.block] if job.block else [])]
            subprocess.run(line, cwd=folder, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
            first[stage, job.block] = here
            continue
        shutil.copytree(first[stage, job.block], here, copy_function=os.link)
        if stage == "evaluate":
            frame = pd.read_parquet(here / "metrics.parquet")
            frame["value"] += draw.normal(0, 0.01, len(frame))
            (here / "metrics.parquet").unlink()
            frame.to_parquet(here / "metrics.parquet", index=False)


def snakemake(folder: Path, *options: str) -> Command:
    """Return Snakemake in the folder, with the Python of this process."""
    os.environ["PYTHONPATH"] = str(ROOT)
    return Command((sys.executable, "-m", "snakemake", "--quiet", *options), folder)
