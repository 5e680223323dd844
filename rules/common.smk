# The plan, and the few lookups that rules need of it.
import os
import subprocess
import sys

from counterpoise import records, stopping
from counterpoise.checking import preflight
from counterpoise.errors import UserError, told_of
from counterpoise.jobs import status
from counterpoise.planning import plan as planning
from counterpoise.planning import study

if workflow.is_main_process:
    stopping.stop_workflow_at_signals()
    shell.prefix("set -euo pipefail; trap '' INT HUP; ")  # a job ends when this process ends it
    try:
        SETTINGS = study.settings(config)
        PLAN = preflight.checked_plan(SETTINGS)
        PLAN.write(planning.PLAN)
        records.require_writable(planning.RESULTS / "logs")  # else Snakemake ends in a traceback, later
        HOLES = status.holes(PLAN, dry=workflow.output_settings.dryrun)
    except (UserError, OSError) as error:  # Snakemake would add frames of its own
        line, code = told_of(error)
        print(line, file=sys.stderr)
        sys.exit(code)
    # What this run is about and where its live view goes, for the logger plugin.
    told = {"studies": list(PLAN.studies), "tracking": SETTINGS.tracking}
    told["is_local"] = lambda: workflow.local_exec  # known once the first job starts
    logger.info(f"Planned {', '.join(PLAN.studies)}", extra={"plan": told})
else:  # a job on another machine reads what the main process decided
    PLAN, HOLES = planning.read(), []

# Jobs end when this process is killed, and use the Python of this Snakemake, activated or not.
search = [os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]
os.environ.update(COUNTERPOISE_PARENT=str(os.getpid()), PATH=os.pathsep.join(search))

REPORTS = [f"results/report/{study['report']}/index.html" for study in PLAN.studies.values()]


wildcard_constraints:
    cell=r"[^/]+",
    block=r"seeds-\d+-\d+",


def parents(wildcards):
    """Return the files that a cell's job waits for."""
    return ancient(PLAN.inputs(wildcards.cell, wildcards.get("block")))


def finish(log):
    """Build what can be built of tables and report, whether all cells are there or not; nothing if stopped."""
    if stopping.stopped.is_set():
        sys.exit(stopping.STOPPED)
    subprocess.run([sys.executable, "-m", "counterpoise", "finish", *PLAN.studies], check=False, process_group=0)
