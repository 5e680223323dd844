"""How many real examples of each class the training part has.

Contract of `Method`:

- `counts(available_C, order_C) -> counts_C`: int64 number of training examples of each class, indexed by class.
  `available_C` is how many there are to choose from (validation already taken away); `order_C` holds all class
  ids in the order drawn for this seed. Step: the first `round(mu * C)` classes of the order are the minority.
  Linear and long-tailed: the order runs from the most to the least frequent class.
- `priority(labels_N) -> priority_N`, where a method says which rows: those of a class are taken in this order, least
  first, and `order_C` is 0 .. C - 1, for every seed. Without it a seed draws the order of the classes and of the rows.
- `ordered`, where a method has it: `order_C` is 0 .. C - 1 for every seed, though the rows of a class are drawn.
- `per_class`: examples of the largest class. None means as many as every class can give, so that the shape
  does not depend on which class is drawn for which place.

Pure and deterministic; counts fall when the ratio grows, so that subsets taken from the front of one permutation
per class are nested. Raises ImpossibleCell if a class would be left empty or has fewer examples than asked.

Shapes: C classes, N rows.
"""
