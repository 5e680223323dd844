"""`python -m counterpoise <stage> <cell> [<block>]` runs one job; the other commands are for people."""

from __future__ import annotations

import os
import sys

# One thread for each job: jobs run side by side. Set before any numeric library is loaded.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"


def main(arguments: list[str] | None = None) -> int:
    """Run a command; a fault of the user's is one line on stderr and exit code 2, one of the machine's 1."""
    from counterpoise.cli import parse
    from counterpoise.errors import UserError, told_of

    try:
        try:
            return parse(arguments)
        finally:
            if sys.stdout:  # here, where a reader that has gone can still be answered
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it ends
        return 0  # the reader of our output has gone, e.g. `counterpoise plan | head`
    except (UserError, OSError) as error:
        line, code = told_of(error)
        print(line, file=sys.stderr)
        return code
    except KeyboardInterrupt:
        return _stopped(sys.argv[1:] if arguments is None else arguments)


def _stopped(words: list[str]) -> int:
    from counterpoise import stopping

    if not os.environ.get("COUNTERPOISE_PARENT"):  # Snakemake says it for what it has started
        print(stopping.SAID if words[:1] == ["run"] else "stopped", file=sys.stderr)
    return stopping.STOPPED


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
        code = main()
    except KeyboardInterrupt:
        code = _stopped(words)
    if code == 130:  # the interpreter's own end would meet the next Ctrl-C with a traceback
        sys.stdout.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(job_or_main())
