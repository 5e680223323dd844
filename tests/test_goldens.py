"""No number moves without a version: every method against its golden, and goldens against changed constants.

.venv/bin/python -m pytest -n 0 tests/test_goldens.py
"""

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path

import make_goldens
import numpy as np
import pytest

import counterpoise
from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.planning import plan

COMMAND = "python -m tests.make_goldens"
every_golden = pytest.mark.parametrize("key", make_goldens.KEYS)


def judge(key):
    """Fail, saying what to do, unless the method gives the numbers of its golden."""
    assert make_goldens.path(key).exists(), f"{key} has no golden: run `{COMMAND} {key}` and commit the file"
    held, now = make_goldens.read(key), make_goldens.versions(key)
    raised = [f"{k} is version {now[k]}, the golden of {held['versions'].get(k)}" for k in now]
    stale = [text for text, k in zip(raised, now, strict=True) if now[k] != held["versions"].get(k)]
    assert held["versions"] == now, f"{'; '.join(stale) or 'other methods now'}: run `{COMMAND}` and commit the files"
    kind, _, name = key.partition(".")
    options = [case["options"] for case in held["cases"]]
    assert options == make_goldens.cases(kind, name), f"its options changed: run `{COMMAND} {key}` and commit the file"
    for case in held["cases"]:
        moved = make_goldens.moved(key, make_goldens.numbers(key, case["options"]), case["numbers"])
        assert not moved, (
            f"numbers of {key} {case['options'] or ''} moved without a version: {moved}. If that is meant, raise "
            f"`version` in what changed ({', '.join(now)}; of a stage VERSIONS in counterpoise/planning/plan.py), "
            f"so that its cells are computed anew, and run `{COMMAND}`. If nothing of ours changed (another torch), "
            "delete the golden and run it"
        )


@every_golden
def test_a_method_gives_the_numbers_of_its_golden(key):
    judge(key)


def test_every_golden_belongs_to_a_method_and_is_small():
    files = sorted(make_goldens.FOLDER.glob("*"))
    assert [f.name for f in files] == sorted(f"{key}.json" for key in make_goldens.KEYS)
    assert all(f.stat().st_size < 10_000 for f in files)


# Options that cannot act in a few steps of the tiny network; the tests of these methods hold them.
SILENT = {
    ("imbalance.ldam_subset", "seed"),
    *(("samplers.table_generator", f) for f in ("generator", "command", "shots", "sets", "unique_words", "attempts")),
    *((f"models.{name}", "shared") for name in ("mlp", "cnn", "digits_cnn", "lenet5", "resnet32", "promissing")),
    ("samplers.all_knn", "allow_minority"),
    *(("samplers.neighbourhood_cleaning", f) for f in ("k", "agreement", "threshold")),
    ("samplers.parallel_vector_quantisation", "batch_size"),
    ("samplers.smote_enn", "agreement"),
    ("ensembles.plain_average", "keeps_experts"),
    ("models.isolation_forest", "samples"),
    ("models.logistic_regression", "max_iter"),
    ("splits.grouped_k_fold", "column"),
    ("splits.time_ordered", "column"),
    ("mixing.manifold_mixup", "last"),
    ("losses.focal", "variant"),
    ("losses.logit_adjustment", "variant"),
    ("losses.self_adjusting_dice", "variant"),
    ("losses.seql", "gamma"),
    ("losses.seql", "rare"),
    ("optimizers.imbsam", "tail"),
    ("optimizers.imbsam", "eta"),
    ("finetuning.nearest_class_mean", "features"),
    ("finetuning.nearest_class_mean", "metric"),
    ("finetuning.oasis_post_training", "uncertain"),
    ("finetuning.oasis_post_training", "certain"),
    ("finetuning.oasis_post_training", "gap"),
    ("finetuning.oasis_post_training", "shrinkage"),
    ("finetuning.rcal", "neighbours"),
    ("finetuning.rcal", "nearest"),
    ("finetuning.ride_router", "pos_weight"),
    ("finetuning.ride_router", "top_choices"),
    ("finetuning.selmix", "temperature"),
    ("finetuning.selmix", "refresh"),
    ("finetuning.selmix", "rate"),
    ("finetuning.selmix", "memory"),
    ("finetuning.selmix", "coverage"),
    ("finetuning.selmix", "coverage_width"),
    ("finetuning.selmix", "coverage_multiplier"),
    ("finetuning.stepwise_smooth_tail", "head_share"),
    ("semi_supervised.daso", "distribution_temperature"),
    ("semi_supervised.daso", "start"),
    ("semi_supervised.daso", "period"),
    ("semi_supervised.daso", "queue"),
    ("rebalancing.em_prior", "iterations"),
    ("rebalancing.tuned_threshold", "metric"),
    ("rebalancing.sade_aggregation", "stop"),
}


# A golden trips ----------------------------------------------------------------------------------------------


def moved(value):
    """Return another value of the same type."""
    match value:
        case bool() | str():
            raise AssertionError("a choice is a case of the golden")
        case None:
            return 300
        case {"name": _}:
            return {"name": "gaussian_nb"}
        case int():
            return value + 1
        case float():
            return 0.8 * value or 0.1
        case _:
            return [moved(value[0]), *value[1:]]


def changes_something(key, case, field, value):
    try:
        found = make_goldens.numbers(key, {**case["options"], field: value})
    except UserError:  # not a value that the method takes beside the others
        return True
    return bool(make_goldens.moved(key, found, case["numbers"]))


ACTING = [
    key for key in make_goldens.KEYS
    if any((key, field) not in SILENT for field in registry.options(*key.split(".")))
]  # fmt: skip


@pytest.mark.parametrize("key", ACTING)
def test_another_default_trips_it(key):
    held = make_goldens.read(key)["cases"]
    kind, _, name = key.partition(".")
    for field, default in registry.options(kind, name).items():
        if (key, field) in SILENT:
            continue
        if isinstance(default, bool | str):
            others = [c["numbers"] for c in held if c["options"].get(field, default) != default]
            assert others, f"no case for {field}"
            assert all(make_goldens.moved(key, other, held[0]["numbers"]) for other in others), (
                f"{key}, {field} changes nothing"
            )
            continue
        assert any(changes_something(key, case, field, moved(case["options"].get(field, default))) for case in held), (
            f"{key}, {field} changes nothing"
        )


@contextmanager
def source_changed(file, old, new):
    """Run a module of the package with a piece of its source replaced."""
    source = (Path(counterpoise.__file__).parent / file).read_text(encoding="utf-8")
    assert old in source, f"{file} no longer has {old!r}: change this list"
    module = importlib.import_module("counterpoise." + file.removesuffix(".py").replace("/", "."))
    held = dict(vars(module))
    users = [vars(m) for name, m in sys.modules.items() if name.startswith("counterpoise.") and m is not module]
    try:
        exec(compile(source.replace(old, new), file, "exec"), vars(module))
        taken = [(user, n) for user in users for n in held.keys() & user.keys() if user[n] is held[n]]
        for user, name in taken:  # who imported a name from the module
            user[name] = vars(module)[name]
        registry.method.cache_clear()
        yield
    finally:
        vars(module).clear()
        vars(module).update(held)
        for user, name in taken:
            user[name] = held[name]
        registry.method.cache_clear()


CHANGES = [
    ("imbalance.long_tailed", "methods/imbalance/long_tailed.py", "int(most *", "round(most *"),
    ("imbalance.linear", "methods/imbalance/_counts.py", "+ 0.5", "+ 0.4"),
    ("splits.k_fold", "data/folds.py", "random.random(len(y_N)), y_N", "random.random(len(y_N)), -y_N"),
    ("preprocessing.typed_columns", "methods/preprocessing/typed_columns.py", "filled_N.std()", "filled_N.std(ddof=1)"),
    (
        "samplers.random_oversampling",
        "methods/samplers/random_oversampling.py",
        "rank_N < target_N",
        "rank_N <= target_N",
    ),
    (
        "samplers.random_undersampling",
        "methods/samplers/random_undersampling.py",
        "rank_N < targets_C",
        "rank_N <= targets_C",
    ),
    (
        "samplers.progressively_balanced",
        "methods/samplers/progressively_balanced.py",
        "epoch / last",
        "(epoch + 1) / last",
    ),
    ("samplers.square_root_sampling", "methods/samplers/square_root_sampling.py", ".sqrt()", ".pow(0.6)"),
    (
        "samplers.class_balanced",
        "methods/samplers/_classwise.py",
        "dtype=torch.float64)",
        "dtype=torch.float64).square()",
    ),
    ("models.lenet5", "methods/models/lenet5.py", "nn.init.zeros_", "nn.init.ones_"),
    ("models.cnn", "methods/models/cnn.py", "nn.ReLU", "nn.GELU"),
    ("models.decision_tree", "methods/models/decision_tree.py", "self.min_samples_leaf,", "self.min_samples_leaf + 1,"),
    ("augmentation.shift", "methods/augmentation/shift.py", "2 * self.pixels + 1", "2 * self.pixels"),
    ("augmentation.affine_cutout", "methods/augmentation/affine_cutout.py", "/ 180", "/ 180.0001"),
    ("augmentation.affine_cutout", "methods/augmentation/affine_cutout.py", "u[2] < 0.5", "u[2] < 0.55"),
    ("heads.cosine", "methods/heads/cosine.py", "F.normalize(features_BD, dim=1)", "features_BD"),
    ("ensembles.sade", "methods/ensembles/sade.py", "]).sum()", "]).mean()"),
    ("mixing.mixup", "methods/mixing/mixup.py", "1 - ", "1.0001 - "),
    ("semi_supervised.fixmatch", "methods/semi_supervised/fixmatch.py", "loss + self.unl", "loss + 1.1 * self.unl"),
    ("losses.class_weighted", "methods/losses/class_weighted.py", "clamp(min=1)", "clamp(min=4)"),
    ("losses.cross_entropy", "methods/losses/cross_entropy.py", "labels_B)\n", "labels_B, label_smoothing=1e-6)\n"),
    ("optimizers.sgd", "methods/optimizers/sgd.py", "foreach=True", "dampening=1e-6"),
    ("schedules.constant", "methods/schedules/constant.py", "return 1.0", "return 0.99999"),
    ("schedules.step_decay", "methods/schedules/step_decay.py", "step < ", "step <= "),
    ("pretraining.rotation", "methods/pretraining/rotation.py", "k, (2, 3)", "k, (3, 2)"),
    ("pretraining.simclr", "methods/pretraining/simclr.py", 'float("-inf")', "-9.0"),
    ("pretraining.supervised", "training/objective.py", "return of(outputs", "return 0.99999 * of(outputs"),
    ("finetuning.last_layer", "methods/finetuning/last_layer.py", "head_only=True", "head_only=False"),
    ("finetuning.linear_probe", "methods/finetuning/linear_probe.py", "[bool] = True", "[bool] = False"),
    ("rebalancing.prior_threshold", "methods/rebalancing/prior_threshold.py", "log_odds(logits", "log_odds(quotient"),
    (
        "rebalancing.temperature_scaling",
        "methods/rebalancing/temperature_scaling.py",
        "logits_BC / t)",
        "logits_BC / t / t)",
    ),
    ("samplers.progressively_balanced", "training/phases.py", "steps * size / self", "(steps + 1) * size / self"),
    ("losses.cross_entropy", "training/phases.py", 'f"order-', 'f"rank-'),
    ("losses.cross_entropy", "streams.py", '"/".join', '"-".join'),
]


@pytest.mark.parametrize(("key", "file", "old", "new"), CHANGES, ids=[f"{c[1]}: {c[2]}" for c in CHANGES])
def test_a_changed_constant_trips_it(key, file, old, new):
    with source_changed(file, old, new), pytest.raises(AssertionError, match="moved without a version"):
        judge(key)
    judge(key)


def test_every_kind_has_a_change_that_trips_it():
    assert {key.partition(".")[0] for key, *_ in CHANGES} == {*registry.KINDS} - {"datasets"}


# The versions that go with it --------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["losses.class_weighted", "imbalance.step"])
def test_a_new_version_wants_a_new_golden(key, tmp_path, monkeypatch):
    cls = registry.method(*key.split("."))
    monkeypatch.setattr(cls, "version", 2)
    with pytest.raises(AssertionError, match=f"{key} is version 2, the golden of 1: run `{COMMAND}`"):
        judge(key)
    (tmp_path / f"{key}.json").write_text(make_goldens.path(key).read_text())
    monkeypatch.setattr(make_goldens, "FOLDER", tmp_path)
    assert make_goldens.write(key) == "written"
    judge(key)


def test_a_missing_golden_is_an_error_that_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(make_goldens, "FOLDER", tmp_path)
    with pytest.raises(AssertionError, match=f"run `{COMMAND} losses.cross_entropy`"):
        judge("losses.cross_entropy")


def test_the_command_does_not_bless_numbers_that_moved_without_a_version(tmp_path, monkeypatch):
    key = "losses.class_weighted"
    (tmp_path / f"{key}.json").write_text(make_goldens.path(key).read_text())
    monkeypatch.setattr(make_goldens, "FOLDER", tmp_path)
    assert make_goldens.write(key) == "as it was"
    with (
        source_changed("methods/losses/class_weighted.py", "min=1", "min=9"),
        pytest.raises(SystemExit, match="higher"),
    ):
        make_goldens.write(key)
    judge(key)


def test_the_command_helps(capsys):
    with pytest.raises(SystemExit, match="0"):
        make_goldens.main(["--help"])
    assert "python -m tests.make_goldens losses.class_weighted" in capsys.readouterr().out


def test_the_command_refuses_numbers_that_another_processors_rounding_moves(tmp_path, monkeypatch):
    monkeypatch.setattr(make_goldens, "FOLDER", tmp_path)
    amplified = lambda key, options: [float(np.exp(0.1) * 1e18 % 1e3)]  # noqa: E731  the last bits of an exponential
    monkeypatch.setattr(make_goldens, "numbers", amplified)
    with pytest.raises(SystemExit, match=r"models\.svm .* on a processor that rounds otherwise; .* TOLERANCE"):
        make_goldens.write("models.svm")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_a_raised_version_of_a_stage_wants_new_goldens_and_is_named(stage, monkeypatch):
    key = {"pretrain": "pretraining.supervised", "finetune": "losses.cross_entropy"}[stage]
    monkeypatch.setitem(plan.VERSIONS, stage, 2)  # the one of cell ids: test_plan.py
    with pytest.raises(AssertionError, match=f"stages.{stage} is version 2, the golden of 1: run `{COMMAND}`"):
        judge(key)


def test_the_advice_for_numbers_that_moved_names_the_versions_of_stages(monkeypatch):
    monkeypatch.setattr(make_goldens, "numbers", lambda key, options: {})
    with pytest.raises(
        AssertionError, match=r"stages\.finetune; of a stage VERSIONS in counterpoise/planning/plan\.py"
    ):
        judge("losses.cross_entropy")


def test_another_version_of_what_trains_it_counts_too(monkeypatch):
    monkeypatch.setattr(registry.method("optimizers", "sgd"), "version", 2)
    with pytest.raises(AssertionError, match=r"optimizers\.sgd is version 2"):
        judge("losses.cross_entropy")
    judge("imbalance.linear")
