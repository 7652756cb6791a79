"""Property tests of the policies: many small ones, so that all of them together take seconds."""

from hypothesis import settings

settings.register_profile("policy", max_examples=50, deadline=None)  # a busy machine is no failure
settings.load_profile("policy")
