"""Data sets packed into tar shards."""
