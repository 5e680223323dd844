"""Models: an encoder and, apart from it, a head, so that any pretraining feeds any fine-tuning.

A neural method has `encoder(shape) -> (nn.Module, features)`: `shape` is (C, H, W) of an image or (D,) of a
row; the module maps x_BCHW or x_BD to features_BF. The head is a kind of its own. `shared`, where a model has it,
is how many of the encoder's first children the experts of an ensemble have in common.
A classical method sets `classical = True` and has `fit(x_ND, y_N, seed, weights_N=None) -> estimator` with `classes_`
(those that occur in y_N, in the order of their numbers) and `predict_proba(x_ND)`; where probabilities may saturate
also `log_probability(x_ND)`, or a line for its type in `scoring.log_probabilities`, by which rows are ranked. It says
whether rows may be weighted (`weighted`) and may hold NaN (`missing`; an ensemble on another model, where that one
may), and in `search`, its own options first, which changes of options a search tries, in their order. It runs on one
thread.
With `regressor = True` it is for regressions: `fit(x_ND, target_N, seed, weights_N=None) -> estimator` with
`predict(x_ND)`, of targets in standard deviations of the training part; it is not searched.

An ensemble's file names the differences between its paper and its code, and its field `variant` chooses between them:
"paper", "official_code", and "first_release" where the code that made a paper's numbers was another.

Legend: B batch, C channels, H height, W width, D table columns, F features, N rows.
"""
