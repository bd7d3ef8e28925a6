"""Hypothesis profiles for the whole suite."""

import os

from hypothesis import settings

# On CI the same examples every time, and no deadline: its machines pause.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("local", deadline=None)
# For hours by hand: what no example has shown yet.
settings.register_profile("long", deadline=None, max_examples=5_000, stateful_step_count=80)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "local"))
