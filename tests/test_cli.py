"""The commands, on a small project of their own: what they print, remove and refuse, each fault in one line."""

import errno
import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import small_project

from counterpoise import digests, records, stopping
from counterpoise.cli import main, parser
from counterpoise.jobs import job as jobs
from counterpoise.jobs import status
from counterpoise.planning import plan as planning

ROOT = Path(__file__).parents[1]
RUN = small_project.RUN | {"steps": 30}


@pytest.fixture
def project(tmp_path, monkeypatch, capsys):
    """A folder with one study from the template, which is where the commands then run."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "config" / "bases", "config/bases")
    Path("config/config.yaml").write_text("studies: all\nscale: smoke\ntracking: sqlite:///mlflow.db\n")
    assert main(["new", "a2000_b"]) == 0
    capsys.readouterr()
    return tmp_path


@pytest.fixture
def call(capsys):
    """Call a command; return its exit code, output and error."""

    def called(*words):
        code = main([str(word) for word in words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return called


def finish(job, **changes):
    for name in status.OUTPUTS[job.cell.stage]:
        records.write_text(job.folder / name, "")
    if job.cell.stage == "report":
        records.write_json(job.folder / "claims.json", small_project.CLAIMS)
    records.write_json(job.folder / "run.json", RUN | {"files": digests.of(job.folder)} | changes)


def the_plan():
    plan = planning.make("all", "smoke")
    plan.write(planning.PLAN)
    return plan


def jobs_of(plan, stage):
    return [job for job in status.jobs(plan) if job.cell.stage == stage]


def refused(told, *parts):
    code, _, error = told
    assert code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    for part in parts:
        assert part in error


# ------------------------------------------------------------------------------------------------ help and startup


def test_every_help_teaches():
    (choices,) = (a.choices for a in parser()._actions if hasattr(a, "choices") and a.choices)
    for name, command in choices.items():
        text = command.format_help()
        assert "examples:" in text, name
        assert name in text.partition("examples:")[2], name
        assert len(command.description) > 40, name


def test_parsing_imports_nothing_heavy():
    code = (
        "import sys; from counterpoise.cli import parser; parser();"
        "print(sorted({'torch', 'pandas', 'numpy', 'mlflow', 'pydantic', 'yaml', 'snakemake'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["wyh"], "unknown command 'wyh'; did you mean 'why'?"),
        ([], "required: <command>"),
        (["why"], "required: cell; see `counterpoise why --help`"),
        (["plan", "--scael", "small"], "unrecognized arguments: --scael small"),
        (["ui", "--port", "x"], "invalid int value: 'x'"),
    ],
)
def test_a_wrong_command_line_is_one_line(call, words, expected):
    refused(call(*words), expected)


# ----------------------------------------------------------------------------------------------------- new and check


def test_the_template_passes_the_check_at_every_scale(project, call):
    code, out, err = call("check")
    assert (code, err) == (0, "")
    assert "OK    a2000_b.smoke: 3 cases, 6 recipes, 1 claim" in out
    assert "OK    a2000_b.small" in out
    assert "OK    data set digits: comes in a package" in out
    assert "OK    tracking: sqlite:///mlflow.db" in out
    assert not Path("results").exists()


def test_new_refuses_a_name_that_is_none_and_one_that_is_taken(project, call):
    refused(call("new", "smote"), "expected <author><year>_<topic>")
    refused(call("new", "../chawla2002_smote"), "expected <author><year>_<topic>")
    refused(call("new", "a2000_b"), "is there already")


def test_check_tells_every_fault_and_goes_on(project, call):
    text = Path("config/studies/a2000_b.yaml").read_text()
    Path("config/studies/a2001_c.yaml").write_text(text.replace("base: digits_mlp", "base: digits_mpl"))
    code, out, err = call("check")
    assert code == 2
    assert "OK    a2000_b.smoke" in out
    assert err.count("error: ") == err.count("\n") == 2, "one line for each scale"
    assert "a2001_c.yaml, base: unknown base 'digits_mpl'; did you mean 'digits_mlp'?" in err


def test_check_refuses_a_store_that_cannot_be_written(project, call):
    Path("config/config.yaml").write_text("studies: all\nscale: smoke\ntracking: sqlite:///nowhere/mlflow.db\n")
    refused(call("check", "--scale", "smoke"), "tracking: sqlite:///nowhere/mlflow.db")


@pytest.mark.parametrize("command", ["plan", "run", "check"])
def test_an_unknown_study_is_refused_and_nothing_is_written(project, call, command):
    refused(call(command, "--studies", "a200"), "unknown study 'a200' in config/studies; did you mean 'a2000'?")
    assert not Path("results").exists()


@pytest.mark.parametrize("command", ["plan", "run"])
def test_an_unknown_scale_is_refused(project, call, command):
    refused(call(command, "--scale", "smal"), "no scale 'smal'; did you mean 'small'? (valid: small, smoke)")


# ---------------------------------------------------------------------------------------------------- plan and status


def test_plan_counts_jobs_and_estimates_from_earlier_ones(project, call):
    code, out, _ = call("plan")
    assert code == 0
    assert re.search(r"a2000_b +smoke +3 +2 +5 +0 of 16", out)
    assert re.search(r"finetune +6 +6 +0 +0 +6 +unknown", out)
    plan = the_plan()
    finish(jobs_of(plan, "finetune")[0])
    finish(jobs_of(plan, "finetune")[1], status="failed", error="no")
    out = call("plan")[1]
    assert re.search(r"finetune +6 +6 +1 +1 +4 ", out)
    assert "to do: about" in out


def test_outputs_are_those_that_the_rules_declare():
    for stage, names in status.OUTPUTS.items():
        rule = re.search(
            rf"^rule {stage}:\n(.*?)(?=^rule |\Z)",
            "".join(p.read_text() for p in ROOT.glob("rules/*.smk")),
            re.M | re.S,
        )[1]
        declared = re.findall(r'"(?:results/[^"]*/)?([\w.]+\.\w+)"', rule.partition("output:")[2].partition("log:")[0])
        assert sorted(declared) == sorted(names), stage


def test_why_says_what_became_of_a_job(project, call):
    plan = the_plan()
    (prepared,), drawn = jobs_of(plan, "preprocess"), jobs_of(plan, "sample")[0]
    tuned = next(job for job in jobs_of(plan, "finetune") if drawn.cell.name in job.cell.parents.values())

    def told():
        return call("why", tuned.cell.name)[1]

    assert (
        f"no output yet; the next run computes it; first results/preprocess/{prepared.cell.name} and 1 other" in told()
    )
    finish(prepared)
    finish(drawn)
    assert "seeds-00-04: no output yet; the next run computes it\n" in told()
    assert "seeds-05-09: no output yet; it will run; first" in told(), "the default run has five seeds"
    assert "needed by: a2000_b.smoke" in told()
    records.write_text(tuned.folder / "partial" / "checkpoint.safetensors", "")
    assert "a checkpoint is there: it will go on from it" in told()
    with records.lock(tuned.folder):
        assert "is being computed now" in told()
    finish(tuned, status="failed", error="class 3 is left empty")
    assert "failed: class 3 is left empty; it will not be tried again unless you `counterpoise retry" in told()
    shutil.rmtree(tuned.folder / "partial")
    finish(tuned)
    assert "done; it will not run again" in told()
    (tuned.folder / "predictions.parquet").unlink()
    assert "lacks predictions.parquet; the next run computes it" in told()


def test_why_says_how_to_run_a_cell_of_another_scale(project, call):
    cell = jobs_of(planning.make("all", "small"), "report")[0].cell.name
    assert "snakemake --config studies=a2000_b scale=small" in call("why", cell)[1]


def test_a_cell_is_found_by_name_prefix_hash_or_folder_and_a_typo_is_told_the_nearest(project, call):
    (cell,) = (job.cell for job in jobs_of(the_plan(), "preprocess"))
    for words in (cell.name, cell.name[:-3], cell.name[-7:], cell.folder, f"{cell.folder}/run.json"):
        assert call("why", words)[1].startswith(f"preprocess {cell.name}\n"), words
    refused(call("why", cell.name.replace("digits", "didgits")), f"did you mean '{cell.name}'?")
    code, out, err = call("why", "digits-")
    assert (code, err.count("\n")) == (2, 1)
    assert "'digits-' is the beginning of 15 cells; give more of the name" in err
    header, *rows = [line.split() for line in out.splitlines()]
    assert header == ["study", "cells", "the", "first"]
    assert [row[0] for row in rows] == ["a2000_b.smoke", "a2000_b.small"]
    code, out, err = call("why", "digits-mlp-baseline")
    named = {line.split()[-1] for line in out.splitlines()[1:]}
    assert code == 2
    assert f"is the beginning of {len(named)} cells" in err
    assert all(name.startswith("digits-mlp-baseline-") for name in named)


def test_show_gives_a_study_or_a_cell(project, call):
    plan = the_plan()
    job = jobs_of(plan, "evaluate")[0]
    finish(job)
    out = call("show", job.cell.name)[1]
    assert f"files:      {job.cell.folder}/" in out
    assert "300 MB" in out
    assert "abcdef0" in out
    out = call("show", "a2000_b")[1]
    assert "a2000_b.smoke: What is compared" in out
    assert "a2000_b.small: What is compared" in out
    assert job.cell.name.rpartition("-")[2] in call("show", "a2000_b.smoke")[1]


# ---------------------------------------------------------------------------------------------------- retry and clean


def test_retry_forgets_failures_and_what_was_skipped_because_of_them(project, call):
    plan = the_plan()
    drawn, other = jobs_of(plan, "sample")
    below = [j for j in status.jobs(plan) if drawn.cell.name in j.cell.parents.values()]
    finish(drawn, status="failed", error="a class is left empty")
    finish(other)
    for job in below:
        finish(job, status="skipped", error="because")
    report = planning.RESULTS / "report" / plan.studies["a2000_b.smoke"]["report"] / "claims.json"
    refused(call("retry", other.cell.name), "has not failed")
    code, out, _ = call("retry", drawn.cell.name)
    assert code == 0
    assert f"{1 + len(below)} jobs to be computed again" in out
    assert not any((job.folder / "run.json").exists() for job in [drawn, *below])
    assert (other.folder / "run.json").exists()
    assert not report.exists()
    assert call("retry")[1] == "0 jobs to be computed again by the next run\n"


def test_clean_removes_only_what_no_study_needs_and_only_when_told(project, call):
    plan = the_plan()
    needed = jobs_of(plan, "finetune")[0]
    finish(needed)
    old = planning.RESULTS / "finetune" / "digits-mlp-baseline-000000000000" / "seeds-00-04"
    surplus = needed.cell.folder / "seeds-95-99"
    busy = planning.RESULTS / "finetune" / "digits-mlp-baseline-111111111111" / "seeds-00-04"
    partial = planning.RESULTS / "report" / "a2000_b.smoke-partial"
    for folder in (old, surplus, busy, partial):
        records.write_text(folder / "run.json", "{}")
    with records.lock(busy):
        out = call("clean")[1]
        assert "nothing was removed: add --yes" in out
        assert old.exists()
        code, out, _ = call("clean", "--yes")
    assert code == 0
    assert "removed 2 folders" in out
    assert not old.exists()
    assert not surplus.exists()
    assert all(folder.exists() for folder in (needed.folder, busy, partial))
    assert planning.read().cells.keys() >= plan.cells.keys()


def test_clean_refuses_where_there_is_no_study_file(project, call, tmp_path, monkeypatch):
    plan = the_plan()
    finish(jobs_of(plan, "finetune")[0])
    shutil.rmtree("config/studies")
    refused(call("clean", "--yes"), "config/studies: no study file is here")
    assert jobs_of(plan, "finetune")[0].folder.exists()


# -------------------------------------------------------------------------------------------------------- run and jobs


def test_run_prints_verdicts_and_says_whether_all_is_done(project, call, monkeypatch):
    seen = []
    monkeypatch.setattr(stopping, "run_snakemake", lambda command: seen.append(command) or 0)
    code, out, _ = call("run", "--studies", "a2000", "--cores", "2")
    assert code == 1, "nothing was computed"
    assert seen == [[sys.executable, "-m", "snakemake", "--cores", "2", "--config", "studies=a2000"]]
    plan = the_plan()
    for job in status.jobs(plan):
        finish(job)
    claim = {
        "text": "A beats B",
        "form": "better",
        "effect": 0.02,
        "interval": [0.01, 0.03],
        "n": 5,
        "verdict": "reproduced",
    }
    folder = planning.RESULTS / "report" / plan.studies["a2000_b.smoke"]["report"]
    records.write_json(folder / "claims.json", small_project.CLAIMS | {"claims": [claim]})
    (folder / "run.json").unlink()  # as an earlier version left it
    records.write_text(planning.RESULTS / "report" / "index.html", "")
    code, out, _ = call("run")
    assert code == 0
    assert re.search(r"a2000_b.smoke +A beats B +\+0.0200 \[\+0.0100, \+0.0300\] +5 +reproduced", out)
    assert "16 of 16 jobs done" in out
    assert f"report: file://{project}/results/report/index.html" in out
    finish(jobs_of(plan, "evaluate")[0], status="failed", error="no")
    code, out, _ = call("run")
    assert code == 1
    assert "15 of 16 jobs done, 1 failed" in out
    assert re.search(r"failed +results/evaluate/\S+/seeds-00-04 +no\n", out)


@pytest.mark.parametrize(("given", "shown"), [("a/file.npy", "a/file.npy"), (None, "results/finetune/x/seeds-00-04")])
def test_a_full_disk_is_one_line_with_a_path_and_may_be_tried_again(call, monkeypatch, given, shown):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", given)

    monkeypatch.setattr(jobs, "run", full)
    code, _, error = call("finetune", "x", "seeds-00-04")
    assert (code, error) == (1, f"error: {shown}: No space left on device\n")


def test_a_job_that_is_in_no_plan_is_refused(project, call):
    refused(call("finetune", "x", "seeds-00-04"), "results/plan.json: no plan has been made here yet")
    the_plan()
    refused(call("finetune", "x", "seeds-00-04"), "no finetune cell 'x'")


# ----------------------------------------------------------------------------------------------------------- Snakemake


@pytest.fixture
def workflow(project):
    for name in ("rules", "workflow", "envs"):
        shutil.copytree(ROOT / name, name)
    shutil.copy(ROOT / "Snakefile", ".")
    return project


def snakemake(*words):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *words]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("studies=a200", "error: unknown study 'a200' in config/studies; did you mean 'a2000'?"),
        ("studies=007", "error: config/config.yaml or --config, studies: expected a text or a list; found 7"),
        ("scael=small", "error: config/config.yaml or --config: unknown key 'scael'; did you mean 'scale'?"),
    ],
)
def test_snakemake_ends_with_the_line_alone(workflow, given, expected):
    done = snakemake("--config", given)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(expected)
    assert "Traceback" not in done.stderr
    assert not Path("results").exists()


def test_a_folder_of_logs_that_cannot_be_written_is_one_line(workflow):
    Path("results").mkdir()
    Path("results/logs").touch()
    done = snakemake("-n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: results/logs")
    assert "Traceback" not in done.stderr


def test_snakemake_plans_what_the_plan_says(workflow):
    done = snakemake("-n", "--quiet", "all")
    assert done.returncode == 0, done.stderr
    assert json.loads(planning.PLAN.read_text())["studies"].keys() == {"a2000_b.smoke"}


def test_the_installed_command_is_there():
    module, name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["counterpoise"].split(":")
    assert callable(getattr(importlib.import_module(module), name))
