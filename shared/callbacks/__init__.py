"""Hooks that touch no tensor."""
