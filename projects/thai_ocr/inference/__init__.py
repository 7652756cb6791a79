"""Export for PaddleOCR, and its gates."""
