"""Reading with an exported network."""
