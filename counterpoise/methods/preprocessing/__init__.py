"""How raw columns become a model's inputs; whatever is fitted is fitted on the training rows of one seed alone.

Contract of `Method`: `fit(x_ND, columns) -> Fitted`, of the training rows and the columns' description; then
`fitted(x_ND) -> x_NF` for any rows and `fitted.columns`, what the F inputs are. `standardise` has no `fit`: images and
plain numbers are standardised batch by batch, with the statistics of the sample stage.
A method with `supervised = True` is for regressions: `fit(x_ND, columns, target_N, seed)`; its `Fitted` also holds
`made_of_training`, the inputs of the training rows themselves, which must not give their targets away.

Legend: N rows, D raw columns, F inputs.
"""
