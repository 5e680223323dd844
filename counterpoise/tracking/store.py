"""The MLflow view: everything that files say of a study, written so that a second time adds nothing.

The only file that imports mlflow, and nothing reads what it writes. Experiment = study and scale, parent run = case
at a grid point, child run = seed; a run is found by its tags. One process writes at a time (`writer`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoise import records
from counterpoise.errors import UserError
from counterpoise.planning.plan import RESULTS, Plan
from counterpoise.tracking import view
from counterpoise.tracking.view import Block, Entry, Seed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Param

VERSION = 2  # raise it when runs should be written anew
NEW = "NEW"  # created by this process: MLflow says RUNNING
FINAL = (view.FINISHED, view.FAILED)
SHARE = 0.01  # of one core, at most, for following a run
KEY = ("case", "point", "seed")
SQLITE = "sqlite:///"
BATCH, FEW = 800, 100  # metrics, and parameters or tags, in one transaction: MLflow takes 1,000 in all
# What MLflow 3.17 takes: characters of a key (metric, parameter, tag), of a run's name, and of values.
KEY_LENGTH, PARAMETER_LENGTH, TAG_LENGTH, NOTE_LENGTH, NAME_LENGTH = 250, 6000, 8000, 20_000, 250
FORBIDDEN = re.compile(r"[^\w\-. /:]")
OF_ONE_RUN = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS")  # faults of a value, not of a store


@dataclass
class Held:
    """A run in the store; `logged` holds the curve points that it has, where more may come."""

    id: str
    status: str
    tags: dict[str, str]
    logged: set[tuple[str, int]] | None = None


@dataclass
class Family:
    """The runs of a case at a grid point."""

    parent: Held | None = None
    children: dict[int, Held] = field(default_factory=dict)
    complete: bool = False

    def runs(self) -> list[Held]:
        """Return all of them."""
        return [*self.children.values(), *([self.parent] if self.parent else [])]


def rebuild(plan: Plan, uri: str, studies: list[str] | None = None) -> int:
    """Write what the store at `uri` lacks of these studies (default: all of the plan); return how many runs changed.

    Raises UserError if the store cannot be written, if a live run is writing it, or, after all others have been
    written, for the runs that could not be.
    """
    with writer() as free:
        if not free:
            raise UserError("a live run is writing the MLflow view; run `counterpoise track` when it has ended")
        store = Store(uri)
        changed = sum(store.mirror(plan, study) for study in studies or plan.studies)
    if store.faults:
        raise UserError(f"tracking: all was written but {', '.join(store.faults)}; the lines above say why")
    return changed


def follow(plan: Plan, uri: str, studies: list[str]) -> int:
    """Keep the view up to date until standard input ends; return the exit code.

    The logger plugin starts this as a process of its own: importing mlflow and writing to the store would take the
    interpreter's lock from Snakemake's scheduler. After about three seconds for mlflow itself it takes no more than
    a hundredth of a core, so that jobs are not slowed, and it catches up after the last one. If Snakemake dies,
    standard input ends without the word "end".
    """
    ended = threading.Event()
    threading.Thread(target=_read_end, args=(ended,), daemon=True).start()
    os.nice(10)
    with writer(patience=3.0) as free:
        if not free:
            print("another run is writing the MLflow view; `counterpoise track` adds this one when both have ended")
            return 0
        store = Store(uri)
        while True:
            last = ended.is_set()
            spent = time.process_time()
            for study in studies:
                store.mirror(plan, study)
            if last:
                return 1 if store.faults else 0
            ended.wait(max(2.0, (time.process_time() - spent) / SHARE))


def _read_end(ended: threading.Event) -> None:
    if sys.stdin.read().strip() != "end":
        os._exit(75)  # Snakemake was killed: the next `track` or live run repairs what this one left behind
    ended.set()


@contextlib.contextmanager
def writer(patience: float = 0.0) -> Iterator[bool]:
    """Hold the right to write the view, or say that another process holds it."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / ".tracking.lock").open("w") as handle:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(0.1)
                    continue
                yield False
            else:
                yield True
            return


class Store:
    """A tracking store, and what this process knows of the runs in it."""

    def __init__(self, uri: str) -> None:
        self.uri, self.artifacts = uri, _prepare(uri)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        with _named_faults(uri):
            self.client = _client(uri)
        self.experiments: dict[str, tuple[str, dict[tuple[str, str], Family]]] = {}
        self.faults: dict[str, str] = {}  # study and run -> why it could not be written

    def mirror(self, plan: Plan, study: str) -> int:
        """Write what the store lacks of a study; return how many runs were added or changed.

        A run that cannot be written is noted in `faults`, and the others are written.
        """
        changed = 0
        with _named_faults(self.uri), self._noted(study):
            experiment, families = self._experiment(plan, study)
            entries = {(entry["case"], entry["point"]): entry for entry in plan.studies[study]["entries"]}
            for key in families.keys() - entries.keys():
                changed += self._drop(families.pop(key))
            for key, entry in entries.items():
                family = families.setdefault(key, Family())
                with self._noted(f"{study} {_name(entry)}", family):
                    if not family.complete:
                        changed += self._mirror_entry(plan, study, experiment, entry, family)
        return changed

    @contextlib.contextmanager
    def _noted(self, run: str, family: Family | None = None) -> Iterator[None]:
        """Note what is wrong with one run, in one line when it is first seen; let a fault of the store pass."""
        try:
            yield
        except Exception as fault:
            if _is_of_store(fault):
                raise
            why = str(fault).strip().partition("\n")[0] or type(fault).__name__
            if self.faults.get(run) != why:
                print(f"tracking: {run}: {why}", file=sys.stderr, flush=True)
            self.faults[run] = why
            if family is not None:
                family.complete = False
                for held in family.runs():  # a part may have been written
                    held.logged = None
        else:
            self.faults.pop(run, None)

    def _mirror_entry(self, plan: Plan, study: str, experiment: str, entry: Entry, family: Family) -> int:
        """Bring the runs of a case at a grid point up to date."""
        found = view.blocks(plan, study, entry)
        family.complete = len(found) == len(plan.studies[study]["blocks"]) and all(b.complete for b in found)
        recipe = records.digest([VERSION, entry["recipe"], {stage: entry[stage] for stage in view.CHAIN}])
        changed = 0
        if _stale(family, found, recipe):
            changed += self._drop(family)
        digest = records.digest([block.digest for block in found]) if family.complete else ""
        if not found or (digest and _is_there(family, digest)):
            return changed
        about = {"study": study, "case": entry["case"], "point": entry["point"], "recipe": recipe}
        if family.parent is None:
            start = min(view.started(block) for block in found)
            tags = {**about, "seed": "", "files": "", "mlflow.runName": _name(entry)}
            family.parent = self._create(experiment, start, tags)
            self._send(family.parent, params=_parameters(family.parent, entry))
            self.client.log_inputs(family.parent.id, [_data_set(plan, entry)])
        seeds = []
        for block in found:
            if not family.complete and _is_known(family, block):
                continue
            for seed in view.seeds(plan, entry, block):
                seeds.append(seed)
                changed += self._mirror_seed(experiment, entry, family, seed, about)
        return changed + self._mirror_parent(family, found, seeds, digest)

    def _mirror_seed(self, experiment: str, entry: Entry, family: Family, seed: Seed, about: dict[str, str]) -> int:
        """Bring the run of a seed up to date: one transaction for its values, one for its state."""
        assert family.parent is not None
        held = family.children.get(seed.seed)
        if held and held.tags["files"] == seed.digest and held.status == seed.status:
            return 0
        if held is None:
            tags = {**about, "seed": str(seed.seed), "mlflow.parentRunId": family.parent.id, "files": ""}
            name = f"{entry['case']} seed {seed.seed}"
            held = self._create(experiment, seed.start, {**tags, "mlflow.runName": name})
            family.children[seed.seed] = held
        if held.tags["files"] != seed.digest:
            self._log(entry, held, seed)
        self._set_status(held, seed.status, seed.end)
        return 1

    def _log(self, entry: Entry, held: Held, seed: Seed) -> None:
        """Log what is new of a seed; the tag `files`, written with the last values, says that all are there."""
        from mlflow.entities import Metric

        if held.logged is None:
            held.logged = self._logged(held)
        now, end = _now(), seed.end or _now()
        points = [(valid_key(p.name), p.value, p.time or now, p.step) for p in seed.curves]
        points += [(valid_key(name), value, end, 0) for name, value in seed.metrics.items()]
        new = [point for point in points if (point[0], point[3]) not in held.logged]
        tags = {**seed.tags, "files": seed.digest}
        self._send(held, [Metric(*point) for point in new], _parameters(held, entry), tags)
        held.tags |= tags
        held.logged |= {(name, step) for name, _, _, step in new}

    def _send(self, held: Held, metrics: Any = (), params: Any = (), tags: dict[str, str] | None = None) -> None:
        """Write values in as few transactions as MLflow's limits allow, the tags in the last of them."""
        from mlflow.entities import RunTag

        while len(metrics) > BATCH or len(params) > FEW:
            self.client.log_batch(held.id, metrics[:BATCH], params[:FEW])
            metrics, params = metrics[BATCH:], params[FEW:]
        written = [RunTag(*tag) for tag in _valid_tags(tags or {}).items()]
        self.client.log_batch(held.id, metrics, params, written)

    def _logged(self, held: Held) -> set[tuple[str, int]]:
        """Return the points that a run has which an earlier process left behind."""
        names = self.client.get_run(held.id).data.metrics
        return {(name, m.step) for name in names for m in self.client.get_metric_history(held.id, name)}

    def _mirror_parent(self, family: Family, found: list[Block], seeds: list[Seed], digest: str) -> int:
        """Bring the parent up to date: its state, and when all seeds are there their means and the figures."""
        from mlflow.entities import Metric

        parent = family.parent
        assert parent is not None
        statuses = {held.status for held in family.children.values()}
        first = (view.RUNNING, view.KILLED, view.SCHEDULED, view.FAILED)
        status = next((s for s in first if s in statuses), view.FINISHED if family.complete else view.SCHEDULED)
        if parent.status == status and parent.tags.get("files", "") == digest:
            return 0
        end = max((seed.end or 0 for seed in seeds), default=0) or _now()
        if family.complete and parent.tags.get("files", "") != digest:
            means = view.summary([seed for seed in seeds if seed.metrics])
            values = [Metric(valid_key(name), value, end, len(seeds)) for name, value in means.items()]
            for name, figure in _figures(found).items():
                self.client.log_figure(parent.id, figure, name)
            about = {**(seeds[-1].tags if seeds else {}), "seeds": str(len(seeds)), "files": digest}
            for one in ("block", "checkpoint", "failure"):
                about.pop(one, None)
            self._send(parent, values, tags=about)
            parent.tags |= about
        self._set_status(parent, status, end)
        return 1

    def _create(self, experiment: str, start: int, tags: dict[str, str]) -> Held:
        run = self.client.create_run(experiment, start_time=start, tags=_valid_tags(tags))
        return Held(run.info.run_id, NEW, tags, set())

    def _set_status(self, held: Held, status: str, end: int | None) -> None:
        if held.status == status or (held.status == NEW and status == view.RUNNING):
            pass
        elif status in (*FINAL, view.KILLED):
            self.client.set_terminated(held.id, status, end)
        else:
            self.client.update_run(held.id, status)
        held.status = status

    def _drop(self, family: Family) -> int:
        """Delete runs that the files no longer say."""
        runs = family.runs()
        for held in runs:
            self.client.delete_run(held.id)
        family.parent, family.children = None, {}
        return len(runs)

    def _experiment(self, plan: Plan, study: str) -> tuple[str, dict[tuple[str, str], Family]]:
        """Return the experiment of a study, made if need be, and its runs."""
        if study in self.experiments:
            return self.experiments[study]
        held = self.client.get_experiment_by_name(study)
        if held is None:
            about = plan.studies[study]
            note = f"{about['title']}\n\n{about['source']['paper']}"
            tags = {
                "mlflow.note.content": _valid_text(note, NOTE_LENGTH),
                "mlflow.experimentKind": "custom_model_development",
            }
            place = f"{self.artifacts.resolve().as_uri()}/{study}" if self.artifacts else None
            experiment = self.client.create_experiment(study, artifact_location=place, tags=tags)
        else:
            experiment = held.experiment_id
            if held.lifecycle_stage == "deleted":
                self.client.restore_experiment(experiment)
        self.experiments[study] = (experiment, self._families(experiment))
        return self.experiments[study]

    def _families(self, experiment: str) -> dict[tuple[str, str], Family]:
        families: dict[tuple[str, str], Family] = {}
        token = None
        while True:
            page = self.client.search_runs([experiment], "tags.recipe != ''", max_results=1000, page_token=token)
            for run in page:
                tags = run.data.tags
                family = families.setdefault((tags["case"], tags["point"]), Family())
                held = Held(run.info.run_id, run.info.status, tags)
                if tags["seed"]:
                    family.children[int(tags["seed"])] = held
                else:
                    family.parent = held
            token = page.token
            if not token:
                return families


def _now() -> int:
    return time.time_ns() // 1_000_000


def valid_key(name: str) -> str:
    """Return a name as MLflow takes it for a metric, a parameter or a tag, and no two names as the same.

    MLflow takes letters and digits of any script, `_-. /:`, at most 250 characters, and nothing that as a path would
    be another (`a//b`, `a/`, `../a`, nothing at all). Where a name has to be changed, a digest of it is added.
    """
    parts = ["_" if part in ("", ".", "..") else part for part in FORBIDDEN.sub("_", name).split("/")]
    clean = "/".join(parts)
    clean = "_" + clean[1:] if clean.startswith("..") else clean
    if clean == name and len(name) <= KEY_LENGTH:
        return name
    mark = f"-{records.digest(name)[:8]}"
    return clean[: KEY_LENGTH - len(mark)] + mark


def _valid_text(value: str, length: int) -> str:
    """Return a value that is not too long and that a database can hold."""
    return value[:length].encode("utf-8", "replace").decode("utf-8")


def _valid_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return tags as MLflow takes them; the name of a run is one."""
    length = {"mlflow.runName": NAME_LENGTH}
    return {valid_key(key): _valid_text(value, length.get(key, TAG_LENGTH)) for key, value in tags.items()}


def _name(entry: Entry) -> str:
    """Return what the parent run of a case at a grid point is called."""
    return " at ".join(filter(None, (entry["case"], entry["point"])))


def _parameters(held: Held, entry: Entry) -> list[Param]:
    """Return the recipe as parameters, for a run that may have none yet (the same value again is no fault)."""
    from mlflow.entities import Param

    flat = {} if held.tags["files"] else view.parameters(entry["recipe"])
    return [Param(valid_key(key), _valid_text(value, PARAMETER_LENGTH)) for key, value in flat.items()]


def _data_set(plan: Plan, entry: Entry) -> DatasetInput:
    """Return the data set with the digest of its decoded arrays."""
    from mlflow.entities import Dataset, DatasetInput

    prepared = plan.cells[entry["preprocess"]]
    source = json.dumps({"uri": str(prepared.folder)})
    return DatasetInput(Dataset(entry["recipe"]["data"]["name"], prepared.data_hash, "local", source))


def _is_known(family: Family, block: Block) -> bool:
    """Tell whether all seeds of a block are in the store for good, as they are in the files."""
    digest, (first, last) = block.digest, (int(part) for part in block.name.split("-")[1:])
    held = [family.children.get(seed) for seed in range(first, last + 1)]
    return all(h is not None and h.status in FINAL and h.tags["files"] == digest for h in held)


def _is_there(family: Family, digest: str) -> bool:
    """Tell whether a complete family is in the store as it is in the files (its parent is written last)."""
    return family.parent is not None and family.parent.status in FINAL and family.parent.tags.get("files") == digest


def _stale(family: Family, found: list[Block], recipe: str) -> bool:
    """Tell whether the store holds something that cannot be added to: another recipe, or results made anew."""
    runs = family.runs()
    if any(held.tags["recipe"] != recipe for held in runs) or (runs and family.parent is None):
        return True
    digests = {block.digest for block in found}
    return any(h.status in FINAL and h.tags.get("files") not in digests for h in family.children.values())


def _figures(found: list[Block]) -> dict[str, Any]:
    """Return the figures of a case at a grid point, where any seed has predictions."""
    from counterpoise.tracking import figures

    unique: dict[str, list[int]] = {}
    seen: dict[str, list[int]] = {}
    classes: list[str] = []
    done = [block for block in found if all(run["status"] == "done" for run in block.runs.values())]
    for block in done:
        classes, block_unique, block_seen = view.training_counts(block)
        unique, seen = unique | block_unique, seen | block_seen
    if not unique:
        return {}
    return {
        "class_histogram.png": figures.class_histogram(classes, unique, seen),
        "confusion_matrix.png": figures.confusion_matrix(classes, view.confusion(done, len(classes))),
    }


def _prepare(uri: str) -> Path | None:
    """Check that a local store can be written, and return where its figures go; None for a server.

    MLflow itself tries a store that it cannot open for minutes.
    """
    if not uri.startswith(SQLITE):
        return None
    path = Path(uri.removeprefix(SQLITE))
    artifacts = path.with_name(f"{path.name}.artifacts")
    if not path.exists():
        shutil.rmtree(artifacts, ignore_errors=True)  # the figures of a store that was deleted
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5)) as held:
            held.execute("BEGIN IMMEDIATE")
            held.rollback()
        artifacts.mkdir(exist_ok=True)
    except (sqlite3.Error, OSError) as error:
        raise UserError(f"tracking: cannot write to {uri} ({error}); see `tracking` in config/config.yaml") from None
    return artifacts


def _client(uri: str) -> MlflowClient:
    """Import mlflow, which takes seconds, and open the store; a fresh one is created here."""
    from mlflow import MlflowClient
    from sqlalchemy import Engine, event

    if uri.startswith(SQLITE):  # what can be rebuilt need not wait for the disk
        event.listen(Engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    client = MlflowClient(uri, registry_uri=uri)
    client.search_experiments(max_results=1)
    return client


def _is_of_store(fault: Exception) -> bool:
    """Tell whether a fault concerns the whole store, so that the next run would meet it too."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(fault, MlflowException):
        return fault.error_code not in OF_ONE_RUN
    return isinstance(fault, SQLAlchemyError)


@contextlib.contextmanager
def _named_faults(uri: str) -> Iterator[None]:
    """Turn what a store raises into one line; faults of this program stay what they are."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"tracking: {uri}: {first}") from error
