"""Video files: decode, cache, split, audit."""
