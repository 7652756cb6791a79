"""Verified copies in another place."""
