"""Speech made by rule, as data."""
