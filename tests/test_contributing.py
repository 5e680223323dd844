"""CONTRIBUTING shows a method, a study and a data set of one file each: a copy of the project gets and runs them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WINE = """
title: The example data set
source: {paper: none}
base: breast_cancer_mlp
cases: {baseline: {data: wine_cultivars, imbalance: natural}}
seeds: 5
claims: []
primary: {metric: balanced_accuracy}
scales: {smoke: {}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("counterpoise", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    blocks = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    for path, text in blocks:
        (folder / path).write_text(text)
    assert [path for path, _ in blocks] == [
        "counterpoise/methods/losses/poly1.py",
        "config/studies/leng2022_poly.yaml",
        "counterpoise/methods/datasets/wine_cultivars.py",
    ]
    (folder / "config/studies/leng2022_wine.yaml").write_text(WINE)
    return folder


def run(project, *arguments):
    env = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run([sys.executable, *arguments], cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_study_passes_the_check(project):
    assert "leng2022_poly.smoke" in run(project, "-m", "counterpoise", "check", "--studies", "leng2022_poly")


def test_the_example_data_set_is_what_its_file_says(project):
    told = run(project, "-m", "counterpoise", "hash", "wine_cultivars")
    assert told.endswith("as in counterpoise/methods/datasets/wine_cultivars.py\n")


@pytest.mark.parametrize(
    ("study", "case", "used"),
    [("leng2022_poly", "poly1", "poly1@1"), ("leng2022_wine", "baseline", "wine_cultivars@1")],
)
def test_the_examples_train(project, study, case, used):
    script = f"""
import counterpoise
from pathlib import Path
from counterpoise.jobs import job
from counterpoise.planning import plan
assert Path(counterpoise.__file__).is_relative_to(Path.cwd()), counterpoise.__file__
made = plan.make("{study}", "smoke")
made.write(plan.PLAN)
entry = next(e for e in made.studies["{study}.smoke"]["entries"] if e["case"] == "{case}")
for stage in ("preprocess", "sample", "finetune", "evaluate"):
    job.run(stage, entry[stage], None if stage == "preprocess" else "seeds-00-04")
print(*(made.cells[entry[stage]].identity for stage in ("preprocess", "finetune")))
"""
    assert used in run(project, "-c", script)
