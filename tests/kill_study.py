"""Kill a study at random points and compare every byte with an undisturbed run.

A small study on digits (from scratch, two-phase, rotation; two blocks of two seeds) runs once undisturbed on one
core, then again and again in new folders on two, where SIGKILL strikes the training process, Snakemake, or both at
once, and some training processes between the writing of a file and its renaming. Whatever was killed is started again
with a plain `snakemake --cores 2`. Prints where every kill landed; exit code 1 if any byte differs, an orphan wrote
after its Snakemake had died, anything unfinished was left behind, or the kills asked for were not reached.

    python tests/kill_study.py --kills 20
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import small_project

HOOK = Path(__file__).resolve().parent / "kill_hook"
CHECKPOINT_SECONDS = "0.1"
STEPS = 400
CASES = {
    "scratch": {"finetune": {"snapshots": 4}},
    "two_phase": {
        "pretrain": {"method": "supervised", "sample": "random_oversampling"},
        "finetune": {"method": "last_layer"},
    },
    "rotation": {"pretrain": {"method": "rotation"}, "finetune": {"replicate": 1}},
}
KINDS = ("training", "snakemake", "both", "rename")
TRAINING = ("pretrain", "finetune")


@dataclass
class Job:
    """A process that computes a block of a cell, and how far it is."""

    pid: int
    stage: str
    cell: str
    block: str
    seed: int | None = None
    step: int = 0
    saved: bool = False
    fresh: bool = False  # it has saved something since it was first seen

    @property
    def folder(self) -> Path:
        """Where it works, below the project's folder."""
        return Path("results", self.stage, self.cell, self.block)


class Run:
    """One folder in which the study runs, with the Snakemake process of the moment."""

    def __init__(self, folder: Path, cases: dict[str, Any] = CASES, seeds: int = 4, cores: int = 2) -> None:
        training = {"steps": STEPS, "batch_size": 16}
        self.folder = small_project.make(folder, cases, seeds=seeds, pretrain=training, finetune=training)
        self.cores = cores
        self.token = folder / "kill_at_rename.json"
        self.killed = folder / "killed_at_rename.json"
        self.starts, self.longest = 0, 0.0  # seconds until the last orphan had gone
        self.known: dict[int, float] = {}  # process -> time of the newest checkpoint when it was first seen

    def start(self, *arguments: str) -> None:
        """Start Snakemake as a person would."""
        names = {"COUNTERPOISE_CHECKPOINT_SECONDS": CHECKPOINT_SECONDS, "KILL_HOOK": str(self.folder)}
        self.starts += 1
        with (self.folder / "snakemake.log").open("a") as log:
            self.process = subprocess.Popen(
                [*small_project.snakemake(self.cores), *arguments],
                cwd=self.folder,
                env=small_project.environment(HOOK, **names),
                stdout=log,
                stderr=log,
            )

    def finish(self) -> int:
        """Wait for Snakemake; return its exit code."""
        return self.process.wait()

    def jobs(self) -> list[Job]:
        """Return the job processes that are alive and work in this folder."""
        return [self.progress(job) for job in map(self._job, Path("/proc").glob("[0-9]*")) if job]

    def _job(self, process: Path) -> Job | None:
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
            if (process / "cwd").readlink() != self.folder or (process / "stat").read_text().split()[2] == "Z":
                return None
        except OSError:
            return None
        if words[1:3] != ["-m", "counterpoise"] or words[3] not in TRAINING:
            return None
        return Job(int(process.name), stage=words[3], cell=words[4], block=words[5])

    def progress(self, job: Job) -> Job:
        """Read how far a job is from its unfinished work."""
        partial = self.folder / job.folder / "partial"
        try:
            newest = max((p.stat().st_mtime for p in partial.glob("*.safetensors")), default=0.0)
            job.saved, job.fresh = newest > 0, newest > self.known.setdefault(job.pid, newest)
            last = json.loads((partial / "history.jsonl").read_text().split("\n")[-2])
            job.seed, job.step = last["seed"], last["step"]
        except (OSError, IndexError, ValueError):
            pass
        return job

    def orphans(self) -> list[str]:
        """Return what is wrong after Snakemake was killed: a process that goes on, or a file that still changes."""
        began = time.monotonic()
        while self.jobs() and time.monotonic() < began + 30:
            time.sleep(0.02)
        self.longest = max(self.longest, time.monotonic() - began)
        faults = [f"{job}: an orphan 30 s after Snakemake was killed" for job in self.jobs()]
        before = self.files()
        time.sleep(0.5)
        changed = {path for path, _ in self.files().items() ^ before.items()}
        return faults + [f"{path}: changed after all had died" for path in changed]

    def files(self) -> dict[Path, tuple[int, int]]:
        """Return size and time of every file under results."""
        found = {}
        for path in (self.folder / "results").rglob("*"):
            if path.is_file():
                found[path] = (path.stat().st_size, path.stat().st_mtime_ns)
        return found


class Killer:
    """Strikes, writes down where, and restarts."""

    def __init__(self, kills: int, seed: int) -> None:
        self.random, self.asked = random.Random(seed), kills
        self.kinds = [KINDS[i % len(KINDS)] for i in range(kills)]
        self.early = set(self.random.sample(range(kills), kills // 6))  # these need not wait for a checkpoint
        self.random.shuffle(self.kinds)
        self.done = self.after = 0
        self.faults: list[str] = []
        self.landed: dict[str, int] = dict.fromkeys(KINDS, 0)

    def disturb(self, run: Run) -> None:
        """Run the study to its end, killing as long as there are kills to do."""
        run.start()
        while True:
            if self.done < self.asked and self._strike(run):
                continue
            code = run.finish()
            if code == 0:
                return
            if run.starts > 4 * self.asked:
                self.faults.append(f"snakemake still ends with {code} after {run.starts} starts")
                return
            run.start()

    def _strike(self, run: Run) -> bool:
        """Kill once, if the study does not end before; return whether Snakemake was started again or goes on."""
        kind = self.kinds[self.done]
        if kind == "rename":
            return self._strike_rename(run)
        job = self._wait(run)
        if job is None:
            return False
        time.sleep(self.random.random() / 3)
        alive = {j.pid: j for j in run.jobs()}
        if job.pid not in alive:
            return run.process.poll() is None
        job = alive[job.pid]
        if kind in ("snakemake", "both"):
            os.kill(run.process.pid, signal.SIGKILL)
        if kind in ("training", "both"):
            os.kill(job.pid, signal.SIGKILL)
        self._note(kind, job, "")
        if kind != "training":
            run.finish()
            if self.random.random() < 0.5:  # otherwise the lock keeps a second process waiting
                self.faults += run.orphans()
            run.start()
        return True

    def _strike_rename(self, run: Run) -> bool:
        """Let the next training process kill itself between write and rename; wait until it has."""
        after = self.done not in self.early
        run.token.write_text(json.dumps({"after": after, "renames": self.random.randint(1, 8)}))
        while not run.killed.exists():
            if run.process.poll() is not None:
                run.token.unlink(missing_ok=True)
                return False
            time.sleep(0.02)
        struck = json.loads(run.killed.read_text())
        run.killed.unlink()
        stage, cell, block = struck["job"]
        job = run.progress(Job(struck["pid"], stage, cell, block))
        self._note("rename", job, struck["file"])
        return True

    def _wait(self, run: Run) -> Job | None:
        """Wait for a training process, mostly one that has saved a checkpoint; None if the study ends before.

        Three times of four it must have got further, so that the kills are spread over the study.
        """
        hurry, early = self.random.random() < 0.25, self.done in self.early
        while run.process.poll() is None:
            jobs = [j for j in run.jobs() if early or j.fresh or (hurry and j.saved)]
            if jobs:
                return self.random.choice(jobs)
            time.sleep(0.02)
        return None

    def _note(self, kind: str, job: Job, between: str) -> None:
        self.done += 1
        self.after += job.saved
        self.landed[kind] += 1
        where = f"{job.stage:9} {job.cell[:46]:46} {job.block} seed {job.seed if job.seed is not None else '-':>2}"
        when = "after" if job.saved else "before"
        print(f"{self.done:4}  {kind:9}  {where} step {job.step:>5}  {when:6}  {between}", flush=True)


def compare(expected: dict[str, str], run: Run) -> list[str]:
    """Return what differs from the undisturbed run, and what was left behind."""
    found = small_project.digests(run.folder)
    faults = [f"{name}: other bytes" for name in expected if name in found and found[name] != expected[name]]
    faults += [f"{name}: only in one run" for name in sorted(expected.keys() ^ found.keys())]
    faults += [f"{path}: left behind" for path in small_project.left_behind(run.folder)]
    return faults + [f"{job}: still alive" for job in run.jobs()]


def main() -> int:
    """Run the study undisturbed, then disturbed until all kills are done; print the table and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how many kills (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (default: 0)")
    parser.add_argument("--folder", type=Path, help="keep everything there (default: a temporary folder, removed)")
    options = parser.parse_args()
    top = Path(options.folder or tempfile.mkdtemp(prefix="kill_study-")).resolve()
    began = time.monotonic()
    plain = Run(top / "undisturbed", cores=1)
    plain.start()
    if plain.finish():
        sys.exit(f"the undisturbed run failed: see {plain.folder / 'snakemake.log'}")
    expected = small_project.digests(plain.folder)
    print(f"undisturbed: {len(expected)} files in {time.monotonic() - began:.0f} s")
    print("kill  process    stage     cell, block and seed; last row of history before the kill; first checkpoint")
    killer, rounds, longest = Killer(options.kills, options.seed), 0, 0.0
    while killer.done < options.kills and rounds < options.kills:
        rounds += 1
        run = Run(top / f"disturbed-{rounds}")
        killer.disturb(run)
        killer.faults += (faults := compare(expected, run))
        longest = max(longest, run.longest)
        print(f"      round {rounds} ended ({run.starts} starts of Snakemake): {len(faults) or 'no'} differences")
    print(f"{killer.done} kills ({killer.landed}), {killer.after} after the first checkpoint, {rounds} rounds")
    print(f"orphans of a killed Snakemake were gone after at most {longest:.2f} s")
    print(f"{len(expected)} files compared in each round; {time.monotonic() - began:.0f} s in all")
    if killer.done < options.kills or killer.after < 0.75 * options.kills:
        killer.faults.append("fewer kills, or fewer after the first checkpoint, than asked for")
    for fault in killer.faults:
        print(f"FAULT {fault}")
    if not options.folder and not killer.faults:
        shutil.rmtree(top)
    return 1 if killer.faults else 0


if __name__ == "__main__":
    sys.exit(main())
