"""The Lightning socket; torch is allowed here."""
