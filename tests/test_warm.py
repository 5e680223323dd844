"""Jobs forked from a process that has imported everything: the same bytes, and nothing outlives anything."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_project

from counterpoise.jobs import forkserver
from counterpoise.planning import plan as planning

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
    process = forkserver.start()
    yield process
    process.kill()
    process.wait()


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


def answers(parent):
    """Wait until a server has imported everything: it then turns away who asks for nothing."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(forkserver.address(parent))
        line.shutdown(socket.SHUT_WR)
        return line.recv(1) == b""


def refused(parent):
    """Return whether nobody listens at the address of a server."""
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(forkserver.address(parent))
        except ConnectionRefusedError:
            return True
        return False


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
    assert job.wait(30) == forkserver.CUT_SHORT
    wait_for(lambda: gone(fork), 30)


@pytest.mark.parametrize("importing", [True, False])
def test_the_server_ends_with_its_snakemake(tmp_path, importing):
    """Also while it imports something whose loading keeps the interpreter's lock, as that of torch does."""
    begun = tmp_path / "begun"
    if importing:
        slow = f"import ctypes, pathlib; pathlib.Path({str(begun)!r}).touch(); ctypes.PyDLL(None).sleep(600)\n"
        (tmp_path / "torch.py").write_text(slow)
    code = (
        "import os, time\n"
        "from counterpoise.jobs import forkserver as warm\n"
        "print(os.getpid(), warm.start().pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = small_project.environment(tmp_path)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    pid, server = map(int, parent.stdout.readline().split())
    wait_for(begun.exists if importing else lambda: answers(pid))
    parent.kill()
    parent.wait()
    wait_for(lambda: gone(server), 30)
    wait_for(lambda: refused(pid), 30)  # a process is a zombie before the last of its threads lets go of its files


def test_a_job_of_another_parent_does_not_ask(monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_PARENT", "1")
    assert forkserver.run(["finetune", "cell", "block"]) is None
    monkeypatch.setenv("COUNTERPOISE_PARENT", str(os.getppid()))
    assert forkserver.run(["plan"]) is None


def test_a_job_does_not_hand_its_environment_to_somebody_who_took_the_name(monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_PARENT", str(os.getppid()))
    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(forkserver.address(os.getppid()))
        squatter.listen(1)
        assert forkserver.run(["finetune", "cell", "block"]) is None
        line, _ = squatter.accept()
        assert line.recv(1) == b""


def test_a_server_whose_name_is_taken_costs_speed_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(forkserver, "address", lambda _: str(tmp_path / "taken"))
    (tmp_path / "taken").touch()
    assert forkserver.start() is None


def test_a_parent_that_did_not_start_the_job_is_one_line(project):
    job = project("finetune", "long", COUNTERPOISE_PARENT="1x")
    assert job.wait() == 75
    assert job.stderr.read() == "error: COUNTERPOISE_PARENT is 1x, which has not started this job\n"


def test_a_job_finds_imported_what_takes_long(project, server):
    """As a fork does: in a process that has imported what the server imports."""
    entry = planning.read().studies["test2026_small.smoke"]["entries"][-1]
    assert entry["case"] == "short"
    for stage in ("preprocess", "sample"):
        assert project(stage, "short").wait() == 0
    code = (
        "import importlib, sys\n"
        "from counterpoise.jobs import job as jobs; from counterpoise.jobs import forkserver as warm\n"
        "for module in warm.IMPORTED: importlib.import_module(module)\n"
        "before = set(sys.modules)\n"
        f"jobs.run('finetune', '{entry['finetune']}', 'seeds-00-01')\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    environment = small_project.environment(COUNTERPOISE_PARENT="")
    told = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    libraries = [name for name in told.stdout.split() if not name.startswith("counterpoise")]
    assert len(libraries) < 40, libraries  # torch's compiler alone would be 800
