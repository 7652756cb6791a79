"""The law, its fit, its bands."""
