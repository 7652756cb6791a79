"""Many runs of one project: the jobs of a sweep, what they came to, and the search for better settings."""
