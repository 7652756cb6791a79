"""What is wrong with a run: verdict first, evidence after it, and the next command."""
