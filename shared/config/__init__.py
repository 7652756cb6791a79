"""Settings: read, checked, compared, trusted."""
