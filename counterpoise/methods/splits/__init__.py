"""Which rows a seed may train on and which it is tested on.

Contract of `Method`:

- `parts(y_N, seed, values_N) -> (is_candidate_N, is_test_N)`: two masks over the rows of the training part of a data
  set, without a row in both. Imbalance, validation and training take their rows from the candidates. `values_N` is
  the column that `column` names, None without such an option. Raises ImpossibleCell if a class would miss from one.
- `folds` (only cross-validations): seeds `k * folds` to `k * folds + folds - 1` are the folds of repetition k, so
  that their number is a multiple of it.
- `overlap`: test rows over training rows, for the corrected resampled t (`counterpoise.judging.statistics`).

`official` has neither: the test part is the one that the data set sets aside.
Legend: N rows.
"""
