"""`python -m counterpoise <stage> <cell> [<block>]` runs one job; the other commands are for people."""

from __future__ import annotations

import os
import sys


def job_or_main() -> int:
    """Run a job of Snakemake's in a process that has imported everything already, anything else here."""
    words, parent = sys.argv[1:], os.environ.get("COUNTERPOISE_PARENT")
    try:
        from counterpoise import stopping
        from counterpoise.jobs import forkserver

        if not words or words[0] not in (*forkserver.STAGES, "finish"):
            stopping.handle(stopping.interrupt)
        elif parent:
            if parent != str(os.getppid()):
                print(f"error: COUNTERPOISE_PARENT is {parent}, which has not started this job", file=sys.stderr)
                return stopping.ORPHANED
            stopping.die_with(int(parent))
            code = forkserver.run(words)
            if code is not None:
                return code
        from counterpoise.cli import main

        code = main()
    except KeyboardInterrupt:
        from counterpoise.cli import stopped

        code = stopped(words)
    if code == 130:  # the interpreter's own end would meet the next Ctrl-C with a traceback
        sys.stdout.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(job_or_main())
