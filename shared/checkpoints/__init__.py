"""Checkpoint files, and resuming from them."""
