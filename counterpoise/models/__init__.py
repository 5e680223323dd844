"""Models: an encoder and, apart from it, a head, so that any pretraining feeds any fine-tuning.

A neural method has `encoder(shape) -> (nn.Module, features)`: `shape` is (C, H, W) of an image or (D,) of a
row; the module maps x_BCHW or x_BD to features_BF. The head is a kind of its own. `shared`, where a model has it,
is how many of the encoder's first children the experts of an ensemble have in common.
A classical method sets `classical = True` and has `fit(x_ND, y_N, seed) -> estimator` with `predict_proba`.

Legend: B batch, C channels, H height, W width, D table columns, F features, N rows.
"""
