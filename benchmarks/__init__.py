"""Benchmarks: what Counterpoise costs beside what a user would otherwise run. `benchmarks/README.md` says how."""

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before anything imports numpy or torch
