"""Fetches results that someone has computed before: `dvc pull`, with its usual faults said in one line each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from counterpoise import digests
from counterpoise.errors import UserError

DVC = [sys.executable, "-m", "dvc"]


def restore() -> int:
    """Fetch what `dvc.lock` names from the DVC remote, so that Snakemake has nothing to compute; return 0.

    Raises UserError if there is no `dvc.lock`, no remote, if DVC fails, or if a file is not as it was computed.
    """
    if not Path("dvc.lock").exists():
        raise UserError(
            "restore: this commit has no dvc.lock, so there is nothing to fetch; `make run` computes the results"
        )
    if not _dvc("remote", "list").stdout.strip():
        raise UserError(
            "restore: no DVC remote is set, so there is nowhere to fetch from; name one with "
            "`dvc remote add -d <name> <folder or URL>`, or compute the results with `make run`"
        )
    pulled = _dvc("pull", "--quiet")
    if pulled.returncode:
        raise UserError(f"restore: dvc pull: {_reason(pulled.stderr)}")
    if damaged := [fault for folder in digests.jobs_below(Path("results")) for fault in digests.faults(folder)]:
        raise UserError(
            f"restore: {damaged[0]}; {len(damaged):,} of the files that were fetched are not as they were computed "
            "(`counterpoise check --results` lists them)"
        )
    print("restored data and results; `snakemake` computes what this commit needs beyond them")
    return 0


def _dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DVC, *arguments], capture_output=True, text=True, check=False)


def _reason(stderr: str) -> str:
    """Return the first line that says what went wrong, without DVC's decoration."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    faults = [line for line in lines if line.lower().startswith("error")]
    return (faults or lines or ["failed without saying why"])[0].removeprefix("ERROR: ")
