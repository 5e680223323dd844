"""Learning-rate schedules: `Method().factor(step, steps) -> float`, the multiple of `lr` at step 0 .. steps - 1."""
