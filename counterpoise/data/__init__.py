"""Files, columns, targets and samples: what a stage reads, and the rows that a seed draws."""
