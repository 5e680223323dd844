"""CONTRIBUTING shows a method of one file and a study of one file: both are added to a copy of the project and run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("counterpoise", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    blocks = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    for path, text in blocks:
        assert not (folder / path).exists(), "an example adds a file"
        (folder / path).write_text(text)
    assert [path for path, _ in blocks] == ["counterpoise/losses/poly1.py", "config/studies/leng2022_poly.yaml"]
    return folder


def run(project, *arguments):
    env = {**os.environ, "PYTHONPATH": str(project)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=project, env=env, capture_output=True, text=True, check=True
    ).stdout


def test_the_example_study_passes_the_check(project):
    assert "leng2022_poly.smoke" in run(project, "-m", "counterpoise", "check", "--studies", "leng2022")


def test_the_example_method_trains(project):
    script = """
import counterpoise
from pathlib import Path
from counterpoise import jobs, plan, registry
assert Path(counterpoise.__file__).is_relative_to(Path.cwd()), counterpoise.__file__
assert "poly1" in registry.names("losses")
made = plan.make("leng2022", "smoke")
made.write(plan.PLAN)
entry = next(e for e in made.studies["leng2022_poly.smoke"]["entries"] if e["case"] == "poly1")
for stage in ("preprocess", "sample", "finetune", "evaluate"):
    jobs.run(stage, entry[stage], None if stage == "preprocess" else "seeds-00-04")
print(made.cells[entry["finetune"]].identity["finetune"]["loss"])
"""
    assert run(project, "-c", script).strip() == "{'name': 'poly1@1'}"
