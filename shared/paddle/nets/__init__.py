"""Networks in Paddle that projects share; each has a twin in shared/nets."""
