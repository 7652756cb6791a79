"""Does this GPU compute, and compute right, what training needs? scripts/verify_gpu.py asks."""
