"""Trials of two recordings, and their scores."""
