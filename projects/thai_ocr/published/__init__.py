"""Published networks: PP-OCRv5 and SVTR."""
