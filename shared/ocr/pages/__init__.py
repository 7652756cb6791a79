"""Pages: their lines found, ordered, read."""
