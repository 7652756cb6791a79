"""Processes: ranks, signals, locks, lost ranks."""
