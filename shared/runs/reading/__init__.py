"""Metrics and settings from any log."""
