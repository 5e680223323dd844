"""Ways in which a table tells too much: rows that occur twice, and columns that give the label away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from counterpoise import streams

if TYPE_CHECKING:
    import pandas as pd

TELLING = 0.99
"""Area under the ROC curve from which one column alone is said to tell the classes apart."""

_ROWS = 20_000  # that columns are judged by
_LEAST = 5  # rows of a class, below which held-out areas say nothing


def repeated(frame: pd.DataFrame, labels_N: np.ndarray) -> tuple[int, int]:
    """Return how many rows repeat an earlier one with its label, and how many agree with a row of another label."""
    import pandas as pd

    rows = pd.DataFrame({"row": pd.util.hash_pandas_object(frame, index=False).to_numpy(), "label": labels_N})
    several = rows.groupby("row", sort=False)["label"].transform("nunique") > 1
    return int(rows.duplicated().sum()), int(several.sum())


def same_partition(names_N: np.ndarray, labels_N: np.ndarray) -> bool:
    """Return whether each value, missing counted as one, stands for one label and each label for one value."""
    import pandas as pd

    pairs = pd.DataFrame({"name": names_N, "label": labels_N}).drop_duplicates()
    return len(pairs) == pairs["name"].nunique(dropna=False) == pairs["label"].nunique()


def telling(columns: dict[str, np.ndarray], labels_N: np.ndarray) -> dict[str, float]:
    """Return the columns that alone tell the labels apart, with the area under the ROC curve.

    It is that of a decision tree on rows that the tree did not see, a mean over the classes against the rest. Of many
    rows a fixed sample is taken, as many of each class; classes of fewer than five rows are left out.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    names, y_N = np.unique(labels_N.astype(str), return_inverse=True)
    random = streams.numpy("profile", "leaks", 0)
    each = max(_LEAST, _ROWS // len(names))
    groups = [np.flatnonzero(y_N == label) for label in range(len(names))]
    chosen = [random.permutation(group)[:each] for group in groups if len(group) >= _LEAST]
    if len(chosen) < 2:
        return {}
    rows = np.sort(np.concatenate(chosen))
    _, y_N = np.unique(y_N[rows], return_inverse=True)
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    found = {}
    for name, column_N in columns.items():
        tree = DecisionTreeClassifier(random_state=0)
        score_NC = cross_val_predict(tree, column_N[rows, None], y_N, cv=folds, method="predict_proba")
        area = np.mean([roc_auc_score(y_N == label, score_NC[:, label]) for label in range(len(chosen))])
        if area > TELLING:
            found[name] = float(area)
    return found
