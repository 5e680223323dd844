"""What the names in the files are called on a page."""

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "recall": "recall",
    "many_recall": "head recall",
    "medium_recall": "middle recall",
    "few_recall": "tail recall",
    "worst_recall": "worst-class recall",
    "macro_f1": "macro F1",
    "g_mean": "G-mean",
    "h_mean": "H-mean",
    "mcc": "MCC",
    "auc_ovr": "AUC, one against rest",
    "auc_ovo": "AUC, one against one",
    "auprc": "AUPRC",
    "prevalence": "prevalence",
    "ece": "ECE",
    "classwise_ece": "classwise ECE",
    "brier": "Brier score",
    "log_loss": "log loss (nats)",
    "few_brier": "tail Brier score",
    "few_log_loss": "tail log loss (nats)",
    "entropy": "entropy of predictions (nats)",
    "recall_at_precision": "recall at precision .9",
    "expected_cost": "expected cost",
    "f1": "F1 of the positive class",
    "precision": "precision of the positive class",
    "positive_recall": "recall of the positive class",
    "average_precision": "average precision of the positive class",
    "balanced_rmse": "balanced RMSE",
    "relative_rmse": "relative RMSE",
    "relative_balanced_rmse": "relative balanced RMSE",
    "relative_few_rmse": "relative tail RMSE",
    "balanced_mae": "balanced mean absolute error",
    **{
        f"{part}{name}": f"{where}{said}"
        for name, said in (("rmse", "RMSE"), ("mae", "mean absolute error"), ("pearson", "correlation"))
        for part, where in (("", ""), ("many_", "head "), ("medium_", "middle "), ("few_", "tail "))
    },
}
MAIN = ("balanced_accuracy", "accuracy", "auc_ovr", "macro_f1", "many_recall", "few_recall")
MAIN_OF_TARGETS = ("balanced_rmse", "rmse", "mae", "pearson", "many_rmse", "few_rmse")
SPLITS = {
    "test": "test",
    "val": "validation",
    "train": "training",
    "attacked": "attacked test",
    "train-test": "training minus test",
}
SELECTIONS = {
    "last": "last step",
    "best_on_test": "best on test (published protocol only)",
    "last-best": "last minus best on test",
}
SCALES = {
    "smoke": "A smoke run: seconds, to see that the pipeline works. It never gives a verdict on the paper.",
    "pilot": "Trials on seeds of their own, from which each case's settings were chosen. No verdict rests on them.",
    "small": "A scaled-down run that two processor cores can do. It is not the published experiment: data, network or "
    "budget are smaller, and published values are shown for orientation only.",
    "full": "The published protocol, as far as the paper and its code state it.",
}
VERDICTS = {  # verdict -> (class of its mark, meaning); the order is that of the index
    "reproduced": ("yes", "the interval lies above zero and the effect is at least the margin"),
    "ordering only": ("partly", "the interval lies above zero, the magnitude is smaller or does not agree"),
    "not reproduced": ("no", "the interval excludes an effect as large as the margin"),
    "refuted": ("against", "the interval lies below zero and the effect is at least the margin, the other way"),
    "inconclusive": ("open", "the interval decides nothing; the smallest detectable effect is stated"),
    "no verdict": ("none", "a smoke run never gives one"),
}
SCOPES = {
    "as_published": "as published",
    "scaled": "scaled: the same task and method, less data or budget",
    "analogue": "analogue: another task or modality stands in, so neither reproduced nor refuted can be said",
}
STATUS = {"missing": "not computed", "failed": "failed", "skipped": "skipped", "done": "done"}


def metric(name: str) -> str:
    """Return a metric's name for people."""
    return METRICS.get(name, name.replace("_", " "))


def main(primary: str) -> tuple[str, ...]:
    """Return the metrics that a study's table shows beside its primary one."""
    return MAIN_OF_TARGETS if primary.endswith(("rmse", "mae", "pearson")) else MAIN


def on_training(primary: str) -> str:
    """Return the metric that says how well the training part was learned."""
    return "accuracy" if main(primary) is MAIN else "rmse"


def plain(name: str) -> str:
    """Return a case's or a factor's name for people."""
    return name.replace("_", " ")
