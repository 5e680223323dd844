"""Phases, the training loop, stacked seeds, classical models and checkpoints."""
