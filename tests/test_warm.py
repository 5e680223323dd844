"""Jobs forked from a process that has imported everything: the same bytes, and nothing outlives anything."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import small_project

from counterpoise import plan as planning
from counterpoise import warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
CASES = {"long": {"finetune": {"steps": 50_000}}, "short": {}}


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def children(process):
    return [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return how to start a job of a small project, whose Snakemake is this process."""
    small_project.make(tmp_path, CASES)
    monkeypatch.chdir(tmp_path)
    plan = planning.make("test2026_small", "smoke")
    plan.write(planning.PLAN)
    names = {(e["case"], stage): e[stage] for e in plan.studies["test2026_small.smoke"]["entries"] for stage in e
             if stage in planning.STAGES}  # fmt: skip

    def start(stage, case, **variables):
        block = [] if stage == "preprocess" else ["seeds-00-01"]
        command = [sys.executable, "-m", "counterpoise", stage, names.get((case, stage), case), *block]
        environment = small_project.environment(**{"COUNTERPOISE_PARENT": str(os.getpid()), **variables})
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture(scope="module")
def server():
    process = warm.start()
    yield process
    process.kill()
    process.wait()
    warm.address(os.getpid()).unlink(missing_ok=True)


def compute(project, **variables):
    for stage in ("preprocess", "sample", "finetune", "evaluate"):
        job = project(stage, "short", **variables)
        assert job.wait() == 0, job.stderr.read()


def test_a_forked_job_leaves_the_bytes_of_one_that_imports_by_itself(project, server, tmp_path):
    broken = tmp_path / "broken"  # only who has imported torch already can do without it
    broken.mkdir()
    (broken / "torch.py").write_text("raise ImportError('imported again')")
    compute(project, PYTHONPATH=f"{broken}{os.pathsep}{small_project.ROOT}")
    warm_digests = small_project.digests(tmp_path)
    for stage in ("preprocess", "sample", "finetune", "evaluate"):
        shutil.rmtree(tmp_path / "results" / stage)
    compute(project, COUNTERPOISE_PARENT="")
    assert small_project.digests(tmp_path) == warm_digests
    assert any("predictions" in name for name in warm_digests)


def test_a_fault_reaches_the_terminal_of_the_job_with_its_exit_code(project, server):
    job = project("finetune", "no-such-cell")
    assert job.wait() == 2
    assert "error: no finetune cell 'no-such-cell'" in job.stderr.read()


def begin_long(project, server):
    for stage in ("preprocess", "sample"):
        assert project(stage, "long").wait() == 0
    job = project("finetune", "long")
    wait_for(lambda: children(server.pid))
    return job, children(server.pid)[0]


def gone(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


def test_who_kills_the_job_kills_the_fork(project, server):
    job, fork = begin_long(project, server)
    job.kill()
    job.wait()
    wait_for(lambda: gone(fork), 30)
    assert server.poll() is None
    assert project("sample", "long").wait() == 0, "others go on"


def test_a_killed_fork_is_a_killed_job(project, server):
    job, fork = begin_long(project, server)
    os.kill(fork, signal.SIGKILL)
    assert job.wait(30) == 128 + signal.SIGKILL


def test_a_job_whose_server_dies_is_to_be_tried_again(project, server):
    job, fork = begin_long(project, server)
    server.kill()
    assert job.wait(30) == warm.CUT_SHORT
    wait_for(lambda: gone(fork), 30)


def test_the_server_ends_with_its_snakemake(tmp_path):
    code = (
        "import os, time\n"
        "from counterpoise import warm\n"
        "print(os.getpid(), warm.start().pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=small_project.environment()
    )
    pid, server = map(int, parent.stdout.readline().split())
    assert warm.address(pid).stat().st_mode & 0o777 == 0o600
    parent.kill()
    parent.wait()
    wait_for(lambda: gone(server), 30)
    assert not warm.address(pid).exists()


def test_a_job_of_another_parent_does_not_ask(monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_PARENT", "1")
    assert warm.run(["finetune", "cell", "block"]) is None
    monkeypatch.setenv("COUNTERPOISE_PARENT", str(os.getppid()))
    assert warm.run(["plan"]) is None


def test_a_temporary_folder_that_no_socket_fits_in_costs_the_server_alone(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert warm.start() is None
    monkeypatch.setenv("COUNTERPOISE_PARENT", str(os.getppid()))
    assert warm.run(["finetune", "cell", "block"]) is None


def test_a_job_finds_imported_what_takes_long(project, tmp_path):
    """As a fork does: in a process that has imported what the server imports."""
    compute(project, COUNTERPOISE_PARENT="")
    out = next((tmp_path / "results" / "finetune").glob("*/*"))
    shutil.rmtree(out)
    code = (
        "import importlib, sys\n"
        "from counterpoise import jobs, warm\n"
        "for module in warm.IMPORTED: importlib.import_module(module)\n"
        "before = set(sys.modules)\n"
        f"jobs.run('finetune', '{out.parent.name}', '{out.name}')\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    environment = small_project.environment(COUNTERPOISE_PARENT="")
    told = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    libraries = [name for name in told.stdout.split() if not name.startswith("counterpoise")]
    assert len(libraries) < 40, libraries  # torch's compiler alone would be 800
