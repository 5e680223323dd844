"""Post-hoc corrections of a trained network: `Method().fit(evidence) -> rule`, then `rule(logits_BC) -> Scores`.

`fit` sees what is known before the test part is opened (counts of the training classes, the validation part)
and returns a pure function of logits. One rule serves every part of one seed and selection. A method whose
`needs_validation` is true cannot be fitted without a validation part, which a plan can tell beforehand.
Everything is float64: float32 softmax makes ties of confident predictions, and ties move AUC.
Raises: ImpossibleCell where what is known does not suffice.
A method with `needs_experts = True` gives a rule of logits_BEC, and is applied to the test part only.
Legend: B batch, C classes, E experts, V views.
"""

from __future__ import annotations
