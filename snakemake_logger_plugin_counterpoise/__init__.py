"""What Snakemake says on the terminal, and the door to the MLflow view: `logger: counterpoise` in a profile.

Snakemake loads this module by its name. In place of its own chatter, of which the full text stays in
`.snakemake/log/`, there are lines for jobs that trained or failed and, on a terminal, a line that says how far the
run is; faults, warnings and dry runs are shown. The first job of a run starts `counterpoise track --follow`, a
process of its own with low priority (importing mlflow takes seconds, and the interpreter's lock of this process
belongs to the scheduler), which mirrors jobs from their files until this process ends.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from counterpoise.jobs import forkserver
from snakemake_logger_plugin_counterpoise.progress import Progress
from snakemake_logger_plugin_counterpoise.tracker import Tracker

# What Snakemake says at level INFO without an event and that nobody needs; all else is shown as it is.
CHATTER = (
    "Using workflow specific profile",
    "Config file",
    "Assuming unrestricted shared filesystem",
    "Building DAG of jobs",
    "Using shell:",
    "Conda environments: ignored",
    "Group jobs: inactive",
    "Select jobs to execute",
    "Updating checkpoint dependencies",
    "Shutting down, this might take some time",
    "Terminating processes on user request",
    "Exiting because a job execution failed",
    "At least one job did not complete",
    "Complete log(s):",
    "Elapsed time:",
    "Waiting at most",
    "This was a dry-run",
)
REPEATED = ("CalledProcessError in file", "At least one job did not complete")  # said better by `Progress.fail`
SHOWN = (LogEvent.GROUP_ERROR, LogEvent.DEBUG_DAG)
REFRESH = 0.5  # seconds between two looks at what is in training


class LogHandler(LogHandlerBase):
    """Receives every record of Snakemake's main process, in one thread."""

    def __post_init__(self) -> None:
        from snakemake.logging import (  # type: ignore[import-untyped]
            ColorizingTextHandler,
            DefaultFilter,
            DefaultFormatter,
        )

        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        quiet = set(settings.quiet or ())
        self.plain = ColorizingTextHandler(
            nocolor=settings.nocolor,
            stream=stream,
            formatter=DefaultFormatter(quiet, settings.show_failed_logs),
            filter=DefaultFilter(quiet, settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds),
        )
        self.wordy = settings.verbose or settings.printshellcmds or settings.debug_dag
        self.progress = Progress(stream, quiet=bool(quiet))
        self.tracker = Tracker(self.progress.line)
        self.counted = False
        self.stop = threading.Event()
        self.ticker: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Note what the record says, and show what of it is worth showing."""
        try:
            if plan := getattr(record, "plan", None):
                self.tracker.plan = plan
            if not self.common_settings.dryrun:
                self._note(record)
            if self._is_shown(record):
                self.progress.clear()
                self.plain.handle(record)
        except Exception:
            self.handleError(record)

    def _note(self, record: logging.LogRecord) -> None:
        event, progress = getattr(record, "event", None), self.progress
        told: Any = record
        if event == LogEvent.RUN_INFO:
            progress.expect(told.stats)
        elif event == LogEvent.JOB_INFO:
            progress.start(told.jobid, told.rule_name, dict(told.wildcards or {}), told.output, told.log)
            self._begin()
        elif event == LogEvent.JOB_FINISHED:
            progress.finish(told.job_id)
        elif event == LogEvent.JOB_ERROR:
            progress.fail(told.jobid)

    def _begin(self) -> None:
        if self.ticker is None:
            self.tracker.start()
            if self.tracker.plan.get("is_local", bool)():
                forkserver.start()
            self.ticker = threading.Thread(target=self._tick, daemon=True)
            self.ticker.start()

    def _tick(self) -> None:
        while not self.stop.wait(REFRESH):
            self.progress.show()
            self.tracker.check()

    def _is_shown(self, record: logging.LogRecord) -> bool:
        """Tell whether Snakemake's own words are to be shown."""
        event = getattr(record, "event", None)
        if self.wordy:
            return True
        if event == LogEvent.RUN_INFO:  # a dry run counts its jobs before it lists them, and again after
            first, self.counted = not self.counted, True
            return first
        text = str(record.msg or "")
        if event == LogEvent.ERROR:
            return not any(known in text for known in REPEATED)
        return event in SHOWN if event is not None else not text.startswith(CHATTER)

    def close(self) -> None:
        """End the status line, and let the tracker catch up."""
        self.stop.set()
        if self.ticker:
            self.ticker.join()
            self.ticker = None
            self.progress.end()
            self.tracker.finish()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """Snakemake's own handler is not needed."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """The full log stays Snakemake's."""
        return False

    @property
    def has_filter(self) -> bool:
        """Every record arrives, also those that `--quiet` hides: they are needed for tracking."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Formats by itself."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """No."""
        return False
