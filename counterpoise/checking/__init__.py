"""Faults of studies and settings, found before anything runs."""
