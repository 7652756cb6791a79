"""Checkpoints as data: read without running anything in them, tabled, checked."""
