"""How raw columns become a model's inputs; whatever is fitted is fitted on the training rows of one seed alone.

Contract of `Method`: `fit(x_ND, columns) -> Fitted`, of the training rows and the columns' description; then
`fitted(x_ND) -> x_NF` for any rows and `fitted.columns`, what the F inputs are. `standardise` has no `fit`: images and
plain numbers are standardised batch by batch, with the statistics of the sample stage.

Legend: N rows, D raw columns, F inputs.
"""
