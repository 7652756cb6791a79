"""Characters, words, and how they are spelled."""
