"""Khmer text lines, read with CTC."""
