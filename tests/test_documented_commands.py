"""Every command of the documents and of `--help` works: run in a small project, or parsed with all that it names.

A project holds tiny studies under the names that the documents use, so that most commands run as they are shown.
TREATED is the table of how each is tried; a documented command that it does not match fails.
"""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml
from snakemake.cli import get_argument_parser

from counterpoise import registry, stopping
from counterpoise.cli import main, parser
from counterpoise.jobs import job as jobs
from counterpoise.jobs import status
from counterpoise.planning import plan as planning
from counterpoise.planning import study
from tests.documented import ROOT, commands, commands_of, subcommands

COMMANDS = commands()
TINY = {
    "title": "A study for tests",
    "source": {"paper": "none"},
    "base": "tiny",
    "cases": {"baseline": {}, "pretrained": {"pretrain": {"method": "supervised"}}},
    "seeds": 5,
    "primary": {"metric": "balanced_accuracy"},
    "claims": [],
    "scales": {
        "smoke": {},
        "small": {"scope": "analogue"},
        "pilot": {"seeds": {"first": 900, "count": 5}, "grid": [{"finetune.optimizer.lr": [0.01, 0.1]}]},
    },
}
BASE = {
    "block": 5,
    "data": "digits",
    "imbalance": {"name": "step", "per_class": 30, "minority_count": 5},
    "validation": 5,
    "model": {"name": "mlp", "hidden": [8]},
    "pretrain": {"steps": 5, "batch_size": 16},
    "finetune": {"steps": 5, "batch_size": 16},
}
STUDIES = ("buda2018_methods", "yang2020_ssp", "kang2020_decoupling", "leng2022_poly")
WRITTEN = {"customers", "leng2022_poly", "wine_cultivars"}  # by the reader, with the page that names them
KNOWN = {*study.available(ROOT / "config"), *(name.partition("_")[0] for name in study.available(ROOT / "config"))}

# Pattern of a command -> how it is tried, and why no more is done where it is not run as it stands.
TREATED = {
    r"counterpoise new .*": "fresh",
    r"counterpoise (run|plan|check|show|why|names|export|predict|hash digits).*": "project",
    r"counterpoise (tune|retry|clean|report|finish).*": "project",
    r"python -m counterpoise (preprocess|sample|pretrain|finetune|evaluate) .*": "project",
    r"head -4 predictions.csv|sha256sum -c SHA256SUMS": "shell",
    r"counterpoise hash( wine_cultivars)?": "parsed",  # tests/test_contributing.py runs it
    r"counterpoise (ui|track|synthesise|restore|publish).*|rm mlflow.db && counterpoise track": "parsed",  # ELSEWHERE
    r"counterpoise <command> --help|python -m counterpoise <stage> <cell> <seeds>|counterpoise": "parsed",
    r"([A-Z_]+=\S+ )*snakemake.*": "snakemake",  # one start takes seconds; tests/test_resume.py runs it
    r"([A-Z_]+=\S+ )*make .*": "make",
    r"python -m (benchmarks|tests|pytest).*|python tests/slurm_equality.py.*": "module",
    r"dvc (repro|commit|push)": "named",  # tests/test_dvc.py runs it
    r"pre-commit install|uv pip install .*|git clone .*|rm results/finetune/\S+": "named",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose tiny studies have the names of the documents; nothing is computed yet."""
    folder = tmp_path_factory.mktemp("documented")
    shutil.copytree(ROOT / "config" / "bases", folder / "config" / "bases")
    (folder / "config" / "studies").mkdir()
    (folder / "config/bases/tiny.yaml").write_text(yaml.safe_dump(BASE))
    (folder / "config/config.yaml").write_text("studies: [buda2018]\nscale: smoke\ntracking: ''\n")
    for name in STUDIES:
        (folder / f"config/studies/{name}.yaml").write_text(yaml.safe_dump(TINY))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_data()
        assert main(["new", "customers.csv", "--target", "churn"]) == 0
        path = Path("config/studies/customers.yaml")
        held = yaml.safe_load(path.read_text())
        kept = ("logistic_regression", "lightgbm_smote")
        held |= {"cases": {case: held["cases"][case] for case in kept}, "claims": []}
        held["scales"]["full"] |= {"seeds": 2, "block": 2}
        held["scales"]["full"]["config"]["split"] = {"name": "k_fold", "folds": 2}
        path.write_text(yaml.safe_dump(held))
        for name, scale in (("buda2018", "smoke"), ("customers", "full")):
            compute(planning.make(name, scale))
    return folder


def write_data():
    """Write the files of data that the documents name: customers by the script of the page, but fewer."""
    page = (ROOT / "docs" / "your_data.md").read_text("utf-8")
    script = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    exec(script.replace("11_000", "660").replace("10_000", "600"), {})
    pd.read_csv("new.csv").rename(columns={"charge": "charges"}).to_csv("wrong.csv", index=False)
    random = np.random.default_rng(0)
    readmitted, patient = np.repeat(["no", "no", "no", "yes"], 50), np.arange(200) // 2
    visits = {"patient": patient, "age": random.normal(60, 9, 200).round(1), "readmitted": readmitted}
    pd.DataFrame(visits).to_parquet("visits.parquet")
    for name, shade in (("cat", 80), ("dog", 160)):
        Path("photos", name).mkdir(parents=True)
        for i in range(12):
            image = random.integers(shade, shade + 60, (8, 8, 3)).astype(np.uint8)
            plt.imsave(f"photos/{name}/{i}.png", image)


def compute(plan):
    """Run the jobs of a plan in this process, as Snakemake would; those that are done are left alone."""
    plan.write(planning.PLAN)
    for cell in sorted(plan.cells.values(), key=lambda cell: planning.STAGES.index(cell.stage)):
        for job in status.jobs_of(cell):
            if status.state(job).status != "done":
                jobs.run(cell.stage, cell.name, job.block)


def test_every_command_is_treated():
    unknown = {command: where for command, where in COMMANDS.items() if not treatment(command)}
    assert not unknown, "add a line to TREATED"
    unused = [pattern for pattern in TREATED if not any(re.fullmatch(pattern, command) for command in COMMANDS)]
    assert not unused


def treatment(command):
    return next((how for pattern, how in TREATED.items() if re.fullmatch(pattern, command)), None)


def treated(*ways):
    return [pytest.param(command, id=command) for command in COMMANDS if treatment(command) in ways]


def literal(command, folder):
    """Return a command with what stands for something replaced by that: a cell of the project, its stage and seeds."""
    plan = planning.make("buda2018", "smoke")
    stage = next((word for word in shlex.split(command) if word in planning.STAGES), "finetune")
    cell = next(name for name, cell in plan.cells.items() if cell.stage == stage)
    for placeholder, value in {
        "results/finetune/<cell>": f"results/finetune/{cell}",
        "<cell>": cell,
        "<stage>": stage,
        "<seeds>": "seeds-00-04",
        "<command>": "plan",
        "<study>.<scale>": "buda2018_methods.smoke",
        "<file> --target <column>": "customers.csv --target churn",
        "<folder>": "photos/",
    }.items():
        command = command.replace(placeholder, value)
    return shlex.split(command.removeprefix("python -m "))[1:]


@pytest.mark.parametrize("command", treated("project"))
def test_it_runs_in_a_project(command, project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    ran = []
    monkeypatch.setattr(stopping, "run_snakemake", lambda words: ran.append(words) or computed(words))
    words = literal(command, project)
    if bare(words):
        return
    if words[0] == "export" and Path("model").exists():
        shutil.rmtree("model")
    if words[0] == "predict" and not Path("model").exists():
        assert main(["export", "customers", "--to", "model/"]) == 0
    if words[0] == "retry" and len(words) > 1:
        fail(words[1])
    if words[0] == "report":  # `retry` has forgotten a job
        compute(planning.make("buda2018", "smoke"))
    if words[0] == "tune":
        compute(planning.make("kang2020", "pilot"))
    code = main(words)
    told = capsys.readouterr()
    assert (code, told.err) == (0, "") or ("wrong.csv" in words and code == 2 and "is missing" in told.err)
    assert told.out or words[0] in (*planning.STAGES, "finish") or code == 2
    assert bool(ran) == (words[0] == "run")


def bare(words):
    """Return whether a command is only named, and whether it is one: `counterpoise publish` writes results."""
    command = subcommands()[words[0]]
    return len(words) == 1 and any(action.required for action in command._actions)


def computed(words):
    """Do what Snakemake would; return its exit code."""
    asked = dict(word.split("=") for word in snakemake(words[2:]).config or [])
    compute(planning.make(asked.get("studies", "buda2018"), asked.get("scale", "smoke")))
    return 0


def fail(name):
    (path,) = Path("results").glob(f"*/{name}/*/run.json")
    run = json.loads(path.read_text())
    path.write_text(json.dumps(run | {"status": "failed", "error": "a class is left empty"}))


@pytest.mark.parametrize("command", treated("fresh"))
def test_it_writes_a_study_in_a_fresh_folder(command, project, tmp_path, monkeypatch, capsys):
    for name in ("config/bases", "photos"):
        shutil.copytree(project / name, tmp_path / name)
    (tmp_path / "config/studies").mkdir()
    for name in ("config/config.yaml", "config/studies/buda2018_methods.yaml", "customers.csv", "visits.parquet"):
        shutil.copy(project / name, tmp_path / name)
    monkeypatch.chdir(project)
    words = literal(command, project)
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    assert main(["check"]) == 0
    assert len(study.available()) == 2


@pytest.mark.parametrize("command", treated("shell"))
def test_it_runs_in_a_shell(command, project, tmp_path, monkeypatch):
    monkeypatch.chdir(project)
    if not Path("model").exists():
        assert main(["export", "customers", "--to", "model/"]) == 0
    assert main(["predict", "model/", "new.csv", "-o", "model/predictions.csv"]) == 0
    assert subprocess.run(shlex.split(command), cwd="model", capture_output=True).returncode == 0


# Parsed, with all that they name -----------------------------------------------------------------------------


def snakemake(words):
    return get_argument_parser().parse_args([word for word in words if word != "snakemake"])


def check_studies(studies, scale):
    """Check that what a command names is in this repository, or that its reader writes it."""
    for word in (studies or "").split(","):
        if word and word != "all" and word not in WRITTEN:
            assert study.select_at(word, scale or "smoke", ROOT / "config")
            assert not scale or any(
                scale in study.scales(n, ROOT / "config") for n in study.select(word, ROOT / "config")
            )


@pytest.mark.parametrize("command", treated("project", "parsed"))
def test_it_is_parsed_and_names_what_exists(command, project, monkeypatch):
    monkeypatch.chdir(project)
    words = literal(command.rpartition("&& ")[2], project)
    if "--help" in words or not words or bare(words):
        assert words[:1] == [] or words[0] in subcommands()
        return
    options = vars(parser().parse_args(words))
    named = options.get("study") or options.get("target") or ""
    studies = options.get("studies") or (named.partition(".")[0] if named.partition(".")[0] in KNOWN else None)
    for one in studies if isinstance(studies, list) else [studies]:
        check_studies(one and one.partition(".")[0], options.get("scale") or (one or "").partition(".")[2] or None)
    if "dataset" in options and options["dataset"] not in WRITTEN:
        assert options["dataset"] in registry.names("datasets")


@pytest.mark.parametrize("command", treated("snakemake"))
def test_a_snakemake_command_is_parsed_and_names_what_exists(command):
    words = shlex.split(command)
    variables = [word.partition("=")[0] for word in words[: words.index("snakemake")]]
    assert set(variables) <= {"COUNTERPOISE_DEVICE"}
    if words[-1] == "--cores":  # the option, named without its value
        words.append("2")
    options = snakemake(words[words.index("snakemake") :])
    asked = dict(word.split("=") for word in options.config or [])
    assert asked.keys() <= {"studies", "scale"}
    check_studies(asked.get("studies"), asked.get("scale"))
    if options.workflow_profile:
        assert (ROOT / options.workflow_profile / "profile.yaml").exists()
    if options.batch:
        assert f"rule {options.batch.rulename}:" in "".join(p.read_text() for p in (ROOT / "rules").glob("*.smk"))


@pytest.mark.parametrize("command", treated("make"))
def test_a_target_of_make_exists_and_calls_what_it_is_named_for(command):
    words = shlex.split(command)
    variables = words[: words.index("make")] + [word for word in words if "=" in word]
    assert {word.partition("=")[0] for word in variables} <= {"TORCH_BACKEND", "PEERS", "BENCH"}
    target = words[words.index("make") + 1]
    recipe = subprocess.run(["make", "-n", *words[words.index("make") + 1 :]], cwd=ROOT, capture_output=True, text=True)
    assert recipe.returncode == 0
    module = {
        "test": "pytest",
        "kernels": "tests.make_goldens --stable",
        "bench": "benchmarks",
        "check": "counterpoise.devtools check",
    }
    module |= {name: f"counterpoise.devtools {name}" for name in ("docs", "envs")}
    assert f"-m {module.get(target, f'counterpoise {target}')}" in recipe.stdout
    if target in subcommands():
        parser().parse_args([target])


@pytest.mark.parametrize("command", treated("module"))
def test_a_module_and_the_files_and_options_that_it_is_given_exist(command):
    words = shlex.split(command)[1:]
    if words[0] == "-m":
        found = importlib.util.find_spec(words[1])
        source = Path(found.origin).read_text("utf-8")
    else:
        source = (ROOT / words[0]).read_text("utf-8")
    for path in (word for word in words if word.endswith(".py")):
        assert (ROOT / path).exists()
    harness = (ROOT / "benchmarks" / "harness.py").read_text("utf-8") if "benchmarks" in command else ""
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in source + harness


def test_what_is_only_named_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for command in (c for c in COMMANDS if treatment(c) == "named"):
        for extra in re.findall(r"\[(\w+)\]", command):
            assert extra in extras
    for name in (".pre-commit-config.yaml", "dvc.yaml"):
        assert (ROOT / name).exists()


def test_commands_are_found_in_blocks_recordings_and_text():
    page = """
Say `counterpoise plan` or `python`, not `counterpoise/planning/plan.py`.

```
make run    # all
FOO=1 snakemake -n
not a command
```

```
$ counterpoise check
make no such thing
```

```python
make = 1
```
"""
    assert commands_of(page) == ["make run", "FOO=1 snakemake -n", "counterpoise check", "counterpoise plan", "python"]
