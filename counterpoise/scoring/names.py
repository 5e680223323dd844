"""Names of metrics: which are errors or costs, and within which range each lies."""

import numpy as np

ERRORS = tuple(f"{part}{name}" for name in ("rmse", "mae") for part in ("", "balanced_", "many_", "medium_", "few_"))


ERRORS = (*ERRORS, "relative_rmse", "relative_balanced_rmse", "relative_few_rmse")


COSTS = ("ece", "classwise_ece", "brier", "log_loss", "few_brier", "few_log_loss", "expected_cost", *ERRORS)


UNBOUNDED = ("log_loss", "few_log_loss", "entropy", *ERRORS)  # 0 or more


RANGES = dict.fromkeys(UNBOUNDED, (0.0, np.inf)) | dict.fromkeys(("brier", "few_brier"), (0.0, 2.0))


def bounds(metric: str, selection: str = "last", split: str = "test") -> tuple[float, float]:
    """Return the least and the largest value of a metric, or of its gap between two selections or parts."""
    found = RANGES.get(metric, (0.0, 1.0))
    for is_gap in (selection == "last-best", split == "train-test"):
        found = difference(found) if is_gap else found
    return found


def difference(of: tuple[float, float]) -> tuple[float, float]:
    """Return the least and the largest difference of two values in a range."""
    return of[0] - of[1], of[1] - of[0]
