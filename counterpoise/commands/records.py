"""`track`, `ui` and `restore`: the views and stores beside the files."""

from __future__ import annotations

import argparse
import os
import sys

from counterpoise.commands.text import counted
from counterpoise.errors import UserError
from counterpoise.planning import plan as planning
from counterpoise.planning import study


def track(options: argparse.Namespace) -> int:
    """Write to the tracking store what it lacks."""
    from counterpoise.tracking import store as tracking

    if options.follow:
        return tracking.follow(planning.read(), options.uri, options.follow)
    written = tracking.rebuild(planning.read(), _store())
    print(f"{_store()}: {counted(written, 'run')} written; `counterpoise ui` shows them")
    return 0


def ui(options: argparse.Namespace) -> int:
    """Become the MLflow server, on this machine only."""
    store = _store()
    # MLflow opens at traces of language models unless the address says otherwise.
    print(f"http://127.0.0.1:{options.port}/#/experiments?workflowType=machine_learning  (Ctrl-C ends it)", flush=True)
    port = str(options.port)
    command = ["mlflow", "ui", "--backend-store-uri", store, "--host", "127.0.0.1", "--port", port]
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # eight processes that a view has no use for
    os.execv(sys.executable, [sys.executable, "-m", *command])


def restore(options: argparse.Namespace) -> int:
    """Fetch data and results from the DVC remote."""
    from counterpoise.publishing.restore import restore as fetch

    return fetch()


def _store() -> str:
    store = study.settings().tracking
    if not store:
        raise UserError("config/config.yaml, tracking: it is empty, so there is no MLflow view")
    return store
