"""Counterpoise: a verdict that can be trusted for every published claim about learning from imbalanced data."""

__version__ = "0.1.0"
