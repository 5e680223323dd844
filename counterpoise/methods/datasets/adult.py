"""Adult: 32,561 people to train on and 16,281 to test of the 1994 census, 14 attributes; positive earns above 50,000.

Source: Kohavi 1996, "Scaling up the accuracy of naive-Bayes classifiers" (UCI, Adult).
Shapes: tables (14,): 8 categorical and 6 numeric columns, three of the categorical with missing values.
Units: age in years, capital in dollars a year, hours a week; fnlwgt is the number of people that a row stands for.
Raises: UserError if a file is missing or not the published one.
Differs from the source: nothing; adult-train.csv is UCI's adult.data, adult-test.csv its adult.test without the
comment in the first line, and the dot after its labels is taken away. 24 training rows repeat another exactly, 5
test rows another, and 23 test rows occur in the training part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _tables

_HOME = "https://github.com/jbrownlee/Datasets/raw/d20fcb6402ae34e653d4513b00f39257bb37ed7f"
_COUNTRIES = """
Cambodia Canada China Columbia Cuba Dominican-Republic Ecuador El-Salvador England France Germany Greece Guatemala Haiti
Holand-Netherlands Honduras Hong Hungary India Iran Ireland Italy Jamaica Japan Laos Mexico Nicaragua
Outlying-US(Guam-USVI-etc) Peru Philippines Poland Portugal Puerto-Rico Scotland South Taiwan Thailand Trinadad&Tobago
United-States Vietnam Yugoslavia
"""


@dataclass(frozen=True)
class Method:
    """Adult, income above 50,000 dollars against the rest."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("<=50K", ">50K")
    columns: ClassVar[tuple[Column, ...]] = (
        *_tables.numeric("age"),
        _tables.categorical(
            "workclass",
            "Federal-gov Local-gov Never-worked Private Self-emp-inc Self-emp-not-inc State-gov Without-pay",
        ),
        *_tables.numeric("fnlwgt"),
        _tables.categorical(
            "education",
            "10th 11th 12th 1st-4th 5th-6th 7th-8th 9th Assoc-acdm Assoc-voc Bachelors Doctorate HS-grad Masters "
            "Preschool Prof-school Some-college",
        ),
        *_tables.numeric("education_num"),
        _tables.categorical(
            "marital_status",
            "Divorced Married-AF-spouse Married-civ-spouse Married-spouse-absent Never-married Separated Widowed",
        ),
        _tables.categorical(
            "occupation",
            "Adm-clerical Armed-Forces Craft-repair Exec-managerial Farming-fishing Handlers-cleaners "
            "Machine-op-inspct Other-service Priv-house-serv Prof-specialty Protective-serv Sales Tech-support "
            "Transport-moving",
        ),
        _tables.categorical("relationship", "Husband Not-in-family Other-relative Own-child Unmarried Wife"),
        _tables.categorical("race", "Amer-Indian-Eskimo Asian-Pac-Islander Black Other White"),
        _tables.categorical("sex", "Female Male"),
        *_tables.numeric("capital_gain capital_loss hours_per_week"),
        _tables.categorical("native_country", _COUNTRIES),
    )
    shape: ClassVar[tuple[int, ...]] = (14,)
    train_counts: ClassVar[tuple[int, ...]] = (24720, 7841)
    data_hash: ClassVar[str] = "f5305537ccd66e984d9dc5fc1ffd85a2519204bcb8ac643595b47895d3e921b4"
    files: ClassVar[Files] = {
        "adult-train.csv": (
            f"{_HOME}/adult-train.csv",
            "sha256:5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
        ),
        "adult-test.csv": (
            f"{_HOME}/adult-test.csv",
            "sha256:72567b94f5c1a6f8501377dd80f93892c3848ff071cf91ba47e00b0785a28074",
        ),
    }

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_ND, train_y_N, test_x_ND, test_y_N (float64, int64) in the order of the files."""
        train_x_ND, train_N = _tables.read(locate("adult-train.csv"), self.columns)
        test_x_ND, test_N = _tables.read(locate("adult-test.csv"), self.columns)
        return train_x_ND, (train_N == ">50K").astype(np.int64), test_x_ND, (test_N == ">50K.").astype(np.int64)
