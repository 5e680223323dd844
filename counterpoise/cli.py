"""The command line: what people type, and what Snakemake calls.

Parsing alone imports nothing of the pipeline; the function behind a command is imported when it is called.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from counterpoise.errors import UserError, nearest, told_of

# One thread for each job: jobs run side by side. Set before any numeric library is loaded.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

Arguments = Callable[[argparse.ArgumentParser], None]

STAGES = {
    "preprocess": "decode and check a data set, set its test part aside",
    "sample": "draw what each seed trains and validates on",
    "pretrain": "learn a representation",
    "finetune": "train the classifier and keep its predictions",
    "evaluate": "correct predictions and measure them",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; a fault of the user's is one line on stderr and exit code 2, one of the machine's 1."""
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
        return stopped(sys.argv[1:] if arguments is None else arguments)


def stopped(words: list[str]) -> int:
    """Return the exit code of a command that was stopped, and say so."""
    from counterpoise import stopping

    if not os.environ.get("COUNTERPOISE_PARENT"):  # Snakemake says it for what it has started
        print(stopping.SAID if words[:1] == ["run"] else "stopped", file=sys.stderr)
    return stopping.STOPPED


def parse(arguments: list[str] | None) -> int:
    """Parse and run one command; return the exit code."""
    options = parser().parse_args(arguments)
    module, _, function = options.call.partition(":")
    return getattr(importlib.import_module(f"counterpoise.{module}"), function)(options)


class Parser(argparse.ArgumentParser):
    """A parser whose faults are one line like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError instead of printing the usage and leaving."""
        raise UserError(f"{message}; see `{self.prog} --help`")

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.choices is not None and value not in action.choices:
            raise UserError(f"unknown {action.dest} '{value}'{nearest(value, action.choices, f'`{self.prog} --help`')}")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands, from which `docs/commands.md` is made as well."""
    top = Parser(
        prog="counterpoise",
        description="Re-run published claims about learning from imbalanced data, and say which of them hold.\n"
        "Snakemake decides what runs; these commands prepare, explain and tidy.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="start here:\n"
        "  make run                    compute the default studies and print their verdicts\n"
        "  counterpoise plan           what would be computed, and how much of it is there\n"
        "  counterpoise check          every fault of the configuration, before anything runs\n"
        "  counterpoise why <cell>     why a cell will or will not run\n"
        "  counterpoise <command> --help",
    )
    commands = top.add_subparsers(dest="command", metavar="<command>", required=True, title="commands")

    def add(name: str, call: str, summary: str, text: str, examples: str, *arguments: Arguments) -> None:
        command = commands.add_parser(
            name,
            help=summary,
            description=text,
            epilog="examples:\n" + "\n".join(f"  {line}" for line in examples.split("\n")),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(call=call)
        for argument in arguments:
            argument(command)

    add(
        "run",
        "commands.run:run",
        "compute the chosen studies and print their verdicts",
        "Check the configuration, run Snakemake on the chosen studies, print the verdict of every claim and\n"
        "where the report is. What is already computed is not computed again. Exit code 1 if a cell failed.",
        "counterpoise run\ncounterpoise run --studies buda2018 --scale small --cores 2",
        _choice,
        _cores,
    )
    add(
        "plan",
        "commands.plan:plan",
        "show what would be computed",
        "Show, for each study, its cases, grid points and seeds, and for each stage how many jobs there are, how\n"
        "many are done, and about how long the others will take, judged by earlier jobs of the same kind.",
        "counterpoise plan\ncounterpoise plan --studies all --scale small",
        _choice,
    )
    add(
        "check",
        "commands.check:check",
        "find every fault of the configuration before anything runs",
        "Read every study at every scale (or those chosen), with its claims; check that imbalances leave no\n"
        "class empty and that models fit their data; then data files, disk space and the tracking store.\n"
        "Exit code 2 and one line for the first fault. With --results, compare every file of every finished job with\n"
        "the digest that its run.json holds instead, and name each that differs.",
        "counterpoise check\ncounterpoise check --studies buda2018 --scale small\ncounterpoise check --results",
        _choice_of_all,
    )
    add(
        "show",
        "commands.show:show",
        "show a cell or a study: configuration, parents, state, files",
        "Show a study, with its cases, grid and cells; or a cell (its name, the beginning of it, or a part of its\n"
        "hash) with its configuration, parents and each block of seeds. The cells are listed under their study.",
        "counterpoise show buda2018_methods\ncounterpoise show buda2018_methods.small\ncounterpoise show <cell>",
        _target,
    )
    add(
        "why",
        "commands.show:why",
        "say why a cell will or will not run",
        "Say of each block of seeds of a cell whether it is done, failed (and why), waits for a parent, is being\n"
        "computed, or will run because files are missing.",
        "counterpoise why <cell>\ncounterpoise why results/finetune/<cell>",
        _cell,
    )
    add(
        "names",
        "commands.names:names",
        "list every valid name of a kind",
        "List the studies, bases, metrics, or methods of a kind (losses, samplers, models ...), one a line; without a\n"
        "kind, the kinds. What each method does: docs/methods.md.",
        "counterpoise names\ncounterpoise names losses\ncounterpoise names studies",
        _kind,
    )
    add(
        "new",
        "commands.new:new",
        "start a study: of your own data, or from a commented template",
        "With a file (CSV, TSV or Parquet) and its column of labels, or a folder of images with a sub-folder for each\n"
        "class: say what is there and what to mind, and write config/studies/<name>.yaml with cases that fit.\n"
        "With a name <author><year>_<topic> (<author><year> is the paper's key in the literature): write a small\n"
        "study on digits that runs as it is, every key explained.",
        "counterpoise new customers.csv --target churn\n"
        "counterpoise new visits.parquet --target readmitted --group patient\n"
        "counterpoise new customers.csv --target churn --kind calls=categorical --header\n"
        "counterpoise new photos/\ncounterpoise new chawla2002_smote",
        _name,
    )
    add(
        "hash",
        "commands.hash:hash_data",
        "print what the file of a data set must contain",
        "Read a data set of counterpoise/methods/datasets/ and print its shape, the examples of each class, the\n"
        "data hash and the checksums of its files, ready to be pasted into its file. Files that are nowhere are\n"
        "downloaded. Exit code 1 where the file differs.",
        "counterpoise hash digits",
        _data_set,
    )
    add(
        "export",
        "commands.export:export",
        "fit the best case of a study of your own data on all rows, as a folder",
        "Fit the case that did best (or the one named) on all rows of the data, and write it to a folder: columns,\n"
        "preprocessing, model, threshold and what to expect of it, without pickled code. Refuses a folder with files.",
        "counterpoise export customers --to model/\ncounterpoise export customers --case lightgbm_smote --to model/",
        _exported,
    )
    add(
        "predict",
        "commands.export:predict",
        "say what an exported model expects of new rows",
        "Check the columns of a file (or a folder of images) against those of training, say in one line each what is\n"
        "wrong with them, and write the probability of each class and the decision for every row.",
        "counterpoise predict model/ new.csv\n"
        "counterpoise predict model/ new.csv -o said.csv --id customer --threshold 0.2",
        _predicted,
    )
    add(
        "publish",
        "commands.run:publish",
        "write the results of a study to published/",
        "Write published/<study>.<scale>.json and .md: verdicts, the table that they rest on, commit and versions.\n"
        "Refuses a study with missing jobs, and results of uncommitted code.",
        "counterpoise publish buda2018_methods.small",
        _published,
    )
    add(
        "synthesise",
        "commands.synthesise:synthesise",
        "compare every remedy of the published studies with logit adjustment",
        "Write published/synthesis/<scale>.json, .md and .svg: in each setting the paired difference of every case to\n"
        "logit adjustment, with its interval, q-value and win, tie or loss. Reads published/ only.",
        "counterpoise synthesise\ncounterpoise synthesise --scale small",
        _synthesised,
    )
    add(
        "tune",
        "commands.tune:tune",
        "choose each case's settings from trials on other seeds",
        "Of the trials of a scale (a grid over what is tuned, on seeds that no verdict uses), take for each case\n"
        "the one with the best mean on the validation part, and write config/tuned/<study>.yaml with all of them.\n"
        "Commit that file; a scale that says `tuned: true` reads it.",
        "counterpoise run --studies kang2020 --scale pilot\ncounterpoise tune kang2020",
        _tuned,
    )
    add(
        "retry",
        "commands.tidy:retry",
        "forget failures and damaged files, so that the next run computes them again",
        "A failure that would repeat (a class left empty, a loss that is not finite at once) is a result and is\n"
        "not tried again by itself. Forget all of them, or those of the named cells, with the cells that were\n"
        "skipped because of them. A named cell whose files are not as they were written is forgotten as well, or of\n"
        "which that cannot be told.",
        "counterpoise retry\ncounterpoise retry <cell>",
        _cells,
    )
    add(
        "clean",
        "commands.tidy:clean",
        "list and remove what no study file needs any more",
        "List the results that no study at any scale needs, and remove them after asking. Without a terminal to\n"
        "ask on, nothing is removed unless --yes is given.",
        "counterpoise clean\ncounterpoise clean --yes",
        _yes,
    )
    add(
        "report",
        "commands.run:report",
        "rebuild the pages from files",
        "Rebuild the page of every study and the index from the files of its cells, gaps included, and print\n"
        "where the index is. With a cell: the job that Snakemake calls.",
        "counterpoise report",
        _report_cell,
    )
    add(
        "track",
        "commands.records:track",
        "rebuild the MLflow view from the files of all jobs",
        "Write to the tracking store everything that it lacks. Runs are found by their tags, so nothing is\n"
        "written twice, and a store that was deleted comes back whole.",
        "counterpoise track\nrm mlflow.db && counterpoise track",
        _followed,
    )
    add(
        "ui",
        "commands.records:ui",
        "open the MLflow view in a browser",
        "Serve the tracking store of config/config.yaml on this machine only. Leave it open while studies run:\n"
        "curves grow.",
        "counterpoise ui\ncounterpoise ui --port 8080",
        _port,
    )
    add(
        "restore",
        "commands.records:restore",
        "fetch computed results from your DVC remote",
        "Fetch data and results of this commit from your DVC remote, so that Snakemake has nothing to compute.\n"
        "Needs a dvc.lock, which `dvc commit` writes after a run, and a remote that `dvc push` has filled.",
        "counterpoise restore",
    )
    add(
        "finish",
        "commands.run:finish",
        "build partial reports and the index (Snakefile calls this)",
        "Build the report of each study whose report job could not run because cells are missing, and the index.",
        "counterpoise finish buda2018_methods.smoke",
        _finished,
    )
    for stage, summary in STAGES.items():
        add(
            stage,
            "commands.run:job",
            f"job: {summary}",
            f"Run one job of the plan here: {summary}.\nThis is the line that Snakemake runs; `snakemake -n` makes "
            "the plan.\nCells and blocks are the folders below results/" + f"{stage}/.",
            f"python -m counterpoise {stage} <cell>" + ("" if stage == "preprocess" else " seeds-00-04"),
            _job if stage != "preprocess" else _whole_job,
        )
    return top


def _choice(command: argparse.ArgumentParser) -> None:
    command.add_argument("--studies", metavar="NAMES", help='names or keys, separated by commas, or "all"')
    command.add_argument("--scale", help="smoke, small or full (default for both: config/config.yaml)")


def _choice_of_all(command: argparse.ArgumentParser) -> None:
    command.add_argument("--studies", metavar="NAMES", help="names or keys, separated by commas (default: all)")
    command.add_argument("--scale", help="smoke, small or full (default: every scale of each study)")
    command.add_argument("--results", action="store_true", help="compare computed files with their digests")


def _cores(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cores", default="all", metavar="N", help="cores to use (default: all)")


def _target(command: argparse.ArgumentParser) -> None:
    command.add_argument("target", metavar="cell-or-study", help="a cell, or a study with or without its scale")


def _data_set(command: argparse.ArgumentParser) -> None:
    command.add_argument("dataset", help="the name of its file in counterpoise/methods/datasets/")


def _kind(command: argparse.ArgumentParser) -> None:
    command.add_argument("kind", nargs="?", help="a kind of method, or studies, bases or metrics")


def _cell(command: argparse.ArgumentParser) -> None:
    command.add_argument("cell", help="its name, folder, the beginning of its name, or a part of its hash")


def _cells(command: argparse.ArgumentParser) -> None:
    command.add_argument("cells", metavar="cell", nargs="*", help="as for `show` (default: every failed cell)")


def _name(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="file-or-name", help="a file, a folder of images, or <author><year>_<topic>")
    command.add_argument("--target", metavar="COLUMN", help="the column of a file that is to be predicted")
    command.add_argument("--group", metavar="COLUMN", help="rows of one value are never parted, for instance a patient")
    command.add_argument("--time", metavar="COLUMN", help="train on what was before, test on what came after")
    command.add_argument(
        "--kind",
        metavar="COLUMN=KIND",
        action="append",
        default=[],
        help="use a column as numeric, categorical, date, date_day_first or date_month_first, or ignore it",
    )
    command.add_argument(
        "--keep",
        metavar="COLUMN=TEXT",
        action="append",
        default=[],
        help="a string that is a class or category of the column and not a missing value, such as NA",
    )
    _header(command)
    command.add_argument(
        "--name", dest="name_of_study", metavar="NAME", help="of the study (default: that of the file)"
    )


def _header(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first row of a CSV or TSV file is the header (default: judged by what it holds; a row with "
        "the target, or with a column of the model, is the header whatever is said here)",
    )


def _exported(command: argparse.ArgumentParser) -> None:
    command.add_argument("study", help="the name of a study of your own data")
    command.add_argument("--case", help="the case to fit (default: the best)")
    command.add_argument("--to", required=True, metavar="FOLDER", help="where to write it")


def _predicted(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help="the folder that `export` wrote")
    command.add_argument("data", metavar="new-rows", help="a CSV, TSV or Parquet file, or a folder of images")
    command.add_argument("-o", "--output", default="predictions.csv", metavar="FILE", help="default: predictions.csv")
    command.add_argument(
        "--id", metavar="COLUMN", help="a column of the new rows that is copied to the result as it is"
    )
    _header(command)
    command.add_argument("--threshold", type=float, metavar="P", help="say the rarer class above this probability")


def _yes(command: argparse.ArgumentParser) -> None:
    command.add_argument("--yes", action="store_true", help="remove without asking")


def _report_cell(command: argparse.ArgumentParser) -> None:
    command.add_argument("cell", nargs="?", help=argparse.SUPPRESS)


def _published(command: argparse.ArgumentParser) -> None:
    command.add_argument("study", metavar="<study>.<scale>", help="a study that has been run, e.g. yang2020_ssp.small")
    command.add_argument("--allow-dirty", action="store_true", help="take results of uncommitted code, and say so")


def _tuned(command: argparse.ArgumentParser) -> None:
    command.add_argument("studies", help="names or keys of studies, comma-separated, whose trials are computed")
    command.add_argument("--scale", default="pilot", help="the scale that holds the trials (default: pilot)")


def _synthesised(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scale", default="small", help="the scale of the published studies (default: small)")


def _finished(command: argparse.ArgumentParser) -> None:
    command.add_argument("studies", nargs="+", metavar="study.scale")


def _followed(command: argparse.ArgumentParser) -> None:
    """Arguments that only the logger plugin gives: the studies of a live run, and its store."""
    command.add_argument("--follow", nargs="+", metavar="study.scale", help=argparse.SUPPRESS)
    command.add_argument("--uri", help=argparse.SUPPRESS)


def _port(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default: 5000)")


def _whole_job(command: argparse.ArgumentParser) -> None:
    command.add_argument("cell", help="cell of the plan")
    command.set_defaults(block=None)


def _job(command: argparse.ArgumentParser) -> None:
    command.add_argument("cell", help="cell of the plan")
    command.add_argument("block", help="block of seeds, for instance seeds-00-04")
